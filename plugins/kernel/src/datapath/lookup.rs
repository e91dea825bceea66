//! Links by name and by index, one request each, never a dump.

use netlink_packet_route::nsid::NsidAttribute;
use netstate::{LinkName, Ns};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::{Batch, flag};
use crate::route::{RawLink, brief, by_index, by_name, nsid, read_nsid, rtm};

/// `LOOPBACK_IFINDEX` (`include/net/flow.h`): in every namespace.
const LOOPBACK: u32 = 1;

impl Kernel {
    /// The index of a link that is there.
    pub(crate) fn index(&mut self, ns: &Ns, name: &LinkName) -> Result<Option<u32>, Error> {
        match self.known_index(ns, name)? {
            Some(index) => Ok(Some(index)),
            None => Ok(self.raw_link(ns, name)?.map(|link| link.index)),
        }
    }

    /// The index of a link, if it can be told without asking.
    pub(crate) fn known_index(&mut self, ns: &Ns, name: &LinkName) -> Result<Option<u32>, Error> {
        if name.as_str() == "lo" {
            return Ok(Some(LOOPBACK));
        }
        Ok(self.space(ns)?.indexes.get(name).copied())
    }

    pub(crate) fn remember(&mut self, ns: &Ns, name: &LinkName, index: u32) -> Result<(), Error> {
        self.space(ns)?.indexes.insert(name.clone(), index);
        Ok(())
    }

    pub(crate) fn forget_link(&mut self, ns: &Ns, name: &LinkName) -> Result<(), Error> {
        self.space(ns)?.indexes.remove(name);
        Ok(())
    }

    /// A link as it is now.
    pub(crate) fn raw_link(&mut self, ns: &Ns, name: &LinkName) -> Result<Option<RawLink>, Error> {
        let action = || format!("look up link {name}");
        let link = self.link_query(ns, brief(by_name(name.as_str())), &action)?;
        match &link {
            Some(link) => self.remember(ns, name, link.index)?,
            None => self.forget_link(ns, name)?,
        }
        Ok(link)
    }

    /// A link by its index.
    pub(crate) fn raw_link_at(&mut self, ns: &Ns, index: u32) -> Result<Option<RawLink>, Error> {
        self.link_query(ns, brief(by_index(index)), &|| format!("look up link number {index}"))
    }

    /// The number by which one namespace knows another, if it does.
    pub(crate) fn nsid(&mut self, of: &Ns, seen_from: &Ns) -> Result<Option<i32>, Error> {
        let netns = self.netns_fd(of)?;
        let mut batch = Batch::default();
        batch.push(rtm::GETNSID, 0, &nsid(NsidAttribute::Fd(netns.unsigned_abs())));
        let action = "look up the id of a network namespace";
        let socket = self.route(seen_from)?;
        let replies = socket.ask(batch).map_err(|e| Error::os(action, e))?;
        if let Some((_, refusal)) = replies.first_refusal() {
            return Err(Error::refused(action, refusal.clone()));
        }
        Ok(replies.data.iter().find_map(|(_, _, body)| read_nsid(body)))
    }

    /// Lets one namespace know another, so that events tell there when that is gone
    /// ([`crate::events::Notice::NamespaceGone`]). It stays so, at the price of a number.
    ///
    /// # Errors
    /// Where it cannot be asked for.
    pub fn acquaint(&mut self, ns: &Ns, with: &Ns) -> Result<(), Error> {
        const ANY: i32 = -1; // NETNSA_NSID_NOT_ASSIGNED
        let netns = self.netns_fd(with)?;
        let mut message = nsid(NsidAttribute::Fd(netns.unsigned_abs()));
        message.attributes.push(NsidAttribute::Id(ANY));
        let mut batch = Batch::default();
        batch.push(rtm::NEWNSID, flag::ACK, &message);
        let action = "give a network namespace a number";
        let replies = self.route(ns)?.ask(batch).map_err(|e| Error::os(action, e))?;
        match replies.first_refusal() {
            // It has one.
            Some((_, refusal)) if !refusal.is(Errno::EXIST) => {
                Err(Error::refused(action, refusal.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a veth is in the host's namespace, and its far end in a namespace that lives. The kernel takes
    /// a namespace down some time after its end; until then the pair is there, and nobody is behind it.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn has_living_peer(&mut self, name: &LinkName) -> Result<bool, Error> {
        let link = self.raw_link(&Ns::Host, name)?.filter(|link| link.kind == "veth");
        let Some(link) = link else { return Ok(false) };
        let Some(known_as) = link.lower_nsid else { return Ok(true) };
        let mut batch = Batch::default();
        batch.push(rtm::GETNSID, 0, &nsid(NsidAttribute::Id(known_as)));
        let action = "look for the namespace of a far end";
        let replies = self.route(&Ns::Host)?.ask(batch).map_err(|e| Error::os(action, e))?;
        match replies.first_refusal() {
            // Of one that nobody holds any more (`rtnl_net_getid()`, `net/core/net_namespace.c`).
            Some((_, refusal)) if refusal.is(Errno::NOENT) => Ok(false),
            Some((_, refusal)) => Err(Error::refused(action, refusal.clone())),
            None => Ok(true),
        }
    }

    fn link_query(
        &mut self,
        ns: &Ns,
        query: netlink_packet_route::link::LinkMessage,
        action: &dyn Fn() -> String,
    ) -> Result<Option<RawLink>, Error> {
        let mut batch = Batch::default();
        batch.push(rtm::GETLINK, 0, &query);
        let replies = self.route(ns)?.ask(batch).map_err(|e| Error::os(action(), e))?;
        match replies.first_refusal() {
            Some((_, refusal)) if is_no_link(refusal) => Ok(None),
            Some((_, refusal)) => Err(Error::refused(action(), refusal.clone())),
            None => {
                let link = replies.data.first().and_then(|(_, _, body)| RawLink::parse(body));
                // Not to be taken for a link that is not there.
                let unread = || Error::found(action(), Kind::Other, "the answer cannot be read");
                link.map(Some).ok_or_else(unread)
            }
        }
    }
}

/// Kernels answer either way for a name that no link has.
fn is_no_link(refusal: &Refusal) -> bool {
    refusal.is(Errno::NODEV) || refusal.is(Errno::NXIO)
}
