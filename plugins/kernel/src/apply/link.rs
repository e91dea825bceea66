//! Making links: born in place with all of their state, and what birth does not take right after.

use std::hash::{BuildHasher, Hasher, RandomState};

use netlink_packet_route::link::LinkMessage;
use netstate::{Link, LinkChange, LinkFacts, LinkKind, LinkName, LinkRef, Mac, Ns, PeerInit, Step};
use rustix::io::Errno;

use super::Work;
use super::route::Run;
use crate::error::{Error, Refusal};
use crate::netlink::{Batch, flag};
use crate::route::{Birth, RawLink, create, rtm};

/// Indexes that a link born in another namespace may be given: above what counting reaches.
const CHOSEN: std::ops::Range<u32> = 0x0100_0000..0x4000_0000;
/// Tries for an index that nobody has.
const INDEX_ATTEMPTS: u32 = 3;

/// Makes a link. Nothing is sent after a link that could not be made: what is meant for it could
/// hit another of that name.
pub(super) fn add<'s>(
    run: &mut Run<'_, '_, 's>,
    step: &'s Step,
    link: &'s Link,
    peer: Option<&PeerInit>,
) -> Result<(), Error> {
    let Some(mut birth) = birth(run, step, link, peer)? else { return Ok(()) };
    run.flush();
    if run.work.stopped {
        return Ok(());
    }
    let ns = birthplace(step, link);
    let mut outcome = Err(Refusal::from(Errno::BUSY));
    for _ in 0..INDEX_ATTEMPTS {
        if let Some((_, index)) = &mut birth.elsewhere {
            *index = random_index();
        }
        outcome = send(run.work, &ns, &create(link, peer, birth), step)?;
        let taken = outcome.as_ref().is_err_and(|refusal| refusal.is(Errno::BUSY));
        if birth.elsewhere.is_none() || !taken {
            break;
        }
    }
    match outcome {
        Ok(echo) => born(run, step, link, peer, birth, echo),
        Err(refusal) => {
            run.work.answered(step, Err(refusal));
            Ok(())
        }
    }
}

/// Asks for what is not known yet of the links that were made.
pub(super) fn complete_facts(work: &mut Work<'_>) {
    let unknown =
        |(r, f): (&LinkRef, &LinkFacts)| (f.mac.0 == [0; 6] || f.mtu == 0).then(|| r.clone());
    let links: Vec<LinkRef> = work.report.links.iter().filter_map(unknown).collect();
    for link in links {
        // It may be gone again; then nobody needs to know.
        if let Ok(Some(raw)) = work.kernel.raw_link(&link.ns, &link.name) {
            work.report.links.insert(link, facts(&raw));
        }
    }
}

/// Resolves the names in a link; `None` when one is missing, which has been reported.
fn birth<'s>(
    run: &mut Run<'_, '_, 's>,
    step: &'s Step,
    link: &'s Link,
    peer: Option<&PeerInit>,
) -> Result<Option<Birth>, Error> {
    let mut birth = Birth::default();
    if let Some(master) = &link.master {
        birth.master = run.index(master)?;
        if birth.master.is_none() {
            run.work.no_link(step, master);
            return Ok(None);
        }
    }
    if let Some(parent) = link.kind.parent() {
        run.flush();
        birth.parent = run.work.kernel.index(&parent.ns, &parent.name)?;
        if birth.parent.is_none() {
            run.work.no_link(step, &parent.name);
            return Ok(None);
        }
        if parent.ns != step.ns {
            birth.elsewhere = Some((run.work.kernel.netns_fd(&step.ns)?, 0));
        }
    }
    if let Some(peer) = peer.filter(|p| p.link.ns != step.ns) {
        birth.peer_ns = Some(run.work.kernel.netns_fd(&peer.link.ns)?);
    }
    Ok(Some(birth))
}

/// The namespace whose socket is told: a parent is found there.
fn birthplace(step: &Step, link: &Link) -> Ns {
    link.kind.parent().map_or_else(|| step.ns.clone(), |parent| parent.ns.clone())
}

