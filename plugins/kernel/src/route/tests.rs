use netlink_packet_core::Emitable;
use netstate::{
    IpVlan, IpVlanFlag, IpVlanMode, Link, LinkChange, LinkKind, LinkName, LinkRef, Ns, VlanRange,
};

use super::{Birth, Changes, RawLink, by_index, by_name, create, vlans};

fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn range(first: u16, last: u16, pvid: bool) -> VlanRange {
    VlanRange { first, last, pvid, untagged: pvid }
}

#[test]
fn vlans_of_a_port_are_single_ids_and_ranges() {
    // As `bridge vlan add dev port vid 5 pvid untagged` and `... vid 10-20` send them
    // (strace of iproute2 6.1): BRIDGE_VLAN_INFO_PVID 2, UNTAGGED 4, RANGE_BEGIN 8, RANGE_END 16.
    let message = vlans(9, &[range(5, 5, true), range(10, 20, false)]);
    let entry = |flags: u16, vid: u16| {
        let mut bytes = vec![8, 0, 2, 0];
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&vid.to_ne_bytes());
        bytes
    };
    let entries = [entry(2 | 4, 5), entry(8, 10), entry(16, 20)].concat();
    let mut wanted = vec![7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    wanted.extend_from_slice(&[28, 0, 26, 0x80]);
    wanted.extend_from_slice(&entries);
    let mut made = bytes(&message);
    made[19] |= 0x80; // NLA_F_NESTED is optional here
    assert_eq!(made, wanted);
}

#[test]
fn changes_go_in_as_few_messages_as_the_kernel_takes() {
    let master = Some(LinkName::new("br0").unwrap());
    let all = [
        LinkChange::Up(true),
        LinkChange::Mtu(1400),
        LinkChange::Hairpin(true),
        LinkChange::Master(master),
        LinkChange::Isolated(true),
        LinkChange::AddVlan(range(5, 5, true)),
        LinkChange::DelVlan(range(1, 1, true)),
    ];
    let changes = Changes::new(&by_index(9), &all, (Some(4), None));
    assert_eq!(changes.links.len(), 2);
    assert_eq!((changes.add_vlans.len(), changes.del_vlans.len()), (1, 1));
    // Nothing but VLANs: no message about the link itself.
    assert!(Changes::new(&by_name("v0"), &all[5..], (None, None)).links.is_empty());
}

#[test]
fn an_ipvlan_and_a_vlan_are_read_as_they_were_made() {
    let parent = LinkRef { ns: Ns::Host, name: LinkName::fixed("eth0") };
    let read = |kind: LinkKind| {
        let link = Link::new(LinkName::fixed("new0"), kind);
        let birth = Birth { parent: Some(7), ..Birth::default() };
        RawLink::parse(&bytes(&create(&link, None, birth))).unwrap()
    };
    for mode in [IpVlanMode::L2, IpVlanMode::L3, IpVlanMode::L3s] {
        for flag in [IpVlanFlag::Bridge, IpVlanFlag::Private, IpVlanFlag::Vepa] {
            let raw = read(LinkKind::IpVlan(IpVlan { parent: parent.clone(), mode, flag }));
            assert_eq!((raw.kind.as_str(), raw.lower), ("ipvlan", Some(7)));
            assert_eq!(raw.ipvlan, Some((mode, flag)));
        }
    }
    let raw = read(LinkKind::Vlan { parent, id: 4094 });
    assert_eq!((raw.kind.as_str(), raw.lower, raw.vlan_id), ("vlan", Some(7), Some(4094)));
}
