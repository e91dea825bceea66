//! What a process does that others can see: counted, and cut at any call of it.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};

use crate::{PATIENCE, wait_until};

/// It sends to the kernel, and it writes and removes files.
pub const CALLS: &str =
    "sendto,sendmsg,write,rename,renameat,renameat2,unlink,unlinkat,mkdir,rmdir";

/// How often a process sends something while `work` is done.
///
/// # Errors
/// Where it cannot be traced, or the work fails.
pub fn sends(pid: Pid, work: impl FnOnce() -> Result<()>) -> Result<usize> {
    Ok(sent(pid, work)?.len())
}

/// What it sends, a line of strace's for each call.
///
/// # Errors
/// As [`sends`].
pub fn sent(pid: Pid, work: impl FnOnce() -> Result<()>) -> Result<Vec<String>> {
    let pid = pid.as_raw_nonzero().to_string();
    let log = std::env::temp_dir().join(format!("netd-calls-{pid}"));
    let words = ["-f", "-qqq", "-e", "trace=sendto,sendmsg", "-p", &pid, "-o"];
    let strace = Command::new("strace").args(words).arg(&log).stdin(Stdio::null()).spawn();
    let strace = Cut::traces(strace.context("start strace")?, &pid)?;
    work()?;
    strace.end(true)?;
    let calls = std::fs::read_to_string(&log)?.lines().map(str::to_owned).collect();
    std::fs::remove_file(&log)?;
    Ok(calls)
}

/// Kills a process at one of the calls that it makes from now on.
#[derive(Debug)]
pub struct Cut(Child);

impl Cut {
    /// At the `nth` of these calls.
    ///
    /// # Errors
    /// Where it cannot be traced.
    pub fn at(pid: Pid, calls: &str, nth: usize) -> Result<Self> {
        let pid = pid.as_raw_nonzero().to_string();
        let inject = format!("--inject={calls}:signal=KILL:when={nth}");
        let trace = format!("--trace={calls}");
        let mut strace = Command::new("strace");
        let words = ["-f", "-qqq", "-o", "/dev/null", &trace, &inject, "-p", &pid];
        let child = strace.args(words).stdin(Stdio::null()).spawn().context("start strace")?;
        Self::traces(child, &pid)
    }

    /// Waits until it does, or has killed it at what it does by itself.
    fn traces(child: Child, pid: &str) -> Result<Self> {
        let status = format!("/proc/{pid}/status");
        wait_until("the agent is traced", PATIENCE, || {
            let Ok(status) = std::fs::read_to_string(&status) else { return true };
            status.lines().any(|line| {
                line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0")
                    || line.starts_with("State:\tZ")
            })
        })?;
        Ok(Self(child))
    }

    /// Lets a process that lives go on by itself, or waits until one that was killed is no more. strace
    /// 6.1 must not be interrupted while that happens: it waits for the first thread before the others.
    ///
    /// # Errors
    /// Where strace does not end.
    pub fn end(mut self, lives: bool) -> Result<()> {
        if lives {
            rustix::process::kill_process(Pid::from_child(&self.0), Signal::INT)?;
        }
        wait_until("strace has ended", PATIENCE, || matches!(self.0.try_wait(), Ok(Some(_))))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
