//! Which subnets networks get.

use anyhow::{Context as _, Result, ensure};
use e2e::{Lab, NETD, PATIENCE, Place as _, wait_until};
use serde_json::{Value, json};

use crate::site::{Site, run};

#[test]
fn i2_a_subnet_is_free_of_routes_of_any_table_of_networks_and_of_what_is_to_be_avoided()
-> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        host.sh("ip link add vpn type veth peer name far; ip link set vpn up; ip link set far up; ip addr add 192.0.2.1/24 dev vpn
             ip route add 172.17.0.0/24 dev vpn
             ip route add blackhole 172.17.1.0/24 table 100
             ip route add unreachable 172.17.2.0/25 table 200
             ip route add 172.17.3.0/24 via 192.0.2.9
             ip addr add 172.17.4.4/32 dev lo
             ip route add 0.0.0.0/1 dev vpn; ip route add 128.0.0.0/1 dev vpn")?;
        let mut site =
            Site::start(&host, &["--standalone", "--avoid=172.17.5.0/24,172.17.7.0/24"])?;
        // The one that is always there has chosen before.
        assert_eq!(site.subnet("bridge")?, "172.17.6.0/24");
        site.done(&["create", "a"])?;
        assert_eq!(site.subnet("a")?, "172.17.8.0/24");
        site.done(&["create", "--subnet", "0.0.0.0/22", "size"])?;
        assert_eq!(site.subnet("size")?, "172.17.12.0/22");
        site.done(&["create", "b"])?;
        assert_eq!(site.subnet("b")?, "172.17.9.0/24");
        site.done(&["rm", "a"])?;
        site.done(&["create", "c"])?;
        assert_eq!(site.subnet("c")?, "172.17.8.0/24", "what is free again is used again");

        host.sh("ip route add 172.17.10.0/24 dev vpn table 300")?;
        site.stop()?;
        site.resume()?;
        site.done(&["create", "d"])?;
        assert_eq!(site.subnet("d")?, "172.17.11.0/24");
        let made = site.network(&["create", "--subnet", "172.17.10.0/24", "e"])?;
        ensure!(
            made.code == 0 && made.stderr.contains("which this host has a route to"),
            "{made:?}"
        );
        Ok(())
    })
}

#[test]
fn i2_a_subnet_of_ipv6_is_free_of_routes_of_any_table() -> Result<()> {
    run(|site| {
        let made = || -> Result<String> {
            site.done(&["create", "--ipv6", "a"])?;
            let subnets = site.subnets("a")?;
            Ok(subnets.into_iter().nth(1).context("a subnet of IPv6")?.0)
        };
        let first = made()?;
        ensure!(first.starts_with("fd") && first.ends_with("/64"), "{first}");
        site.done(&["rm", "a"])?;
        assert_eq!(made()?, first, "what is free again is used again");
        site.done(&["rm", "a"])?;
        site.host.sh(&format!("ip -6 route add blackhole {first} table 100"))?;
        let second = made()?;
        // Of the host's own /48.
        let own = |subnet: &str| subnet.split(':').take(3).map(str::to_owned).collect::<Vec<_>>();
        ensure!(second != first && own(&second) == own(&first), "{first} and {second}");
        let given = site.network(&["create", "--ipv6", "--subnet", &first, "b"])?;
        let told = format!("{first}, which this host has a route to");
        ensure!(given.code == 0 && given.stderr.contains(&told), "{given:?}");
        Ok(())
    })
}

#[test]
fn a_route_that_comes_later_to_addresses_of_a_network_is_told_until_it_is_gone() -> Result<()> {
    run(|site| {
        let v6 = ["--ipv6", "--subnet", "fd07:30::/64"];
        site.done(&[&["create"], &v6[..], &["--subnet", "172.30.1.0/24", "web"]].concat())?;
        site.done(&["create", "--subnet", "172.30.2.0/24", "other"])?;
        let host = &site.host;
        host.sh("ip link add vpn type veth peer name far; ip link set vpn up; ip link set far up")?;
        let status = || host.command(&[NETD, "status"]).output();
        let well = status()?;
        ensure!(well.code == 0 && !well.stdout.contains("networks  "), "{well:?}");
        for (subnet, route) in
            [("172.30.1.0/24", "172.30.1.0/25"), ("fd07:30::/64", "fd07:30::/65")]
        {
            host.sh(&format!("ip route add {route} dev vpn"))?;
            let text = format!(
                "subnet {subnet} of network web overlaps {route}, which this host has a route to by vpn"
            );
            let line = format!("networks   {text}\n");
            wait_until("the route is told", PATIENCE, || {
                status().is_ok_and(|status| status.code == 0 && status.stdout.contains(&line))
            })?;
            assert_eq!(site.inspect("web")?["Warnings"], json!([text]));
            assert_eq!(site.inspect("other")?["Warnings"], Value::Null);
            let ready = host.run(&["curl", "-s", "-f", "http://127.0.0.1:8081/readyz"])?.stdout;
            ensure!(ready.contains(&text), "{ready}");
            host.sh(&format!("ip route del {route} dev vpn"))?;
            wait_until("nothing is told", PATIENCE, || {
                status().is_ok_and(|now| now.stdout == well.stdout)
            })?;
            assert_eq!(site.inspect("web")?["Warnings"], Value::Null);
        }
        Ok(())
    })
}

#[test]
fn no_network_has_the_address_of_a_name_server() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        host.sh("printf 'nameserver 172.17.0.53\\n' > /etc/resolv.conf")?;
        let site = Site::start(&host, &["--standalone"])?;
        assert_eq!(site.subnet("bridge")?, "172.17.1.0/24");
        host.sh("printf 'nameserver 172.17.2.1\\n' > /etc/resolv.conf")?;
        site.done(&["create", "a"])?;
        assert_eq!(site.subnet("a")?, "172.17.0.0/24");
        site.done(&["create", "b"])?;
        assert_eq!(site.subnet("b")?, "172.17.3.0/24");
        Ok(())
    })
}

#[test]
fn where_nothing_is_free_the_user_is_told_how_many_there_are_and_what_to_do() -> Result<()> {
    run(|site| {
        site.host
            .sh("ip link add vpn type veth peer name far; ip link set vpn up; ip link set far up
            ip route add 10.0.0.0/8 dev vpn; ip route add 172.16.0.0/12 dev vpn")?;
        let told = site.refused(&["create", "a"])?;
        ensure!(
            told.starts_with("all predefined address pools have been fully subnetted"),
            "{told}"
        );
        ensure!(told.contains("the 3 networks there are") && told.contains("--subnet"), "{told}");
        site.done(&["create", "--subnet", "192.168.7.0/24", "a"]).map(drop)
    })
}
