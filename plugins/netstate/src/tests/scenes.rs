//! Desired states as drivers make them.

use crate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use crate::{
    Addr, BridgePort, Desired, Fdb, Link, LinkKind, LinkName, LinkRef, Mac, MacVlanMode, Neigh, Ns,
    Route, RouteScope, State, SysctlKey, Vxlan,
};

/// ```text
/// host: cni0 10.1.0.1/24 -- vethab12 ]--[ eth0 10.1.0.2/24, fd00::2/64 :container
/// ```
/// What is shared, and what is one attachment's own.
pub(super) fn bridge() -> (Desired, Desired) {
    let mut shared = Desired::default();
    let host = shared.0.ns_mut(Ns::Host);
    let table = table();
    let set = SetId::new(&table.id, "masq4");
    host.tables.insert(table.id.clone(), table);
    host.sysctls.insert(SysctlKey::fixed("net/ipv4/ip_forward"), "1".to_owned());
    let kind = LinkKind::Bridge { vlan_filtering: None };
    host.add_link(Link { mtu: Some(1500), ..Link::new(name("cni0"), kind) });
    host.sysctls.insert(SysctlKey::conf("ipv6", &name("cni0"), "accept_ra"), "0".to_owned());
    host.addrs.insert(Addr::new(name("cni0"), net("10.1.0.1/24")));

    let mut own = Desired::default();
    let host = own.0.ns_mut(Ns::Host);
    host.add_link(Link {
        mtu: Some(1500),
        master: Some(name("cni0")),
        alias: Some("netd:demo/box/eth0".to_owned()),
        port: Some(BridgePort { hairpin: Some(true), ..BridgePort::default() }),
        ..Link::new(name("vethab12"), veth(Ns::Container, "eth0"))
    });
    let key = vec![Value::Ipv4([10, 1, 0, 2].into())];
    let comment = "demo/box/eth0".to_owned();
    host.add_element(set, Element { key, data: Vec::new(), comment });
    let inside = own.0.ns_mut(Ns::Container);
    inside.add_link(Link::new(LinkName::lo(), LinkKind::Loopback));
    inside.add_link(Link { mtu: Some(1500), ..Link::new(eth0(), veth(Ns::Host, "vethab12")) });
    inside.sysctls.insert(SysctlKey::conf("ipv4", &eth0(), "arp_notify"), "1".to_owned());
    inside.addrs.insert(Addr::new(eth0(), net("10.1.0.2/24")));
    inside.addrs.insert(Addr::new(eth0(), net("fd00::2/64")));
    inside.routes.insert(via("0.0.0.0/0", "10.1.0.1", "eth0"));
    inside.routes.insert(via("::/0", "fd00::1", "eth0"));
    (shared, own)
}

/// The attachment after someone took the container's link down and away from its routes, opened
/// the port and gave an address and an element to others.
pub(super) fn spoilt(mut own: State) -> State {
    let host = own.ns_mut(Ns::Host);
    for port in host.links.values_mut() {
        port.port = Some(BridgePort::as_born());
        port.mtu = Some(1400);
    }
    host.elements.clear();
    let inside = own.ns_mut(Ns::Container);
    for link in inside.links.values_mut() {
        link.up = false;
    }
    inside.addrs = [Addr::new(eth0(), net("10.1.0.77/24"))].into();
    inside.routes = [via("0.0.0.0/0", "10.1.0.254", "eth0")].into();
    own
}

/// A macvlan in the container on the host's `eno1`, with a gateway outside of its prefix.
pub(super) fn macvlan() -> Desired {
    let mut own = Desired::default();
    let inside = own.0.ns_mut(Ns::Container);
    let parent = LinkRef { ns: Ns::Host, name: name("eno1") };
    let kind = LinkKind::MacVlan { parent, mode: MacVlanMode::Bridge, bc_queue_len: None };
    inside.add_link(Link { mac: Some(Mac([2, 0, 0, 0, 0, 9])), ..Link::new(eth0(), kind) });
    inside.addrs.insert(Addr::new(eth0(), net("192.0.2.9/32")));
    inside.routes.insert(via("0.0.0.0/0", "169.254.1.1", "eth0"));
    let gateway = Route::new(net("169.254.1.1/32"), eth0());
    inside.routes.insert(Route { scope: RouteScope::Link, ..gateway });
    own
}

/// A tunnel end on `eno1`.
pub(super) fn tunnel() -> Vxlan {
    Vxlan {
        id: 1,
        port: Some(8472),
        parent: Some(LinkRef { ns: Ns::Host, name: name("eno1") }),
        local: Some(net("192.0.2.1/32").ip()),
        learning: false,
        gbp: false,
        proxy: false,
        tx_checksum: None,
    }
}

/// A link of some kind with all that can lie on one, and a route elsewhere that prefers its
/// address.
pub(super) fn overlay(kind: LinkKind) -> Desired {
    let mut want = Desired::default();
    let host = want.0.ns_mut(Ns::Host);
    let link = || name("netd.1");
    host.add_link(Link::new(link(), kind));
    host.addrs.insert(Addr::new(link(), net("10.244.1.0/32")));
    host.sysctls.insert(SysctlKey::conf("ipv6", &link(), "accept_ra"), "0".to_owned());
    let mac = Mac([2, 0, 0, 0, 0, 7]);
    let gateway = net("10.244.2.0/32").ip();
    host.neighs.insert(Neigh { link: link(), ip: gateway, mac });
    host.fdb.insert(Fdb { link: link(), mac, dst: net("192.0.2.7/32").ip() });
    host.routes.insert(Route { onlink: true, ..via("10.244.2.0/24", "10.244.2.0", "netd.1") });
    let src = Some(net("10.244.1.0/32").ip());
    host.routes.insert(Route { src, ..Route::new(net("10.99.0.0/16"), name("eno1")) });
    want
}

/// A bridge with an address of each family, and where it is up a route.
pub(super) fn routed_bridge(up: bool) -> Desired {
    let mut want = Desired::default();
    let host = want.0.ns_mut(Ns::Host);
    let kind = LinkKind::Bridge { vlan_filtering: None };
    host.add_link(Link { up, ..Link::new(name("br0"), kind) });
    host.addrs.insert(Addr::new(name("br0"), net("10.1.0.1/24")));
    host.addrs.insert(Addr::new(name("br0"), net("fd00::1/64")));
    if up {
        host.routes.insert(via("10.9.0.0/16", "10.1.0.9", "br0"));
    }
    want
}

fn table() -> Table {
    let set = Set { name: "masq4".to_owned(), key: vec![DataType::Ipv4Addr], data: Vec::new() };
    let id = TableId::new(Family::Inet, "netd");
    Table {
        id,
        comment: "schema 1".to_owned(),
        sets: vec![set],
        networks: vec![],
        chains: Vec::new(),
    }
}

fn via(dst: &str, gateway: &str, dev: &str) -> Route {
    Route { via: Some(gateway.parse().unwrap()), ..Route::new(net(dst), name(dev)) }
}

fn veth(ns: Ns, peer: &str) -> LinkKind {
    LinkKind::Veth { peer: LinkRef { ns, name: name(peer) } }
}

fn eth0() -> LinkName {
    name("eth0")
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn net(text: &str) -> ipnetwork::IpNetwork {
    text.parse().unwrap()
}
