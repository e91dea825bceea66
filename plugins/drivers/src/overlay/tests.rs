//! What a network has in its namespace, and what leads to other hosts.

use netstate::sim::Sim;
use netstate::{Datapath, Link, LinkKind, LinkName, Mac, Ns, NsNames, Plan, Step};

use super::*;

fn underlay() -> Underlay {
    Underlay { link: LinkName::fixed("eth0"), address: [192, 0, 2, 1].into(), mtu: 1500 }
}

fn overlay(subnets: &[&str]) -> Overlay {
    let segment = |(number, subnet): (u8, &&str)| {
        let subnet: IpNetwork = subnet.parse().unwrap();
        let gateway = crate::bridge::default_gateway(subnet);
        Segment {
            vni: 0x80_0000 + u32::from(number),
            subnets: vec![subnet],
            gateways: vec![IpNetwork::new(gateway, subnet.prefix()).unwrap()],
            mac: Mac([2, 0, 0, 0, 0, number]),
        }
    };
    Overlay {
        alias: "netd:network:0123456789ab".to_owned(),
        segments: (0..).zip(subnets).map(segment).collect(),
        mtu: None,
        has_ipv6: false,
        encrypted: false,
    }
}

fn remote(address: &str, vtep: u8) -> Remote {
    let address = address.parse().unwrap();
    Remote { address, mac: mac(address), vtep: [192, 0, 2, vtep].into(), peer: None }
}

fn commands(plan: &Plan) -> Vec<String> {
    let names = NsNames { overlay: "/run/netns/ov".to_owned(), ..NsNames::default() };
    plan.steps.iter().map(|step: &Step| step.command(&names)).collect()
}

