//! One point: the phase is cut, the agent started again, and all must be as if nothing had been.

use anyhow::{Context as _, Result, bail, ensure};
use e2e::points::How;
use e2e::{PATIENCE, wait_for, wait_until};

use crate::agent::{FILES, TRACE};
use crate::looks::Looks;
use crate::phase::Phase;
use crate::point::{At, Cut, Point};
use crate::site::Site;

/// The exit status of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// What the log has of a place that is refused, whatever netd makes of it.
const CUT: &str = "cut at ";

/// So many lines of the log are shown.
const LAST: usize = 12;

/// What comes together is not the same in each run: a place that is not reached is waited for in so many.
const RUNS: usize = 4;

/// What became of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    Right,
    /// In all of [`RUNS`] runs the agent did less than when it was counted.
    NotReached,
    /// What is wrong.
    Wrong(String),
}

/// What became of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The process has ended with this status.
    Ended(i32),
    /// All is as it is to be at the end of the phase.
    Right,
    /// It says that something fails.
    Failing,
}

impl Site {
    /// Tries a point, until it is reached.
    pub(crate) fn try_point(&mut self, point: &Point) -> Tried {
        let tried =
            (0..RUNS).map(|_| self.attempt(point)).find(|tried| !matches!(tried, Ok(false)));
        let error = match tried {
            Some(Ok(_)) => return Tried::Right,
            None => return Tried::NotReached,
            Some(Err(error)) => error,
        };
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default();
        Tried::Wrong(format!("{point}: {error:#}\n    {}", last.join("\n    ")))
    }

    /// Whether the point was reached.
    fn attempt(&mut self, point: &Point) -> Result<bool> {
        let Point { phase, how, .. } = point;
        let cut = point.cut();
        self.prepare(*phase, &cut).context("prepare")?;
        self.begin(*phase, &cut).context("begin")?;
        let Some(outcome) = self.outcome(point)? else { return Ok(false) };
        match (how, outcome) {
            (How::Killed, Outcome::Ended(KILLED)) => {}
            // What the disk is written for comes together or one by one, and in time or not.
            (How::Killed, Outcome::Ended(0)) if phase.ends() => return Ok(false),
            (How::Failed(_), Outcome::Right) => {
                return self.check(*phase, point).map(|()| true);
            }
            (How::Broken(_), Outcome::Right | Outcome::Failing) => {}
            (How::Failed(_) | How::Broken(_), Outcome::Ended(0)) if phase.ends() => {
                self.wait_for_end(*phase).context("it says that it has worked")?;
            }
            (How::Failed(_) | How::Broken(_), Outcome::Ended(code)) if code != 0 => {
                ensure!(self.names_failure(point), "exit status {code} without what failed");
            }
            _ => bail!("{outcome:?}"),
        }
        let again = phase.command().filter(|_| point.at.number().is_multiple_of(2));
        let end = if let Some(command) = again {
            self.run(command, &Cut::Nothing)?;
            let code = self.agent.as_mut().context("a process")?.wait(PATIENCE)?;
            ensure!(code == 0, "exit status {code} when it is run again");
            *phase
        } else {
            self.run("run", &Cut::Nothing)?;
            phase.after_restart()
        };
        self.check(end, point).map(|()| true)
    }

    fn check(&mut self, end: Phase, point: &Point) -> Result<()> {
        if !end.ends() {
            self.wait_for_ready()?;
        }
        self.wait_for_end(end)?;
        self.is_whole = end.leaves_host_whole();
        // One that was granted, and of which the host does not know, ends by itself. Networks are at
        // different places of their own when the agent is killed, and at any where all goes on to fail.
        let networks = point.phase.ground().configs().len();
        let others = match point.how {
            How::Failed(_) => 0,
            How::Killed => networks - 1,
            How::Broken(_) if networks > 1 => networks,
            How::Broken(_) => 0,
        };
        let may_be = if point.at.is_of_store() { networks } else { others };
        // What it claims of the cluster's networks lives by another one, which is asked for meanwhile.
        let may_be = may_be + 1;
        // By one others are told who is missing: it has no key before they are, and where it is ended after its key.
        let may_be = if point.phase == Phase::Anew { may_be + 1 } else { may_be };
        let unused = self.unused_leases()?;
        ensure!(unused <= may_be, "{unused} leases of the store's without keys");
        Ok(())
    }

    /// `None` where the point was not reached.
    fn outcome(&mut self, point: &Point) -> Result<Option<Outcome>> {
        let Point { phase, how, .. } = *point;
        let reached = wait_until("the point is reached", PATIENCE / 2, || {
            self.is_reached(point) || self.has_ended()
        });
        if reached.is_err() || (how != How::Killed && !self.is_reached(point)) {
            return Ok(None);
        }
        // A look costs more than what is looked at.
        let mut looks = Looks::default();
        wait_for("an outcome", PATIENCE, || {
            if self.has_ended() {
                let agent = self.agent.as_mut().context("a process")?;
                return Ok(Some(Outcome::Ended(agent.wait(PATIENCE)?)));
            }
            if matches!(how, How::Broken(_)) && self.names_failure(point) {
                return Ok(Some(Outcome::Failing));
            }
            let may_be = how != How::Killed && !phase.ends() && self.is_ready();
            let is_right = may_be && looks.is_due() && self.is_at_end(phase)?;
            Ok(is_right.then_some(Outcome::Right))
        })
        .map_err(|error| {
            let seen =
                if phase.ends() { error } else { self.wait_for_end(phase).err().unwrap_or(error) };
            seen.context("no outcome")
        })
        .map(Some)
    }

    fn is_reached(&self, point: &Point) -> bool {
        match &point.at {
            At::Place(..) => self.log().contains(CUT),
            At::Call(..) => self.host.read(TRACE).is_ok_and(|trace| trace.contains("(INJECTED)")),
        }
    }

    /// Whether netd itself says what failed: what, or of which file.
    fn names_failure(&self, point: &Point) -> bool {
        let (How::Failed(errno) | How::Broken(errno)) = point.how else { return false };
        let number = format!("(os error {})", errno.number);
        let is_error = |line: &str| line.contains(" ERROR ") || line.contains("error: ");
        self.log().lines().filter(|line| !line.starts_with(CUT)).any(|line| {
            line.contains("injected failure")
                || line.contains(&number)
                || (is_error(line) && FILES.iter().any(|file| line.contains(file)))
        })
    }
}
