//! What the kernel's events say that something happened to.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use drivers::firewall::iptables;
use drivers::vxlan::ROUTE_PROTOCOL;
use drivers::{encryption, ruleset};
use kernel::Kernel;
use kernel::events::{Events, Notice, Own};
use netstate::nft::Family;

use super::super::Known;
use super::super::endpoints::{Endpoints, Place};
use super::super::overlay::Bulletin;
use crate::network::Id;

/// How the names begin of all threads that keep networks: by them changes are known as their own. The kernel
/// knows 15 bytes of a name.
pub(in crate::registry) const THREADS: &str = "netd-net";

/// The thread's name.
pub(super) const THREAD: &str = "netd-networks";

/// How many commands of a repair are told.
const TOLD: usize = 3;

/// What something happened to.
#[derive(Debug, Default)]
pub(in crate::registry) struct Touched {
    /// The overlay in whose namespace it happened, if it was not on the host.
    pub(in crate::registry) overlay: Option<Id>,
    /// Perhaps all there is.
    pub(in crate::registry) everything: bool,
    /// The table of rules, or what all share in it.
    pub(in crate::registry) rules: bool,
    /// Forwarding, or what iptables' FORWARD accepts.
    pub(in crate::registry) forward: bool,
    /// Networks whose own links may differ.
    pub(in crate::registry) devices: BTreeSet<Id>,
    /// Networks whose links were made anew, or may have lost routes.
    pub(in crate::registry) networks: BTreeSet<Id>,
    /// Whose interfaces may differ.
    pub(in crate::registry) links: BTreeSet<Place>,
    /// Whose elements are gone.
    pub(in crate::registry) elements: BTreeSet<Place>,
}

impl Touched {
    /// Whether all endpoints are looked at for something.
    pub(in crate::registry) fn are_all_concerned(&self) -> bool {
        self.everything || self.rules || self.forward
    }

    /// Whether nothing happened to anything that endpoints have.
    fn is_of_devices_alone(&self) -> bool {
        let none = self.networks.is_empty() && self.links.is_empty() && self.elements.is_empty();
        none && !self.are_all_concerned()
    }
}

/// Who is on the networks whose bridges are kept.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Members {
    pub(in crate::registry) endpoints: Arc<Endpoints>,
    pub(in crate::registry) networks: Known,
    /// Who keeps what is in the namespaces of overlays.
    pub(in crate::registry) overlays: Bulletin,
}

impl Members {
    /// Takes note of an event; whether it is about them.
    pub(in crate::registry) fn notice(&self, notice: &Notice, touched: &mut Touched) -> bool {
        match notice {
            Notice::Link(name) if *name == encryption::link() => {
                self.overlays.of_encryption();
                false
            }
            Notice::Address(ip) if encryption::is_inner(*ip) => {
                self.overlays.of_encryption();
                false
            }
            Notice::Link(name) | Notice::Port(name) => {
                let of = self.endpoints.with_link(name);
                let news = of.is_some();
                touched.links.extend(of);
                news
            }
            // What has no owner is everybody's.
            Notice::Element(comment) if comment.is_empty() => {
                touched.rules = true;
                true
            }
            Notice::Element(comment) => {
                self.overlays.of_element(comment);
                let of = self.endpoints.with_comment(comment);
                let news = of.is_some();
                touched.elements.extend(of);
                news
            }
            Notice::Table => {
                touched.rules = true;
                true
            }
            Notice::Chain | Notice::NotForwarding => {
                touched.forward = true;
                true
            }
            // Who has a veth pair on the host goes with that.
            Notice::NamespaceGone => {
                self.endpoints.suspect_all_on_parents(&self.networks.get());
                false
            }
            Notice::Anywhere
            | Notice::Address(_)
            | Notice::NewAddress(_)
            | Notice::Route(_)
            | Notice::Neighbour(..)
            | Notice::Forwarding(..) => false,
        }
    }

    /// Puts right what they have.
    pub(in crate::registry) fn repair(
        &self,
        kernel: &mut Kernel,
        touched: &Touched,
    ) -> Result<(), String> {
        if touched.is_of_devices_alone() {
            return Ok(());
        }
        let repaired = self.endpoints.repair(kernel, &self.networks.get(), touched);
        if !repaired.done.is_empty() {
            let commands = repaired.done.iter().take(TOLD);
            let commands = commands.map(String::as_str).collect::<Vec<_>>().join("; ");
            tracing::warn!(
                changes = repaired.done.len(),
                commands,
                "what containers have on this host differed; put right"
            );
        }
        repaired.failed.map_or(Ok(()), Err)
    }
}

/// Hears of whatever is kept, from now on.
pub(super) fn listen() -> io::Result<Events> {
    let families = [Family::Ip, Family::Ip6].into_iter();
    let names = ["FORWARD", iptables::CNI_FORWARD];
    let chains = families.flat_map(|ip| names.map(|name| iptables::chain(ip, name))).collect();
    Events::of_networks(Own {
        route_protocol: ROUTE_PROTOCOL,
        table: ruleset::inet_id(),
        chains,
        elements: true,
        free_chain: "user",
        threads: THREADS,
    })
}
