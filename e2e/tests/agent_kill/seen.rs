//! What is seen of a host that runs the agent: tunnels and their parts, rules, files, and what the agent says
//! of itself. What asks the kernel is `agent.sh look`; files are read, and lines made comparable, here, where it
//! costs no process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use e2e::{Host, Place as _};

use crate::agent::KEY;

/// Where the agent writes.
const PLACES: [&str; 4] = ["/run/netd", "/run/flannel", "/var/lib/netd", "/etc/cni/net.d"];
/// Between what `ip` and `bridge` say and what the others do.
const REST: &str = "-- rest --";
/// What comes and goes with a cable.
const OF_CARRIER: [&str; 3] = ["NO-CARRIER,", ",LOWER_UP", " linkdown"];

/// A line for each thing there is, in no order.
pub(crate) fn lines(host: &Host) -> Result<Vec<String>> {
    let said = host.run(&["bash", "/opt/agent.sh", "look"])?.stdout;
    let (links, rest) = said.split_once(REST).context("all of what `look` says")?;
    let mut lines: Vec<String> = links.lines().filter_map(lasting).collect();
    lines.extend(rest.lines().map(|line| line.trim_start().to_owned()));
    for place in PLACES {
        files(host, place, &mut lines)?;
    }
    Ok(lines)
}

/// A line of `ip` or `bridge`, less what the kernel changes in its own time.
fn lasting(line: &str) -> Option<String> {
    let is_of_link = line.contains("fe80:") || line.contains("ff00:");
    // Who is asked for among neighbours.
    let is_asked = line.starts_with("33:33:ff:") && line.contains(" dev eth0 ");
    if is_of_link || is_asked {
        return None;
    }
    let line = line.split("valid_lft").next().unwrap_or(line).trim_end_matches([' ', '\\']);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let unnumbered = line.split_at(digits).1.strip_prefix(": ").filter(|_| digits > 0);
    let mut line = unnumbered.unwrap_or(line).to_owned();
    if let Some((before, after)) = line.split_once(" state ") {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_uppercase());
        line = format!("{before}{rest}");
    }
    for part in OF_CARRIER {
        line = line.replace(part, "");
    }
    Some(line.trim_end().to_owned())
}

/// All that is in a directory: kinds, modes, names, and what is in files that others read.
fn files(host: &Host, path: &str, lines: &mut Vec<String>) -> Result<()> {
    if KEY.contains(&path) {
        return Ok(());
    }
    // What goes away meanwhile is seen at the next look.
    let Ok(found) = fs::symlink_metadata(host.path(path)) else { return Ok(()) };
    let kind = if found.is_dir() {
        'd'
    } else if found.is_symlink() {
        'l'
    } else if found.is_file() {
        'f'
    } else {
        's'
    };
    lines.push(format!("file {kind} {:o} {path}", found.permissions().mode() & 0o7777));
    if found.is_dir() {
        for name in host.list(path)? {
            files(host, &format!("{path}/{name}"), lines)?;
        }
    }
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    // The lists of the host's own networks have ids of this run.
    let is_told = matches!(extension, Some("env" | "conflist")) && !path.starts_with("/run/netd/");
    if found.is_file() && is_told {
        let content = fs::read_to_string(host.path(path)).unwrap_or_default();
        lines.extend(content.lines().map(|line| format!("{path}:{line}")));
    }
    Ok(())
}
