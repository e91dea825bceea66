//! Attachments whose network namespace is gone: after a reboot, or because nobody calls DEL, as
//! `ctr run -d` never does. Their addresses, ports and rules are held for nobody.
//!
//! What is stale is computed from what is *known*: libcni's result cache, which every runtime on
//! the host shares unless it was told otherwise, and the records of this project's plugins. Each
//! stale attachment is then removed by a DEL of its own, with the configuration of its ADD. A GC
//! is not used: it wants the list of all valid attachments and removes everything else, and that
//! list cannot be had here. A runtime with a cache directory of its own has attachments that
//! neither the cache nor a record knows of (a foreign plugin keeps no record); a GC would take the
//! addresses of its running containers away.
//!
//! In doubt an attachment is kept; [`judge`](mod@judge) says when there is none. Known to the
//! cache only, and by a path that netd cannot see because it is in another mount namespace than
//! the runtime, an attachment looks as if it were gone: netd is to be run in the host's.
//!
//! Source: CNI specification 1.1.0, sections "DEL" (what may be missing) and "GC".

mod judge;
mod known;
mod process;
mod removal;

pub use known::Known;

use attach::Store;
use cni::Error;
use cni::runtime::Runtime;

/// Where attachments are known from, and what is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The result cache, the configurations and the plugins.
    pub runtime: &'a Runtime,
    /// The records of this project's plugins.
    pub records: &'a Store,
    /// Remove nothing.
    pub dry_run: bool,
}

/// What came of one attachment.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// It was stale and is removed, or would be.
    Removed(&'a Known),
    /// It, or something of it, stays for the reason given.
    Kept(String),
    /// It could not be judged or removed; its record and cache entry stay, for another time.
    Failed(Error),
}

impl Sweep<'_> {
    /// Removes the stale attachments of a network, or of all, and reports each. All are tried.
    ///
    /// # Errors
    /// Code 5 where the cache or the records cannot be listed; nothing was removed.
    pub fn run(
        &self,
        network: Option<&str>,
        mut report: impl FnMut(Outcome<'_>),
    ) -> Result<(), Error> {
        let (all, unreadable) = known::known(self.runtime, self.records, network)?;
        unreadable.into_iter().map(Outcome::Failed).for_each(&mut report);
        for known in all {
            // Others are at work: between the listing and now it may have been attached anew.
            let known = known.again(self.runtime, self.records);
            match judge::is_gone(&known, self.runtime, self.records) {
                Ok(true) => self.remove(&known, &mut report),
                Ok(false) => {}
                Err(error) => report(Outcome::Failed(named(&known, error))),
            }
        }
        Ok(())
    }

    fn remove(&self, known: &Known, report: &mut impl FnMut(Outcome<'_>)) {
        if self.is_excluded(known) {
            let key = &known.key;
            report(Outcome::Kept(format!(
                "kept {} {} of network {:?}, whose namespace is gone: disableGC is set",
                key.container_id, key.ifname, key.network
            )));
            return;
        }
        if self.dry_run {
            return report(Outcome::Removed(known));
        }
        match self.del(known) {
            Ok(left) => {
                report(Outcome::Removed(known));
                left.into_iter().map(Outcome::Kept).for_each(report);
            }
            Err(error) => report(Outcome::Failed(named(known, error))),
        }
    }
}

fn named(known: &Known, error: Error) -> Error {
    let key = &known.key;
    error.context(format_args!("{} {} of {:?}", key.container_id, key.ifname, key.network))
}
