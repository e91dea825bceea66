//! All the places where phases are cut.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::points::{Errno, How, is_own, may_change};
use e2e::{PATIENCE, wait_until};

use crate::MAY_BE_MISSING;
use crate::agent::TRACE;
use crate::ground::Ground;
use crate::phase::Phase;
use crate::point::{At, Cut, Point};
use crate::site::Site;

/// What counts as a place.
const KINDS: [&str; 6] = ["message", "look", "sysctl", "request", "answer", "disk"];
/// What the agent writes later by itself, it has written after so many seconds without any news.
const QUIET: u64 = 3;
/// By these the file of the host's own store is read and written, on whatever thread: places of kind
/// `disk`.
const DISK: &str = "pread64 pwrite64 fdatasync ftruncate";

/// The points of a phase.
pub(crate) fn points(site: &mut Site, phase: Phase) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    let calls = if phase.has_files() { calls(site, phase)? } else { Vec::new() };
    for (at, matters) in places(site, phase)?.into_iter().chain(calls) {
        let errors = errors(&at);
        let errno = errors[at.number() % errors.len()];
        let ways = match matters {
            Matters::InAll => &[How::Killed, How::Failed(errno), How::Broken(errno)][..],
            Matters::Killed => &[How::Killed],
            Matters::Refused if at.number().is_multiple_of(2) => &[How::Failed(errno)],
            Matters::Refused => &[How::Broken(errno)],
            Matters::Failed => &[How::Failed(errno)],
        };
        points.extend(ways.iter().map(|how| Point { phase, at: at.clone(), how: *how }));
    }
    Ok(points)
}

/// In which ways a place is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matters {
    InAll,
    /// Refused, it is as one that is tried.
    Killed,
    /// It changes nothing, and goes on to say nothing: refused once and from there on by turns.
    Refused,
    /// It changes nothing: killed, it is as the next one that does.
    Failed,
}

fn errors(at: &At) -> &'static [Errno] {
    match at {
        At::Place(kind, _) if ["message", "look"].contains(&kind.as_str()) => {
            &[Errno::EPERM, Errno::ENOMEM, Errno::EBUSY]
        }
        At::Place(kind, _) if kind == "sysctl" => &[Errno::EIO, Errno::EPERM],
        At::Place(kind, _) if kind == "request" => &[Errno::ECONNRESET, Errno::ENOSPC],
        At::Place(kind, _) if kind == "answer" => &[Errno::ECONNRESET],
        At::Place(..) => &[Errno::ENOSPC, Errno::EIO],
        At::Call(..) => &[Errno::EIO, Errno::ENOSPC, Errno::ENOMEM],
    }
}

/// What crate `kernel` counts. Inside a transaction of nf_tables every place is as the first one. Of
/// what redb writes until it waits for the disk nothing counts, but the file is another at each.
fn places(site: &mut Site, phase: Phase) -> Result<Vec<(At, Matters)>> {
    // How often the agent looks and asks again is another number in each run: what is in both is tried.
    let (mut places, other) = (counted(site, phase)?, counted(site, phase)?);
    let in_both = |at: &At| other.iter().any(|(other, _)| other == at);
    places.retain(|(at, _)| !MAY_BE_MISSING.contains(&at.kind()) || in_both(at));
    Ok(places)
}

/// Those of one run.
fn counted(site: &mut Site, phase: Phase) -> Result<Vec<(At, Matters)>> {
    let log = run(site, phase, &Cut::Inject("count".to_owned()))?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = Vec::new();
    for line in log.lines() {
        let (kind, same) = line.strip_suffix(" same").map_or((line, false), |kind| (kind, true));
        let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else { continue };
        let count = counts.entry(kind).or_default();
        let matters = match kind {
            _ if same => Matters::Killed,
            // Killed, it is as the next message that changes something, or as the end.
            "look" => Matters::Refused,
            _ => Matters::InAll,
        };
        // What other backends and networks write there is the same.
        let is_new = kind != "disk" || phase.ground() == Ground::Vxlan;
        if is_new && (!same || kind == "disk") {
            places.push((At::Place(kind.to_owned(), *count), matters));
        }
        *count += 1;
    }
    ensure!(!places.is_empty(), "{phase:?} has no places: {log}");
    Ok(places)
}

/// System calls of the main thread about files, and about the names of sockets.
fn calls(site: &mut Site, phase: Phase) -> Result<Vec<(At, Matters)>> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let about_files = Cut::Strace(crate::point::about_files());
    for cut in [about_files, Cut::Strace(vec!["--trace=bind".to_owned()])] {
        run(site, phase, &cut)?;
        for line in site.host.read(TRACE)?.lines() {
            if let Some((name, _)) = line.split_once('(') {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    counts.retain(|name, _| !is_own(name) && !DISK.split(' ').any(|disk| disk == name));
    // Reading is the same at each start and at each removal.
    let reads_count = !matches!(phase, Phase::Boot | Phase::Cleanup);
    counts.retain(|name, _| reads_count || may_change(name));
    let places = counts.into_iter().flat_map(|(name, count)| {
        let changes = may_change(&name) || name == "bind";
        let matters = if changes { Matters::InAll } else { Matters::Failed };
        (1..=count).map(move |nth| (At::Call(name.clone(), nth), matters))
    });
    Ok(places.collect())
}

/// Runs a phase to its end, and until the agent does nothing more by itself.
pub(crate) fn run(site: &mut Site, phase: Phase, cut: &Cut) -> Result<String> {
    site.prepare(phase, cut)?;
    site.begin(phase, cut)?;
    site.wait_for_end(phase).with_context(|| format!("while counting by {cut:?}"))?;
    let mut last = (site.log(), std::time::Instant::now());
    wait_until("no news", PATIENCE, || {
        let now = site.log();
        if phase.ends() || now == last.0 {
            return phase.ends() || last.1.elapsed().as_secs() >= QUIET;
        }
        last = (now, std::time::Instant::now());
        false
    })?;
    Ok(site.log())
}
