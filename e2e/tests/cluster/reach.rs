//! Who reaches whom over the overlay, and what it looks like on the wire.

use anyhow::{Result, ensure};
use e2e::{Capture, Internet, PATIENCE, PREFIX, Place as _, Proto, probe};

use crate::site::{DUAL, Site, VXLAN, all_reach_all, run, v6, wire_of_ping};

#[test]
fn containers_of_three_hosts_reach_each_other_with_their_own_addresses() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 3, &["-ip-masq"])?;
        let members = site.members()?;
        all_reach_all(&members)?;
        // What is in the store is what flannel writes.
        for (node, uplink) in site.nodes.iter().zip(&site.uplinks) {
            let key = format!("{PREFIX}/subnets/{}", node.key()?);
            let value = format!(
                r#"{{"PublicIP":"{}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{{"VNI":1,"VtepMAC":"{}"}}}}"#,
                uplink.v4,
                node.mac("flannel.1")?
            );
            assert_eq!(site.etcd.list(&key)?, [(key.clone(), value)]);
        }
        Ok(())
    })
}

#[test]
fn what_leaves_the_cluster_is_masqueraded_and_what_stays_in_it_is_not() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let [one, two] = members.as_slice() else { anyhow::bail!("two containers") };
        for proto in [Proto::Tcp, Proto::Udp] {
            let seen = probe::ask(&one.container, proto, (Internet::V4, Internet::PORT))?;
            ensure!(seen.source.ip() == site.uplinks[0].v4, "{proto:?}: seen as {}", seen.source);
        }
        // A host that asks a remote container is seen with an address that the answer finds.
        let _server = probe::serve(&two.container, 80, &[])?;
        for proto in [Proto::Tcp, Proto::Udp] {
            probe::ask(&site.nodes[0].host, proto, (two.ip, 80))?;
        }
        Ok(())
    })
}

/// Routes what comes from cni0 for 239.1.1.1 to eth0, as a multicast router does, until it is
/// killed. Numbers are those of `linux/mroute.h`: `MRT_INIT`, `MRT_ADD_VIF`, `MRT_ADD_MFC`.
const MULTICAST_ROUTER: &str = "import signal, socket, struct, sys
router = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
router.setsockopt(socket.IPPROTO_IP, 200, 1)
for number, name in enumerate(['cni0', 'eth0']):
    vif = struct.pack('HBBIi4x', number, 8, 1, 0, socket.if_nametoindex(name))
    router.setsockopt(socket.IPPROTO_IP, 202, vif)
ends = socket.inet_aton(sys.argv[1]) + socket.inet_aton('239.1.1.1')
router.setsockopt(socket.IPPROTO_IP, 204, ends + struct.pack('HBB30x2x16x', 0, 0, 1))
print('routing', flush=True)
sys.stdin.read()
signal.pause()";

#[test]
fn multicast_that_leaves_the_host_keeps_the_containers_address() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &["-ip-masq"])?;
        let member = site.nodes[0].add("web")?;
        let host = &site.nodes[0].host;
        let source = member.ip.to_string();
        let mut router =
            host.spawn("multicast-router", &["python3", "-c", MULTICAST_ROUTER, &source])?;
        router.wait_for_log("routing", PATIENCE)?;
        let capture = Capture::start(host, "eth0", "udp and dst 239.1.1.1")?;
        let send = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
s.sendto(b'x', ('239.1.1.1', 5000))";
        member.container.run(&["python3", "-c", send])?;
        let packets = capture.stop_when("the container's packet", |packets| !packets.is_empty())?;
        ensure!(packets.iter().all(|packet| packet.source_is(member.ip)), "{packets:?}");
        // What is no multicast is masqueraded on the same way.
        let seen = probe::ask(&member.container, Proto::Udp, (Internet::V4, Internet::PORT))?;
        ensure!(seen.source.ip() == site.uplinks[0].v4, "seen as {}", seen.source);
        Ok(())
    })
}

#[test]
fn the_wire_shows_vxlan_with_the_number_of_the_network() -> Result<()> {
    run(|lab| {
        let config = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":77}}"#;
        let site = Site::new(lab, config, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let outer = site.uplinks[0].v4;
        let ends = (&members[0], &members[1]);
        // tcpdump takes port 8472 for OTV's, whose header is VXLAN's: "instance" is the VNI.
        let packets = wire_of_ping(&site.nodes[0], "udp port 8472", ends, |packet| {
            packet.source_is(outer) && packet.text.contains("instance 77")
        })?;
        let there = packets.iter().find(|p| p.source_is(outer));
        ensure!(there.is_some_and(|p| p.destination_is(site.uplinks[1].v4)), "{packets:?}");
        ensure!(there.is_some_and(|p| p.destination.ends_with(".8472")), "{packets:?}");
        Ok(())
    })
}

#[test]
fn with_two_families_both_are_carried() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, DUAL, 2, &["-ip-masq"])?;
        let members = site.members()?;
        all_reach_all(&members)?;
        let (here, there) = (v6(&members[0])?, v6(&members[1])?);
        // A bridge forwards to a neighbour only once its own link-local address has passed duplicate
        // address detection, a second or two after its first port.
        members[0].wait_to_reach(there, PATIENCE)?;
        let _server = probe::serve(&members[1].container, 80, &[])?;
        for proto in [Proto::Tcp, Proto::Udp] {
            let seen = probe::ask(&members[0].container, proto, (there, 80))?;
            ensure!(seen.source.ip() == here, "{proto:?}: seen as {}", seen.source);
            let out = probe::ask(&members[0].container, proto, (Internet::V6, Internet::PORT))?;
            ensure!(out.source.ip() == site.uplinks[0].v6, "{proto:?}: seen as {}", out.source);
        }
        for node in &mut site.nodes {
            let log = node.agent()?.log();
            ensure!(!log.contains("cannot be followed"), "the store never went away: {log}");
        }
        Ok(())
    })
}