#[test]
fn a_network_is_a_bridge_and_a_tunnel_end_born_in_its_namespace() {
    let overlay = overlay(&["10.0.0.0/24"]);
    let plan = Plan::create(&overlay.desired(Some(&underlay())).unwrap());
    let all = commands(&plan).join("\n");
    for part in [
        "name br0 ",
        "ip -n ov addr add 10.0.0.1/24 brd + dev br0",
        "name vxlan0 ",
        "netns ov",
        "type vxlan id 8388608 local 192.0.2.1 dev eth0 dstport 4789 nolearning proxy",
        "ip -n ov link set dev vxlan0 master br0",
        "mtu 1450",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
}

#[test]
fn remote_endpoints_are_a_neighbour_and_a_forwarding_entry_on_the_tunnel_end_of_their_subnet() {
    let overlay = overlay(&["10.0.0.0/24", "10.0.1.0/24"]);
    let there = [
        remote("10.0.1.7", 2),
        // This host's own, one of another time, and one that cannot be reached.
        remote("10.0.0.8", 1),
        remote("10.9.0.9", 2),
        Remote { vtep: "2001:db8::2".parse().unwrap(), ..remote("10.0.0.9", 2) },
    ];
    let desired = overlay.remotes(&underlay(), &there).unwrap();
    let before = overlay.desired(Some(&underlay())).unwrap();
    let mut after = before.clone();
    after.0.join(desired.0);
    assert_eq!(
        commands(&Plan::update(&before, &after)),
        [
            "ip -n ov neigh replace 10.0.1.7 lladdr 02:42:0a:00:01:07 dev vxlan1 nud permanent",
            "bridge -n ov fdb replace 02:42:0a:00:01:07 dev vxlan1 dst 192.0.2.2 self permanent",
        ]
    );
}

#[test]
fn frames_are_let_in_from_hosts_with_endpoints_for_every_segment_and_from_nobody_else() {
    let overlay = overlay(&["10.0.0.0/24", "10.0.1.0/24"]);
    let mark = "comment \"netd:network:0123456789ab\"";
    let closed = |vni: &str| format!("nft add element inet netd closed_vnis '{{ {vni} {mark} }}'");
    assert_eq!(
        commands(&Plan::create(&overlay.closed())),
        [closed("0x800000"), closed("0x800001")]
    );
    let before = [remote("10.0.0.7", 2), remote("10.0.0.8", 2)];
    let v6 = Remote { vtep: "2001:db8::2".parse().unwrap(), ..remote("10.0.1.9", 2) };
    let known = |word: &str, set: &str, key: &str| {
        let mark = if word == "add" { format!(" {mark}") } else { String::new() };
        format!("nft {word} element inet netd {set} '{{ {key}{mark} }}'")
    };
    assert_eq!(
        commands(&Plan::update(&overlay.known(&before), &overlay.known(&[v6]))),
        [
            known("delete", "vteps4", "192.0.2.2 . 0x800000"),
            known("delete", "vteps4", "192.0.2.2 . 0x800001"),
            known("add", "vteps6", "2001:db8::2 . 0x800000"),
            known("add", "vteps6", "2001:db8::2 . 0x800001"),
        ]
    );
}

#[test]
fn frames_of_an_encrypted_overlay_go_by_the_inner_addresses_of_hosts_and_never_to_others() {
    let overlay = Overlay { encrypted: true, ..overlay(&["10.0.0.0/24"]) };
    let key = |number| netstate::PublicKey([number; 32]);
    let address = |number| encryption::address(&key(number));
    let below = encryption::inner(&underlay(), address(1));
    let plan = Plan::create(&overlay.desired(Some(&below)).unwrap());
    let all = commands(&plan).join("\n");
    let end = format!("local {} dev netd-wg dstport 4789", address(1));
    assert!(all.contains(&end) && all.contains("mtu 1370"), "{all}");
    let peer = Peer { key: key(2), endpoint: "192.0.2.2:51822".parse().unwrap() };
    let sealed = Remote { vtep: address(2).into(), peer: Some(peer), ..remote("10.0.0.7", 2) };
    let clear = Remote { vtep: "2001:db8::2".parse().unwrap(), ..remote("10.0.0.8", 2) };
    let all = commands(&Plan::create(&overlay.remotes(&below, &[sealed, clear]).unwrap()));
    assert!(all.len() == 2 && all[1].contains(&format!("dst {} ", address(2))), "{all:?}");
    // Nor do those of one that is not lead to an inner address.
    let open = Overlay { encrypted: false, ..overlay.clone() };
    let v6 = Underlay { address: "2001:db8::1".parse().unwrap(), ..underlay() };
    assert_eq!(commands(&Plan::create(&open.remotes(&v6, &[sealed]).unwrap())), [""; 0]);
    let mark = "comment \"netd:network:0123456789ab\"";
    let element = |set: &str| format!("nft add element inet netd {set} '{{ 0x800000 {mark} }}'");
    assert_eq!(
        commands(&Plan::create(&overlay.closed())),
        [element("closed_vnis"), element("sealed_vnis")]
    );
}

#[test]
fn without_an_underlay_there_are_bridges_alone_and_what_is_there_of_tunnels_is_left() {
    let overlay = overlay(&["10.0.0.0/24"]);
    let desired = overlay.desired(None).unwrap();
    let links: Vec<String> =
        Overlay::scope(&desired).links.into_iter().map(|link| link.name.to_string()).collect();
    assert_eq!(links, ["br0", "lo"]);
}

#[test]
fn what_was_changed_is_put_right() {
    let overlay = overlay(&["10.0.0.0/24"]);
    let (mut there, lo) = (State::default(), Link::new(LinkName::lo(), LinkKind::Loopback));
    there.ns_mut(Ns::Overlay).add_link(Link { up: false, ..lo });
    let eth0 = Link::new(LinkName::fixed("eth0"), LinkKind::Other("dummy".to_owned()));
    there.ns_mut(Ns::Host).add_link(Link { mtu: Some(1500), ..eth0 });
    let mut sim = Sim::new(there);
    let mut desired = overlay.desired(Some(&underlay())).unwrap();
    let there = [remote("10.0.0.7", 2)];
    desired.0.join(overlay.remotes(&underlay(), &there).unwrap().0);
    let scope = Overlay::scope(&desired);
    let put_right = |sim: &mut Sim| {
        let plan = Plan::between(&sim.observe(&scope).unwrap(), &desired, &scope);
        let report = sim.apply(&plan);
        assert!(report.failed.is_none(), "{:?}", report.failed);
        plan.steps.len()
    };
    assert!(put_right(&mut sim) > 0);
    assert_eq!(put_right(&mut sim), 0);
    let gone = netstate::Op::DelLink(LinkName::fixed("vxlan0"));
    sim.apply(&Plan { steps: vec![Step::fresh(Ns::Overlay, gone)] });
    assert!(put_right(&mut sim) >= 3, "the link, the neighbour and the forwarding entry");
    assert_eq!(put_right(&mut sim), 0);
}

#[test]
fn packets_are_as_large_as_fits_through_the_underlay_or_as_is_wanted() {
    let v6 = Underlay { address: "2001:db8::1".parse().unwrap(), ..underlay() };
    assert_eq!((mtu(&underlay(), None), mtu(&v6, None)), (1450, 1430));
    assert_eq!((mtu(&underlay(), Some(1400)), mtu(&underlay(), Some(9000))), (1400, 1450));
}

#[test]
fn a_link_layer_address_follows_from_the_address() {
    assert_eq!(mac([10, 0, 1, 7].into()).to_string(), "02:42:0a:00:01:07");
    assert_eq!(mac("fd00::1:2".parse().unwrap()).to_string(), "02:42:00:01:00:02");
}
