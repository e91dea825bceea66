use std::time::Duration;

use netstate::{LinkChange, LinkName, PublicKey, Secret, WgPeer};

use super::*;

fn full() -> WgPeer {
    WgPeer {
        link: LinkName::fixed("wg0"),
        key: PublicKey([7; 32]),
        endpoint: Some("[2001:db8::9]:51821".parse().unwrap()),
        allowed: ["10.5.9.0/24", "fd05:0:0:9::/64"].map(|net| net.parse().unwrap()).into(),
        preshared: Some(Secret([9; 32])),
        keepalive: 25,
        alive: false,
    }
}

/// A message that sets is read as one that tells: both have the same attributes.
fn read(bytes: &[u8]) -> Device {
    let mut device = Device::default();
    read_device(&LinkName::fixed("wg0"), bytes, Duration::from_secs(1000), &mut device);
    device
}

#[test]
fn a_peer_is_written_as_it_is_read() {
    let v4 = WgPeer {
        endpoint: Some("192.0.2.9:51820".parse().unwrap()),
        preshared: None,
        keepalive: 0,
        ..full()
    };
    for wanted in [full(), v4] {
        let mut bytes = Vec::new();
        put_peer(&wanted, &mut bytes);
        assert_eq!(read(&bytes).peers.into_values().collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_peer_that_does_not_fit_into_one_message_goes_on_in_the_next() {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    put_peer(&full(), &mut first);
    one_peer(&full(), &mut second, |writer| {
        writer.nest(peer::ALLOWED, |list| {
            list.nest(0, |item| push_network(item, "10.6.0.0/16".parse().unwrap()));
        });
    });
    let mut device = read(&first);
    read_device(&full().link, &second, Duration::ZERO, &mut device);
    let there = &device.peers[&full().key];
    assert_eq!((there.allowed.len(), there.keepalive), (3, 25));
}

#[test]
fn a_device_is_set_by_what_is_wireguard_s_alone() {
    let changes = [
        LinkChange::Up(true),
        LinkChange::ListenPort(51820),
        LinkChange::PrivateKey(Secret([3; 32])),
    ];
    let mut bytes = Vec::new();
    set_device(&LinkName::fixed("wg0"), &changes, &mut bytes);
    assert_eq!(bytes.len(), 4 + 8 + 8 + 36);
    let device = read(&bytes);
    assert_eq!((device.own.port, device.own.key), (Some(51820), Some(Secret([3; 32]))));
}

#[test]
fn a_peer_is_alive_for_three_minutes_after_its_last_handshake() {
    let heard = |seconds: i64| {
        let mut bytes = Vec::new();
        one_peer(&full(), &mut bytes, |writer| {
            let time = [seconds.to_ne_bytes(), [0; 8]].concat();
            writer.bytes(peer::LAST_HANDSHAKE, &time);
        });
        read(&bytes).peers[&full().key].alive
    };
    assert_eq!([0, 819, 821, 1000, 1100, -5].map(heard), [false, false, true, true, true, false]);
}

#[test]
fn devices_and_families_survive_any_input() {
    corpus::survive("netlink", |bytes| {
        let _ = (read(bytes), crate::generic::read_family(bytes));
    });
}
