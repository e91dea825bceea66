//! What hosts share beside flannel's leases, within the agent: it needs no network configuration, only etcd.

use std::sync::Arc;
use std::time::Duration;

use cni::ErrorChain;
use drivers::encryption;
use kernel::Kernel;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::uplink::Rhythm;
use super::{AgentError, secret};
use crate::backend::public_key;
use crate::config::options::{IfaceOptions, Options};
use crate::global::{Cluster, Encrypts, Keys, Member, Place};
use crate::lease::Host;
use crate::registry::{self, Opened, Registry};
use crate::store::Store;
use crate::underlay::{self, Carrier};

/// What this host knows of the cluster's networks.
///
/// # Errors
/// Where a prefix cannot be used, or the memory not be read.
pub(super) async fn open(
    options: &Options,
    store: &Arc<dyn Store>,
    local: &Arc<dyn Store>,
    host: &Host,
) -> Result<Cluster, AgentError> {
    let keys = options.store.keyspace().map_err(AgentError::Prefix)?;
    let place = Place {
        store: Arc::clone(store),
        keys: Keys::below(keys.own()),
        local: Arc::clone(local),
        host: host.clone(),
        time_to_live: options.subnet_ttl,
        key: secret::own(&options.state_dir.join(secret::OF_OVERLAYS))
            .map_err(|error| ErrorChain(&error).to_string()),
    };
    Cluster::open(place).await.map_err(AgentError::Local)
}

/// Takes part in the cluster's networks until dropped.
pub(super) fn run(
    cluster: &Cluster,
    options: &Options,
    host: &Host,
    opened: &Opened,
) -> JoinSet<()> {
    let first = look(&options.iface, None);
    let member = Member {
        host: host.name.clone(),
        vtep: first.as_ref().ok().map(|found| found.public),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wireguard: cluster
            .key()
            .ok()
            .map(|key| Encrypts { key: public_key(&key), port: encryption::PORT }),
    };
    let (tell, told) = watch::channel(member);
    let mut tasks = cluster.run(told);
    let (tell_below, below) = watch::channel(Below { carrier: first.ok(), trouble: None });
    let following = Following {
        options: options.iface.clone(),
        every: options.resync,
        cluster: cluster.clone(),
        tell,
        tell_below,
    };
    tasks.spawn(following.run(opened.clone()));
    tasks.spawn(put_underlay(opened.clone(), below));
    tasks
}

/// What is between hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Below {
    /// As it was seen last.
    carrier: Option<Carrier>,
    /// Why it cannot be seen now.
    trouble: Option<String>,
}

/// Follows the interface between hosts for the networks of the cluster.
struct Following {
    options: IfaceOptions,
    /// How often it is looked at though nothing was heard of.
    every: Duration,
    cluster: Cluster,
    tell: watch::Sender<Member>,
    tell_below: watch::Sender<Below>,
}

impl Following {
    /// Tells by which address this host is reached, and whenever that changes.
    async fn run(self, mut opened: Opened) {
        // Who keeps networks hears of links and addresses.
        let hints = match opened.wait_for(Result::is_ok).await {
            Ok(registry) => registry.as_ref().ok().map(Registry::uplink),
            Err(_) => None,
        };
        let Some(hints) = hints else { return };
        let mut rhythm = Rhythm::new(hints, self.every);
        loop {
            let options = self.options.clone();
            let in_force = self.tell_below.borrow().carrier.clone();
            let looked =
                tokio::task::spawn_blocking(move || look(&options, in_force.as_ref())).await;
            let found = looked.unwrap_or_else(|stopped| Err(stopped.to_string()));
            self.note(found.as_ref().err().cloned());
            // What cannot be seen for a moment is as it was.
            let has_seen = found.map(|found| self.take(found)).is_ok();
            if !rhythm.wait(has_seen).await {
                return;
            }
        }
    }

    fn take(&self, found: Carrier) {
        let (before, address) = (self.tell.borrow().vtep, Some(found.public));
        self.tell.send_if_modified(|member| {
            member.vtep = address;
            before != address
        });
        if before.is_some() && before != address {
            // What was connected by the address before hears nothing any more.
            self.cluster.reconnect();
        }
        self.tell_below.send_if_modified(|below| {
            let news = below.carrier.as_ref() != Some(&found);
            below.carrier = Some(found);
            news
        });
    }

    /// Notes why there is none, or that there is one.
    fn note(&self, why: Option<String>) {
        self.tell_below.send_if_modified(|below| {
            let news = below.trouble != why;
            match &why {
                Some(reason) if news => {
                    tracing::warn!(reason, "no interface between hosts for networks of the cluster")
                }
                None if news => tracing::info!("there is an interface between hosts"),
                Some(_) | None => {}
            }
            below.trouble = why;
            news
        });
    }
}

/// Tells networks that were just opened what is between hosts now; where that cannot be seen, whoever follows it
/// tells why.
pub(super) fn put_first_underlay(registry: &Registry, options: &IfaceOptions) {
    if let Ok(found) = look(options, None) {
        put(registry, found);
    }
}

fn put(registry: &Registry, Carrier { link, mtu, address, .. }: Carrier) {
    registry.put_underlay(registry::Underlay { link, address, mtu });
}

/// Tells the networks of this host, as soon as they are there.
async fn put_underlay(mut opened: Opened, mut below: watch::Receiver<Below>) {
    loop {
        let registry = opened.borrow_and_update().as_ref().ok().cloned();
        let Below { carrier, trouble } = below.borrow_and_update().clone();
        if let Some(registry) = registry {
            if let Some(found) = carrier {
                put(&registry, found);
            }
            registry.note_underlay(trouble);
        }
        // Where one does not change any more, the other may.
        let changed = tokio::select! {
            Ok(()) = opened.changed() => true,
            Ok(()) = below.changed() => true,
            else => false,
        };
        if !changed {
            return;
        }
    }
}

fn look(options: &IfaceOptions, in_force: Option<&Carrier>) -> Result<Carrier, String> {
    let seen = underlay::look(&mut Kernel::open(None), options);
    let seen = seen.map_err(|error| ErrorChain(&error).to_string())?;
    let found = match in_force {
        Some(in_force) => underlay::follow_carrier(options, &seen, in_force),
        None => underlay::choose_carrier(options, &seen),
    };
    found.map_err(|error| error.to_string())
}
