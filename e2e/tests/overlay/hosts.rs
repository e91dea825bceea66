//! Hosts that are booted anew, that are each other's copy, and that get another address.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::guest::Guest;
use e2e::{PATIENCE, Place as _, wait_until};
use serde_json::json;

use crate::guest::{entries, netns, together};
use crate::site::{Site, run, serves};

/// What is left of a host's network and run directory after a boot: nothing. It is another run of the kernel.
const BOOT: &str = "
    # The kernel ends what is in a namespace some time after it, and until then the VNI is taken.
    for netns in /run/netd/netns/*; do nsenter --net=$netns ip link del vxlan0; done
    for container in $(ls /run/netns); do ip netns del $container; done
    umount /run/netd/netns/*; rm -r /run/netd
    ip link del netd_gwbridge; nft flush ruleset
    cat /proc/sys/kernel/random/uuid >/run/boot-id
    mount --bind /run/boot-id /proc/sys/kernel/random/boot_id";

/// Sooner than a sign of life ends, by far.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_host_that_is_booted_anew_before_its_last_sign_of_life_ends_is_back_at_once() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.wait_shown(1, "ov")?;
        let here = Guest::new(site.host(0)?, "here", "ov", &json!({}))?;
        Guest::new(site.host(1)?, "there", "ov", &json!({}))?;
        let endpoints = |site: &Site| site.stored("endpoints/");
        wait_until("both are told", PATIENCE, || endpoints(site).is_ok_and(|it| it.len() == 2))?;
        let blocks = site.stored("blocks/")?;

        site.nodes[1].kill();
        site.host(1)?.sh(BOOT)?;
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        let boot = site.host(1)?.read("/run/boot-id")?;
        wait_until("it gives a sign of its new life", SOON, || {
            let live = site.stored("live/").unwrap_or_default();
            live.iter().any(|(_, value)| value.contains(boot.trim()))
        })?;
        wait_until("nothing of its last life is left", SOON, || {
            endpoints(site).is_ok_and(|it| it.len() == 1 && it[0].1.contains("\"here\""))
        })?;
        assert_eq!(site.stored("blocks/")?, blocks, "its addresses are its own");
        let log = site.nodes[1].agent()?.log();
        ensure!(!log.contains("another host"), "{log}");
        let again = Guest::new(site.host(1)?, "again", "ov", &json!({}))?;
        together(&here, &again)?;
        together(&again, &here)
    })
}

#[test]
fn a_copy_of_a_host_is_told_that_it_is_one_and_takes_nothing_from_it() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        let _here = Guest::new(site.host(0)?, "here", "ov", &json!({}))?;
        let all = |site: &Site| -> Result<_> {
            Ok(["members/", "endpoints/", "blocks/"].map(|of| site.stored(of).ok()))
        };
        wait_until("others are told of the container", SOON, || {
            site.stored("endpoints/").is_ok_and(|all| !all.is_empty())
        })?;
        site.nodes[1].kill();
        let before = all(site)?;
        let machine = site.host(0)?.read("/etc/machine-id")?;
        let copy = site.host(1)?;
        copy.write_file("/etc/machine-id", machine.trim())?;
        copy.sh("cat /proc/sys/kernel/random/uuid >/run/boot-id
             mount --bind /run/boot-id /proc/sys/kernel/random/boot_id")?;
        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        let told = "another host, host1, has this one's machine id";
        site.nodes[1].agent()?.wait_for_log(told, PATIENCE)?;
        // It has none of these containers, and takes nothing of theirs away; nor does it give an address out.
        let there = Guest::new(site.host(1)?, "there", "ov", &json!({}));
        ensure!(there.is_err(), "an address of the other host's");
        assert_eq!(all(site)?, before);
        let boot = site.host(1)?.read("/run/boot-id")?;
        ensure!(site.stored("live/")?.iter().all(|(_, value)| !value.contains(boot.trim())));
        Ok(())
    })
}

#[test]
fn a_host_that_gets_another_address_is_reached_there_at_once() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "ov"])?;
        site.wait_shown(1, "ov")?;
        let here = Guest::new(site.host(0)?, "here", "ov", &json!({}))?;
        let there = Guest::new(site.host(1)?, "there", "ov", &json!({}))?;
        together(&here, &there)?;
        let netns = netns(site, "ov")?;
        site.host(1)?
            .sh("ip addr del 192.0.2.11/24 dev eth0; ip addr add 192.0.2.111/24 dev eth0
             ip route replace default via 192.0.2.1")?;
        wait_until("others send there", SOON, || {
            entries(&site.nodes[0].host, &netns)
                .is_ok_and(|all| all.iter().any(|entry| entry.contains("dst 192.0.2.111 ")))
        })?;
        let before = entries(site.host(0)?, &netns)?;
        ensure!(before.iter().all(|entry| !entry.contains("192.0.2.11 ")), "{before:?}");
        together(&here, &there)?;
        together(&there, &here)
    })
}
