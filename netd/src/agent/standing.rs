//! How the agent stands: what readiness, systemd's status line and plugins are told.

use netd_api::SubnetEnv;
use netd_api::attach::{Lease, Subnet};

use super::uplink::Unfit;
use crate::reconcile::Health;

/// How the agent stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// What it waits for before it has a lease, with the reason.
    pub(super) waiting: String,
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
    /// Why the files for others cannot be written.
    pub(super) unwritten: Option<String>,
    /// They are written.
    pub(super) announced: bool,
}

impl Standing {
    /// Why containers could not be attached now, or not be reached; `None` when all is well.
    pub(super) fn not_ready(&self) -> Option<String> {
        if self.env.is_none() {
            let what = if self.waiting.is_empty() { "starting" } else { &self.waiting };
            return Some(what.to_owned());
        }
        if let Some(reason) = &self.lost {
            return Some(format!("the lease is lost: {reason}"));
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
        let all: Vec<String> = [away, refused, missing, unfit].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        if let Some(reason) = self.not_ready() {
            return reason;
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
    fn plugins_are_told_of_a_lost_lease_with_the_subnet() {
        let lost = Standing { lost: Some("x".into()), ..ready() }.subnet();
        assert_eq!((lost.lease, lost.ready, lost.env.is_some()), (Lease::Lost, false, true));
    }
}
