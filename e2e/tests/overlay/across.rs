//! Containers of a network on several hosts, as hosts know each other's. Names begin with the id of the
//! behaviour of Docker's that is shown.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::detach;
use e2e::guest::Guest;
use e2e::{PATIENCE, probe, wait_until};
use serde_json::{Value, json};

use crate::site::{Site, run, serves};

/// Waits until a host shows so many containers of others on a network.
pub(crate) fn wait_others(site: &Site, host: usize, network: &str, count: usize) -> Result<()> {
    wait_until("containers of other hosts are known", PATIENCE, || {
        others(site, host, network).is_ok_and(|all| all.len() == count)
    })
}

/// What a host shows of containers of others on a network.
pub(crate) fn others(site: &Site, host: usize, network: &str) -> Result<Vec<Value>> {
    let shown = site.inspect(host, network)?;
    let all = shown["Containers"].as_object().context("containers")?;
    Ok(all.values().filter(|it| it.get("Host").is_some()).cloned().collect())
}

#[test]
fn o1_containers_of_two_hosts_have_addresses_of_blocks_apart_and_reach_each_other() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "n"])?;
        site.wait_shown(1, "n")?;
        let a = Guest::new(site.host(0)?, "a", "n", &json!({}))?;
        let b = Guest::new(site.host(1)?, "b", "n", &json!({}))?;
        assert_eq!((a.ip, b.ip), ([10, 7, 0, 2].into(), [10, 7, 0, 16].into()));
        let blocks: Vec<String> = site.stored("blocks/")?.into_iter().map(|it| it.0).collect();
        let ends = ["10.7.0.0-28", "10.7.0.16-28"];
        ensure!(blocks.iter().zip(ends).all(|(key, end)| key.ends_with(end)), "{blocks:?}");
        wait_until("one reaches the other", PATIENCE, || {
            probe::pings(&a.container, b.ip).unwrap_or(false)
        })?;
        probe::ping(&b.container, a.ip)?;

        // Both hosts know both, and whose they are.
        wait_others(site, 0, "n", 1)?;
        let there = &others(site, 0, "n")?[0];
        assert_eq!(there["IPv4Address"], "10.7.0.16/24");
        ensure!(there["Host"].as_str().is_some_and(|host| !host.is_empty()), "{there}");
        assert_eq!(there.get("Trouble"), None);

        // It is removed by nobody as long as somebody is on it.
        let told = site.refused(0, &["rm", "n"])?;
        ensure!(told.contains("network n has active endpoints"), "{told}");
        detach(&a.container, "n")?;
        let told = site.refused(0, &["rm", "n"])?;
        ensure!(told.contains("name:\"b on host") && told.contains("id:\"b\""), "{told}");
        detach(&b.container, "n")?;
        site.done(0, &["rm", "n"])?;
        site.wait_gone(1, "n")?;
        assert_eq!(site.stored("endpoints/")?, []);
        assert_eq!(site.stored("blocks/")?, []);
        Ok(())
    })
}

#[test]
fn o4_a_container_that_comes_up_on_another_host_with_its_address_is_reached_there_within_a_second()
-> Result<()> {
    run(3, |site| {
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/24", "n"])?;
        for host in [1, 2] {
            site.wait_shown(host, "n")?;
        }
        let from = Guest::new(site.host(0)?, "from", "n", &json!({}))?;
        let before = Guest::new(site.host(1)?, "before", "n", &json!({}))?;
        let ip = before.ip;
        wait_until("it is reached", PATIENCE, || {
            probe::pings(&from.container, ip).unwrap_or(false)
        })?;
        let told = Guest::new(site.host(2)?, "early", "n", &json!({ "ips": [ip.to_string()] }));
        let told = told.map(|it| it.ip).expect_err("a container there has it").to_string();
        ensure!(told.contains("is in use by container before on host"), "{told}");

        detach(&before.container, "n")?;
        wait_others(site, 2, "n", 1)?;
        let after = Guest::new(site.host(2)?, "after", "n", &json!({ "ips": [ip.to_string()] }))?;
        assert_eq!(after.ip, ip);
        wait_until("it is reached where it is now", Duration::from_secs(1), || {
            probe::pings(&from.container, ip).unwrap_or(false)
        })?;
        // Its first host gives it to nobody.
        let next = Guest::new(site.host(1)?, "next", "n", &json!({}))?;
        ensure!(next.ip != ip, "{ip} twice");
        Ok(())
    })
}

#[test]
fn o4_a_host_that_is_dead_is_down_after_its_sign_of_life_and_is_as_before_when_it_is_back()
-> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "n"])?;
        site.wait_shown(1, "n")?;
        let here = Guest::new(site.host(0)?, "here", "n", &json!({}))?;
        let there = Guest::new(site.host(1)?, "there", "n", &json!({}))?;
        wait_others(site, 0, "n", 1)?;
        let down =
            |site: &Site| {
                let all = others(site, 0, "n")?;
                Ok::<bool, anyhow::Error>(all.iter().any(|it| {
                    it["Trouble"].as_str().is_some_and(|why| why.starts_with("down: host"))
                }))
            };
        ensure!(!down(site)?);
        site.nodes[1].kill();
        // 20 s from its last sign, and what etcd takes to notice.
        wait_until("it is down", Duration::from_secs(30), || down(site).unwrap_or(false))?;
        // Its container is reached all the same.
        probe::ping(&here.container, there.ip)?;

        site.nodes[1].resume()?;
        serves(&mut site.nodes[1])?;
        wait_until("it is there again", PATIENCE, || down(site).is_ok_and(|down| !down))?;
        wait_others(site, 0, "n", 1)?;
        probe::ping(&there.container, here.ip)?;
        Ok(())
    })
}

#[test]
fn containers_come_and_go_while_etcd_is_away_and_others_hear_of_it_when_it_is_back() -> Result<()> {
    run(2, |site| {
        site.done(0, &["create", "-d", "overlay", "n"])?;
        site.wait_shown(1, "n")?;
        let a = Guest::new(site.host(0)?, "a", "n", &json!({}))?;
        let b = Guest::new(site.host(1)?, "b", "n", &json!({}))?;
        wait_others(site, 0, "n", 1)?;
        wait_others(site, 1, "n", 1)?;
        site.etcd.kill()?;
        let c = Guest::new(site.host(1)?, "c", "n", &json!({}))?;
        probe::ping(&c.container, b.ip)?;
        probe::ping(&a.container, b.ip)?;
        detach(&b.container, "n")?;
        site.etcd.resume()?;
        wait_until("the other host knows both", PATIENCE, || {
            let all = others(site, 0, "n").unwrap_or_default();
            all.len() == 1 && all[0]["Name"] == "c"
        })?;
        wait_until("it is reached", PATIENCE, || probe::pings(&a.container, c.ip).unwrap_or(false))
    })
}
