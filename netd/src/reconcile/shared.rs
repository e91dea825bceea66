//! Peers of WireGuard that several leases are about: a host with two subnets has one key.

use netstate::{Op, Plan, WgPeer};

use super::work::Work;

impl Work {
    /// Whether a plan that was made for some leases touches what others want, too: only a look at all
    /// of them tells what the peer may send from.
    pub(super) fn touches_shared(&self, plan: &Plan) -> bool {
        let touched: Vec<(&WgPeer, usize)> =
            plan.steps.iter().filter_map(|step| about(&step.op)).collect();
        if touched.is_empty() {
            return false;
        }
        let claims = self.peers.wg_claims();
        touched.into_iter().any(|(peer, enough)| {
            claims.get(&(peer.link.clone(), peer.key)).is_some_and(|count| *count >= enough)
        })
    }
}

/// The peer that is changed, and how many leases must want it for it to be shared.
fn about(op: &Op) -> Option<(&WgPeer, usize)> {
    if let Op::AddWgPeer(peer) = op {
        Some((peer, 2))
    } else if let Op::DelWgPeer(peer) = op {
        Some((peer, 1))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use netstate::{LinkName, NetState, PublicKey, Route};

    use super::super::peers::Peers;
    use super::*;
    use crate::lease::{LeaseValue, Peer, SubnetKey};

    fn lease(subnet: &str, key: u8, revision: i64) -> (Peer, NetState) {
        let subnet: SubnetKey = subnet.parse().unwrap();
        let value = LeaseValue::new([192, 0, 2, key].into());
        let link = LinkName::fixed("flannel-wg");
        let mut wanted = NetState::default();
        wanted.put_wg_peer(WgPeer {
            link: link.clone(),
            key: PublicKey([key; 32]),
            endpoint: None,
            allowed: subnet.networks().collect(),
            preshared: None,
            keepalive: 0,
            alive: false,
        });
        wanted.routes.extend(subnet.networks().map(|net| Route::new(net, link.clone())));
        (Peer { subnet, value, revision, session: None }, wanted)
    }

    #[test]
    fn a_network_of_two_hosts_leads_to_the_one_that_has_its_route() {
        let mut peers = Peers::default();
        let early = lease("10.5.2.0-24&fd05:0:0:2::-64", 1, 1);
        let late = lease("10.5.3.0-24&fd05:0:0:2::-64", 2, 2);
        let keys = [early.0.subnet, late.0.subnet];
        for (peer, wanted) in [early, late] {
            peers.put(peer, Ok(wanted));
        }
        let allowed =
            keys.map(|key| peers.held(&key).wg_peers.into_values().next().unwrap().allowed);
        assert_eq!(allowed.map(|nets| nets.len()), [1, 2]);
        assert_eq!(peers.wg_claims().len(), 2);
    }
}
