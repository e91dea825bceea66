//! What `flannel` and `overlay` share: a network on the subnet that an agent has leased for this
//! host. They make nothing themselves; a delegate (`bridge`, unless said otherwise) does, with a
//! configuration that is put together from the subnet.
//!
//! That configuration is kept between ADD and DEL ([`state`]): DEL and CHECK are about what was
//! made, whatever subnet the host has by then.

mod delegate;
mod source;
mod state;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use cni::conf::NetConf;
use cni::json::Object;
use cni::{AddResult, Attachment, Code, Error, Request, Verb};

use crate::attachment;
use crate::callee::Callee;
use delegate::Delegate;
use state::State;

pub(crate) use source::Source;

/// What a plugin's keys say.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    /// The plugin's name.
    pub(crate) plugin: &'static str,
    /// The delegate's configuration, as far as the user gives it.
    pub(crate) delegate: Object,
    /// Whether a bridge may replace its address, unless the user says: the host may have had
    /// another subnet before.
    pub(crate) force_address: bool,
    /// Where the configurations of delegates are kept.
    pub(crate) data_dir: PathBuf,
    /// Who knows the subnet.
    pub(crate) source: Source,
    /// How long ADD waits for a subnet.
    pub(crate) wait: Duration,
}

/// A path from a key, which means the default where it is absent or empty.
pub(crate) fn path(given: PathBuf, default: &str) -> PathBuf {
    if given.as_os_str().is_empty() { default.into() } else { given }
}

/// ADD. After a failure nothing is left but what an earlier ADD of the same attachment has made.
pub(crate) fn add(settings: &Settings, request: &Request) -> Result<AddResult, Error> {
    let subnet = settings.source.wait(settings.wait)?;
    let conf = delegate::conf(settings, request, Some(&subnet))?;
    let delegate = Delegate::of(request, conf)?;
    let state = State::of(&settings.data_dir, request);
    let before = state.read()?;
    state.write(&delegate.request.conf.bytes)?;
    delegate.callee.add(&delegate.request).map_err(|error| {
        let undone = match before {
            // What there is may be the earlier ADD's; its DEL will come.
            Some(before) => state.restore(&before),
            None => delegate.callee.del(&delegate.request).and_then(|()| state.remove()),
        };
        match undone {
            Ok(()) => error,
            Err(undo) if error.details.is_empty() => {
                error.with_details(format!("left behind: {undo}"))
            }
            Err(undo) => {
                let details = format!("{}; left behind: {undo}", error.details);
                error.with_details(details)
            }
        }
    })
}

/// DEL, of what the delegate was told at ADD. What was told is forgotten only when the delegate
/// has succeeded.
pub(crate) fn del(settings: &Settings, request: &Request) -> Result<(), Error> {
    let state = State::of(&settings.data_dir, request);
    match state.read()?.and_then(|kept| NetConf::parse(kept.bytes).ok()) {
        Some(conf) => {
            let delegate = Delegate::of(request, conf)?;
            delegate.callee.del(&delegate.request)?;
        }
        None => del_unknown(settings, request)?,
    }
    state.remove()
}

/// CHECK, by the delegate.
pub(crate) fn check(settings: &Settings, request: &Request) -> Result<(), Error> {
    let state = State::of(&settings.data_dir, request);
    let Some(kept) = state.read()? else {
        let dir = settings.data_dir.display();
        return Err(Error::internal(format!(
            "container {} has no attachment {:?} to network {:?}: {dir} knows of none",
            request.container_id, request.ifname, request.conf.name
        )));
    };
    let conf = NetConf::parse(kept.bytes).map_err(|e| e.context(kept.path.display()))?;
    let delegate = Delegate::of(request, conf)?;
    delegate.callee.check(&delegate.request)
}

/// GC: a DEL of each attachment that is known and not valid, then the delegate's GC.
pub(crate) fn gc(settings: &Settings, request: &Request) -> Result<(), Error> {
    let valid: BTreeSet<&Attachment> = request.conf.valid_attachments.iter().collect();
    let known = state::list(&settings.data_dir, &request.conf.name, &valid)?;
    let mut problems: Vec<String> = Vec::new();
    for stale in known {
        problems.extend(del(settings, &del_request(request, stale)).err().map(|e| e.to_string()));
    }
    let subnet = settings.source.read().ok();
    let collected = delegate::conf(settings, request, subnet.as_ref())
        .and_then(|conf| Delegate::of(request, conf))
        .and_then(|delegate| delegate.callee.gc(&delegate.request));
    problems.extend(collected.err().map(|e| e.to_string()));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "garbage collection of network {:?}: {}",
        request.conf.name,
        problems.join("; ")
    )))
}

/// STATUS: there is a subnet, and the delegate could use it.
pub(crate) fn status(settings: &Settings, request: &Request) -> Result<(), Error> {
    let unavailable = |error: Error| {
        if error.code == Code::LimitedConnectivity {
            error
        } else {
            attachment::unavailable(&error)
        }
    };
    let subnet = settings.source.read().map_err(unavailable)?;
    let conf = delegate::conf(settings, request, Some(&subnet))?;
    let delegate = Delegate::of(request, conf).map_err(unavailable)?;
    delegate.callee.status(&delegate.request)
}

/// DEL of an attachment whose configuration is not known: it never came to be, or the file was
/// lost. Our own plugins know from their records what to remove; another delegate could only guess.
fn del_unknown(settings: &Settings, request: &Request) -> Result<(), Error> {
    let delegate =
        delegate::conf(settings, request, None).and_then(|conf| Delegate::of(request, conf));
    match delegate {
        Ok(Delegate { callee: callee @ Callee::Own(_), request }) => callee.del(&request),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A DEL of another attachment to the request's network.
fn del_request(request: &Request, of: Attachment) -> Request {
    let env = request.env.clone().with("CNI_CONTAINERID", of.container_id.as_str());
    Request {
        verb: Verb::Del,
        env: env.with("CNI_IFNAME", of.ifname.as_str()),
        container_id: of.container_id,
        ifname: of.ifname,
        netns: None,
        args: String::new(),
        prev_result: None,
        ..request.clone()
    }
}

#[cfg(test)]
mod tests;
