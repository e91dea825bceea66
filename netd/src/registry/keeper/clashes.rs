//! Subnets of networks that lead two ways: routes of the host, or a cluster's network, that came after them.
//!
//! What is wrong is told; nothing is done about it, as nobody here knows which of both is to go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cni::ErrorChain;
use ipnetwork::IpNetwork;
use kernel::{Destination, Error, Kernel};
use netstate::LinkName;
use tokio::sync::watch;

use super::work::SETTLING;
use crate::network::{ClusterNetwork, Device, Id, Span, leads_out};

/// Between two looks: all routes are listed, and they may change a thousand times a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Sentences about networks.
pub(in crate::registry) type ClashTexts = BTreeMap<Id, Vec<String>>;

/// What overlaps subnets of networks.
pub(super) struct Clashes {
    /// By family and first address; no two of them overlap.
    subnets: BTreeMap<(bool, u128), Mine>,
    clusters: Vec<ClusterNetwork>,
    /// When to look.
    pub(super) due: Option<Instant>,
    earliest: Instant,
    tell: watch::Sender<ClashTexts>,
}

struct Mine {
    net: IpNetwork,
    id: Id,
    network: String,
    bridge: LinkName,
}

impl Clashes {
    pub(super) fn new(tell: watch::Sender<ClashTexts>) -> Self {
        let (subnets, clusters) = (BTreeMap::new(), Vec::new());
        Self { subnets, clusters, due: None, earliest: Instant::now(), tell }
    }

    /// A network is there.
    pub(super) fn add(&mut self, device: &Device) {
        let Some(bridge) = device.bridge() else { return };
        for net in &device.subnets {
            let mine = Mine {
                net: *net,
                id: device.id.clone(),
                network: device.network.clone(),
                bridge: bridge.name.clone(),
            };
            self.subnets.insert(first(*net), mine);
        }
        self.look_soon();
    }

    /// A network is gone.
    pub(super) fn remove(&mut self, device: &Device) {
        device.subnets.iter().for_each(|net| drop(self.subnets.remove(&first(*net))));
        self.tell.send_if_modified(|told| told.remove(&device.id).is_some());
    }

    /// These are the clusters' networks.
    pub(super) fn put_clusters(&mut self, clusters: Vec<ClusterNetwork>) {
        self.clusters = clusters;
        self.look_soon();
    }

    /// A route has come, or is gone.
    pub(super) fn heard(&mut self, net: IpNetwork) {
        if !leads_out(&net) && self.overlapping(net).next().is_some() {
            self.look_soon();
        }
    }

    /// There is something to look at.
    pub(super) fn look_soon(&mut self) {
        let soon = self.earliest.max(Instant::now() + SETTLING);
        self.due.get_or_insert(soon);
    }

    /// Looks at all routes if it is time, and tells what has changed.
    pub(super) fn act(&mut self, kernel: &mut Kernel, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.earliest = now + PAUSE;
        match self.look(kernel) {
            Ok(told) => {
                self.due = None;
                self.tell(told);
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "routes are not looked at; trying again");
                self.due = Some(self.earliest);
            }
        }
    }

    /// Of each subnet the widest route that overlaps it, and each cluster.
    fn look(&self, kernel: &mut Kernel) -> Result<ClashTexts, Error> {
        // Links come and go and are renamed.
        kernel.forget();
        let mut widest: BTreeMap<(bool, u128), (IpNetwork, Option<LinkName>)> = BTreeMap::new();
        let routes = kernel.destinations()?;
        for Destination { net, link } in routes.into_iter().filter(|route| !leads_out(&route.net)) {
            let mut by = None;
            for (key, mine) in self.overlapping(net) {
                let there = widest.get(key);
                if there.is_some_and(|(wide, _)| wide.prefix() <= net.prefix()) {
                    continue;
                }
                if by.is_none() {
                    by = link.map(|link| kernel.link_at(link)).transpose()?.flatten();
                }
                if by.as_ref() != Some(&mine.bridge) {
                    widest.insert(*key, (net, by.clone()));
                }
            }
        }
        let mut told = ClashTexts::new();
        for (key, (there, by)) in widest {
            let Some(mine) = self.subnets.get(&key) else { continue };
            let by = by.map(|link| format!(" by {link}")).unwrap_or_default();
            let text = format!("{mine} overlaps {there}, which this host has a route to{by}");
            told.entry(mine.id.clone()).or_default().push(text);
        }
        for cluster in &self.clusters {
            for (_, mine) in self.overlapping(cluster.net) {
                let text = format!("{mine} overlaps {cluster}");
                told.entry(mine.id.clone()).or_default().push(text);
            }
        }
        Ok(told)
    }

    fn tell(&self, told: ClashTexts) {
        let has = |all: &ClashTexts, id: &Id, text: &String| {
            all.get(id).is_some_and(|texts| texts.contains(text))
        };
        let each = |all: &ClashTexts, but: &ClashTexts| -> Vec<String> {
            let texts = all.iter().flat_map(|(id, texts)| texts.iter().map(move |text| (id, text)));
            texts.filter(|(id, text)| !has(but, id, text)).map(|(_, text)| text.clone()).collect()
        };
        self.tell.send_if_modified(|before| {
            for clash in each(&told, before) {
                tracing::warn!(%clash, "a network's addresses are somebody else's, too");
            }
            for clash in each(before, &told) {
                tracing::info!(%clash, "no longer so");
            }
            let news = *before != told;
            *before = told;
            news
        });
    }

    /// The subnets that a network has an address in common with.
    fn overlapping(&self, net: IpNetwork) -> impl Iterator<Item = (&(bool, u128), &Mine)> {
        let span = Span::of(net);
        let before = self.subnets.range(..(span.v6, span.first)).next_back();
        let before = before.filter(move |(_, mine)| Span::of(mine.net).overlaps(span));
        before.into_iter().chain(self.subnets.range((span.v6, span.first)..=(span.v6, span.last)))
    }
}

impl std::fmt::Display for Mine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "subnet {} of network {}", self.net, self.network)
    }
}

fn first(net: IpNetwork) -> (bool, u128) {
    let Span { v6, first, .. } = Span::of(net);
    (v6, first)
}

#[cfg(test)]
mod tests;
