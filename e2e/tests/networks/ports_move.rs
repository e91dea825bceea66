//! Published ports of containers on several networks. Names begin with the id of the behaviour of Docker's
//! that is shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach, missing};
use e2e::guest::Guest;
use e2e::{PATIENCE, Place as _, Proto, address, probe, wait_until};
use serde_json::json;

use crate::attach::{World, in_world, refusal};
use crate::ports::{is_free, lines, port};
use crate::repair::state::{state, until};

/// Ports lead to this address of the container, from outside and from the host itself.
fn lead_to(world: &World, ip: IpAddr) -> Result<()> {
    let World { internet, site, uplink } = world;
    for to in [uplink.v4, uplink.v6] {
        let seen = probe::ask(&internet.host, Proto::Tcp, (to, 8080))?;
        ensure!(seen.destination.ip() == ip, "{to}: {seen:?}, not {ip}");
        // A server of UDP does not know by which address it is asked.
        probe::ask(&internet.host, Proto::Udp, (to, 8080))?;
    }
    for loopback in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let seen = probe::ask(&site.host, Proto::Tcp, (loopback, 8080))?;
        ensure!(seen.destination.ip() == ip, "{loopback}: {seen:?}, not {ip}");
    }
    Ok(())
}

#[test]
fn b7_published_ports_follow_the_network_of_the_highest_priority_and_flows_go_on() -> Result<()> {
    in_world(|world| {
        for name in ["app", "front"] {
            world.site.done(&["create", name])?;
        }
        let ports = [port(8080, 80, ""), port(8080, 80, "udp"), port(9081, 81, "")];
        let web = Guest::new(&world.site.host, "web", "app", &json!({ "ports": ports }))?;
        lead_to(world, web.ip)?;
        let before = state(&world.site.host)?;
        let _echo =
            web.container.spawn("echo", &["busybox", "nc", "-l", "-p", "81", "-e", "cat"])?;
        let listens = "grep -q ':0051 .* 0A ' /proc/net/tcp /proc/net/tcp6";
        wait_until("the echo listens", PATIENCE, || web.container.sh(listens).is_ok())?;
        let script = format!(
            "busybox yes | busybox nc {} 9081 | busybox awk 'NR % 1000 == 0 {{print NR/1000 \";\"; fflush()}}'",
            world.uplink.v4
        );
        let mut talk = world.internet.host.spawn("talk", &["sh", "-c", &script])?;
        talk.wait_for_log("1;", PATIENCE)?;
        let connect = |priority: i32| {
            let more = json!({ "ifname": null, "live": true, "gwPriority": priority });
            address(&attach(&web.container, "front", &more)?, 0)
        };
        connect(0)?;
        lead_to(world, web.ip)?;
        detach(&web.container, "front")?;
        let front = connect(7)?;
        lead_to(world, front)?;
        let said = lines(&talk);
        talk.wait_for_log(&format!("\n{};", said + 10), PATIENCE)?;
        for (network, ifname) in [("app", "eth0"), ("front", "eth1")] {
            assert_eq!(missing(&web.container, network, ifname)?, Vec::<String>::new());
        }
        let moved = state(&world.site.host)?;
        world.site.kill();
        world.site.resume()?;
        until(&world.site.host, &moved)?;
        lead_to(world, front)?;
        detach(&web.container, "front")?;
        lead_to(world, web.ip)?;
        let said = lines(&talk);
        talk.wait_for_log(&format!("\n{};", said + 10), PATIENCE)?;
        drop(talk);
        // Without the table the kernel translates nothing, and the host resets what it does not know.
        assert_eq!(connect(7)?, front);
        until(&world.site.host, &moved)?;
        world.site.host.sh("nft delete table inet netd")?;
        until(&world.site.host, &moved)?;
        lead_to(world, front)?;
        detach(&web.container, "front")?;
        lead_to(world, web.ip)?;
        let after = state(&world.site.host)?;
        let new: Vec<&String> = after.difference(&before).collect();
        let new: Vec<_> = new.into_iter().filter(|object| object.contains("element")).collect();
        // A network's own element stays as long as the network.
        ensure!(new.iter().all(|object| object.contains("\"bridges\"")), "{new:#?}");
        Ok(())
    })
}

#[test]
fn b7_ports_asked_for_on_a_second_network_are_the_firsts_and_are_handed_over_when_that_goes()
-> Result<()> {
    in_world(|world| {
        for name in ["app", "back"] {
            world.site.done(&["create", name])?;
        }
        let ports = json!({ "ports": [port(8080, 80, ""), port(8080, 80, "udp")] });
        let web = Guest::new(&world.site.host, "web", "app", &ports)?;
        let mut again = ports.clone();
        again["ifname"] = json!("eth1");
        let back = address(&attach(&web.container, "back", &again)?, 0)?;
        lead_to(world, web.ip)?;
        let rival = world.site.host.add_container("rival")?;
        let refused = || refusal(attach(&rival, "back", &ports));
        ensure!(refused()?.contains("held already by app/web/eth0"), "{}", refused()?);
        detach(&web.container, "app")?;
        lead_to(world, back)?;
        ensure!(refused()?.contains("held already by back/web/eth1"), "{}", refused()?);
        world.site.kill();
        world.site.resume()?;
        lead_to(world, back)?;
        detach(&web.container, "back")?;
        ensure!(is_free(&world.site, "0.0.0.0", 8080));
        attach(&rival, "back", &ports)?;
        Ok(())
    })
}
