//! What Podman's flags ask of netd's networks, and the same by hand.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::names::{Asker, NO_ERROR, NX_DOMAIN};
use e2e::runtimes::Podman;
use e2e::{NETD, Place as _, PluginSet, Proto, image, probe};
use serde_json::json;

use crate::attach::{World, in_world, refusal};
use crate::connect::ps;
use crate::runtime_names::knows_no_name;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LISTS: &str = "/run/netd/net.d";

/// The gateway of network `app` says that this address, and no other, has the name.
fn is_found(asker: &Asker, name: &str, address: &str) -> Result<()> {
    assert_eq!(asker.asks(name, false)?, (NO_ERROR, vec![address.to_owned()]), "{name}");
    Ok(())
}

/// From the internet, and on the host itself.
fn is_served(world: &World, port: u16) -> Result<()> {
    probe::ask(&world.internet.host, Proto::Tcp, (world.uplink.v4, port))?;
    probe::ask(&world.site.host, Proto::Tcp, (LOCALHOST, port)).map(drop)
}

#[test]
fn podmans_flags_and_capabilities_by_hand_give_port_address_mac_and_aliases() -> Result<()> {
    in_world(|world| {
        let host = world.site.host.clone();
        PluginSet::selected()?.install(&host)?;
        let _resolver = knows_no_name(&host)?;
        world.site.done(&["create", "--publish-cni", "--subnet", "172.30.0.0/24", "app"])?;
        let podman = Podman::new(&host)?;
        let flags = "--network app -p 8080:80 --ip 172.30.0.9 --mac-address 02:00:00:00:00:09 \
                     --network-alias api --hostname boss";
        let flags: Vec<&str> = flags.split_whitespace().collect();
        // Podman holds published ports itself, unless it is told that nobody need do so.
        podman.start("two", &flags)?;
        let listens = host.run(&["ss", "-Hltnp", "sport = :8080"])?.stdout;
        ensure!(listens.contains("0.0.0.0:8080") && listens.contains("conmon"), "{listens}");
        is_served(world, 8080)?;
        probe::ask(&world.internet.host, Proto::Tcp, (world.uplink.v6, 8080))?;
        // Over a restart of the agent, too; and it is nobody else's.
        world.site.kill();
        world.site.resume()?;
        is_served(world, 8080)?;
        for (hosts, told) in [("8080:80", "held already by app/"), ("127.0.0.1:8080:80", ":8080")] {
            let rival = refusal(podman.start("rival", &["--network", "app", "-p", hosts]))?;
            ensure!(rival.contains(told), "{hosts}: {rival}");
            podman.remove("rival")?;
        }
        podman.remove("two")?;
        assert_eq!(ps(&world.site, "{{.ID}}")?, "");
        podman.reserve_no_ports()?;
        podman.start("two", &flags)?;
        let asker = Asker::new(&host, "asker", "app", &json!({}))?;
        let inside = podman.exec("two", "ip address show eth0; hostname")?.stdout;
        for part in ["inet 172.30.0.9/24 ", "02:00:00:00:00:09 ", "boss\n"] {
            ensure!(inside.contains(part), "{part}: {inside}");
        }
        is_served(world, 8080)?;
        for name in ["two", "api", "api.app"] {
            is_found(&asker, name, "172.30.0.9")?;
        }
        // CNI has no word for a hostname: who wants it found gives it as an alias.
        assert_eq!(asker.asks("boss", false)?, (NX_DOMAIN, vec![]));
        let flags = "--network app --ip 172.30.0.8 --hostname boss --network-alias boss";
        podman.start("three", &flags.split_whitespace().collect::<Vec<_>>())?;
        is_found(&asker, "boss", "172.30.0.8")?;

        let hand = host.add_container("hand")?;
        let _server = probe::serve(&hand, image::PORT, &[])?;
        let asked = json!({
            "portMappings": [{ "hostPort": 8081, "containerPort": 80, "protocol": "tcp" }],
            "ips": ["172.30.0.7/24"],
            "mac": "02:00:00:00:00:07",
            "aliases": { "app": ["by-hand"] },
        });
        let (asked, netns) = (asked.to_string(), hand.netns());
        let words = ["cni", "add", "--conf-dir", LISTS, "--capability-args", &asked, "app", &netns];
        host.command(&[NETD]).args(words).args(["--container-id", "hand"]).run()?;
        let inside = hand.run(&["ip", "address", "show", "eth0"])?.stdout;
        for part in ["inet 172.30.0.7/24 ", "02:00:00:00:00:07 "] {
            ensure!(inside.contains(part), "{part}: {inside}");
        }
        is_served(world, 8081)?;
        is_found(&asker, "by-hand", "172.30.0.7")?;

        podman.remove("two")?;
        let gone = probe::refusal(&world.internet.host, Proto::Tcp, (world.uplink.v4, 8080))?;
        ensure!(gone.is_err(), "{gone:?}");
        assert_eq!(asker.asks("api", false).context("who is gone")?, (NX_DOMAIN, vec![]));
        Ok(())
    })
}
