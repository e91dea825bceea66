//! Processes of containers.

use std::path::{Path, PathBuf};

/// The network namespace of a process, if it runs. Numbers of processes are used again: where it is
/// known when this one was started (in ticks since the boot), another with its number is none.
pub(super) fn netns(root: &Path, pid: u32, started: Option<u64>) -> Option<PathBuf> {
    let (state, begun) = stat(root, pid)?;
    let is_alive = !matches!(state.as_str(), "Z" | "X" | "x");
    let is_it = started.filter(|started| *started > 0).is_none_or(|then| begun == Some(then));
    (is_alive && is_it).then(|| root.join(format!("proc/{pid}/ns/net")))
}

/// The state of a process and when it was started, in ticks since the boot: the fields 3 and 22 of
/// `/proc/PID/stat` (proc(5)).
pub(crate) fn stat(root: &Path, pid: u32) -> Option<(String, Option<u64>)> {
    let stat = std::fs::read_to_string(root.join(format!("proc/{pid}/stat"))).ok()?;
    // The second field is a name in parentheses that may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.to_owned();
    Some((state, fields.nth(18)?.parse().ok()))
}
