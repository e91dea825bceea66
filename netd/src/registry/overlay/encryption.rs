//! What encrypted overlays share on this host: one WireGuard device, from the first of them to the last. Whoever
//! keeps one of them keeps the device, too, so there is no thread of its own: each look at an overlay begins
//! with what its tunnel ends are on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use cni::ErrorChain;
use drivers::encryption::{self, Device, Peer};
use drivers::overlay::Underlay;
use kernel::Kernel;
use netstate::{Datapath, LinkKind, Ns, NsNames, Op, Plan, Secret, Step};

use super::lock;
use crate::backend::public_key;
use crate::network::Id;
use crate::registry::apply::apply;

/// How an administrator gets a kernel that can.
const WITHOUT_WIREGUARD: &str = "this host's kernel has no WireGuard, which encrypts overlays: load module wireguard, or \
     use a kernel that has it (CONFIG_WIREGUARD, since 5.6)";

/// The device, for all who keep encrypted overlays. Copies are the same.
#[derive(Debug, Clone)]
pub(super) struct Encryption(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Or why there is none that can be used.
    key: Result<Secret, String>,
    has_ipv6: bool,
    /// By network; of `None` nobody has said yet who is on it elsewhere.
    peers: BTreeMap<Id, Option<BTreeSet<Peer>>>,
    /// The device as it was put right last.
    device: Option<Device>,
}

impl Encryption {
    /// With this host's key. Nothing is made yet.
    pub(super) fn new(key: Result<Secret, String>, has_ipv6: bool) -> Self {
        let (peers, device) = (BTreeMap::new(), None);
        Self(Arc::new(Mutex::new(State { key, has_ipv6, peers, device })))
    }

    /// Whether there could be a device.
    ///
    /// # Errors
    /// Why not, with the remedy.
    pub(super) fn could(&self) -> Result<(), String> {
        self.lock().own()?;
        match Kernel::open(None).has_wireguard(&Ns::Host) {
            Ok(true) => Ok(()),
            Ok(false) => Err(WITHOUT_WIREGUARD.to_owned()),
            Err(error) => Err(ErrorChain(&error).to_string()),
        }
    }

    /// What tunnel ends are on, where the interface between hosts is this.
    pub(super) fn inner(&self, uplink: &Underlay) -> Option<Underlay> {
        let (_, address) = self.lock().own().ok()?;
        Some(encryption::inner(uplink, address))
    }

    /// These networks are here since before: until they are looked at, their peers stay.
    pub(super) fn expect<'i>(&self, networks: impl IntoIterator<Item = &'i Id>) {
        let mut state = self.lock();
        for id in networks {
            state.peers.entry(id.clone()).or_default();
        }
    }

    /// Makes the device what it is to be for a network with these peers, on this interface.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn settle(
        &self,
        kernel: &mut Kernel,
        id: &Id,
        uplink: &Underlay,
        peers: Option<BTreeSet<Peer>>,
    ) -> Result<(), String> {
        let mut state = self.lock();
        let (key, address) = state.own()?;
        state.peers.insert(id.clone(), peers);
        let device = Device { key, address, mtu: encryption::inner(uplink, address).mtu };
        is_ours(kernel, &device)?;
        let (mut wanted, scope) = (device.desired(&state.all()), device.scope());
        state.device = None;
        kernel.forget();
        let seen = kernel.observe(&scope).map_err(|error| ErrorChain(&error).to_string())?;
        if !state.peers.values().all(Option::is_some) {
            // Where nobody has said yet who is on a network, those stay that the kernel has.
            let there = seen.0.ns(&Ns::Host).into_iter().flat_map(|host| &host.wg_peers);
            let peers = &mut wanted.0.ns_mut(Ns::Host).wg_peers;
            for (id, peer) in there {
                peers.entry(id.clone()).or_insert_with(|| peer.clone());
            }
        }
        apply(kernel, &Plan::between(&seen, &wanted, &scope))?;
        state.device = Some(device);
        Ok(())
    }

    /// The peers of a network are these from now on: by what is known of before, and nothing is read. What is not
    /// known is put right at the next look.
    ///
    /// # Errors
    /// Why they cannot be.
    pub(super) fn put(
        &self,
        kernel: &mut Kernel,
        id: &Id,
        peers: BTreeSet<Peer>,
    ) -> Result<(), String> {
        let mut state = self.lock();
        let before = state.all();
        state.peers.insert(id.clone(), Some(peers));
        state.change(kernel, &before)
    }

    /// A network is no more on this host; the device goes with the last one.
    ///
    /// # Errors
    /// What is left.
    pub(super) fn leave(&self, kernel: &mut Kernel, id: &Id) -> Result<(), String> {
        let mut state = self.lock();
        if !state.peers.contains_key(id) {
            return Ok(());
        }
        if state.peers.len() == 1 {
            remove(kernel)?;
            state.device = None;
        }
        let before = state.all();
        state.peers.remove(id);
        state.change(kernel, &before)
    }

    /// Removes the device of before, if no network here needs it.
    ///
    /// # Errors
    /// Why it stays.
    pub(super) fn tidy(&self) -> Result<(), String> {
        let state = self.lock();
        if state.peers.is_empty() { remove(&mut Kernel::open(None)) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    /// This host's key, and the address that follows from it.
    fn own(&self) -> Result<(Secret, Ipv6Addr), String> {
        if !self.has_ipv6 {
            return Err("this host's kernel runs without IPv6, by which hosts of an encrypted overlay know each \
                        other inside of WireGuard: start it without ipv6.disable=1"
                .to_owned());
        }
        let key = self.key.clone()?;
        let address = encryption::address(&public_key(&key));
        Ok((key, address))
    }

    /// Of all networks.
    fn all(&self) -> BTreeSet<Peer> {
        self.peers.values().flatten().flatten().copied().collect()
    }

    fn change(&self, kernel: &mut Kernel, before: &BTreeSet<Peer>) -> Result<(), String> {
        let Some(device) = &self.device else { return Ok(()) };
        apply(kernel, &Plan::update(&device.desired(before), &device.desired(&self.all())))
            .map(drop)
    }
}

/// A link of that name may be somebody else's.
fn is_ours(kernel: &mut Kernel, device: &Device) -> Result<(), String> {
    let name = encryption::link();
    let there = kernel.link_by_name(&Ns::Host, &name).map_err(|e| ErrorChain(&e).to_string())?;
    let Some(there) = there else { return Ok(()) };
    let has_key = matches!(&there.link.kind, LinkKind::WireGuard(own) if own.key.as_ref() == Some(&device.key));
    if has_key || there.link.alias.as_deref() == Some(encryption::ALIAS) {
        return Ok(());
    }
    Err(format!(
        "link {name} of this host, which encrypted overlays need, is somebody else's: give it another name \
         (ip link set {name} name OTHER)"
    ))
}

/// Removes the device, if it is there.
fn remove(kernel: &mut Kernel) -> Result<(), String> {
    let name = encryption::link();
    let there = kernel.link_by_name(&Ns::Host, &name).map_err(|e| ErrorChain(&e).to_string())?;
    if there.is_none_or(|there| there.link.alias.as_deref() != Some(encryption::ALIAS)) {
        return Ok(());
    }
    let step = Step::fresh(Ns::Host, Op::DelLink(name));
    let plan = Plan { steps: vec![step] };
    let left = attach::wiring::remove(kernel, &plan, &NsNames::default());
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}
