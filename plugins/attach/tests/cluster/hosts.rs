//! Two hosts on one wire, a container on each, and the world behind the first.
//!
//! ```text
//! ca 10.5.1.2 -- a 10.5.1.1 === 192.0.2.0/24 === b 10.5.2.1 -- cb 10.5.2.2
//!                a -- 198.51.100.0/24 -- world
//! ```
//! `a` is the namespace of the test itself. IPv6 is the same with fd05:0:0:1::/64, fd05:0:0:2::/64
//! and 2001:db8::/64.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use drivers::ruleset::Ip;
use drivers::vxlan::{self, Device, Peer};
use kernel::testing::{in_new_host, sh};
use kernel::{Kernel, Netns};
use netstate::{Datapath, Desired, LinkName, Mac, NetState, Ns, Plan, Report, Scope};

/// How long an answer is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

const WIRES: &str = "
set -e
for ns in b ca cb world; do ip netns add $ns; done
ip link add u0 type veth peer name u0 netns b
ip link add a0 type veth peer name eth0 netns ca
ip -n b link add b0 type veth peer name eth0 netns cb
ip link add w0 type veth peer name eth0 netns world
for ns in b ca cb world; do ip -n $ns link set lo up; done
ip link set lo up
for link in u0 a0 w0; do ip link set $link up; done
for link in u0 b0; do ip -n b link set $link up; done
for ns in ca cb world; do ip -n $ns link set eth0 up; done
ip addr add 192.0.2.1/24 dev u0; ip -n b addr add 192.0.2.2/24 dev u0
ip addr add 2001:db8::1/64 dev u0 nodad; ip -n b addr add 2001:db8::2/64 dev u0 nodad
ip addr add 10.5.1.1/24 dev a0; ip -n ca addr add 10.5.1.2/24 dev eth0
ip addr add fd05:0:0:1::1/64 dev a0 nodad; ip -n ca addr add fd05:0:0:1::2/64 dev eth0 nodad
ip -n b addr add 10.5.2.1/24 dev b0; ip -n cb addr add 10.5.2.2/24 dev eth0
ip -n b addr add fd05:0:0:2::1/64 dev b0 nodad; ip -n cb addr add fd05:0:0:2::2/64 dev eth0 nodad
ip addr add 198.51.100.1/24 dev w0; ip -n world addr add 198.51.100.9/24 dev eth0
ip -n ca route add default via 10.5.1.1; ip -n ca route add default via fd05:0:0:1::1
ip -n cb route add default via 10.5.2.1; ip -n cb route add default via fd05:0:0:2::1
ip -n world route add 10.5.0.0/16 via 198.51.100.1
for on in net.ipv4.ip_forward net.ipv6.conf.all.forwarding; do
    sysctl -qw $on=1; ip netns exec b sysctl -qw $on=1
done
";

/// The hosts and their devices of both families.
pub(crate) struct Hosts {
    pub(crate) a: [Device; 2],
    pub(crate) b: [Device; 2],
}

/// Runs `f` on the wires, before anything of the cluster is there.
pub(crate) fn on_wires(f: impl FnOnce(&Hosts) + Send) {
    in_new_host(|| {
        sh(WIRES);
        let a = [device(Ip::V4, 1), device(Ip::V6, 1)];
        let b = [device(Ip::V4, 2), device(Ip::V6, 2)];
        f(&Hosts { a, b });
    });
}

impl Hosts {
    /// Wires both hosts for each other.
    pub(crate) fn wire(&self) {
        wire_here(&wanted(&self.a, &self.b), &self.a);
        inside("b", || wire_here(&wanted(&self.b, &self.a), &self.b));
    }
}

/// A host's state: its devices, and what leads to the other host.
pub(crate) fn wanted(own: &[Device], other: &[Device]) -> Desired {
    let mut desired = Desired::default();
    for (own, other) in own.iter().zip(other) {
        merge(&mut desired, vxlan::device(own));
        merge(&mut desired, vxlan::peer(own, &peer(other)));
    }
    desired
}

/// What a host tells the others of itself.
pub(crate) fn peer(of: &Device) -> Peer {
    Peer { subnet: of.subnet, public_ip: of.local, mac: of.mac.unwrap(), direct: false }
}

pub(crate) fn merge(into: &mut Desired, state: NetState) {
    into.0.ns_mut(Ns::Host).join(state);
}

/// Looks, plans and applies in the calling thread's namespace; then nothing is left to do.
pub(crate) fn wire_here(desired: &Desired, own: &[Device]) -> Plan {
    let mut kernel = Kernel::open(None);
    let scope = vxlan::scope(own);
    let plan = difference(&mut kernel, desired, &scope);
    applied(&kernel.apply(&plan));
    let left = difference(&mut kernel, desired, &scope);
    assert!(left.is_empty(), "left to do:\n{left}");
    plan
}

pub(crate) fn difference(kernel: &mut Kernel, desired: &Desired, scope: &Scope) -> Plan {
    let there = kernel.observe(scope).unwrap();
    Plan::between(&there, desired, scope)
}

pub(crate) fn applied(report: &Report<kernel::Error>) {
    let failed = report.failed.as_ref().map(|(step, error)| format!("{step}: {error}"));
    assert_eq!(failed, None);
}

/// The address that a listener in one namespace sees for who connects to it from another.
pub(crate) fn source(from: &str, at: &str, to: &str) -> Result<String, std::io::Error> {
    let listener = inside(at, || TcpListener::bind(to_socket(to)))?;
    let address = listener.local_addr()?;
    let near = inside(from, || TcpStream::connect_timeout(&address, PATIENCE))?;
    let (_, seen) = listener.accept()?;
    drop(near);
    Ok(seen.ip().to_string())
}

fn to_socket(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 0)
}

/// Does it in a namespace by name.
pub(crate) fn inside<T>(ns: &str, f: impl FnOnce() -> T) -> T {
    let path = format!("/run/netns/{ns}");
    Netns::open(Path::new(&path)).unwrap().with(f).unwrap()
}

fn device(ip: Ip, number: u8) -> Device {
    let (local, subnet) = match ip {
        Ip::V4 => (format!("192.0.2.{number}"), format!("10.5.{number}.0/24")),
        Ip::V6 => (format!("2001:db8::{number}"), format!("fd05:0:0:{number}::/64")),
    };
    Device {
        name: vxlan::name(1, ip).unwrap(),
        vni: 1,
        port: Some(8472),
        mtu: vxlan::mtu(1500, ip),
        learning: false,
        tx_checksum: None,
        gbp: false,
        parent: LinkName::new("u0").unwrap(),
        local: local.parse().unwrap(),
        mac: Some(Mac([0x0a, 0, 0, 0, u8::from(ip == Ip::V6), number])),
        subnet: subnet.parse().unwrap(),
        has_ipv6: true,
    }
}
