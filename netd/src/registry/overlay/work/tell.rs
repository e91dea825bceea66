//! What is changed, and what is told of it.

use std::time::Instant;

use attach::Refusal;
use drivers::overlay;
use kernel::Kind;
use netstate::{Datapath, LinkKind, Ns, Plan};
use rustix::io::Errno;

use super::{Work, made};
use crate::reconcile::retry::Retry;

/// Frames of all overlays come by one port, which a tunnel end opens on the host.
const PORT_TAKEN: &str =
    ": another program has UDP port 4789, which overlays need (ss -lnup sport = :4789 names it)";

impl Work {
    pub(super) fn apply(&mut self, plan: &Plan) -> Result<(), String> {
        for step in &plan.steps {
            tracing::debug!(command = step.command(&self.names), "apply");
        }
        match self.kernel.apply(plan).failed {
            None => Ok(()),
            Some((step, error)) => {
                let is_taken = error.errno() == Some(Errno::ADDRINUSE.raw_os_error());
                let remedy = match made(&step) {
                    _ if is_taken => PORT_TAKEN.to_owned(),
                    Some(LinkKind::Vxlan(own)) if error.kind() == Kind::Exists => {
                        self.who_has(own.id)
                    }
                    Some(_) | None => String::new(),
                };
                Err(format!("{}: {}{remedy}", step.command(&self.names), Refusal(error)))
            }
        }
    }

    /// Beside one VXLAN device of a number and port the kernel makes no other, in whichever namespaces they are
    /// (`vxlan_vni_in_use()`, `drivers/net/vxlan/vxlan_core.c`).
    fn who_has(&mut self, vni: u32) -> String {
        let there = self.kernel.tunnels_at(&Ns::Host, overlay::PORT).unwrap_or_default();
        match there.into_iter().find(|(_, number)| *number == vni) {
            Some((name, _)) => format!(
                ": device {name} of this host has VNI {vni} on UDP port {PORT} already: remove it (ip link del {name}), \
                 or make the network anew, with another VNI",
                PORT = overlay::PORT
            ),
            None => format!(
                ": a device in another namespace has VNI {vni} on UDP port {PORT} of this host already: remove it \
                 (lsns -t net lists namespaces), or make the network anew, with another VNI",
                PORT = overlay::PORT
            ),
        }
    }

    /// Tells how it stands, and plans another try.
    pub(super) fn note(&mut self, settled: &Result<(), String>) {
        let Err(reason) = settled else {
            if self.retry.take().is_some() {
                tracing::info!(netns = self.at.name, "an overlay is as it should be again");
            }
            return self.tell_sizes();
        };
        self.at.troubles.put(&self.at.network, reason);
        if self.retry.as_ref().is_none_or(|retry| retry.reason != *reason) {
            tracing::error!(netns = self.at.name, %reason, "an overlay is not as it should be; trying again");
        }
        let retry = Retry::after(self.retry.as_ref(), reason.clone(), Instant::now());
        self.next_round = self.next_round.min(retry.due);
        self.retry = Some(retry);
    }
}
