//! What `e2e-load` does: one command after the other, on the attachments of one target.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::cni::{self, Cni};
use super::floor::Floor;
use super::netavark::Netavark;
use super::netd::Netd;
use super::trace::{self, Calls};
use super::{Attach, Cost, PEAK, child, namespaces, single};

/// The container that single rounds attach.
pub(super) const ROUND: u32 = 9_999;

/// Where the program at [`PEAK`] leaves its figure.
const PEAK_FILE: &str = "/run/load.peak";

/// Containers that take part in [`Work::churn`].
const CHURNED: u32 = 48;

/// A target, and which of its containers are attached.
pub struct Work {
    cni: Option<Cni>,
    other: Option<Box<dyn Attach>>,
    dir: String,
    attached: BTreeSet<u32>,
}

impl Work {
    /// `cni DIR VERSION`, `netavark`, `netd DIR NETWORK PORTS`, or `floor EMPTY`.
    ///
    /// # Errors
    ///
    /// When the target is none of these or cannot be made ready.
    pub fn new(words: &[&str]) -> Result<Self> {
        let mut work =
            Self { cni: None, other: None, dir: String::new(), attached: BTreeSet::new() };
        match words {
            ["cni", dir, version] => {
                work.cni = Some(Cni::new(dir, version));
                (*dir).clone_into(&mut work.dir);
            }
            ["netavark"] => work.other = Some(Box::new(Netavark::new()?)),
            ["netd", dir, network, ports] => {
                work.other = Some(Box::new(Netd::new(dir, network, ports.parse()?)));
            }
            ["floor", empty] => work.other = Some(Box::new(Floor::new(empty)?)),
            _ => bail!("no target: {words:?}"),
        }
        Ok(work)
    }

    /// Obeys one line.
    ///
    /// # Errors
    ///
    /// When a step fails, or the command is unknown.
    pub fn obey(&mut self, line: &str) -> Result<Value> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["populate", count, jobs] => self.populate(0..count.parse()?, jobs.parse()?),
            ["one", number] => {
                let number = number.parse()?;
                self.populate(number..number + 1, 1)
            }
            ["check", jobs] => {
                let (cni, all) = (self.plugins()?, Vec::from_iter(self.attached.clone()));
                each(&all, jobs.parse()?, |n| cni.check(*n))?;
                Ok(json!({}))
            }
            ["clear", jobs] => self.clear(jobs.parse()?),
            ["round"] => self.round(),
            ["trace"] => self.trace(),
            ["peak"] => self.peak(),
            ["parallel", count, jobs] => self.parallel(count.parse()?, jobs.parse()?),
            ["single", what] => {
                let (add, del) = single::round(&self.dir, what)?;
                Ok(json!({"add": [add.json()], "del": del.map(|c| vec![c.json()])}))
            }
            ["churn", ops, jobs, seed] => self.churn(ops.parse()?, jobs.parse()?, seed.parse()?),
            ["gc"] => self.plugins()?.gc().map(|()| json!({})),
            _ => bail!("no such command: {line}"),
        }
    }

    fn target(&self) -> Result<&dyn Attach> {
        let cni = self.cni.as_ref().map(|cni| cni as &dyn Attach);
        cni.or(self.other.as_deref()).context("a target")
    }

    fn plugins(&self) -> Result<&Cni> {
        self.cni.as_ref().context("this needs a target of CNI plugins")
    }

    /// Attaches containers, those that are not yet.
    fn populate(&mut self, numbers: Range<u32>, jobs: usize) -> Result<Value> {
        let fresh: Vec<u32> = numbers.filter(|n| !self.attached.contains(n)).collect();
        fresh.iter().try_for_each(|n| namespaces::make(*n))?;
        let target = self.target()?;
        let wall = each(&fresh, jobs, |n| target.add(*n).map(drop))?;
        self.attached.extend(fresh);
        Ok(json!({"seconds": wall.as_secs_f64()}))
    }

    fn clear(&mut self, jobs: usize) -> Result<Value> {
        let all: Vec<u32> = self.attached.iter().copied().collect();
        let target = self.target()?;
        let wall = each(&all, jobs, |n| target.del(*n).map(drop))?;
        self.attached.clear();
        all.iter().try_for_each(|n| namespaces::remove(*n))?;
        Ok(json!({"seconds": wall.as_secs_f64()}))
    }

    fn round(&self) -> Result<Value> {
        namespaces::make(ROUND)?;
        let costs = |costs: Vec<Cost>| costs.iter().map(Cost::json).collect::<Vec<_>>();
        let target = self.target()?;
        let add = costs(target.add(ROUND)?);
        Ok(json!({"add": add, "del": costs(target.del(ROUND)?)}))
    }

    /// One ADD and one DEL of the chain under strace.
    fn trace(&self) -> Result<Value> {
        let plugins = self.plugins()?;
        namespaces::make(ROUND)?;
        let (mut prev, mut add, mut del) = (Value::Null, Calls::default(), Calls::default());
        for plugin in cni::PLUGINS {
            let (vars, program, stdin) = plugins.prepare("ADD", plugin, ROUND, &prev);
            let (stdout, calls) = trace::run(&vars, &program, &stdin)?;
            prev = serde_json::from_str(&stdout).context("parse a result")?;
            add.extend(&calls);
        }
        for plugin in cni::PLUGINS.iter().rev() {
            let (vars, program, stdin) = plugins.prepare("DEL", plugin, ROUND, &prev);
            del.extend(&trace::run(&vars, &program, &stdin)?.1);
        }
        Ok(json!({"add": add.json(), "del": del.json()}))
    }

    /// The most memory that a program of one ADD and one DEL of the chain had, in KiB.
    fn peak(&self) -> Result<Value> {
        let plugins = self.plugins()?;
        namespaces::make(ROUND)?;
        let (mut prev, mut peak) = (Value::Null, 0);
        let add = cni::PLUGINS.iter().map(|plugin| ("ADD", plugin));
        for (verb, plugin) in add.chain(cni::PLUGINS.iter().rev().map(|plugin| ("DEL", plugin))) {
            let (vars, program, stdin) = plugins.prepare(verb, plugin, ROUND, &prev);
            let mut command = Command::new(PEAK);
            command.args([PEAK_FILE, &program]).env_clear().envs(vars);
            let ran = child::run(&mut command, stdin.as_bytes())?;
            if verb == "ADD" {
                prev = serde_json::from_str(&ran.stdout).context("parse a result")?;
            }
            peak = peak.max(std::fs::read_to_string(PEAK_FILE)?.parse::<u64>()?);
        }
        Ok(json!({"peak": peak}))
    }

    /// ADDs of `count` containers, then their DELs, `jobs` at a time: operations per second.
    fn parallel(&self, count: u32, jobs: usize) -> Result<Value> {
        let all: Vec<u32> = (5_000..5_000 + count).collect();
        all.iter().try_for_each(|n| namespaces::make(*n))?;
        let target = self.target()?;
        let add = each(&all, jobs, |n| target.add(*n).map(drop))?;
        let del = each(&all, jobs, |n| target.del(*n).map(drop))?;
        all.iter().try_for_each(|n| namespaces::remove(*n))?;
        let rate = |wall: Duration| f64::from(count) / wall.as_secs_f64();
        Ok(json!({"add": rate(add), "del": rate(del)}))
    }

    /// `ops` random operations by `jobs` workers, each on its own containers, with GC of nothing
    /// but the truth between rounds of 500; everything is deleted at the end.
    fn churn(&self, ops: u32, jobs: u32, seed: u64) -> Result<Value> {
        let plugins = self.plugins()?;
        (0..CHURNED).try_for_each(namespaces::make)?;
        let share: Vec<Mutex<Worker>> =
            (0..jobs).map(|job| Mutex::new(Worker::new(job, jobs, seed))).collect();
        let mut left = ops;
        while left > 0 {
            let part = left.min(500);
            left -= part;
            each(&share, share.len(), |worker| {
                let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                (0..part.div_ceil(jobs)).try_for_each(|_| worker.step(plugins))
            })?;
            plugins.gc().context("GC between rounds")?;
        }
        let (mut counts, mut end) = ([0; 4], Vec::new());
        for worker in share {
            let worker = worker.into_inner().unwrap_or_else(PoisonError::into_inner);
            counts.iter_mut().zip(worker.counts).for_each(|(sum, n)| *sum += n);
            end.extend(worker.attached);
        }
        each(&end, 8, |n| plugins.check(*n).and_then(|()| plugins.del(*n).map(drop)))?;
        let [add, del, again, check] = counts;
        Ok(json!({"add": add, "del": del, "del again": again, "check": check}))
    }
}

