//! What the thread does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kernel::Kernel;
use kernel::events::Notice;
use netstate::LinkName;
use tokio::sync::watch;

use super::clashes::{ClashTexts, Clashes};
use super::seen::Seen;
use super::touched::{Members, Touched};
use super::{Order, devices};
use crate::network::{Device, Id};
use crate::reconcile::inbox::Inbox;
use crate::reconcile::retry::Retry;
use crate::registry::Trouble;
use crate::underlay;

/// After an event others of the same cause follow.
pub(super) const SETTLING: Duration = Duration::from_millis(10);

/// To whom the thread tells what.
pub(super) struct Telling {
    pub(super) trouble: watch::Sender<Trouble>,
    pub(super) clashes: watch::Sender<ClashTexts>,
    /// Hints for who follows the interface between hosts.
    pub(super) uplink: watch::Sender<()>,
}

/// The thread's state.
pub(super) struct Work {
    kernel: Kernel,
    has_ipv6: bool,
    devices: BTreeMap<Id, Device>,
    /// Whose a link is, or is on.
    names: BTreeMap<LinkName, BTreeSet<Id>>,
    addresses: BTreeMap<std::net::IpAddr, Id>,
    members: Members,
    /// What something happened to, and when it is looked at.
    touched: Touched,
    touched_due: Option<Instant>,
    resync: Duration,
    next_round: Instant,
    retry: Option<Retry>,
    clashes: Clashes,
    tell: watch::Sender<Trouble>,
    hint: watch::Sender<()>,
    /// The interface between hosts, once it is known.
    uplink: Option<LinkName>,
}

impl Work {
    pub(super) fn new(resync: Duration, telling: Telling, members: Members) -> Self {
        let Telling { trouble: tell, clashes, uplink: hint } = telling;
        Self {
            kernel: Kernel::open(None),
            has_ipv6: false,
            devices: BTreeMap::new(),
            names: BTreeMap::new(),
            addresses: BTreeMap::new(),
            members,
            touched: Touched::default(),
            touched_due: None,
            resync,
            next_round: Instant::now() + resync,
            retry: None,
            clashes: Clashes::new(clashes),
            tell,
            hint,
            uplink: None,
        }
    }

    pub(super) fn run(&mut self, inbox: &mut Inbox<Order>) {
        self.has_ipv6 = devices::has_ipv6(&mut self.kernel);
        loop {
            inbox.wait(self.pause());
            for order in inbox.inputs() {
                match order {
                    Order::Put(devices, answer) => drop(answer.send(self.put(devices))),
                    Order::Remove(id, answer) => drop(answer.send(self.remove(&id))),
                    Order::Clusters(clusters) => self.clashes.put_clusters(clusters),
                    Order::Look(links, answer) => {
                        drop(answer.send(Seen::of(&mut self.kernel, links)))
                    }
                    Order::Bridge(name, answer) => {
                        drop(answer.send(devices::is_one(&mut self.kernel, &name)))
                    }
                    Order::Again(answer) => {
                        self.next_round = Instant::now();
                        self.act();
                        drop(answer.send(Ok(())));
                    }
                    Order::Uplink(link) => self.uplink = Some(link),
                    Order::Ping(answer) => drop(answer.send(Ok(()))),
                    Order::Stop => return,
                }
            }
            inbox.notices().iter().for_each(|notice| self.notice(notice));
            self.act();
        }
    }

    fn pause(&self) -> Duration {
        let due = [self.touched_due, self.clashes.due].into_iter().flatten().min();
        let due = due.map_or(self.next_round, |due| due.min(self.next_round));
        due.saturating_duration_since(Instant::now())
    }

    fn put(&mut self, devices: Vec<Device>) -> Result<(), String> {
        let ids: Vec<Id> = devices.iter().map(|device| device.id.clone()).collect();
        for device in devices {
            for name in device.links() {
                self.names.entry(name.clone()).or_default().insert(device.id.clone());
            }
            self.addresses.extend(device.addresses().map(|ip| (ip, device.id.clone())));
            self.clashes.add(&device);
            self.devices.insert(device.id.clone(), device);
        }
        let made = self.settle(&ids, true);
        if made.is_err() {
            self.next_round = self.next_round.min(Instant::now() + self.resync);
            self.note(&made);
        }
        made
    }

    fn remove(&mut self, id: &Id) -> Result<(), String> {
        let Some(device) = self.devices.remove(id) else { return Ok(()) };
        self.names.retain(|_, ids| {
            ids.remove(id);
            !ids.is_empty()
        });
        device.addresses().for_each(|ip| drop(self.addresses.remove(&ip)));
        self.touched.devices.remove(id);
        self.clashes.remove(&device);
        if self.retry.is_some() {
            // What could not be made may be what is not wanted any more.
            self.next_round = Instant::now();
        }
        let names = &self.names;
        devices::remove(&mut self.kernel, &device, |name| names.contains_key(name))
    }