fn send(
    work: &mut Work<'_>,
    ns: &Ns,
    message: &LinkMessage,
    step: &Step,
) -> Result<Result<Option<RawLink>, Refusal>, Error> {
    let mut batch = Batch::default();
    batch.push(rtm::NEWLINK, flag::CREATE | flag::EXCL | flag::ECHO, message);
    let socket = work.kernel.route(ns)?;
    let replies = match socket.exchange(batch, 0) {
        Ok(replies) => replies,
        Err(e) => {
            work.perhaps_done(step);
            return Err(Error::os(step.to_string(), e));
        }
    };
    if let Some((_, refusal)) = replies.first_refusal() {
        return Ok(Err(refusal.clone()));
    }
    Ok(Ok(replies.data.iter().find_map(|(_, _, body)| RawLink::parse(body))))
}

/// Notes what came of it, and queues what birth did not take.
fn born<'s>(
    run: &mut Run<'_, '_, 's>,
    step: &'s Step,
    link: &'s Link,
    peer: Option<&PeerInit>,
    birth: Birth,
    echo: Option<RawLink>,
) -> Result<(), Error> {
    run.work.done(step, true, None);
    let own = match (birth.elsewhere, echo) {
        (Some((_, index)), _) => Some(RawLink { index, ..RawLink::default() }),
        (None, Some(raw)) => Some(raw),
        // Before 6.2 rtnetlink does not echo.
        (None, None) => run.work.kernel.raw_link(&step.ns, &link.name)?,
    };
    if let Some(raw) = &own {
        let mut known = facts(raw);
        known.mac = link.mac.unwrap_or(known.mac);
        known.mtu = link.mtu.unwrap_or(known.mtu);
        note(run.work, &step.ns, &link.name, known)?;
    }
    if let (Some(peer), Some(index)) = (peer, own.as_ref().and_then(|raw| raw.lower)) {
        // Where neither end was given an MTU, both have the kernel's.
        let same = |raw: &RawLink| link.mtu.is_none().then_some(raw.mtu);
        let mtu = peer.mtu.or_else(|| own.as_ref().and_then(same)).unwrap_or(0);
        let mac = peer.mac.unwrap_or(Mac([0; 6]));
        note(run.work, &peer.link.ns, &peer.link.name, LinkFacts { index, mac, mtu })?;
    }
    let rest = after_birth(link);
    if !rest.is_empty() {
        run.changes(step, &link.name, &rest)?;
        run.mark_reported(step);
    }
    Ok(())
}

fn note(work: &mut Work<'_>, ns: &Ns, name: &LinkName, facts: LinkFacts) -> Result<(), Error> {
    work.report.links.insert(LinkRef { ns: ns.clone(), name: name.clone() }, facts);
    work.kernel.remember(ns, name, facts.index)
}

fn facts(raw: &RawLink) -> LinkFacts {
    LinkFacts { index: raw.index, mac: raw.mac.unwrap_or(Mac([0; 6])), mtu: raw.mtu }
}

/// What `rtnl_newlink_create()` (`net/core/rtnetlink.c`) leaves out.
fn after_birth(link: &Link) -> Vec<LinkChange> {
    let mut changes: Vec<LinkChange> =
        link.alias.clone().map(LinkChange::Alias).into_iter().collect();
    if let LinkKind::WireGuard(own) = &link.kind {
        changes.extend(own.port.map(LinkChange::ListenPort));
        changes.extend(own.key.clone().map(LinkChange::PrivateKey));
    }
    if let LinkKind::Vxlan(vxlan) = &link.kind {
        changes.extend(vxlan.tx_checksum.map(LinkChange::TxChecksum));
    }
    if let Some(port) = &link.port {
        changes.extend(port.hairpin.map(LinkChange::Hairpin));
        changes.extend(port.isolated.map(LinkChange::Isolated));
        changes.extend(port.vlans.iter().flatten().cloned().map(LinkChange::AddVlan));
    }
    changes
}

fn random_index() -> u32 {
    let random = RandomState::new().build_hasher().finish();
    let span = u64::from(CHOSEN.end - CHOSEN.start);
    CHOSEN.start + u32::try_from(random % span).unwrap_or_default()
}
