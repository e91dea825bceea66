//! All that a plugin or the agent could have changed of a host and of the containers on it.
//!
//! Two snapshots of a host that nobody touches are equal: what the kernel changes by itself is
//! switched off ([`quiet`]), waited for ([`settled`]) or left out of the text.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::host::Host;
use crate::place::Place;
use crate::wait::{PATIENCE, wait_for};

/// Left out: netd's names and health, which come and go with the agent.
const PORTS: &str = "ss -Hlntu | awk '$5 !~ /:(53|8081)$/ { print $1, $5 }' | sort";

/// Left out: timers and states that follow a carrier, and where host-local looks first next time.
const STATE: &str = r#"
tidy() {
    sed -E 's/ state [A-Za-z]+//g; s/NO-CARRIER,//; s/,LOWER_UP//; s/ linkdown//
        s/ (hello|tcn|topology_change|gc|message_age|forward_delay|hold)_timer +[0-9.]+//g'
}
look() {
    ip -o -d link | tidy
    ip -o addr
    ip route show table all | tidy
    ip -6 route show table all | tidy
    ip rule
    ip -6 rule
    tc qdisc
    cd /proc/sys/net
    grep -r '' ipv4/ip_forward ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh bridge 2>/dev/null || true
}
export -f tidy look
look | sed 's/^/host: /'
for name in /run/netns/*; do
    ip netns exec ${name##*/} bash -euc look | sed "s|^|${name##*/}: |"
done
for path in /run/netd/netns/*; do
    [ -e "$path" ] || continue
    nsenter --net="$path" bash -euc 'look; ip neigh show nud permanent
        bridge fdb show | grep " dst " || true' | sed "s|^|${path##*/}: |"
done
nft list ruleset | sed 's/^/nft: /'
find /run/netd /var/lib/cni /etc/cni /run/netns \
    \( -type d -o ! -name 'last_reserved_ip.*' ! -name lock ! -name '.*' \) \
    -printf 'file: %y %m %p\n' 2>/dev/null | grep -v ' d .*/networks/' | sort
find /run/netd -type f -printf '%p\n' | sort | while read -r file; do
    sed "s|^|$file: |" "$file"; echo
done
find /var/lib/cni -type f ! -name 'last_reserved_ip.*' ! -name lock ! -name '.*' | sort |
    while read -r file; do sed "s|^|$file: |" "$file"; echo; done
"#;

/// Links that are made from now on get no address by themselves, so that none is tentative and
/// none comes late.
///
/// # Errors
///
/// When the setting cannot be made.
pub fn quiet(place: &dyn Place) -> Result<()> {
    place.sh("sysctl -qw net.ipv6.conf.default.addr_gen_mode=1").map(drop)
}

/// What there is now.
///
/// # Errors
///
/// When the host cannot be looked at.
pub fn take(host: &Host) -> Result<String> {
    Ok(host.sh(STATE)?.stdout)
}

/// What there is once the kernel is done with what was changed before.
///
/// # Errors
///
/// When it goes on to change.
pub fn settled(host: &Host) -> Result<String> {
    let mut last = take(host)?;
    wait_for("two snapshots in a row are equal", PATIENCE, || {
        let now = take(host)?;
        // An uplink's address is looked for on the wire for a second. Those of a bridge without ports
        // are tentative for ever.
        let is_new = |line: &str| line.contains(" eth0 ") && line.contains(" tentative ");
        let same = now == last && !now.lines().any(is_new);
        last.clone_from(&now);
        Ok(same.then_some(now))
    })
}

/// The ports that somebody listens on. They are no part of a snapshot: a server of a test's is none of netd's.
///
/// # Errors
///
/// When the host cannot be looked at.
pub fn ports(host: &Host) -> Result<String> {
    Ok(host.sh(PORTS)?.stdout)
}

/// Waits until these ports are listened on again, and no others.
///
/// # Errors
///
/// When one is kept or lost; the error shows which.
pub fn same_ports(host: &Host, before: &str) -> Result<()> {
    wait_for("the same ports are listened on", PATIENCE, || {
        let now = ports(host)?;
        if now != before {
            bail!("{}", differences(before, &now));
        }
        Ok(Some(()))
    })
}

/// The lines of either that the other has not, or not as often.
#[must_use]
pub fn differences(before: &str, after: &str) -> String {
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    before.lines().for_each(|line| *counts.entry(line).or_default() -= 1);
    after.lines().for_each(|line| *counts.entry(line).or_default() += 1);
    let changed = counts.into_iter().filter(|(_, count)| *count != 0);
    let signed =
        changed.map(|(line, count)| format!("{}{line}", if count < 0 { "- " } else { "+ " }));
    signed.collect::<Vec<_>>().join("\n")
}