    fn notice(&mut self, notice: &Notice) {
        if underlay::may_change(notice, |name| self.uplink.as_ref().is_none_or(|it| it == name)) {
            self.hint.send_replace(());
        }
        let touched: Vec<&Id> = match notice {
            Notice::Anywhere => {
                self.next_round = Instant::now();
                Vec::new()
            }
            Notice::Route(net) => {
                self.clashes.heard(*net);
                Vec::new()
            }
            Notice::Link(name) => self.names.get(name).into_iter().flatten().collect(),
            Notice::Address(ip) => self.addresses.get(ip).into_iter().collect(),
            Notice::Port(_)
            | Notice::NewAddress(_)
            | Notice::Neighbour(..)
            | Notice::Forwarding(..)
            | Notice::Table
            | Notice::Element(_)
            | Notice::Chain
            | Notice::NotForwarding
            | Notice::NamespaceGone => Vec::new(),
        };
        let are_devices = !touched.is_empty();
        for id in touched {
            self.touched.devices.insert(id.clone());
            // The host's routes to containers go with a link beside a parent, or when it is set down.
            if self.devices.get(id).is_some_and(|device| device.bridge().is_none()) {
                self.touched.networks.insert(id.clone());
            }
        }
        if are_devices && self.retry.is_some() {
            // It may be what others wait for.
            self.next_round = self.next_round.min(Instant::now() + SETTLING);
        }
        if self.members.notice(notice, &mut self.touched) || are_devices {
            self.touch();
        }
    }

    fn touch(&mut self) {
        self.touched_due.get_or_insert_with(|| Instant::now() + SETTLING);
    }

    fn act(&mut self) {
        let now = Instant::now();
        self.clashes.act(&mut self.kernel, now);
        let is_round = self.next_round <= now;
        if !is_round && self.touched_due.is_none_or(|due| due > now) {
            return;
        }
        self.touched_due = None;
        let ids: Vec<Id> = match is_round {
            true => self.devices.keys().cloned().collect(),
            false => std::mem::take(&mut self.touched.devices).into_iter().collect(),
        };
        if is_round {
            self.clashes.look_soon();
            self.next_round = now + self.resync;
            self.touched.everything = true;
        }
        // Networks first: interfaces are on bridges. What is touched from here on is for the next time.
        let settled = self.settle(&ids, false);
        let touched = std::mem::take(&mut self.touched);
        let settled = settled.and(self.members.repair(&mut self.kernel, &touched));
        if touched.rules || touched.everything {
            self.members.overlays.of_rules();
        }
        if is_round || settled.is_err() {
            self.note(&settled);
        }
    }

    /// All at once; where that fails each by itself, so that one holds no other up.
    fn settle(&mut self, ids: &[Id], are_new: bool) -> Result<(), String> {
        let devices: Vec<&Device> = ids.iter().filter_map(|id| self.devices.get(id)).collect();
        let mut born = Vec::new();
        let mut settle = |devices: &[&Device]| {
            let made = devices::settle(&mut self.kernel, devices, self.has_ipv6, are_new)?;
            born.extend(made.iter().filter_map(|name| self.names.get(name)).flatten().cloned());
            Ok(())
        };
        let mut settled = settle(&devices);
        if settled.is_err() && devices.len() > 1 {
            settled = Ok(());
            for device in devices {
                settled = settled.and(settle(&[device]));
            }
        }
        if !born.is_empty() {
            // Nobody is on a new bridge, and no route leads over a new link.
            self.touched.networks.extend(born);
            self.touch();
        }
        settled
    }

    /// Tells how it stands, and plans another try.
    fn note(&mut self, settled: &Result<(), String>) {
        match settled {
            Ok(()) => {
                if self.retry.take().is_some() {
                    tracing::info!("all networks stand again");
                }
            }
            Err(reason) => {
                if self.retry.as_ref().is_none_or(|retry| retry.reason != *reason) {
                    tracing::error!(%reason, "a network is not as it should be; trying again");
                }
                let retry = Retry::after(self.retry.as_ref(), reason.clone(), Instant::now());
                self.next_round = self.next_round.min(retry.due);
                self.retry = Some(retry);
            }
        }
        let trouble = settled.clone().err();
        self.tell.send_if_modified(|told| {
            let news = *told != trouble;
            *told = trouble;
            news
        });
    }
}
