//! The ends of WireGuard tunnels and their peers (`include/uapi/linux/wireguard.h`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnetwork::IpNetwork;

use crate::name::LinkName;
use crate::state::NetState;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Not the base64 of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: write its {KEY_BYTES} bytes in base64, as `wg genkey` does")]
pub struct NotAKey;

/// A private or preshared key, which is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(pub [u8; KEY_BYTES]);

/// A public key; displays as base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

/// A tunnel end. Both can be changed while all that is on the link stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WireGuard {
    /// The private key; without, the link carries nothing.
    pub key: Option<Secret>,
    /// UDP port it listens on; one of the kernel's choice without.
    pub port: Option<u16>,
}

/// Another end, known by its public key: of each key a link has one peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WgPeer {
    /// The link.
    pub link: LinkName,
    /// Who it is.
    pub key: PublicKey,
    /// Where packets for it are sent.
    pub endpoint: Option<SocketAddr>,
    /// Inner addresses that lead to it, and that it may send from. On a link each network leads to
    /// one peer: the last one that was given it.
    pub allowed: BTreeSet<IpNetwork>,
    /// A secret that both have beside their keys.
    pub preshared: Option<Secret>,
    /// Seconds between empty packets that keep a translation of addresses on the way alive; 0 sends
    /// none.
    pub keepalive: u16,
    /// It was heard of lately, by the endpoint that is known: that is the right one, whatever is
    /// wanted. Only where it was observed.
    pub alive: bool,
}

impl Secret {
    /// As in a key file.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl FromStr for Secret {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        decode(text).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        decode(text).map(Self)
    }
}

impl WgPeer {
    /// Whether this peer, as it is, is the one wanted.
    pub(crate) fn is(&self, want: &Self) -> bool {
        let has_roamed = self.alive && self.endpoint.is_some();
        self.allowed == want.allowed
            && self.preshared == want.preshared
            && self.keepalive == want.keepalive
            && (self.endpoint == want.endpoint || want.endpoint.is_none() || has_roamed)
    }
}

impl NetState {
    /// Puts a peer in the place of the one of its key. What leads to it leads to no other any more
    /// (`wg_allowedips_insert_v4()`, `drivers/net/wireguard/allowedips.c`).
    pub fn put_wg_peer(&mut self, peer: WgPeer) {
        for other in self.wg_peers.values_mut().filter(|other| other.link == peer.link) {
            other.allowed.retain(|net| !peer.allowed.contains(net));
        }
        self.wg_peers.insert((peer.link.clone(), peer.key), peer);
    }
}

fn decode(text: &str) -> Result<[u8; KEY_BYTES], NotAKey> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| NotAKey)?;
    bytes.try_into().map_err(|_| NotAKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_base64_and_a_secret_is_not_printed() {
        let text = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
        let key: PublicKey = text.parse().unwrap();
        assert_eq!((key.0[0], key.0[31], key.to_string().as_str()), (1, 32, text));
        let secret: Secret = format!("{text}\n").parse().unwrap();
        assert_eq!(
            (format!("{secret:?}").as_str(), secret.to_base64().as_str()),
            ("(secret)", text)
        );
        for wrong in ["", "AQID", "not base64", &text[1..]] {
            assert_eq!(wrong.parse::<Secret>(), Err(NotAKey));
        }
    }

    #[test]
    fn an_endpoint_that_a_peer_was_heard_of_by_is_left_to_it() {
        let endpoint = |text: &str| Some(text.parse().unwrap());
        let want = WgPeer {
            link: LinkName::fixed("wg"),
            key: PublicKey([1; KEY_BYTES]),
            endpoint: endpoint("192.0.2.1:51820"),
            allowed: BTreeSet::new(),
            preshared: None,
            keepalive: 0,
            alive: false,
        };
        let dead = WgPeer { endpoint: endpoint("192.0.2.1:4000"), ..want.clone() };
        assert!(!dead.is(&want) && WgPeer { alive: true, ..dead.clone() }.is(&want));
        assert!(!WgPeer { alive: true, keepalive: 5, ..dead }.is(&want));
    }
}
