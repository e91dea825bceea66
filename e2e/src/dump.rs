//! What is printed of every host when a test has failed.

use std::fmt::Write as _;
use std::path::Path;

use crate::host::Host;
use crate::place::Place as _;

/// The questions to a host; each answers for itself, so that one failing hides no other.
const QUESTIONS: &[&str] = &[
    "ip -d addr",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule; ip -6 rule",
    "ip neigh",
    "bridge -d link; bridge fdb",
    "nft list ruleset",
    "iptables-save; ip6tables-save",
    "conntrack -L 2>/dev/null | head -50",
    "grep -r . /run/netd /var/lib/cni 2>/dev/null | cut -c1-2000 | head -100",
    "for n in /run/netns/*; do [ -e $n ] || continue; echo \"--- $n\"; \
     nsenter --net=$n sh -c 'ip addr; ip route; ip -6 route; ip neigh'; done",
    "ps axf -o pid,ppid,stat,args",
];

const LOG_LINES: usize = 200;

/// Prints the state and logs of `hosts` to standard error.
pub(crate) fn print(lab: &str, hosts: &[Host]) {
    for host in hosts {
        let text = state(host);
        #[expect(clippy::print_stderr, reason = "the harness shows it with the failed test")]
        {
            eprintln!("===== lab {lab}, host {} =====\n{text}", host.name());
        }
    }
}

fn state(host: &Host) -> String {
    let mut text = String::new();
    for question in QUESTIONS {
        let answer = match host.command(&["bash", "-c", question]).output() {
            Ok(output) => output.stdout + &output.stderr,
            Err(error) => format!("{error:#}\n"),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "$ {question}\n{answer}");
    }
    for (name, log) in logs(host.logs()) {
        let skipped = log.lines().count().saturating_sub(LOG_LINES);
        let tail: Vec<&str> = log.lines().skip(skipped).collect();
        let _ = writeln!(text, "--- {name} ({skipped} lines before)\n{}", tail.join("\n"));
    }
    text
}

fn logs(dir: &Path) -> Vec<(String, String)> {
    let mut logs: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let bytes = std::fs::read(entry.path()).ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name, String::from_utf8_lossy(&bytes).into_owned()))
        })
        .collect();
    logs.sort();
    logs
}

#[cfg(test)]
mod tests;
