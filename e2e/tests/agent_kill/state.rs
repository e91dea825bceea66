//! What there is of a host that runs the agent: in its kernel, its files, the store, and what
//! another host has made of it. What is random in it has a name instead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use e2e::{PREFIX, Stored};
use serde_json::Value;

/// Until when hosts may be missing in a store that was built anew.
const SINCE: &str = "\"untilSeconds\":";
pub(crate) const NOT_ANEW: &str = "\"untilSeconds\":null";
pub(crate) const UNTIL: &str = "\"untilSeconds\":TIME";

/// The address in [`e2e::FOREIGN`].
pub(crate) const FOREIGN_ADDRESS: &str = "192.0.2.77";

/// After that `/readyz` says what the store was asked for.
const AWAY: &str = "the store is away, ";

/// What hosts tell each other of the cluster's networks, and remember of it: each host has one sign of life, and
/// whom the store has lost writes it again, at moments of its own. Tests of overlays are about it.
const OF_ALL: &str = "/global/";

/// A host's lease as it stands in the store.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    pub(crate) key: String,
    /// Empty where there is but one.
    network: String,
    pub(crate) subnet: Ipv4Addr,
    pub(crate) subnet6: Option<Ipv6Addr>,
    pub(crate) at: IpAddr,
    pub(crate) at6: Option<IpAddr>,
    pub(crate) backend: String,
    pub(crate) mac: Option<String>,
    pub(crate) mac6: Option<String>,
}

impl Leased {
    /// The leases below flannel's prefix.
    pub(crate) fn read(stored: &[Stored]) -> Vec<Self> {
        stored.iter().filter_map(|entry| Self::of(entry).ok()).collect()
    }

    fn of(entry: &Stored) -> Result<Self> {
        let below = entry.key.strip_prefix(PREFIX).context("a lease")?;
        let (network, key) = below.split_once("/subnets/").context("a lease")?;
        let value: Value = serde_json::from_str(&entry.value)?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let (v4, v6) = key.split_once('&').map_or((key, None), |(v4, v6)| (v4, Some(v6)));
        let base = |text: &str| text.split('-').next().map(str::to_owned).context("a subnet");
        let at6 = text("/PublicIPv6").map(str::parse).transpose()?;
        Ok(Self {
            key: entry.key.clone(),
            network: network.replace('/', "-"),
            subnet: base(v4)?.parse()?,
            subnet6: v6.map(|v6| anyhow::Ok(base(v6)?.parse()?)).transpose()?,
            at: text("/PublicIP").context("an address")?.parse()?,
            at6,
            backend: text("/BackendType").unwrap_or_default().to_owned(),
            mac: text("/BackendData/VtepMAC").map(str::to_owned),
            mac6: text("/BackendV6Data/VtepMAC").map(str::to_owned),
        })
    }

    /// What is random in it, and its name.
    fn names(&self, own: IpAddr) -> Vec<(String, String)> {
        let is_foreign = self.at.to_string() == FOREIGN_ADDRESS;
        let whose = if self.at == own {
            "OWN"
        } else if is_foreign {
            "FOREIGN"
        } else {
            "PEER"
        };
        let whose = format!("{whose}{}", self.network);
        let [a, b, c, _] = self.subnet.octets();
        let mut names = vec![(format!("{a}.{b}.{c}."), format!("{whose}-SUBNET."))];
        names.extend(self.mac.clone().map(|mac| (mac, format!("{whose}-MAC"))));
        names.extend(self.subnet6.map(|subnet| (subnet.to_string(), format!("{whose}-SUBNET6-"))));
        names.extend(self.mac6.clone().map(|mac| (mac, format!("{whose}-MAC6"))));
        names
    }
}

