//! Child processes, with what they cost by the kernel's own books.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// What a process cost, and the processes it started and waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// From before the start until it was reaped.
    pub wall: Duration,
    /// Time on a processor, user and system.
    pub cpu: Duration,
    /// Peak resident memory in KiB. Not less than that of this process, as the kernel counts the
    /// time between vfork and exec: what runs below the program `e2e-peak` has its own figure.
    pub memory: u64,
    /// Page faults.
    pub faults: u64,
}

impl Cost {
    /// As JSON: microseconds, KiB, count.
    #[must_use]
    pub fn json(&self) -> Value {
        let micros = |d: Duration| d.as_secs_f64() * 1e6;
        json!([micros(self.wall), micros(self.cpu), self.memory, self.faults])
    }

    /// What `f` costs in this thread, without any process.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub fn of<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Self)> {
        let (before, start) = (usage_of_thread(), Instant::now());
        let value = f()?;
        let wall = start.elapsed();
        let after = usage_of_thread();
        let cost = Self {
            wall,
            cpu: cpu(&after).saturating_sub(cpu(&before)),
            memory: 0,
            faults: u64::try_from(after.ru_minflt - before.ru_minflt)?,
        };
        Ok((value, cost))
    }
}

/// A finished process.
#[derive(Debug)]
pub struct Ran {
    /// Standard output.
    pub stdout: String,
    /// What it cost.
    pub cost: Cost,
}

/// Runs a program to its end, as runtimes do: input through a pipe, output read until it closes.
///
/// # Errors
///
/// When it cannot be started or does not exit with 0; the error shows its output.
pub fn run(command: &mut Command, stdin: &[u8]) -> Result<Ran> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that reads no input is as good.
        let _ = pipe.write_all(stdin);
    }
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout).context("read standard output")?;
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr).context("read standard error")?;
    }
    let (status, usage) = reap(child.id())?;
    let cost = Cost {
        wall: start.elapsed(),
        cpu: cpu(&usage),
        memory: u64::try_from(usage.ru_maxrss)?,
        faults: u64::try_from(usage.ru_minflt + usage.ru_majflt)?,
    };
    if status != 0 {
        bail!("{command:?}: wait status {status}\nstdout: {stdout}\nstderr: {stderr}");
    }
    Ok(Ran { stdout, cost })
}

fn reap(pid: u32) -> Result<(i32, libc::rusage)> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut status = 0;
    let mut usage = no_usage();
    #[expect(unsafe_code, reason = "std tells no usage of a child")]
    // SAFETY: both pointers are to values of this frame.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    if reaped != pid {
        return Err(std::io::Error::last_os_error()).context("reap a child");
    }
    Ok((status, usage))
}

fn usage_of_thread() -> libc::rusage {
    let mut usage = no_usage();
    #[expect(unsafe_code, reason = "std tells no usage of a thread")]
    // SAFETY: the pointer is to a value of this frame. The call cannot fail.
    unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
    }
    usage
}

fn no_usage() -> libc::rusage {
    #[expect(unsafe_code, reason = "the structure has no other constructor")]
    // SAFETY: it consists of numbers.
    unsafe {
        std::mem::zeroed()
    }
}

fn cpu(usage: &libc::rusage) -> Duration {
    let micros = |t: &libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or_default())
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or_default())
    };
    micros(&usage.ru_utime) + micros(&usage.ru_stime)
}
