//! WireGuard's devices as the kernel tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnetwork::IpNetwork;
use netstate::{LinkName, PublicKey, Secret, WgPeer, WireGuard};

use super::{AF_INET, AF_INET6, NO_SECRET, allowed, device, peer};
use crate::generic::HEADER;
use crate::netlink::wire::{Attrs, number};

/// What was heard of a peer is of use so long (`REJECT_AFTER_TIME`, `drivers/net/wireguard/messages.h`).
const LIVELY: Duration = Duration::from_secs(180);

/// A device, with its peers.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) own: WireGuard,
    pub(crate) peers: BTreeMap<PublicKey, WgPeer>,
}

/// Takes in one message of a device's dump. What does not fit into one goes on in the next, which
/// names the peer again (`wg_get_device_dump()`). `now` is the time since 1970.
pub(crate) fn read_device(link: &LinkName, body: &[u8], now: Duration, into: &mut Device) {
    let Some(body) = body.get(HEADER..) else { return };
    let attributes = Attrs(body);
    if let Some(key) = attributes.get(device::PRIVATE_KEY).and_then(key) {
        into.own.key = (key != NO_SECRET).then_some(Secret(key));
    }
    if let Some(port) = attributes.get(device::LISTEN_PORT).and_then(|bytes| number(bytes, 0)) {
        into.own.port = Some(port);
    }
    for (_, item) in attributes.nested(device::PEERS) {
        let attributes = Attrs(item);
        let Some(key) = attributes.get(peer::PUBLIC_KEY).and_then(key).map(PublicKey) else {
            continue;
        };
        let known = into.peers.entry(key).or_insert_with(|| WgPeer {
            link: link.clone(),
            key,
            endpoint: None,
            allowed: BTreeSet::new(),
            preshared: None,
            keepalive: 0,
            alive: false,
        });
        take_peer(known, attributes, now);
    }
}

fn take_peer(known: &mut WgPeer, attributes: Attrs<'_>, now: Duration) {
    if let Some(secret) = attributes.get(peer::PRESHARED_KEY).and_then(key) {
        known.preshared = (secret != NO_SECRET).then_some(Secret(secret));
    }
    if let Some(endpoint) = attributes.get(peer::ENDPOINT).and_then(socket_address) {
        known.endpoint = Some(endpoint);
    }
    if let Some(seconds) = attributes.get(peer::KEEPALIVE).and_then(|bytes| number(bytes, 0)) {
        known.keepalive = seconds;
    }
    if let Some(heard) = attributes.get(peer::LAST_HANDSHAKE).and_then(seconds) {
        known.alive = heard > 0 && now.saturating_sub(Duration::from_secs(heard)) < LIVELY;
    }
    for (_, item) in attributes.nested(peer::ALLOWED) {
        known.allowed.extend(network(Attrs(item)));
    }
}

fn network(attributes: Attrs<'_>) -> Option<IpNetwork> {
    let bytes = attributes.get(allowed::ADDRESS)?;
    let ip = match number(attributes.get(allowed::FAMILY)?, 0)? {
        AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    IpNetwork::new(ip, *attributes.get(allowed::PREFIX)?.first()?).ok()
}

/// `struct sockaddr_in` or `sockaddr_in6`.
fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let ip = match number(bytes, 0)? {
        AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?).into(),
        AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Of a `struct __kernel_timespec`.
fn seconds(bytes: &[u8]) -> Option<u64> {
    u64::try_from(i64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?)).ok()
}

fn key(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}
