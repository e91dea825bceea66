//! What nobody tells of: WireGuard has no events for its peers (`drivers/net/wireguard/netlink.c` has
//! no multicast group, up to Linux 6.18 at least), so they are looked at.

use std::time::{Duration, Instant};

use netstate::{Desired, LinkKind, NetState, Ns, Plan, Scope, State};

use super::work::Work;

/// Between two looks at the peers of this host's devices: one listing of each device.
const EVERY: Duration = Duration::from_secs(5);

impl Work {
    /// Looks at the peers of WireGuard, if that is due; where they differ everything is looked at.
    pub(super) fn look_at_wg_peers(&mut self, now: Instant) {
        if self.next_look.is_none_or(|due| due > now) {
            return;
        }
        self.plan_look(now);
        let mut wanted = NetState { routes: Default::default(), ..self.own.clone() };
        for (key, _) in self.peers.iter() {
            wanted.wg_peers.extend(self.peers.held(key).wg_peers);
        }
        let links = self.goal.overlay.scope().links;
        let scope = Scope { links, neighbours: true, ..Scope::default() };
        let seen = self.host.observe(&scope);
        let wanted = Desired(State::of(Ns::Host, wanted));
        if !seen.is_ok_and(|seen| Plan::between(&seen, &wanted, &scope).is_empty()) {
            self.round_soon();
        }
    }

    /// The peers are as they should be now, where this host has devices of WireGuard.
    pub(super) fn plan_look(&mut self, now: Instant) {
        let is_silent = |kind: &LinkKind| matches!(kind, LinkKind::WireGuard(_));
        let any = self.own.links.values().any(|link| is_silent(&link.kind));
        self.next_look = any.then(|| now + EVERY);
    }
}