/// Which host is which.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// Machine ids.
    pub(crate) machines: [(String, &'static str); 2],
    /// Its address now.
    pub(crate) own: IpAddr,
}

/// The text of all there is: of the host, of what its agent remembers, and of the store.
pub(crate) fn describe(
    seen: &[String],
    remembered: &[(String, String)],
    stored: &[Stored],
    leases: &BTreeSet<i64>,
    who: &Who,
) -> String {
    // The rules' digest differs by subnet, and they are all there.
    let is_digest = |line: &&String| line.starts_with("comment \"netd cluster ");
    let told = seen.iter().filter(|line| !is_digest(line));
    // What the store was asked when it did not answer is one thing or another.
    let told = told.map(|line| line.split_inclusive(AWAY).next().unwrap_or(line).to_owned());
    let mut lines: Vec<String> = told.collect();
    let remembered: Vec<&(String, String)> =
        remembered.iter().filter(|(key, _)| !key.starts_with(OF_ALL)).collect();
    let stored: Vec<&Stored> = stored.iter().filter(|entry| !entry.key.contains(OF_ALL)).collect();
    lines.extend(
        remembered.iter().map(|(key, value)| format!("remembers {key} = {}", untimed(key, value))),
    );
    let mut of_lease: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for entry in stored.iter().filter(|entry| entry.lease != 0) {
        of_lease.entry(entry.lease).or_default().push(&entry.key);
    }
    for Stored { key, value, lease } in &stored {
        let value = if key.contains("/cluster/") { "NAME" } else { value };
        lines.push(format!("store {key} = {value}"));
        if *lease != 0 && !leases.contains(lease) {
            lines.push(format!("store {key} has a lease that has ended"));
        }
    }
    lines.extend(of_lease.values().map(|keys| format!("store one lease of {}", keys.join(" "))));
    named(lines.join("\n") + "\n", &names(&remembered, &stored, who), who)
}

/// What is random, and its name.
fn names(remembered: &[&(String, String)], stored: &[&Stored], who: &Who) -> Vec<(String, String)> {
    let leased: Vec<Leased> = stored.iter().filter_map(|entry| Leased::of(entry).ok()).collect();
    let mut names: Vec<(String, String)> =
        leased.iter().flat_map(|lease| lease.names(who.own)).collect();
    // Another host's lease tells nothing of this one's devices.
    if !leased.iter().any(|lease| lease.at == who.own) {
        let is_mac = |key: &str| key.starts_with("/devices/") && key.ends_with("/mac");
        let macs = remembered.iter().filter(|(key, _)| is_mac(key));
        names.extend(macs.map(|(_, mac)| (mac.clone(), "OWN-MAC".to_owned())));
    }
    for Stored { key, value, lease } in stored {
        if key.contains("/lease/") && *lease != 0 {
            let name = format!("LEASE of {key}");
            names.push((format!("{lease:016x}"), name.clone()));
            names.push((lease.to_string(), name));
        }
        let value: Option<Value> = serde_json::from_str(value).ok();
        let name = value.as_ref().and_then(|value| value.get("name")?.as_str());
        if let Some(name) = name.filter(|_| key.contains("/cluster/")) {
            names.push((name.to_owned(), "NAME".to_owned()));
        }
    }
    names
}

/// The lines, sorted, with names for what is random.
fn named(mut text: String, names: &[(String, String)], who: &Who) -> String {
    for (random, name) in names {
        text = text.replace(random, name);
    }
    for (machine, name) in &who.machines {
        text = text.replace(machine, name);
    }
    let text = text.replace(&who.own.to_string(), "OWN-ADDRESS");
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.join("\n") + "\n"
}

/// Leases of the store's that nothing is tied to.
pub(crate) fn unused(stored: &[Stored], leases: &BTreeSet<i64>) -> BTreeSet<i64> {
    let used: BTreeSet<i64> = stored.iter().map(|entry| entry.lease).collect();
    leases.difference(&used).copied().collect()
}

/// What is remembered, the same whenever that was.
fn untimed(key: &str, value: &str) -> String {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    if key.ends_with("/sign-of-life") && is_number(value) {
        return "TIME".to_owned();
    }
    let words: Vec<&str> = value.split(' ').collect();
    if let ([lease, revision, time], true) = (words.as_slice(), key.ends_with("/acquired"))
        && is_number(revision)
        && is_number(time)
    {
        return format!("{lease} REVISION TIME");
    }
    let Some((before, after)) = value.split_once(SINCE) else { return value.to_owned() };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    let until = if rest.len() < after.len() { UNTIL } else { SINCE };
    format!("{before}{until}{rest}")
}
