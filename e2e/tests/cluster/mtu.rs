//! How large packets may be: what devices, subnet.env and containers have, and what passes.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{Member, PATIENCE, Place as _, probe, wait_until};

use crate::site::{DUAL, HOST_GW, Site, VXLAN, is_well, run, v6};

const HOST_GW_DUAL: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,
    "IPv6Network":"fd05::/48","Backend":{"Type":"host-gw"}}"#;
const UDP: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"udp"}}"#;

/// Sends a packet of a size and one that is a byte larger, which may not be divided, and prints what
/// comes back: an answer, or what the path is told to take. Numbers are those of `linux/in.h` and
/// `linux/in6.h`: `IP_MTU_DISCOVER` (to `IP_PMTUDISC_DO`), `IP_MTU`, and IPv6's.
const SEND: &str = "import socket, sys
to, size = sys.argv[1], int(sys.argv[2])
family, level, discover, mtu, headers = (
    (socket.AF_INET6, 41, 23, 24, 48) if ':' in to else (socket.AF_INET, 0, 10, 14, 28))
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(level, discover, 2)
s.settimeout(5)
s.connect((to, 80))
for size in size, size + 1:
    s.send(b'x' * (size - headers))
    try: print(size, 'answered' if s.recv(2000) else '')
    except OSError as error: print(size, error.strerror, s.getsockopt(level, mtu))";

/// Of a configuration: MTUs of devices, of containers, and the largest packet of each family that a
/// container can send which was given a larger MTU.
fn fits(config: &str, devices: &[(&str, u32)], told: u32, largest: &[u32]) -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, config, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let [one, two] = members.as_slice() else { anyhow::bail!("two containers") };
        for node in &site.nodes {
            ensure!(node.env("FLANNEL_MTU")? == told.to_string(), "{}", node.env("FLANNEL_MTU")?);
            for (device, mtu) in devices.iter().chain(&[("cni0", told)]) {
                let shown = node.host.run(&["ip", "-o", "link", "show", device])?.stdout;
                ensure!(shown.contains(&format!(" mtu {mtu} ")), "{mtu}: {shown}");
            }
        }
        let shown = one.container.run(&["ip", "-o", "link", "show", "eth0"])?.stdout;
        ensure!(shown.contains(&format!(" mtu {told} ")), "{told}: {shown}");

        let _server = probe::serve(&two.container, 80, &[])?;
        enlarge(&site, one)?;
        let v6 = largest.get(1).map(|_| v6(two)).transpose()?;
        let targets = std::iter::once(two.ip).chain(v6);
        for (to, size) in targets.zip(largest) {
            one.wait_to_reach(to, PATIENCE)?;
            let printed = send(one, to, *size)?;
            let larger = size + 1;
            assert_eq!(printed, format!("{size} answered\n{larger} Message too long {size}\n"));
        }
        Ok(())
    })
}

/// Lets a container send larger packets than it was told.
fn enlarge(site: &Site, member: &Member) -> Result<()> {
    member.container.run(&["ip", "link", "set", "eth0", "mtu", "1600"])?;
    let host = &site.nodes.first().context("a host")?.host;
    host.sh("ip link set cni0 mtu 1600
        ip -o link show master cni0 | sed 's/^[0-9]*: //; s/@.*//' | while read -r port; do
            ip link set \"$port\" mtu 1600
        done")
        .map(drop)
}

fn send(from: &Member, to: IpAddr, size: u32) -> Result<String> {
    let (to, size) = (to.to_string(), size.to_string());
    Ok(from.container.run(&["python3", "-c", SEND, &to, &size])?.stdout)
}

/// The kernel has no IPv6 on a device of less than 1280 bytes, and nothing of it to set.
#[test]
fn an_interface_whose_mtu_leaves_no_ipv6_on_the_tunnel_connects_hosts_by_ipv4() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        for number in [1, 2] {
            site.add(lab, &format!("host{number}"), &[])?;
            site.nodes[number - 1].host.run(&["ip", "link", "set", "eth0", "mtu", "1300"])?;
        }
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        for node in &site.nodes {
            wait_until("it has the MTU and is well", PATIENCE, || {
                let shown = node.host.run(&["ip", "-o", "link", "show", "flannel.1"]);
                shown.is_ok_and(|shown| shown.stdout.contains(" mtu 1250 ")) && is_well(node)
            })?;
        }
        Ok(())
    })
}

#[test]
fn packets_of_1450_bytes_pass_vxlan_and_larger_ones_are_told_so() -> Result<()> {
    fits(VXLAN, &[("flannel.1", 1450)], 1450, &[1450])
}

#[test]
fn with_two_families_of_vxlan_the_smaller_size_counts_for_both() -> Result<()> {
    fits(DUAL, &[("flannel.1", 1450), ("flannel-v6.1", 1430)], 1430, &[1430, 1430])
}

#[test]
fn packets_of_the_interfaces_size_pass_host_gw_and_larger_ones_are_told_so() -> Result<()> {
    fits(HOST_GW, &[("eth0", 1500)], 1500, &[1500])?;
    fits(HOST_GW_DUAL, &[("eth0", 1500)], 1500, &[1500, 1500])
}

#[test]
fn packets_of_1472_bytes_pass_udp_and_larger_ones_are_told_so() -> Result<()> {
    fits(UDP, &[("flannel0", 1472)], 1472, &[1472])
}
