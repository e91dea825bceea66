//! What is on links, sysctls and tables.

use std::sync::Arc;

use super::{apply, done, ensure, name, net, set, veth, with_bridge};
use crate::nft::{DataType, Element, Family, Set, SetId, Table, TableId, Value};
use crate::sim::{Fault, Sim};
use crate::{
    Addr, Datapath, LinkChange, Mac, Neigh, Ns, Op, Plan, Route, RouteScope, Step, SysctlKey,
};

#[test]
fn a_gateway_must_be_reachable() {
    let mut sim = with_bridge();
    let via = |gateway: &str| {
        let via = Some(gateway.parse().unwrap());
        Route { via, ..Route::new(net("10.9.0.0/16"), name("br0")) }
    };
    assert_eq!(apply(&mut sim, Op::AddRoute(via("10.2.0.1"))), Err(Fault::Unreachable));
    assert!(matches!(apply(&mut sim, Op::AddRoute(via("10.1.0.1"))), Err(Fault::Invalid(_))));
    let onlink = Route { onlink: true, ..via("10.2.0.1") };
    assert_eq!(apply(&mut sim, Op::AddRoute(onlink.clone())), Ok(true));
    done(&mut sim, Op::DelRoute(onlink));
    assert_eq!(apply(&mut sim, Op::AddRoute(via("10.1.0.9"))), Ok(true));
    assert_eq!(apply(&mut sim, Op::AddRoute(via("10.1.0.8"))), Err(Fault::Exists));
}

#[test]
fn an_on_link_route_makes_a_gateway_reachable_if_its_scope_is_the_link() {
    let mut sim = with_bridge();
    let gateway = Route::new(net("169.254.1.1/32"), name("br0"));
    let via = Some("169.254.1.1".parse().unwrap());
    let default = Route { via, ..Route::new(net("0.0.0.0/0"), name("br0")) };
    done(&mut sim, Op::AddRoute(gateway.clone()));
    assert_eq!(apply(&mut sim, Op::AddRoute(default.clone())), Err(Fault::Unreachable));
    done(&mut sim, Op::DelRoute(gateway.clone()));
    done(&mut sim, Op::AddRoute(Route { scope: RouteScope::Link, ..gateway }));
    assert_eq!(apply(&mut sim, Op::AddRoute(default)), Ok(true));
}

#[test]
fn going_down_costs_routes_neighbours_and_ipv6_addresses() {
    let mut sim = with_bridge();
    done(&mut sim, Op::AddAddr(Addr::new(name("br0"), net("fd00::1/64"))));
    done(&mut sim, Op::AddRoute(Route::new(net("10.9.0.0/16"), name("br0"))));
    done(&mut sim, Op::AddNeigh(neigh()));
    done(&mut sim, set("br0", LinkChange::Up(false)));
    let host = sim.state().ns(&Ns::Host).unwrap();
    assert_eq!(host.addrs.len(), 1);
    assert!(host.routes.is_empty() && host.neighs.is_empty());
    let route = Op::AddRoute(Route::new(net("10.9.0.0/16"), name("br0")));
    assert_eq!(apply(&mut sim, route), Err(Fault::Down));
}

#[test]
fn a_new_mac_costs_the_neighbours() {
    let mut sim = with_bridge();
    done(&mut sim, Op::AddNeigh(neigh()));
    done(&mut sim, set("br0", LinkChange::Mac(Mac([2, 0, 0, 0, 9, 9]))));
    assert!(sim.state().ns(&Ns::Host).unwrap().neighs.is_empty());
}

#[test]
fn an_mtu_below_1280_costs_ipv6() {
    let mut sim = with_bridge();
    let addr = Op::AddAddr(Addr::new(name("br0"), net("fd00::1/64")));
    done(&mut sim, addr.clone());
    done(&mut sim, set("br0", LinkChange::Mtu(1279)));
    assert_eq!(sim.state().ns(&Ns::Host).unwrap().addrs.len(), 1);
    assert!(matches!(apply(&mut sim, addr), Err(Fault::Invalid(_))));
}

#[test]
fn the_last_ipv4_address_takes_the_ipv4_routes_along() {
    let mut sim = with_bridge();
    done(&mut sim, Op::AddRoute(Route::new(net("10.9.0.0/16"), name("br0"))));
    done(&mut sim, Op::AddNeigh(neigh()));
    done(&mut sim, Op::DelAddr(Addr::new(name("br0"), net("10.1.0.1/24"))));
    let host = sim.state().ns(&Ns::Host).unwrap();
    assert!(host.routes.is_empty() && host.neighs.is_empty());
}

