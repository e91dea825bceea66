//! Links.

use super::{Sample, at, container, host, name};
use crate::{
    IpVlan, IpVlanFlag, IpVlanMode, Ipip, Link, LinkChange, LinkKind, LinkRef, Mac, MacVlanMode,
    Ns, Op, PeerInit, PublicKey, Secret, VlanRange, WgPeer, WireGuard,
};

pub(super) fn links() -> Vec<Sample> {
    let bridge = Link {
        mtu: Some(1500),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        ..Link::new(name("cni0"), LinkKind::Bridge { vlan_filtering: None })
    };
    let host_end = Link {
        mtu: Some(1400),
        master: Some(name("cni0")),
        ..Link::new(name("vethab12"), veth(Ns::Container, "eth0"))
    };
    let peer = PeerInit {
        link: at(Ns::Container, "eth0"),
        mac: Some(Mac([2, 0, 0, 0, 0, 2])),
        mtu: Some(1400),
    };
    let odd = Link {
        alias: Some("it's \"$HOME\" `id`".to_owned()),
        promisc: true,
        up: false,
        ..Link::new(name("a$b'c"), LinkKind::Bridge { vlan_filtering: None })
    };
    let filtering = Link::new(name("brv"), LinkKind::Bridge { vlan_filtering: Some(true) });
    vec![
        host(Op::AddLink { link: bridge, peer: None })
            .shows("ip -o link show dev cni0 | grep -q '[<,]UP.*mtu 1500'"),
        host(Op::AddLink { link: host_end, peer: Some(peer) })
            .shows("ip -n box -o link show dev eth0 | grep -q 'mtu 1400.*02:00:00:00:00:02'"),
        host(Op::AddLink { link: odd, peer: None })
            .shows("ip link show dev \"a\\$b'c\" | grep -q \"it's \\\"\\$HOME\\\"\""),
        host(Op::DelLink(name("a$b'c"))).shows("! ip link show dev \"a\\$b'c\" 2>/dev/null"),
        container(Op::AddLink { link: backwards(), peer: Some(init(Ns::Host, "vback")) })
            .shows("ip link show dev vback"),
        container(Op::AddLink { link: macvlan(Ns::Host, "mv0"), peer: None })
            .shows("ip -n box -d link show dev mv0 | grep -q 'macvlan.*bridge.*bcqueuelen 2000'"),
        host(Op::AddLink { link: macvlan(Ns::Host, "mv1"), peer: None })
            .shows("ip -d link show dev mv1 | grep -q 'macvlan'"),
        container(Op::AddLink { link: ipvlan(), peer: None }).maybe(),
        host(Op::AddLink { link: vlan(), peer: None }).maybe(),
        host(Op::AddLink { link: filtering, peer: None }).maybe(),
        host(set("vethab12", port_changes()))
            .shows("bridge -d link show dev vethab12 | grep -q 'hairpin on.*isolated on'"),
        host(set("vethab12", vlan_changes())).maybe(),
        host(set("cni0", vec![LinkChange::VlanFiltering(true), LinkChange::Up(true)])).maybe(),
        container(set("eth0", link_changes()))
            .shows("ip -n box link show dev eth0 | grep -q 'alias owner'"),
        host(set("mv1", vec![LinkChange::Master(Some(name("cni0")))]))
            .shows("ip link show dev mv1 | grep -q 'master cni0'"),
        host(set("mv1", vec![LinkChange::Master(None), LinkChange::Alias(String::new())]))
            .shows("! ip link show dev mv1 | grep -q master"),
        container(set("lo", vec![LinkChange::Up(true)]))
            .shows("ip -n box addr show dev lo | grep ::1"),
        host(set("vback", vec![LinkChange::Up(true)])).plain(),
        host(set("vback", vec![LinkChange::Up(false)])).plain(),
        host(Op::AddLink { link: ipip(), peer: None }).maybe(),
        host(Op::AddLink { link: wireguard(), peer: None }).maybe(),
        host(set("wg0", vec![LinkChange::ListenPort(51821)])).maybe(),
        host(Op::AddWgPeer(wg_peer())).maybe(),
        host(Op::DelWgPeer(wg_peer())).maybe(),
        host(set("vx", vec![LinkChange::TxChecksum(false)]))
            .shows("ethtool -k vx | grep -q 'tx-checksum-ip-generic: off'"),
        host(set("ipip0", vec![LinkChange::Source([192, 0, 2, 2].into())])).maybe(),
    ]
}

