//! WireGuard's generic netlink family as messages, both ways (`include/uapi/linux/wireguard.h`,
//! `drivers/net/wireguard/netlink.c`). Nothing here asks the kernel.

mod read;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;
use netstate::{LinkChange, LinkName, WgPeer};

use crate::generic::header;
use crate::netlink::wire::Writer;

pub(crate) use read::{Device, read_device};

/// The family's name.
pub(crate) const FAMILY: &str = "wireguard";

const GET_DEVICE: u8 = 0;
const SET_DEVICE: u8 = 1;

/// `enum wgdevice_attribute`.
mod device {
    pub(super) const IFNAME: u16 = 2;
    pub(super) const PRIVATE_KEY: u16 = 3;
    pub(super) const LISTEN_PORT: u16 = 6;
    pub(super) const PEERS: u16 = 8;
}

/// `enum wgpeer_attribute`.
mod peer {
    pub(super) const PUBLIC_KEY: u16 = 1;
    pub(super) const PRESHARED_KEY: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const ENDPOINT: u16 = 4;
    pub(super) const KEEPALIVE: u16 = 5;
    pub(super) const LAST_HANDSHAKE: u16 = 6;
    pub(super) const ALLOWED: u16 = 9;
    pub(super) const REMOVE_ME: u32 = 1;
    pub(super) const REPLACE_ALLOWED: u32 = 2;
}

/// `enum wgallowedip_attribute`.
mod allowed {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const ADDRESS: u16 = 2;
    pub(super) const PREFIX: u16 = 3;
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// A preshared key of zeros is none (`set_peer()`).
const NO_SECRET: [u8; 32] = [0; 32];

/// Asks for a device with all its peers.
pub(crate) fn get_device(link: &LinkName, out: &mut Vec<u8>) {
    header(out, GET_DEVICE);
    Writer(out).str(device::IFNAME, link.as_str());
}

/// Changes a device; what is no setting of WireGuard's is passed over.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other changes are rtnetlink's")]
pub(crate) fn set_device(link: &LinkName, changes: &[LinkChange], out: &mut Vec<u8>) {
    header(out, SET_DEVICE);
    let mut writer = Writer(out);
    writer.str(device::IFNAME, link.as_str());
    for change in changes {
        match change {
            LinkChange::PrivateKey(key) => drop(writer.bytes(device::PRIVATE_KEY, &key.0)),
            LinkChange::ListenPort(port) => {
                writer.bytes(device::LISTEN_PORT, &port.to_ne_bytes());
            }
            _ => {}
        }
    }
}

/// Makes a peer what it is to be; an endpoint that is not said stays.
pub(crate) fn put_peer(wanted: &WgPeer, out: &mut Vec<u8>) {
    one_peer(wanted, out, |writer| {
        let secret = wanted.preshared.as_ref().map_or(NO_SECRET, |secret| secret.0);
        writer.ne32(peer::FLAGS, peer::REPLACE_ALLOWED);
        writer.bytes(peer::PRESHARED_KEY, &secret);
        if let Some(endpoint) = wanted.endpoint {
            writer.bytes(peer::ENDPOINT, &socket_address(endpoint));
        }
        writer.bytes(peer::KEEPALIVE, &wanted.keepalive.to_ne_bytes());
        writer.nest(peer::ALLOWED, |list| {
            for net in &wanted.allowed {
                list.nest(0, |item| push_network(item, *net));
            }
        });
    });
}

/// Removes a peer; one that is gone is no error.
pub(crate) fn remove_peer(gone: &WgPeer, out: &mut Vec<u8>) {
    one_peer(gone, out, |writer| {
        writer.ne32(peer::FLAGS, peer::REMOVE_ME);
    });
}

fn one_peer(about: &WgPeer, out: &mut Vec<u8>, rest: impl FnOnce(&mut Writer<'_>)) {
    header(out, SET_DEVICE);
    let mut writer = Writer(out);
    writer.str(device::IFNAME, about.link.as_str());
    writer.nest(device::PEERS, |peers| {
        peers.nest(0, |writer| {
            writer.bytes(peer::PUBLIC_KEY, &about.key.0);
            rest(writer);
        });
    });
}

fn push_network(item: &mut Writer<'_>, net: IpNetwork) {
    let family = if net.is_ipv4() { AF_INET } else { AF_INET6 };
    item.bytes(allowed::FAMILY, &family.to_ne_bytes());
    match net.network() {
        IpAddr::V4(ip) => item.bytes(allowed::ADDRESS, &ip.octets()),
        IpAddr::V6(ip) => item.bytes(allowed::ADDRESS, &ip.octets()),
    };
    item.bytes(allowed::PREFIX, &[net.prefix()]);
}

/// `struct sockaddr_in` or `sockaddr_in6`.
fn socket_address(endpoint: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match endpoint {
        SocketAddr::V4(v4) => {
            bytes.extend_from_slice(&AF_INET.to_ne_bytes());
            bytes.extend_from_slice(&v4.port().to_be_bytes());
            bytes.extend_from_slice(&v4.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend_from_slice(&AF_INET6.to_ne_bytes());
            bytes.extend_from_slice(&v6.port().to_be_bytes());
            bytes.extend_from_slice(&v6.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&v6.ip().octets());
            bytes.extend_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}
