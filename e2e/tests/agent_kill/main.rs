//! Kill safety of the agent: its start, lease changes and end are killed, and separately failed, at
//! every netlink message, sysctl, write to the store and write to a file; the agent that is then
//! started makes everything what it is on a host on which nothing happened, and so does another host.
//!
//! Files are cut by strace in the release program, all else in the program of profile `inject`.

#![expect(clippy::indexing_slicing, reason = "an index out of range fails the test")]

mod agent;
mod attempt;
mod files;
mod ground;
mod looks;
mod phase;
mod plan;
mod point;
mod prepare;
mod remembered;
mod seen;
mod site;
mod state;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::points::try_all;
use e2e::{bins, require, require_programs};

use attempt::Tried;
use phase::Phase;
use point::Point;
use site::{Site, Wanted};

/// More than there are processors: agents wait before they try again.
const WORKERS: usize = 6;
/// Beside these, for phases in which the agent waits most of the time.
const SLOW_WORKERS: usize = 6;

/// How often the agent looks again depends on which news come together, and so do what it asks the store
/// then and what is written to the disk together: the last of these in the runs that were counted may be in
/// no other one, at most one place of [`RARE`]. Everything else is.
const MAY_BE_MISSING: [&str; 4] = ["look", "request", "answer", "disk"];
const RARE: usize = 100;

#[test]
fn killed_or_failed_anywhere_the_agent_that_starts_next_makes_all_right() -> Result<()> {
    if !can_run()? {
        return Ok(());
    }
    let mut phases = Phase::ALL.to_vec();
    if let Ok(only) = std::env::var("PHASES") {
        phases.retain(|phase| only.split(',').any(|name| name == phase.to_string()));
    }
    let begin = Instant::now();
    let (wanted, mut points) = plan(phases)?;
    if let Ok(only) = std::env::var("ONLY") {
        points.retain(|point| point.to_string().contains(&only));
    }
    let mut counts: BTreeMap<(Phase, String), usize> = BTreeMap::new();
    for Point { phase, at, .. } in &points {
        *counts.entry((*phase, at.kind().to_owned())).or_default() += 1;
    }
    println!("{counts:?} after {:?}", begin.elapsed());
    let tried = points.len();
    let at_chance = points.iter().filter(|point| MAY_BE_MISSING.contains(&point.at.kind())).count();
    let not_reached = Mutex::new(Vec::new());
    let attempt = |site: &mut Site, point: &Point| match site.try_point(point) {
        Tried::Right => Ok(None),
        Tried::Wrong(what) => Ok(Some(what)),
        Tried::NotReached => {
            not_reached.lock().ok().context("a worker panicked")?.push(point.clone());
            Ok(None)
        }
    };
    let (slow, quick): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|point: &Point| point.phase.is_slow());
    let on = |_| Site::that_wants(wanted.clone());
    let wrong = std::thread::scope(|scope| {
        let workers = SLOW_WORKERS.min(slow.len());
        let slow = scope.spawn(move || try_all(workers, slow, on, attempt));
        let quick = try_all(WORKERS, quick, on, attempt)?;
        let slow = slow.join().ok().context("a worker panicked")??;
        anyhow::Ok([quick, slow].concat())
    })?;
    let not_reached = not_reached.into_inner().ok().context("a worker panicked")?;
    let (by_chance, others): (Vec<_>, Vec<_>) =
        not_reached.iter().partition(|point| MAY_BE_MISSING.contains(&point.at.kind()));
    println!("{tried} points in {:?}; not there by chance: {by_chance:?}", begin.elapsed());
    ensure!(others.is_empty(), "not reached: {others:#?}");
    ensure!(by_chance.len() <= at_chance / RARE, "too many were not reached: {by_chance:#?}");
    ensure!(wrong.is_empty(), "{} of {tried} points:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// What is to be seen at the ends of phases, and all the points of these.
fn plan(phases: Vec<Phase>) -> Result<(Wanted, Vec<Point>)> {
    let first = Site::new(&[])?.wanted;
    let known = Mutex::new((first.clone(), Vec::new()));
    let failed = try_all(
        WORKERS,
        phases,
        |_| Site::that_wants(first.clone()),
        |site, phase| {
            if *phase != Phase::First {
                site.learn(*phase)?;
            }
            let points = plan::points(site, *phase)?;
            let mut known = known.lock().ok().context("a worker panicked")?;
            known.0.append(&mut site.wanted.clone());
            known.1.extend(points);
            Ok(None)
        },
    )?;
    ensure!(failed.is_empty(), "{failed:?}");
    let (wanted, mut points) = known.into_inner().ok().context("a worker panicked")?;
    // Those of one phase begin alike.
    points.sort_by_key(|point| point.phase);
    Ok((wanted, points))
}

fn can_run() -> Result<bool> {
    Ok(require_programs(&["etcd", "strace", "nft"])?
        && require("built netd (make build)", bins::injected("netd").is_ok())?)
}
