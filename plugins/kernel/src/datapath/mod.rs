//! `Kernel`: the namespaces, the sockets to them, and links by name.

mod foreign;
mod generic;
mod lookup;
mod nft_elements;
mod nft_reads;
mod observe;
mod on_link;
mod reads;
mod survey;
mod uplinks;
mod wireguard;

use std::collections::BTreeMap;

use netstate::nft::SetId;
use netstate::{Datapath, LinkName, Ns, Observed, Plan, Report, Scope};

use crate::apply;
use crate::closing::close_in_background;
use crate::error::{Error, Kind};
use crate::netlink::{Protocol, Socket};
use crate::netns::{Netns, NetnsError};
use crate::nft::SetTypes;

pub use nft_reads::{ChainState, Policy};
pub use reads::LinkState;
pub use survey::Destination;
pub use uplinks::{Uplink, UplinkAddr, Way};

/// The network state of the namespace the thread is in, of a container's, and of an overlay network's.
///
/// Sockets are opened when first needed and kept. Dropping this closes a netfilter socket in the
/// background, as it would wait; a process that exits without dropping it waits. Interface
/// indexes and the types of sets are remembered; see [`Kernel::forget`].
///
/// All of it must be used on the thread that opened it, in the namespace in which it was opened.
#[derive(Debug)]
pub struct Kernel {
    home: Option<Netns>,
    host: Space,
    container: Option<Space>,
    overlay: Option<Space>,
    generation: Option<u32>,
    /// The numbers of generic netlink's families, by name.
    families: BTreeMap<&'static str, u16>,
}

/// One namespace.
#[derive(Debug, Default)]
pub(crate) struct Space {
    netns: Option<Netns>,
    indexes: BTreeMap<LinkName, u32>,
    set_types: BTreeMap<SetId, SetTypes>,
    route: Option<Socket>,
    netfilter: Option<Socket>,
    generic: Option<Socket>,
}

impl Kernel {
    /// The calling thread's namespace as [`Ns::Host`], and a container's. Nothing is asked of the
    /// kernel yet.
    #[must_use]
    pub fn open(container: Option<&Netns>) -> Self {
        Self {
            home: None,
            host: Space::default(),
            container: container.map(Space::of),
            overlay: None,
            generation: None,
            families: BTreeMap::new(),
        }
    }

    /// The same with a namespace as [`Ns::Overlay`].
    #[must_use]
    pub fn with_overlay(mut self, overlay: &Netns) -> Self {
        self.overlay = Some(Space::of(overlay));
        self
    }

    /// Forgets which interface index belongs to which name, and what sets are made of. A program
    /// that lives longer than one attachment calls this before each round: links come and go and
    /// are renamed.
    pub fn forget(&mut self) {
        for space in self.spaces() {
            space.indexes.clear();
            space.set_types.clear();
        }
    }

    /// Applies a plan whose nf_tables steps in the host's namespace are made only if nobody has
    /// changed its ruleset since [`Kernel::generation`] gave this number; else the plan fails at
    /// the first of them with [`Kind::Interrupted`]. They must be consecutive.
    pub fn apply_at(&mut self, plan: &Plan, generation: u32) -> Report<Error> {
        self.generation = Some(generation);
        let report = apply::run(self, plan);
        self.generation = None;
        report
    }

    /// Runs `f` in a namespace; in the host's, that is here and now.
    ///
    /// # Errors
    /// Where there is no such namespace, or it cannot be entered.
    pub fn inside<T>(&mut self, ns: &Ns, f: impl FnOnce() -> T) -> Result<T, Error> {
        let Some(netns) = self.space(ns)?.netns.clone() else { return Ok(f()) };
        let home = self.home()?;
        let _guard = netns.enter(home).map_err(unreachable_ns)?;
        Ok(f())
    }

    /// The socket for links and what is on them.
    pub(crate) fn route(&mut self, ns: &Ns) -> Result<&mut Socket, Error> {
        self.socket(ns, Protocol::Route)
    }

    /// The socket for nf_tables and conntrack.
    pub(crate) fn netfilter(&mut self, ns: &Ns) -> Result<&mut Socket, Error> {
        self.socket(ns, Protocol::Netfilter)
    }

    /// The socket for WireGuard and for ethtool's features.
    pub(crate) fn generic(&mut self, ns: &Ns) -> Result<&mut Socket, Error> {
        self.socket(ns, Protocol::Generic)
    }

