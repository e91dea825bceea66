//! What encrypts frames of overlays between hosts: on every host one WireGuard device for all overlays that are
//! encrypted, which their tunnel ends are on.
//!
//! ```text
//! vxlan0 ... UDP 4789, from inner address to inner address ... netd-wg ... UDP 51822 by the uplink
//! ```
//!
//! A host's inner address follows from its public key, so nobody gives it out, and of each peer the device lets
//! that one address in: who a frame says it is from is who has encrypted it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnetwork::{IpNetwork, Ipv6Network};
use netstate::{
    Desired, LinkKind, LinkName, Ns, PublicKey, Scope, Secret, State, WgPeer, WireGuard,
};

use crate::bridge::Standing;
use crate::overlay::Underlay;
use crate::ruleset::Ip;

/// The UDP port of the device: flannel's devices have 51820 and 51821.
pub const PORT: u16 = 51822;

/// `ifalias` of the device: whose it is.
pub const ALIAS: &str = "netd:encryption";

/// The first 48 bits of all inner addresses, which are unique local ones (RFC 4193): "netdw" in ASCII. They are never
/// seen outside of tunnels.
const PREFIX: [u8; 6] = [0xfd, b'n', b'e', b't', b'd', b'w'];
/// The same in bits.
const PREFIX_LENGTH: u8 = 48;

/// UDP and 32 bytes of WireGuard's (`MESSAGE_MINIMUM_LENGTH`, `drivers/net/wireguard/messages.h`).
const UDP_WIREGUARD: u32 = 8 + 32;

/// The least MTU in bytes of a link that carries IPv6 (RFC 8200, section 5), as the device does.
pub const LEAST_MTU: u32 = 1280;

/// The device of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The host's private key.
    pub key: Secret,
    /// Of the public half, by [`address`].
    pub address: Ipv6Addr,
    /// The largest inner packet in bytes.
    pub mtu: u32,
}

/// The device of another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its public key.
    pub key: PublicKey,
    /// Where it listens.
    pub endpoint: SocketAddr,
}

/// The device's name, on every host the same.
#[must_use]
pub fn link() -> LinkName {
    LinkName::fixed("netd-wg")
}

/// The inner address of the host with this key: 80 bits of the key itself.
#[must_use]
pub fn address(key: &PublicKey) -> Ipv6Addr {
    let mut bytes = [0; 16];
    let parts = PREFIX.iter().chain(&key.0);
    bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
    bytes.into()
}

/// Whether it is an inner address.
#[must_use]
pub fn is_inner(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.octets().starts_with(&PREFIX))
}

/// What tunnel ends of encrypted overlays are on, where the device is on `uplink` and has this address.
#[must_use]
pub fn inner(uplink: &Underlay, address: Ipv6Addr) -> Underlay {
    let header = if Ip::of(uplink.address) == Ip::V4 { 20 } else { 40 };
    let mtu = uplink.mtu.saturating_sub(header + UDP_WIREGUARD);
    Underlay { link: link(), address: address.into(), mtu }
}

impl Device {
    /// The device with what is on it. All inner addresses are reached by it, and those of no peer go nowhere.
    #[must_use]
    pub fn desired<'p>(&self, peers: impl IntoIterator<Item = &'p Peer>) -> Desired {
        let mut host = self.standing().desired(true);
        for peer in peers {
            host.put_wg_peer(WgPeer {
                link: link(),
                key: peer.key,
                endpoint: Some(peer.endpoint),
                allowed: BTreeSet::from([IpAddr::from(address(&peer.key)).into()]),
                preshared: None,
                keepalive: 0,
                alive: false,
            });
        }
        Desired(State::of(Ns::Host, host))
    }

    /// All that the device has, with its peers.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut scope = Scope { neighbours: true, ..Scope::default() };
        self.standing().scope(true, &mut scope);
        scope
    }

    fn standing(&self) -> Standing {
        let net = Ipv6Network::new(self.address, PREFIX_LENGTH).map(IpNetwork::V6);
        Standing {
            name: link(),
            kind: LinkKind::WireGuard(WireGuard { key: Some(self.key.clone()), port: Some(PORT) }),
            alias: ALIAS.to_owned(),
            mac: None,
            mtu: Some(self.mtu),
            gateways: net.into_iter().collect(),
            apart: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use netstate::Plan;

    use super::*;

    fn key(first: u8) -> PublicKey {
        let mut key = [7; 32];
        key[0] = first;
        PublicKey(key)
    }

    fn device() -> Device {
        Device { key: Secret([1; 32]), address: address(&key(1)), mtu: 1440 }
    }

    fn peer(first: u8, endpoint: &str) -> Peer {
        Peer { key: key(first), endpoint: endpoint.parse().unwrap() }
    }

    fn commands(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(|step| step.command(&netstate::NsNames::default())).collect()
    }

    #[test]
    fn an_inner_address_is_unique_local_and_follows_from_the_key() {
        assert_eq!(address(&key(1)).to_string(), "fd6e:6574:6477:107:707:707:707:707");
        assert_ne!(address(&key(1)), address(&key(2)));
        assert!(is_inner(address(&key(1)).into()) && address(&key(1)).is_unique_local());
        assert!(!is_inner("fd6e:6574:6478::1".parse().unwrap()));
        assert!(!is_inner([192, 0, 2, 1].into()));
    }

    #[test]
    fn the_device_leaves_room_for_what_encrypts_by_the_family_between_hosts() {
        let uplink = |address: &str| Underlay {
            link: LinkName::fixed("eth0"),
            address: address.parse().unwrap(),
            mtu: 1500,
        };
        let inner = |uplink| inner(&uplink, address(&key(1)));
        let v4 = inner(uplink("192.0.2.1"));
        assert_eq!((v4.link.as_str(), v4.mtu), ("netd-wg", 1440));
        assert_eq!(inner(uplink("2001:db8::1")).mtu, 1420);
        // 70 bytes of VXLAN, which is over IPv6 whatever is between hosts.
        assert_eq!(crate::overlay::mtu(&v4, None), 1370);
    }

    #[test]
    fn the_device_is_made_with_its_address_and_a_peer_may_send_from_its_own_alone() {
        let all = commands(&Plan::create(&device().desired(&[peer(2, "192.0.2.2:51822")])));
        let all = all.join("\n");
        for part in [
            "type wireguard",
            "fd6e:6574:6477:107:707:707:707:707/48 dev netd-wg",
            "listen-port 51822",
            "endpoint 192.0.2.2:51822",
            "allowed-ips fd6e:6574:6477:207:707:707:707:707/128",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }

    #[test]
    fn a_peer_that_comes_moves_or_goes_is_one_message_and_all_others_stay() {
        let stays = peer(3, "[2001:db8::3]:51822");
        let (before, after) =
            ([peer(2, "192.0.2.2:51822"), stays], [peer(2, "192.0.2.9:51822"), stays]);
        let change = |before: &[Peer], after: &[Peer]| {
            commands(&Plan::update(&device().desired(before), &device().desired(after)))
        };
        let moved = change(&before, &after);
        assert!(moved.len() == 1 && moved[0].contains("endpoint 192.0.2.9:51822"), "{moved:?}");
        let gone = change(&after, &[stays]);
        assert!(gone.len() == 1 && gone[0].ends_with("remove"), "{gone:?}");
        assert_eq!(change(&after, &after), Vec::<String>::new());
    }
}
