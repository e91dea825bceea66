//! An agent that is killed, or refused something, at any moment in the life of networks of the cluster: one is
//! made, gets its first container, another one its first and second, all of them go, and it is removed.
//!
//! Whoever was killed is started again, and by turns goes on, or first everything is taken off without it, by the
//! plugin. At the end there must be what there was before: on this host, on the other one and in etcd.

mod scene;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use anyhow::{Result, ensure};
use e2e::points::{Errno, How, try_all};
use e2e::{bins, require};

use scene::Scene;

/// Sites side by side: agents wait for each other and for etcd.
const WORKERS: usize = 4;

/// With it every place is cut in every way, else one way for each place, by turns.
const ALL: &str = "E2E_CUT_ALL";

/// So many messages are those of the first container. Those of the others are alike, and every second is cut.
const OF_FIRST: usize = 24;

/// What is changed, in the order of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Attach(usize),
    Detach(usize),
    Remove,
}

const LIFE: [Step; 8] = [
    Step::Create,
    Step::Attach(0),
    Step::Attach(1),
    Step::Attach(2),
    Step::Detach(2),
    Step::Detach(1),
    Step::Detach(0),
    Step::Remove,
];

/// The network that a container is on: the first is alone on a new one.
const NETWORKS: [&str; 3] = ["new", "old", "old"];

/// What counts as a place.
const KINDS: [&str; 5] = ["message", "sysctl", "request", "answer", "disk"];

/// How many places there are of each kind.
type Counts = BTreeMap<&'static str, usize>;

/// In what an agent is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The life of networks.
    Life,
    /// Its start with containers on them, of which somebody has deleted what is below.
    Start,
}

/// Where an agent is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    phase: Phase,
    kind: &'static str,
    nth: usize,
    how: How,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.phase, self.how.wish(self.kind, self.nth))
    }
}

/// Each place killed, and failed: of both ways one by turns unless all are wanted.
fn points(phase: Phase, counts: &Counts) -> Vec<Point> {
    let all = std::env::var_os(ALL).is_some();
    let mut points = Vec::new();
    for (kind, count) in counts {
        let errno = match *kind {
            "message" => Errno::ENOMEM,
            "sysctl" => Errno::EIO,
            "disk" => Errno::ENOSPC,
            _ => Errno::ECONNRESET,
        };
        for nth in 0..*count {
            // Of what is written to the disk nothing counts until it is waited for.
            let every = match (*kind, nth) {
                _ if all => 1,
                ("disk", _) => 8,
                ("message", OF_FIRST..) => 2,
                _ => 1,
            };
            let ways = [How::Killed, How::Failed(errno)].into_iter().enumerate();
            let is_meant = |way: usize| all || (nth % every == 0 && nth / every % 2 == way);
            let ways = ways.filter(|(way, _)| is_meant(*way));
            points.extend(ways.map(|(_, how)| Point { phase, kind, nth, how }));
        }
    }
    points
}

#[test]
fn b13_an_agent_that_is_killed_or_refused_anything_in_the_life_of_networks_leaves_nothing()
-> Result<()> {
    if !require("built netd (make build)", bins::injected("netd").is_ok())? {
        return Ok(());
    }
    let begin = std::time::Instant::now();
    let mut first = Scene::new()?;
    let counts = [Phase::Life, Phase::Start].map(|phase| first.counted(phase));
    let [life, start] = counts;
    let (life, start) = (life?, start?);
    drop(first);
    ensure!(
        life["message"] > 30 && life["request"] > 3 && start["message"] > 5,
        "{life:?} {start:?}"
    );
    let mut points = points(Phase::Life, &life);
    // What an agent asks of etcd and its disk at a start is cut by `agent_kill`.
    let kernels =
        start.clone().into_iter().filter(|(kind, _)| ["message", "sysctl"].contains(kind));
    points.extend(self::points(Phase::Start, &kernels.collect()));
    let tried = points.len();
    let reached = AtomicUsize::new(0);
    let attempt = |scene: &mut Scene, point: &Point| scene.attempt(point, &reached);
    let wrong = try_all(WORKERS, points, |_| Scene::new(), attempt)?;
    let reached = reached.into_inner();
    println!("{reached} of {tried} points of {life:?} and {start:?} in {:?}", begin.elapsed());
    ensure!(wrong.is_empty(), "{} of {tried} points:\n{}", wrong.len(), wrong.join("\n"));
    // What the agent does by itself comes together, or in time, or not.
    ensure!(reached * 10 > tried * 8, "{reached} of {tried} points were reached");
    Ok(())
}
