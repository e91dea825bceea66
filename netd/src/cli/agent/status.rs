//! `netd status`: how the agent on this host stands.

use std::process::ExitCode;

use anyhow::Context;
use netd_api::attach::Lease as State;

use super::Agent;
use crate::api::status::{Lease, Peers, Reconcile, Report, Store, ask};
use crate::cli::output::{Format, Output};
use crate::cli::{output, runtime};

/// Arguments of `netd status`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    agent: Agent,
}

/// Prints how the agent stands; the status is 1 where it is not ready.
///
/// # Errors
/// No agent runs.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let socket = args.agent.socket()?;
    let document = runtime::block_on(async { Ok(ask(&socket, "/v1/status").await?) })?;
    let report: Report = serde_json::from_str(&document).context("read netd's answer")?;
    match args.output.format {
        // As the agent has said it, which may be a newer one.
        Format::Json => output::print(&format!("{document}\n"))?,
        Format::Table => output::print(&text(&report))?,
    }
    Ok(if report.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line for each part, and below it what is wrong with it.
fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, words: String| text.push_str(&format!("{name:10} {words}\n"));
    let ready = report.reason.as_ref().map_or("yes".to_owned(), |reason| format!("no: {reason}"));
    line("ready", ready);
    line("lease", lease(&report.lease));
    if let Some(backend) = &report.backend {
        let (kind, mtu) = (&backend.kind, backend.mtu);
        line(
            "backend",
            format!("{kind} over {}, {}, MTU {mtu}", backend.interface, backend.public_ip),
        );
    }
    line("store", store(&report.store));
    line("kernel", kernel(&report.reconcile));
    line("peers", peers(&report.peers));
    line("agent", format!("netd {}, process {}", report.version, report.pid));
    text
}

fn lease(lease: &Lease) -> String {
    let subnets = lease.subnet.iter().chain(&lease.ipv6_subnet);
    let subnets = subnets.cloned().collect::<Vec<_>>().join(" and ");
    let kept = match (lease.since_keep_alive_seconds, lease.ttl_seconds) {
        (Some(since), Some(ttl)) => {
            format!(", sign of life {} ago, of {} it lives", time(since), time(ttl))
        }
        _ => String::new(),
    };
    let age = lease.age_seconds.map_or(String::new(), |age| format!(" for {}", time(age)));
    match lease.state {
        State::None => "none yet".to_owned(),
        State::Held => format!("{subnets}, held{age}{kept}"),
        State::Lost => format!("{subnets}, lost: {}", lease.reason.as_deref().unwrap_or("?")),
    }
}

fn store(store: &Store) -> String {
    let Store { endpoints, reason, .. } = store;
    let since = store.since_answer_seconds.map(time);
    match (reason, since) {
        (Some(reason), Some(since)) => {
            format!("{endpoints} does not answer, for {since}: {reason}")
        }
        (Some(reason), None) => format!("{endpoints} has never answered: {reason}"),
        (None, Some(since)) => format!("{endpoints}, answered {since} ago"),
        (None, None) => format!("{endpoints}, not asked yet"),
    }
}

fn kernel(reconcile: &Reconcile) -> String {
    let Some(last) = &reconcile.last else { return "not looked at yet".to_owned() };
    let (age, took) = (time(last.age_seconds), last.duration_seconds * 1000.0);
    let Reconcile { steps_applied, steps_failed, .. } = reconcile;
    let trouble = reconcile.trouble.as_ref();
    let trouble = trouble.map_or(String::new(), |why| format!("not as it should be: {why}; "));
    format!(
        "{trouble}looked at {age} ago in {took:.1} ms, {steps_applied} changes made, \
         {steps_failed} refused"
    )
}

fn peers(peers: &Peers) -> String {
    let Peers { total, unconnected, outside, .. } = peers;
    let mut text = total.to_string();
    if let Some(example) = &peers.example {
        text.push_str(&format!(", {unconnected} of them not connected ({example})"));
    }
    if let Some(outsider) = &peers.outsider {
        text.push_str(&format!(", {outside} of them outside the network ({outsider})"));
    }
    text
}

/// The two largest units of a time.
fn time(seconds: f64) -> String {
    /// Names and seconds, the largest first.
    const UNITS: [(&str, u64); 4] = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)];
    let mut left = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let mut parts = Vec::new();
    for (name, unit) in UNITS {
        if left >= unit && parts.len() < 2 {
            parts.push(format!("{} {name}", left / unit));
            left %= unit;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{Backend, LastRound};

    fn report() -> Report {
        Report {
            version: "0.1.0".into(),
            pid: 42,
            ready: true,
            lease: Lease {
                state: State::Held,
                subnet: Some("10.5.52.0/24".into()),
                ttl_seconds: Some(86400.0),
                age_seconds: Some(7265.0),
                since_keep_alive_seconds: Some(65.0),
                ..Lease::default()
            },
            backend: Some(Backend {
                kind: "vxlan".into(),
                interface: "eth0".into(),
                public_ip: "192.0.2.10".into(),
                mtu: 1450,
            }),
            store: Store {
                endpoints: "http://192.0.2.1:2379".into(),
                reachable: true,
                since_answer_seconds: Some(3.0),
                ..Store::default()
            },
            reconcile: Reconcile {
                last: Some(LastRound {
                    succeeded: true,
                    age_seconds: 5.0,
                    duration_seconds: 0.0021,
                }),
                steps_applied: 9,
                ..Reconcile::default()
            },
            peers: Peers { total: 2, ..Peers::default() },
            ..Report::default()
        }
    }

    #[test]
    fn a_person_reads_one_line_for_each_part() {
        let expected = "\
ready      yes
lease      10.5.52.0/24, held for 2 h 1 min, sign of life 1 min 5 s ago, of 1 d it lives
backend    vxlan over eth0, 192.0.2.10, MTU 1450
store      http://192.0.2.1:2379, answered 3 s ago
kernel     looked at 5 s ago in 2.1 ms, 9 changes made, 0 refused
peers      2
agent      netd 0.1.0, process 42
";
        assert_eq!(text(&report()), expected);
    }

    #[test]
    fn what_is_wrong_is_in_the_line_of_its_part() {
        let mut report = report();
        report.reason = Some("the lease is lost: x has it".into());
        report.lease.state = State::Lost;
        report.lease.reason = Some("x has it".into());
        report.store.reason = Some("no route".into());
        report.reconcile.trouble = Some("no link eth0".into());
        report.peers.unconnected = 1;
        report.peers.example = Some("10.5.9.0-24: its lease has no BackendData".into());
        report.peers.outside = 1;
        report.peers.outsider = Some("10.6.1.0-24".into());
        let text = text(&report);
        for said in [
            "ready      no: the lease is lost: x has it\n",
            "lease      10.5.52.0/24, lost: x has it\n",
            "store      http://192.0.2.1:2379 does not answer, for 3 s: no route\n",
            "kernel     not as it should be: no link eth0; looked at",
            "peers      2, 1 of them not connected (10.5.9.0-24: its lease has no BackendData), \
             1 of them outside the network (10.6.1.0-24)\n",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
