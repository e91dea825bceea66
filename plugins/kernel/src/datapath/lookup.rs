//! Links by name and by index, one request each, never a dump.

use netstate::{LinkName, Ns};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::Batch;
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
        batch.push(rtm::GETNSID, 0, &nsid(netns));
        let action = "look up the id of a network namespace";
        let socket = self.route(seen_from)?;
        let replies = socket.ask(batch).map_err(|e| Error::os(action, e))?;
        if let Some((_, refusal)) = replies.first_refusal() {
            return Err(Error::refused(action, refusal.clone()));
        }
        Ok(replies.data.iter().find_map(|(_, _, body)| read_nsid(body)))
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