fn ipip() -> Link {
    let kind = LinkKind::Ipip(Ipip { local: Some([192, 0, 2, 1].into()), remote: None });
    Link { mtu: Some(1480), ..Link::new(name("ipip0"), kind) }
}

fn wireguard() -> Link {
    let kind = WireGuard { key: Some(Secret([1; 32])), port: Some(51820) };
    Link { mtu: Some(1420), ..Link::new(name("wg0"), LinkKind::WireGuard(kind)) }
}

fn wg_peer() -> WgPeer {
    WgPeer {
        link: name("wg0"),
        key: PublicKey([9; 32]),
        endpoint: Some("[2001:db8::9]:51820".parse().unwrap()),
        allowed: ["10.5.9.0/24", "fd05:0:0:9::/64"].map(super::net).into(),
        preshared: Some(Secret([2; 32])),
        keepalive: 25,
        alive: false,
    }
}

fn backwards() -> Link {
    Link::new(name("eth1"), veth(Ns::Host, "vback"))
}

fn macvlan(parent_ns: Ns, link: &str) -> Link {
    let parent = LinkRef { ns: parent_ns, name: name("vback") };
    let kind = LinkKind::MacVlan { parent, mode: MacVlanMode::Bridge, bc_queue_len: Some(2000) };
    Link { mtu: Some(1300), ..Link::new(name(link), kind) }
}

/// On a link of its own: one that macvlans are on takes no ipvlan.
fn ipvlan() -> Link {
    let parent = LinkRef { ns: Ns::Host, name: name("cni0") };
    let kind = IpVlan { parent, mode: IpVlanMode::L3s, flag: IpVlanFlag::Private };
    Link::new(name("iv0"), LinkKind::IpVlan(kind))
}

fn vlan() -> Link {
    let kind = LinkKind::Vlan { parent: at(Ns::Host, "cni0"), id: 10 };
    Link::new(name("cni0.10"), kind)
}

fn port_changes() -> Vec<LinkChange> {
    let alias = LinkChange::Alias("container box, network a b".to_owned());
    vec![LinkChange::Hairpin(true), LinkChange::Isolated(true), alias, LinkChange::Up(true)]
}

fn vlan_changes() -> Vec<LinkChange> {
    let range = |first, last, flags: bool| VlanRange { first, last, pvid: flags, untagged: flags };
    vec![
        LinkChange::DelVlan(range(1, 1, true)),
        LinkChange::AddVlan(range(20, 20, true)),
        LinkChange::AddVlan(range(30, 39, false)),
    ]
}

fn link_changes() -> Vec<LinkChange> {
    vec![
        LinkChange::Mtu(1390),
        LinkChange::Mac(Mac([2, 0, 0, 0, 0, 5])),
        LinkChange::Promisc(true),
        LinkChange::Alias("owner".to_owned()),
        LinkChange::Up(true),
    ]
}

fn set(link: &str, changes: Vec<LinkChange>) -> Op {
    Op::SetLink { name: name(link), changes }
}

fn veth(ns: Ns, peer: &str) -> LinkKind {
    LinkKind::Veth { peer: at(ns, peer) }
}

fn init(ns: Ns, peer: &str) -> PeerInit {
    PeerInit { link: at(ns, peer), mac: None, mtu: None }
}
