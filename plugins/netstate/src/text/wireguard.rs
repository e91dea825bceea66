//! Commands for WireGuard. Secrets are not printed: they are read from standard input.

use super::shell::{Line, Tool, Words};
use crate::link::LinkChange;
use crate::wireguard::{WgPeer, WireGuard};

pub(super) fn changes_of(wireguard: &WireGuard) -> Vec<LinkChange> {
    let port = wireguard.port.map(LinkChange::ListenPort);
    port.into_iter().chain(wireguard.key.clone().map(LinkChange::PrivateKey)).collect()
}

pub(super) fn add_peer(peer: &WgPeer) -> Vec<Line> {
    let mut words = start(peer);
    if peer.preshared.is_some() {
        words.word("preshared-key /dev/stdin");
    }
    words.pair_if("endpoint", peer.endpoint);
    words.pair("persistent-keepalive", peer.keepalive);
    let allowed: Vec<String> = peer.allowed.iter().map(ToString::to_string).collect();
    words.pair("allowed-ips", allowed.join(","));
    vec![words.into_line(Tool::Wg)]
}

pub(super) fn del_peer(peer: &WgPeer) -> Vec<Line> {
    let mut words = start(peer);
    words.word("remove");
    vec![words.into_line(Tool::Wg)]
}

fn start(peer: &WgPeer) -> Words {
    let mut words = Words::new("set");
    words.word(super::shell::quote(peer.link.as_str()).as_str());
    words.pair("peer", peer.key);
    words
}
