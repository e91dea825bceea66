//! What a plugin asks of the kernel: its system calls, netlink bytes and processes, by strace.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::child;

const LOG: &str = "/run/load.strace";

/// Counts of one or more traced programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// System calls, by name.
    pub calls: BTreeMap<String, u64>,
    /// Bytes sent through netlink sockets.
    pub sent: u64,
    /// Bytes received through netlink sockets.
    pub received: u64,
    /// Programs started by the traced ones.
    pub programs: u64,
}

impl Calls {
    /// Adds the counts of another program.
    pub fn extend(&mut self, other: &Self) {
        for (name, count) in &other.calls {
            *self.calls.entry(name.clone()).or_default() += count;
        }
        self.sent += other.sent;
        self.received += other.received;
        self.programs += other.programs;
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({ "calls": self.calls, "sent": self.sent, "received": self.received,
                "programs": self.programs })
    }

    /// Reads what [`Self::json`] wrote.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn of(value: &Value) -> Result<Self> {
        let number = |key: &str| value.get(key).and_then(Value::as_u64).context("a count");
        let calls = value.get("calls").and_then(Value::as_object).context("calls by name")?;
        let calls = calls.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap_or_default()));
        Ok(Self {
            calls: calls.collect(),
            sent: number("sent")?,
            received: number("received")?,
            programs: number("programs")?,
        })
    }

    /// All system calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }
}

/// Runs a program under strace; its standard output and the counts.
///
/// # Errors
///
/// When it fails, or strace is not installed.
pub fn run(
    environment: &[(&'static str, String)],
    program: &str,
    stdin: &str,
) -> Result<(String, Calls)> {
    let mut command = Command::new("/usr/bin/strace");
    command.args(["-f", "-yy", "-s", "0", "-o", LOG, program]);
    command.env_clear().envs(environment.iter().cloned());
    let ran = child::run(&mut command, stdin.as_bytes())?;
    let log = std::fs::read(LOG).context("read strace's log")?;
    Ok((ran.stdout, count(&String::from_utf8_lossy(&log))))
}

/// Counts lines `PID name(arguments) = result`; those that strace split are counted at their start,
/// their bytes at their end.
fn count(log: &str) -> Calls {
    let mut counts = Calls::default();
    for line in log.lines() {
        let call = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        let resumed = call.starts_with("<...");
        let name = call.split(['(', ' ']).next().unwrap_or_default();
        if !resumed && call.contains('(') {
            *counts.calls.entry(name.to_owned()).or_default() += 1;
            counts.programs += u64::from(name.starts_with("execve"));
        }
        let bytes = call.rsplit_once(" = ").and_then(|(_, n)| n.trim().parse::<u64>().ok());
        if let (true, Some(bytes)) = (call.contains("<NETLINK:"), bytes) {
            match name {
                "sendto" | "sendmsg" | "write" | "writev" => counts.sent += bytes,
                "recvfrom" | "recvmsg" | "read" => counts.received += bytes,
                _ => {}
            }
        }
    }
    counts.programs = counts.programs.saturating_sub(1);
    counts
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn calls_bytes_and_programs_are_counted() {
        let log = "7 execve(\"/opt/cni/bin/bridge\", [...], 0x7f /* 5 vars */) = 0\n\
                   7 sendto(3<NETLINK:[ROUTE:7]>, [...], 40, 0, NULL, 0) = 40\n\
                   7 recvfrom(3<NETLINK:[ROUTE:7]>, [...], 8192, 0, NULL, NULL) = 100\n\
                   7 read(0<pipe:[1]>, \"\"..., 10) = 10\n\
                   7 +++ exited with 0 +++\n";
        let counts = count(log);
        assert_eq!((counts.total(), counts.programs), (4, 0));
        assert_eq!((counts.sent, counts.received), (40, 100));
    }
}
