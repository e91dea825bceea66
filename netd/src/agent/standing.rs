//! How the agent stands: what readiness, systemd's status line and plugins are told.

use std::collections::BTreeMap;

use netd_api::SubnetEnv;
use netd_api::attach::{Lease, Subnet};

use super::memory::Acquired;
use super::uplink::Unfit;
use crate::reconcile::Health;
use crate::registry;

/// How the agent stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// What it waits for before it has a lease, with the reason.
    pub(super) waiting: String,
    /// Since when the lease is this host's.
    pub(super) acquired: Option<Acquired>,
    /// Why the lease is not this host's any more.
    pub(super) lost: Option<String>,
    /// Why the store did not answer at first, of an outage that lasts: what is known is as old.
    pub(super) away: Option<String>,
    /// What time has made wrong though nothing has happened.
    pub(super) overdue: Option<String>,
    /// Why the interface between hosts cannot be used as it is by now.
    pub(super) unfit: Option<Unfit>,
    /// Why the network configuration of the store is not the one in force.
    pub(super) refused: Option<String>,
    /// How many hosts count as there though the store has no lease of theirs.
    pub(super) missing: usize,
    /// What the kernel holds.
    pub(super) health: Health,
    /// The subnet, once leased.
    pub(super) env: Option<SubnetEnv>,
    /// What is wrong with commands of backend `extension`, by the host's subnet that one is about, or its key.
    pub(super) commands: BTreeMap<String, String>,
    /// Why the files for others cannot be written.
    pub(super) unwritten: Option<String>,
    /// They are written.
    pub(super) announced: bool,
    /// How the networks of this host stand.
    pub(super) networks: registry::Health,
    /// There is no cluster, so networks are all there is.
    pub(super) standalone: bool,
}

/// What an administrator can do about a subnet that another host has.
const REMEDY: &str = "containers stay, and no more are attached: release the other's lease, or give this host \
     another subnet by `netd lease acquire --new` (or remove its containers)";