/// One of the workers of a churn.
struct Worker {
    containers: Vec<u32>,
    attached: BTreeSet<u32>,
    random: u64,
    counts: [u32; 4],
}

impl Worker {
    fn new(job: u32, jobs: u32, seed: u64) -> Self {
        let containers = (0..CHURNED).filter(|n| n % jobs == job).collect();
        let random = seed.wrapping_add(u64::from(job) << 32);
        Self { containers, attached: BTreeSet::new(), random, counts: [0; 4] }
    }

    fn step(&mut self, plugins: &Cni) -> Result<()> {
        let at = usize::try_from(self.next())? % self.containers.len().max(1);
        let number = *self.containers.get(at).context("a container")?;
        let dice = self.next() % 100;
        let attached = self.attached.contains(&number);
        let [add, del, again, check] = &mut self.counts;
        match (attached, dice) {
            (false, 0..90) => {
                plugins.add(number)?;
                self.attached.insert(number);
                *add += 1;
            }
            (false, _) => {
                plugins.del(number).context("DEL of what is gone")?;
                *again += 1;
            }
            (true, 0..60) => {
                plugins.del(number)?;
                self.attached.remove(&number);
                *del += 1;
            }
            (true, _) => {
                plugins.check(number)?;
                *check += 1;
            }
        }
        Ok(())
    }

    /// The next number of `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 1
    }
}

/// Does `f` for each item, by `jobs` threads; how long all of it took.
fn each<T: Sync>(
    items: &[T],
    jobs: usize,
    f: impl Fn(&T) -> Result<()> + Sync,
) -> Result<Duration> {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let work = || -> Result<()> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            f(item)?;
        }
        Ok(())
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let ends = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ends.filter_map(|end| match end {
            Ok(result) => result.err().map(|e| format!("{e:#}")),
            Err(_) => Some("a thread panicked".to_owned()),
        })
        .collect()
    });
    ensure!(failures.is_empty(), "{} failed: {}", failures.len(), failures.join("\n"));
    Ok(start.elapsed())
}
