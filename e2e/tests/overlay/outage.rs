//! Containers on an overlay while etcd is away, agents start without it, and it is built anew.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{detach, missing};
use e2e::guest::Guest;
use e2e::names::Asker;
use e2e::probe::Pinging;
use e2e::{PATIENCE, Place as _, wait_until};
use serde_json::json;

use crate::guest::{entries, netns, together};
use crate::site::{Site, run, serves};
use crate::split::{stored, wait_as_stored};

/// Waits until the store has these containers, and no other.
fn wait_stored(site: &Site, names: &[&str]) -> Result<()> {
    wait_until("the store has every container, and no other", PATIENCE * 2, || {
        stored(site).is_ok_and(|all| all.keys().eq(names.iter()))
    })
    .with_context(|| format!("{:?}, and not {names:?}", stored(site)))
}

#[test]
fn a_host_that_starts_without_etcd_keeps_containers_and_names_and_all_is_told_to_one_that_is_empty()
-> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "ov"])?;
        site.wait_shown(1, "ov")?;
        let (netns, none) = (netns(site, "ov")?, json!({}));
        let a = Guest::new(site.host(0)?, "a", "ov", &none)?;
        let ends = Guest::new(site.host(0)?, "ends", "ov", &none)?;
        let asks = Asker::new(site.host(0)?, "asks", "ov", &none)?;
        let b = Guest::new(site.host(1)?, "b", "ov", &none)?;
        wait_stored(site, &["a", "asks", "b", "ends"])?;
        wait_as_stored(site, &netns)?;
        let of_b = site.stored("endpoints/")?.into_iter().find(|it| it.1.contains("\"b\""));
        let of_b = of_b.context("b")?.0;
        let of_b = of_b.rsplit('/').next().context("an id")?;
        wait_until("it is on the disk", PATIENCE, || {
            site.nodes[0].host.sh(&format!("grep -q {of_b} /var/lib/netd/netd.redb")).is_ok()
        })?;
        let before = entries(site.host(0)?, &netns)?;
        let pinging = Pinging::start(&a.container, b.ip, Duration::from_millis(50), 2)?;

        site.etcd.kill()?;
        site.nodes[0].stop()?;
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        serves(&mut site.nodes[0])?;
        assert_eq!(entries(site.host(0)?, &netns)?, before);
        for there in [&a, &b] {
            let name = format!("{}.ov", there.container.id());
            assert_eq!(asks.asks(&name, false)?.1, [there.ip.to_string()], "{name}");
        }
        let late = Guest::new(site.host(0)?, "late", "ov", &none)?;
        // The other host hears of it when etcd is back.
        together(&late, &a)?;
        assert_eq!(asks.asks("late.ov", false)?.1, [late.ip.to_string()]);
        detach(&ends.container, "ov")?;
        assert_eq!(asks.asks("ends.ov", false)?.1, Vec::<String>::new());
        site.etcd.resume()?;
        wait_stored(site, &["a", "asks", "b", "late"])?;
        wait_as_stored(site, &netns)?;
        together(&b, &late)?;

        let (all, blocks) = (stored(site)?, site.stored("blocks/")?);
        site.etcd.kill()?;
        site.etcd.begin_anew()?;
        wait_stored(site, &["a", "asks", "b", "late"])?;
        assert_eq!(stored(site)?, all, "with the same addresses");
        wait_until("blocks are those of before", PATIENCE, || {
            site.stored("blocks/").is_ok_and(|now| now == blocks)
        })
        .with_context(|| format!("{:?}, and not {blocks:?}", site.stored("blocks/")))?;
        wait_as_stored(site, &netns)?;
        let pinged = pinging.end()?;
        ensure!(pinged.lost.is_empty(), "{:?} of {}", pinged.lost, pinged.answered);
        for it in [&a, &b, &late] {
            assert_eq!(missing(&it.container, "ov", "eth0")?, Vec::<String>::new());
        }
        let next = [Guest::new(site.host(0)?, "n0", "ov", &none)?];
        let next = next.into_iter().chain([Guest::new(site.host(1)?, "n1", "ov", &none)?]);
        for it in next {
            ensure!(![a.ip, b.ip, late.ip].contains(&it.ip), "{} twice", it.ip);
            together(&it, &b)?;
            together(&it, &a)?;
        }
        Ok(())
    })
}