impl Standing {
    /// Another lease is asked for: nothing is known of it.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { away: self.away.take(), ..Self::default() };
    }

    /// Why containers could not be attached now, or not be reached; `None` when all is well.
    pub(super) fn not_ready(&self) -> Option<String> {
        if self.standalone {
            return self.networks.trouble.clone();
        }
        if self.env.is_none() {
            let waiting = Some(self.waiting.clone()).filter(|waiting| !waiting.is_empty());
            let what = self.trouble_of_commands().or(waiting);
            return Some(what.unwrap_or_else(|| "starting".to_owned()));
        }
        if let Some(reason) = &self.lost {
            return Some(format!("the lease is lost: {reason}; {REMEDY}"));
        }
        if let Some(reason) = &self.health.trouble {
            return Some(format!("the overlay is not as it should be: {reason}"));
        }
        if !self.health.synced {
            return Some("the other hosts of the cluster are not known yet".to_owned());
        }
        if let Some(Unfit { harmless: false, reason }) = &self.unfit {
            return Some(reason.clone());
        }
        if let Some(reason) = &self.overdue {
            return Some(reason.clone());
        }
        if let Some(reason) = &self.unwritten {
            return Some(reason.clone());
        }
        (!self.announced).then(|| "starting".to_owned())
    }

    /// One sentence on the commands of backend `extension` that failed, or take long.
    pub(super) fn trouble_of_commands(&self) -> Option<String> {
        let one = self.commands.values().next()?;
        let others = self.commands.len() - 1;
        let others = (others > 0).then(|| format!("; and {others} more"));
        Some(format!("{one}{}", others.unwrap_or_default()))
    }

    /// What else there is to say of one that is ready.
    pub(super) fn remark(&self) -> Option<String> {
        let away = self
            .away
            .as_ref()
            .map(|why| format!("the store is away, what was known before stays in force: {why}"));
        let refused = self
            .refused
            .as_ref()
            .map(|why| format!("the network configuration of the store is not followed: {why}"));
        let missing = (self.missing > 0).then(|| {
            format!(
                "{} hosts are missing in the store: what leads to them stays, for a time",
                self.missing
            )
        });
        let unfit = self.unfit.as_ref().map(|unfit| unfit.reason.clone());
        let registry::Health { trouble, dns, clashes, .. } = self.networks.clone();
        let commands = self.trouble_of_commands();
        let all = [away, refused, missing, unfit, commands, trouble, dns].into_iter().flatten();
        let all: Vec<String> = all.chain(clashes).chain(self.networks.of_cluster()).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        if let Some(reason) = self.not_ready() {
            return reason;
        }
        if self.standalone {
            let line = "the networks of this host are served; there is no cluster";
            let all = std::iter::once(line.to_owned()).chain(self.remark());
            return all.collect::<Vec<_>>().join("; ");
        }
        let subnet = self.env.as_ref().and_then(|env| env.subnet);
        let subnet = subnet.map(|net| net.to_string()).unwrap_or_default();
        let Health { peers, unconnected, reason, .. } = &self.health;
        let mut line = format!("{subnet}, {peers} peers");
        if let Some(reason) = reason {
            line.push_str(&format!(", {unconnected} of them not connected ({reason})"));
        }
        if let Some(remark) = self.remark() {
            line.push_str(&format!("; {remark}"));
        }
        line
    }

    /// For plugins.
    pub(super) fn subnet(&self) -> Subnet {
        if self.standalone {
            let reason = "netd runs without a cluster (--standalone)".to_owned();
            return Subnet { reason, ..Subnet::default() };
        }
        let reason = self.not_ready();
        let lease = match (&self.env, &self.lost) {
            (None, _) => Lease::None,
            (Some(_), None) => Lease::Held,
            (Some(_), Some(_)) => Lease::Lost,
        };
        Subnet {
            lease,
            ready: reason.is_none(),
            env: self.env.clone(),
            reason: reason.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::global::Membership;

    fn ready() -> Standing {
        Standing {
            health: Health { synced: true, peers: 3, ..Health::default() },
            env: Some(SubnetEnv { mtu: 1450, ..SubnetEnv::default() }),
            announced: true,
            ..Standing::default()
        }
    }

    #[test]
    fn it_is_ready_only_when_containers_can_be_attached_and_reached() {
        assert_eq!(ready().not_ready(), None);
        let lost = Standing { lost: Some("host b has it".into()), ..ready() };
        assert!(lost.not_ready().unwrap().contains("host b has it"));
        let trouble = Health { trouble: Some("no link eth0".into()), ..ready().health };
        let trouble = Standing { health: trouble, ..ready() };
        assert!(trouble.not_ready().unwrap().contains("no link eth0"));
        let overdue = Standing { overdue: Some("no sign of life".into()), ..ready() };
        assert_eq!(overdue.not_ready().as_deref(), Some("no sign of life"));
        let early = Standing { health: Health::default(), ..ready() };
        assert!(early.not_ready().is_some());
        assert!(Standing { env: None, ..ready() }.not_ready().is_some());
        assert!(Standing { announced: false, ..ready() }.not_ready().is_some());
    }

    #[test]
    fn a_peer_that_is_not_connected_is_told_and_does_not_take_readiness_away() {
        let health = Health {
            unconnected: 1,
            reason: Some("10.5.9.0-24: its lease has no BackendData".into()),
            ..ready().health
        };
        let standing = Standing { health, ..ready() };
        assert_eq!(standing.not_ready(), None);
        assert!(standing.line().contains("1 of them not connected (10.5.9.0-24"));
    }

    #[test]
    fn a_command_that_failed_is_told_and_takes_no_readiness_away_but_that_of_a_start() {
        let failed = |about: &str| (about.to_owned(), format!("{about} failed: why"));
        let commands = [failed("10.5.1.0-24"), failed("10.5.2.0-24")].into();
        let standing = Standing { commands, ..ready() };
        assert_eq!(standing.not_ready(), None);
        let told = "10.5.1.0-24 failed: why; and 1 more";
        assert!(standing.line().ends_with(told), "{}", standing.line());
        let starting = Standing { env: None, commands: [failed("x")].into(), ..ready() };
        assert_eq!(starting.not_ready().as_deref(), Some("x failed: why"));
    }

    #[test]
    fn a_store_that_is_away_is_told_and_does_not_take_readiness_away() {
        let standing = Standing { away: Some("no etcd answers".into()), ..ready() };
        assert_eq!(standing.not_ready(), None);
        assert!(standing.line().contains("the store is away"), "{}", standing.line());
        assert!(standing.line().ends_with("no etcd answers"), "{}", standing.line());
    }

    #[test]
    fn a_configuration_that_is_not_followed_is_told_and_one_without_an_address_takes_readiness() {
        let standing = Standing { refused: Some("its Backend.VNI is 2".into()), ..ready() };
        assert_eq!(standing.not_ready(), None);
        assert!(standing.line().ends_with("not followed: its Backend.VNI is 2"));
        let unfit = |harmless| Unfit { harmless, reason: "eth0 has no address".into() };
        let standing = Standing { unfit: Some(unfit(true)), ..ready() };
        assert_eq!(standing.not_ready(), None);
        assert!(standing.line().ends_with("eth0 has no address"));
        let standing = Standing { unfit: Some(unfit(false)), ..ready() };
        assert_eq!(standing.not_ready().as_deref(), Some("eth0 has no address"));
    }

    #[test]
    fn trouble_of_overlays_is_told_where_there_are_any_and_does_not_take_readiness_away() {
        let overlays = vec!["overlay n: no namespace".to_owned()];
        let networks = registry::Health { overlays, ..registry::Health::default() };
        let alone = Standing { networks: networks.clone(), ..ready() };
        assert_eq!(alone.remark(), None, "no network is shared");
        let membership = Membership { networks: 1, allocates: false, ..Membership::default() };
        let networks = registry::Health { membership: Some(membership), ..networks };
        let standing = Standing { networks, ..ready() };
        assert_eq!(standing.not_ready(), None);
        let remark = standing.remark().unwrap();
        assert!(remark.starts_with("overlay n: no namespace; no container gets"), "{remark}");
    }

    #[test]
    fn plugins_are_told_of_a_lost_lease_with_the_subnet() {
        let lost = Standing { lost: Some("x".into()), ..ready() }.subnet();
        assert_eq!((lost.lease, lost.ready, lost.env.is_some()), (Lease::Lost, false, true));
    }
}