    /// The generation that the next transaction in a namespace is bound to.
    pub(crate) fn bound_to(&mut self, ns: &Ns) -> Option<u32> {
        if *ns == Ns::Host { self.generation } else { None }
    }

    /// The number to name a namespace by in a message.
    pub(crate) fn netns_fd(&mut self, ns: &Ns) -> Result<i32, Error> {
        match &self.space(ns)?.netns {
            Some(netns) => Ok(netns.raw()),
            None => Ok(self.home()?.raw()),
        }
    }

    pub(crate) fn space(&mut self, ns: &Ns) -> Result<&mut Space, Error> {
        match ns {
            Ns::Host => Ok(&mut self.host),
            Ns::Container => self.container.as_mut().ok_or_else(|| not_given("container")),
            Ns::Overlay => self.overlay.as_mut().ok_or_else(|| not_given("overlay")),
        }
    }

    /// The namespaces beside this one that were given.
    pub(crate) fn others(&self, than: &Ns) -> Vec<Ns> {
        let container = self.container.is_some().then_some(Ns::Container);
        let overlay = self.overlay.is_some().then_some(Ns::Overlay);
        let all = std::iter::once(Ns::Host).chain(container).chain(overlay);
        all.filter(|ns| ns != than).collect()
    }

    fn spaces(&mut self) -> impl Iterator<Item = &mut Space> {
        std::iter::once(&mut self.host).chain(&mut self.container).chain(&mut self.overlay)
    }

    fn home(&mut self) -> Result<&Netns, Error> {
        if self.home.is_none() {
            // To ask a socket takes a twentieth of the time that /proc takes.
            let of_socket = self.host.route.as_ref().and_then(|socket| socket.netns().ok());
            let home = of_socket.map_or_else(Netns::current, Ok);
            self.home = Some(home.map_err(unreachable_ns)?);
        }
        self.home.as_ref().ok_or_else(|| Error::found("find own namespace", Kind::Other, ""))
    }

    fn socket(&mut self, ns: &Ns, protocol: Protocol) -> Result<&mut Socket, Error> {
        if self.space(ns)?.slot(protocol).is_none() {
            let opened = self.inside(ns, || Socket::open(protocol))?;
            let socket = opened.map_err(|e| Error::os("open netlink socket", e))?;
            *self.space(ns)?.slot(protocol) = Some(socket);
        }
        let slot = self.space(ns)?.slot(protocol);
        slot.as_mut().ok_or_else(|| Error::found("open netlink socket", Kind::Other, ""))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        for space in self.spaces() {
            if let Some(socket) = space.netfilter.take() {
                close_in_background(socket);
            }
        }
    }
}

impl Space {
    fn of(netns: &Netns) -> Self {
        Self { netns: Some(netns.clone()), ..Self::default() }
    }

    fn slot(&mut self, protocol: Protocol) -> &mut Option<Socket> {
        match protocol {
            Protocol::Route => &mut self.route,
            Protocol::Netfilter => &mut self.netfilter,
            Protocol::Generic => &mut self.generic,
        }
    }
}

impl Datapath for Kernel {
    type Error = Error;

    /// Costs one request per link and per kind of thing on it, none of them a dump of more than
    /// one link. Addresses that the kernel makes by itself (IPv6 link-local) and routes of
    /// protocol `kernel` are left out: they follow from links and addresses.
    fn observe(&mut self, scope: &Scope) -> Result<Observed, Error> {
        observe::observe(self, scope)
    }

    /// Consecutive steps of one namespace and family go to the kernel in one system call;
    /// consecutive nf_tables steps are one transaction: all of them, or none. A plan that only
    /// takes away or sets back never stops early.
    fn apply(&mut self, plan: &Plan) -> Report<Error> {
        apply::run(self, plan)
    }
}

fn not_given(whose: &str) -> Error {
    let why = "no network namespace was given";
    Error::found(format!("enter the {whose}'s network namespace"), Kind::NotFound, why)
}

fn unreachable_ns(error: NetnsError) -> Error {
    let action = error.to_string();
    match error {
        NetnsError::Open(_, source) | NetnsError::Enter(source) => Error::io(action, source),
        NetnsError::NotThere(_) | NetnsError::NotNamespace(_) => {
            Error::found(action, Kind::NotFound, "")
        }
    }
}