#[test]
fn secondary_addresses_go_with_their_primary_and_not_the_other_way() {
    let mut sim = with_bridge();
    let second = Addr::new(name("br0"), net("10.1.0.2/24"));
    done(&mut sim, Op::AddAddr(second.clone()));
    done(&mut sim, Op::DelAddr(second.clone()));
    assert_eq!(sim.state().ns(&Ns::Host).unwrap().addrs.len(), 1);
    done(&mut sim, Op::AddAddr(second));
    done(&mut sim, Op::DelAddr(Addr::new(name("br0"), net("10.1.0.1/24"))));
    assert!(sim.state().ns(&Ns::Host).unwrap().addrs.is_empty());
}

#[test]
fn a_route_goes_with_the_address_it_prefers() {
    let mut sim = with_bridge();
    done(&mut sim, veth("v0", "eth0"));
    let src = Some("10.1.0.1".parse().unwrap());
    done(&mut sim, Op::AddRoute(Route { src, ..Route::new(net("10.9.0.0/16"), name("v0")) }));
    done(&mut sim, Op::DelLink(name("br0")));
    assert!(sim.state().ns(&Ns::Host).unwrap().routes.is_empty());
}

#[test]
fn a_sysctl_of_a_link_needs_the_link() {
    let mut sim = with_bridge();
    let write = |link: &str, optional| Op::SetSysctl {
        key: SysctlKey::conf("ipv4", &name(link), "arp_notify"),
        value: "1".to_owned(),
        optional,
    };
    assert_eq!(apply(&mut sim, write("none", false)), Err(Fault::NotFound));
    assert_eq!(apply(&mut sim, write("none", true)), Ok(false));
    assert_eq!(apply(&mut sim, write("br0", false)), Ok(true));
    assert_eq!(apply(&mut sim, write("br0", false)), Ok(false));
    done(&mut sim, Op::DelLink(name("br0")));
    assert!(sim.state().ns(&Ns::Host).unwrap().sysctls.is_empty());
}

#[test]
fn an_element_needs_its_set_and_its_types() {
    let mut sim = Sim::default();
    let table = table();
    let set = SetId::new(&table.id, "ports");
    let element = |port, owner: &str| Op::AddElement {
        set: set.clone(),
        element: Element {
            key: vec![Value::Port(port)],
            data: Vec::new(),
            comment: owner.to_owned(),
        }
        .into(),
    };
    assert_eq!(apply(&mut sim, element(80, "a")), Err(Fault::NotFound));
    done(&mut sim, Op::AddTable(table.clone()));
    assert_eq!(apply(&mut sim, Op::AddTable(table)), Err(Fault::Exists));
    done(&mut sim, element(80, "a"));
    assert_eq!(apply(&mut sim, element(80, "a")), Err(Fault::Exists));
    assert_eq!(ensure(&mut sim, element(80, "a")), Ok(false));
    assert_eq!(ensure(&mut sim, element(80, "b")), Err(Fault::Differs));
    let wrong = Element { key: vec![Value::Proto(6)], data: Vec::new(), comment: String::new() };
    let wrong = Op::AddElement { set: set.clone(), element: wrong.into() };
    assert!(matches!(apply(&mut sim, wrong), Err(Fault::Invalid(_))));
}

#[test]
fn another_version_of_a_table_keeps_elements_and_can_be_undone() {
    let mut sim = Sim::default();
    let old = table();
    let set = SetId::new(&old.id, "ports");
    let key = vec![Value::Port(80)];
    let element = Arc::new(Element { key, data: Vec::new(), comment: String::new() });
    done(&mut sim, Op::AddTable(old.clone()));
    done(&mut sim, Op::AddElement { set: set.clone(), element: element.clone() });
    let new = Table { comment: "schema 2".to_owned(), ..old.clone() };
    let step = Step::ensure(Ns::Host, Op::AddTable(new));
    let report = sim.apply(&Plan { steps: vec![step] });
    let host = sim.state().ns(&Ns::Host).unwrap();
    assert!(host.elements[&set].contains(&element));
    sim.apply(&report.undo());
    assert_eq!(sim.state().ns(&Ns::Host).unwrap().tables[&old.id], old);
}

fn table() -> Table {
    let set = Set { name: "ports".to_owned(), key: vec![DataType::InetService], data: Vec::new() };
    let id = TableId::new(Family::Inet, "netd");
    Table {
        id,
        comment: "schema 1".to_owned(),
        sets: vec![set],
        networks: vec![],
        chains: Vec::new(),
    }
}

fn neigh() -> Neigh {
    let ip = "10.1.0.9".parse().unwrap();
    Neigh { link: name("br0"), ip, mac: Mac([2, 0, 0, 0, 0, 9]) }
}
