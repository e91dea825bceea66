//! Background processes of a lab: daemons and servers.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::{code, wait_bounded};
use crate::wait::{PATIENCE, wait_for, wait_until};

/// A process in the background; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    inner: Pid,
    log: PathBuf,
}

impl Process {
    /// Takes over `child`, the `nsenter` whose one child is the program itself.
    pub(crate) fn new(name: String, mut child: Child, log: PathBuf) -> Result<Self> {
        let outer = Pid::from_child(&child);
        let inner = wait_for(&format!("the process of {name}"), PATIENCE, || {
            let ended = child.try_wait()?.map(|_| outer);
            Ok(children(outer).first().copied().or(ended))
        })?;
        Ok(Self { name, child, inner, log })
    }

    /// The program's process id as the test sees it (not the host, which counts its own).
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.inner
    }

    /// What it has printed up to now.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Tells whether it still runs.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has printed `text`.
    ///
    /// # Errors
    ///
    /// When it ends before or does not print it within `bound`; both show the log.
    pub fn wait_for_log(&mut self, text: &str, bound: Duration) -> Result<()> {
        let what = format!("{:?} in the log of {}", text, self.name);
        let mut ended = false;
        let waited = wait_until(&what, bound, || {
            ended = !self.is_alive();
            ended || self.log().contains(text)
        });
        if waited.is_err() || !self.log().contains(text) {
            bail!("{what}: {}: {}", if ended { "it ended" } else { "not seen" }, self.log());
        }
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if signal == Signal::CONT {
            // nsenter stops itself when the program is stopped.
            kill_process(Pid::from_child(&self.child), signal)?;
        }
        kill_process(self.inner, signal)
            .with_context(|| format!("send signal {} to {}", signal.as_raw(), self.name))
    }

    /// Waits for its end and gives the exit status (128 and the number for a signal).
    ///
    /// # Errors
    ///
    /// When it does not end within `bound`; it is killed then.
    pub fn wait(&mut self, bound: Duration) -> Result<i32> {
        match wait_bounded(&mut self.child, bound)? {
            Some(status) => Ok(code(status)),
            None => bail!("{} did not end within {bound:?}: {}", self.name, self.log()),
        }
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    ///
    /// When it is gone already or does not end.
    pub fn stop(mut self) -> Result<i32> {
        self.signal(Signal::TERM)?;
        self.wait(PATIENCE)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_alive() {
            // Gone in between is as good.
            let _ = kill_process(self.inner, Signal::KILL);
            let _ = wait_bounded(&mut self.child, PATIENCE);
        }
    }
}

/// Kills the direct children of `parent`; those that are gone already do not matter.
pub(crate) fn kill_children(parent: Pid) {
    for child in children(parent) {
        let _ = kill_process(child, Signal::KILL);
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero();
    std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok().and_then(Pid::from_raw))
        .collect()
}

fn read(log: &PathBuf) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}
