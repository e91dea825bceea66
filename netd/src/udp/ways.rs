//! Where which subnet is.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use crate::lease::{ClusterEvent, Peer, SubnetKey};

/// Hosts by the subnets that they have; of several the longest prefix decides.
#[derive(Debug, Default)]
pub struct Ways {
    /// By prefix length, and the network in it. There are few lengths: as a rule one.
    hosts: BTreeMap<Reverse<u8>, BTreeMap<Ipv4Addr, Ipv4Addr>>,
}

impl Ways {
    /// What happened to other hosts. As with flannel their backend does not matter.
    pub fn take(&mut self, event: &ClusterEvent) {
        match event {
            ClusterEvent::Reset(view) => {
                self.hosts.clear();
                view.peers.values().for_each(|peer| self.put(peer));
            }
            ClusterEvent::Put(peer) => self.put(peer),
            ClusterEvent::Deleted(key) => self.delete(key),
            ClusterEvent::Replaced { old, new } => {
                self.delete(old);
                self.put(new);
            }
            ClusterEvent::Renewed(_) | ClusterEvent::Store(_) | ClusterEvent::Malformed { .. } => {}
        }
    }

    /// The host whose subnet an address is in.
    pub(super) fn host_of(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        self.hosts.iter().find_map(|(Reverse(prefix), of_length)| {
            let network = Ipv4Network::new(to, *prefix).ok()?.network();
            of_length.get(&network).copied()
        })
    }

    fn put(&mut self, peer: &Peer) {
        let (net, host) = (peer.subnet.v4, peer.value.public_ip);
        self.hosts.entry(Reverse(net.prefix())).or_default().insert(net.network(), host);
    }

    fn delete(&mut self, key: &SubnetKey) {
        if let Some(of_length) = self.hosts.get_mut(&Reverse(key.v4.prefix())) {
            of_length.remove(&key.v4.network());
        }
        self.hosts.retain(|_, of_length| !of_length.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{ClusterView, LeaseValue};

    fn peer(subnet: &str, host: u8) -> Peer {
        let value = LeaseValue::new([192, 0, 2, host].into());
        Peer { subnet: subnet.parse().unwrap(), value, revision: 1, session: None }
    }

    #[test]
    fn the_longest_prefix_decides_and_what_is_gone_leads_nowhere() {
        let mut ways = Ways::default();
        ways.take(&ClusterEvent::Put(peer("10.5.0.0-16", 1)));
        ways.take(&ClusterEvent::Put(peer("10.5.9.0-24", 2)));
        let to = |ways: &Ways, text: &str| {
            ways.host_of(text.parse().unwrap()).map(|host| host.octets()[3])
        };
        assert_eq!((to(&ways, "10.5.9.7"), to(&ways, "10.5.8.7")), (Some(2), Some(1)));
        assert_eq!(to(&ways, "10.6.0.1"), None);
        ways.take(&ClusterEvent::Deleted("10.5.9.0-24".parse().unwrap()));
        assert_eq!(to(&ways, "10.5.9.7"), Some(1));
        ways.take(&ClusterEvent::Reset(ClusterView::default()));
        assert_eq!(to(&ways, "10.5.9.7"), None);
    }
}
