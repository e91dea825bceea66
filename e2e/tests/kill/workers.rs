//! Tries points side by side, each worker on a host of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use e2e::Lab;

use crate::point::Point;
use crate::site::Site;

/// More than there are processors: removing links waits without using one.
const WORKERS: usize = 6;
/// Wrong points after which no more are tried: each costs a new host.
const ENOUGH: usize = 40;

/// What is wrong at the points at which something is.
pub(crate) fn try_all(lab: &Lab, points: Vec<Point>) -> Result<Vec<String>> {
    let queue = Mutex::new(points.into_iter());
    let wrong = Mutex::new(Vec::new());
    let hosts = AtomicUsize::new(0);
    let next = || -> Result<Option<Point>> {
        let enough = wrong.lock().ok().context("a worker panicked")?.len() >= ENOUGH;
        Ok(queue.lock().ok().context("a worker panicked")?.next().filter(|_| !enough))
    };
    let worker = || -> Result<()> {
        let site = || Site::new(lab, &format!("host{}", hosts.fetch_add(1, Ordering::Relaxed)));
        let mut on = site()?;
        while let Some(point) = next()? {
            if let Some(what) = on.try_point(&point).with_context(|| point.to_string())? {
                wrong.lock().ok().context("a worker panicked")?.push(what);
                on = site()?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("a worker panicked"),
        })
    })?;
    wrong.into_inner().ok().context("a worker panicked")
}
