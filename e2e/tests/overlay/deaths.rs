//! Hosts that die, for a time or for good.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::attach_socket::missing;
use e2e::guest::Guest;
use e2e::names::Asker;
use e2e::{NETD, PATIENCE, Place as _, probe, wait_until};
use serde_json::json;

use crate::guest::{entries, netns, together};
use crate::site::{run_with, serves};
use crate::split::{stored, wait_as_stored};

/// A host is down 2 s after its last sign of life, the least that etcd grants, and gone for good after these.
const LIFE: Duration = Duration::from_secs(14);

#[test]
fn o4_a_host_that_is_gone_for_good_loses_names_first_then_its_addresses_and_harms_nobody_later()
-> Result<()> {
    run_with(2, &["-subnet-ttl=14"], |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "ov"])?;
        site.wait_shown(1, "ov")?;
        let netns = netns(site, "ov")?;
        let here = Guest::new(site.host(0)?, "here", "ov", &json!({}))?;
        let asks = Asker::new(site.host(0)?, "asks", "ov", &json!({}))?;
        let there = Guest::new(site.host(1)?, "there", "ov", &json!({}))?;
        let beside = Guest::new(site.host(1)?, "beside", "ov", &json!({}))?;
        let named = || Ok::<_, anyhow::Error>(asks.asks("there.ov", false)?.1);
        wait_until("it has a name", PATIENCE, || {
            named().is_ok_and(|all| all == [there.ip.to_string()])
        })?;
        let before = entries(site.host(0)?, &netns)?;
        assert_eq!(before.len(), 4, "{before:?}");

        site.nodes[1].kill();
        wait_until("its name is answered no more", LIFE / 2, || {
            named().is_ok_and(|all| all.is_empty())
        })?;
        // It is reached all the same, and its address is its own.
        assert_eq!(entries(site.host(0)?, &netns)?, before);
        probe::ping(&here.container, there.ip)?;

        wait_until("nothing of it is left", LIFE * 2, || {
            let left = ["endpoints/", "blocks/", "addresses/", "members/"].map(|of| {
                let machine = site.host(1).and_then(|host| host.read("/etc/machine-id"));
                let machine = machine.unwrap_or_default();
                let of = site.stored(of).unwrap_or_default().into_iter();
                of.filter(|(key, value)| format!("{key} {value}").contains(machine.trim())).count()
            });
            left == [0; 4]
        })?;
        wait_until("nothing leads to it", PATIENCE, || {
            entries(site.host(0).expect("it"), &netns).is_ok_and(|all| all.is_empty())
        })?;
        let at = json!({ "ips": [there.ip.to_string()] });
        let takes = Guest::new(site.host(0)?, "takes", "ov", &at)?;
        assert_eq!(takes.ip, there.ip);

        // Its containers still run when its agent is back: one has an address that is another's by now.
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        let told = "it is that of container takes on host host1, which has claimed it";
        wait_until("CHECK says why it is off", PATIENCE, || {
            let why = missing(&there.container, "ov", "eth0").err();
            why.is_some_and(|why| format!("{why:#}").contains(told))
        })?;
        let status = site.host(1)?.command(&[NETD, "status"]).output()?.stdout;
        ensure!(status.contains("container there was taken off network ov"), "{status}");
        assert_eq!(there.container.interfaces()?, ["lo"]);
        wait_until("the store has the others", PATIENCE, || {
            stored(site).is_ok_and(|all| all.keys().eq(["asks", "beside", "here", "takes"]))
        })?;
        assert_eq!(stored(site)?["beside"], format!("{}/24", beside.ip));
        wait_as_stored(site, &netns)?;
        together(&beside, &takes)?;
        let next = Guest::new(site.host(1)?, "next", "ov", &json!({}))?;
        ensure!(next.ip != takes.ip, "{} twice", next.ip);
        together(&here, &next)
    })
}
