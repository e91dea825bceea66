//! An overlay of two hosts on the real kernel: the namespace of the network, and a container in it.

use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use drivers::Owner;
use drivers::bridge::{Port, default_gateway};
use drivers::container::{Address, Interface};
use drivers::overlay::{self, Overlay, Remote, Segment, Underlay};
use ipnetwork::IpNetwork;
use kernel::testing::{in_new_host, sh, sh_in};
use kernel::{Kernel, Netns, Pins};
use netstate::{Datapath, Desired, LinkName, Mac, Ns, Plan};

use crate::hosts::PATIENCE;

const WIRE: &str = "
set -e
for ns in a b; do ip netns add $ns; ip -n $ns link set lo up; done
ip -n a link add u0 type veth peer name u0 netns b
for n in 1:a 2:b; do
    ip -n ${n#*:} addr add 192.0.2.${n%:*}/24 dev u0
    ip -n ${n#*:} addr add 2001:db8::${n%:*}/64 dev u0 nodad
    ip -n ${n#*:} link set u0 up
done
";

/// A host with a container on the overlay.
struct Side {
    overlay: Netns,
    container: Netns,
}

fn network(vni: u32) -> Overlay {
    let net = |text: &str| -> IpNetwork { text.parse().unwrap() };
    let subnets = vec![net("10.9.0.0/24"), net("fd09::/64")];
    let gateway = |net: &IpNetwork| IpNetwork::new(default_gateway(*net), net.prefix()).unwrap();
    let gateways = subnets.iter().map(gateway).collect();
    let mac = Mac([2, 9, 9, 9, 9, 9]);
    let segments = vec![Segment { vni, subnets, gateways, mac }];
    Overlay {
        alias: "netd:network:0123456789ab".to_owned(),
        segments,
        mtu: None,
        has_ipv6: true,
        encrypted: false,
    }
}

fn underlay(side: u8, v6: bool) -> Underlay {
    let address = match v6 {
        false => [192, 0, 2, side].into(),
        true => format!("2001:db8::{side}").parse().unwrap(),
    };
    Underlay { link: LinkName::fixed("u0"), address, mtu: 1500 }
}

/// What a container of a side has.
fn addresses(side: u8) -> [IpNetwork; 2] {
    [format!("10.9.0.{}/24", side + 1), format!("fd09::{}/64", side + 1)]
        .map(|text| text.parse().unwrap())
}

fn wanted(network: &Overlay, side: u8, v6: bool) -> Desired {
    let own = underlay(side, v6);
    let other = 3 - side;
    let mac = overlay::mac(addresses(other)[0].ip());
    let vtep = underlay(other, v6).address;
    let remotes = addresses(other).map(|net| Remote { address: net.ip(), mac, vtep, peer: None });
    let mut wanted = network.desired(Some(&own)).unwrap();
    wanted.0.join(network.remotes(&own, &remotes).unwrap().0);
    wanted
}

/// The commands where nothing was to be done.
const NOTHING: [&str; 0] = [];

/// Makes what differs, by these commands.
fn put_right(kernel: &mut Kernel, wanted: &Desired) -> Vec<String> {
    let scope = Overlay::scope(wanted);
    kernel.forget();
    let plan = Plan::between(&kernel.observe(&scope).unwrap(), wanted, &scope);
    let report = kernel.apply(&plan);
    assert!(report.failed.is_none(), "{:?}", report.failed);
    plan.steps.iter().map(ToString::to_string).collect()
}

/// Makes a side, in the calling thread's namespace.
fn side(network: &Overlay, name: &str, side: u8, v6: bool) -> Side {
    let pins = Pins::within(PathBuf::from("/run/netd/netns"), None);
    let overlay = pins.make(name).unwrap();
    let container = kernel::testing::new_container();
    let mut kernel = Kernel::open(Some(&container)).with_overlay(&overlay);
    let wanted = wanted(network, side, v6);
    assert_ne!(put_right(&mut kernel, &wanted), NOTHING);
    assert_eq!(put_right(&mut kernel, &wanted), NOTHING, "what is right stays");
    let port = Port {
        host_link: LinkName::fixed("veth0"),
        ifname: LinkName::fixed("eth0"),
        mac: Some(overlay::mac(addresses(side)[0].ip())),
        mtu: Some(overlay::mtu(&underlay(side, v6), None)),
        hairpin: false,
        isolated: false,
        vlans: None,
        leave_down: false,
    };
    let owner =
        Owner { network: "ov".into(), container_id: "c1".into(), ifname: "eth0".to_owned() };
    let addresses = addresses(side).map(|net| Address { net, gateway: None }).into();
    let inside = Interface { addresses, link_local: true, ..Interface::default() };
    let links = port.desired_in(&Ns::Overlay, &owner, &LinkName::fixed("br0"), &inside);
    let report = kernel.apply(&Plan::create(&links));
    assert!(report.failed.is_none(), "{:?}", report.failed);
    let seen = kernel.observe(&netstate::Scope::of(&links)).unwrap();
    assert_eq!(Plan::missing(&seen, &links).to_string(), "");
    Side { overlay, container }
}

/// Datagrams of which one is to arrive.
const TRIES: u32 = 10;

/// Whether a datagram with so many bytes arrives: one of several, as a bridge carries nothing for a new port until
/// the kernel has seen that it is up.
fn arrives(from: &Netns, to: &Netns, at: IpAddr, bytes: usize) -> bool {
    let receiver = to.with(|| UdpSocket::bind((at, 0))).unwrap().unwrap();
    receiver.set_read_timeout(Some(PATIENCE / TRIES)).unwrap();
    let there = receiver.local_addr().unwrap();
    let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let sender = from.with(|| UdpSocket::bind((any, 0))).unwrap().unwrap();
    (0..TRIES).any(|_| {
        sender.send_to(&vec![7; bytes], there).unwrap();
        receiver.recv(&mut vec![0; 2000]).is_ok_and(|length| length == bytes)
    })
}

fn in_host<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let netns = Netns::open(&Path::new("/run/netns").join(name)).unwrap();
    let enter = || netns.with(work).unwrap();
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

#[test]
fn containers_of_two_hosts_reach_each_other_over_either_family_of_underlay() {
    for v6 in [false, true] {
        in_new_host(|| {
            sh(WIRE);
            let network = network(0x80_1234);
            let a = in_host("a", || side(&network, "ov-a", 1, v6));
            let b = in_host("b", || side(&network, "ov-b", 2, v6));
            let mtu = if v6 { 1430 } else { 1450 };
            for (there, headers) in addresses(2).iter().zip([28, 48]) {
                assert!(arrives(&a.container, &b.container, there.ip(), mtu - headers));
            }
            for gateway in ["10.9.0.1", "fd09::1"] {
                assert!(arrives(&b.container, &b.overlay, gateway.parse().unwrap(), 8));
            }
            let link = sh_in(&a.container, "ip link show eth0");
            assert!(link.contains(&format!("mtu {mtu} ")), "{link}");
            let neighbours = sh_in(&a.overlay, "ip neigh show nud permanent dev vxlan0");
            assert!(neighbours.contains("10.9.0.3 lladdr 02:42:0a:09:00:03"), "{neighbours}");
        });
    }
}

#[test]
fn networks_of_the_same_addresses_do_not_meet() {
    in_new_host(|| {
        sh(WIRE);
        let a = in_host("a", || side(&network(0x80_0001), "ov-a", 1, false));
        let b = in_host("b", || side(&network(0x80_0002), "ov-b", 2, false));
        let same_host = in_host("a", || side(&network(0x80_0003), "ov-c", 2, false));
        for other in [&b, &same_host] {
            assert!(!arrives(&a.container, &other.container, addresses(2)[0].ip(), 8));
        }
    });
}

#[test]
fn what_somebody_deletes_of_an_overlay_comes_back() {
    in_new_host(|| {
        sh(WIRE);
        let network = network(0x80_1234);
        let a = in_host("a", || side(&network, "ov-a", 1, false));
        let b = in_host("b", || side(&network, "ov-b", 2, false));
        let again = || {
            in_host("a", || {
                let mut kernel = Kernel::open(None).with_overlay(&a.overlay);
                put_right(&mut kernel, &wanted(&network, 1, false))
            })
        };
        for damage in [
            "bridge fdb del 02:42:0a:09:00:03 dev vxlan0 dst 192.0.2.2 self",
            "ip neigh del 10.9.0.3 dev vxlan0",
            "ip link del vxlan0",
            "ip link set vxlan0 nomaster",
            "ip addr flush dev br0 scope global",
            "bridge fdb replace 02:42:0a:09:00:03 dev vxlan0 dst 192.0.2.77 self permanent",
        ] {
            sh_in(&a.overlay, damage);
            assert_ne!(again(), NOTHING, "{damage}");
            assert_eq!(again(), NOTHING, "{damage}");
            assert!(arrives(&a.container, &b.container, addresses(2)[0].ip(), 8), "{damage}");
        }
    });
}
