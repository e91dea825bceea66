//! `netd status`: how the agent on this host stands.

use std::process::ExitCode;

use anyhow::Context;
use netd_api::attach::Lease as State;

use super::Agent;
use crate::api::status::{
    Answer, ClusterNetworks, HostNetworks, Lease, Peers, Reconcile, Report, Store, ask,
};
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
    let answer: Answer = serde_json::from_str(&document).context("read netd's answer")?;
    match args.output.format {
        // As the agent has said it, which may be a newer one.
        Format::Json => output::print(&format!("{document}\n"))?,
        Format::Table => output::print(&whole(&answer))?,
    }
    Ok(if answer.is_ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of several networks first the agent, and then each.
fn whole(answer: &Answer) -> String {
    match answer {
        Answer::One(report) if report.store.endpoints.is_empty() => {
            let cluster = line("cluster", "none: networks of this host only");
            let agent = agent(&report.version, report.pid);
            let ready = line("ready", &ready(report.reason.as_deref()));
            format!("{ready}{cluster}{}{agent}", host_networks(&report.host_networks))
        }
        Answer::One(report) => {
            let (before, after) = network(report);
            format!(
                "{before}{}{after}{}{}{}",
                line("store", &store(&report.store)),
                host_networks(&report.host_networks),
                cluster_networks(report.cluster_networks.as_ref()),
                agent(&report.version, report.pid)
            )
        }
        Answer::Several(all) => {
            let mut text = line("ready", &ready(all.reason.as_deref()));
            text.push_str(&line("store", &store(&all.store)));
            // Each knows them all.
            let networks = all.networks.values().next().map(|report| {
                host_networks(&report.host_networks)
                    + &cluster_networks(report.cluster_networks.as_ref())
            });
            text.extend(networks);
            text.push_str(&agent(&all.version, all.pid));
            for (name, report) in &all.networks {
                let (before, after) = network(report);
                text.push_str(&format!("\n{}{before}{after}", line("network", name)));
            }
            text
        }
    }
}

fn line(name: &str, words: &str) -> String {
    format!("{name:10} {words}\n")
}

fn agent(version: &str, pid: u32) -> String {
    line("agent", &format!("netd {version}, process {pid}"))
}

fn ready(reason: Option<&str>) -> String {
    reason.map_or("yes".to_owned(), |reason| format!("no: {reason}"))
}

/// A line for each part, with what is wrong with it: those before the store's, and those after.
fn network(report: &Report) -> (String, String) {
    let mut text = String::new();
    let mut line = |name: &str, words: String| text.push_str(&self::line(name, &words));
    line("ready", ready(report.reason.as_deref()));
    line("lease", lease(&report.lease));
    if let Some(backend) = &report.backend {
        let (kind, mtu) = (&backend.kind, backend.mtu);
        let trouble = backend.trouble.as_ref();
        let trouble = trouble.map_or(String::new(), |why| format!("; {why}"));
        line(
            "backend",
            format!("{kind} over {}, {}, MTU {mtu}{trouble}", backend.interface, backend.public_ip),
        );
    }
    if let Some(refused) = &report.configuration.refused {
        line("config", format!("not followed: {refused}"));
    }
    let kernel = self::line("kernel", &kernel(&report.reconcile));
    (text, kernel + &self::line("peers", &peers(&report.peers)))
}

/// A line for each thing that is wrong with the networks of this host alone.
fn host_networks(networks: &HostNetworks) -> String {
    let HostNetworks { trouble, dns, clashes } = networks;
    let all = trouble.iter().chain(dns).chain(clashes);
    all.map(|what| line("networks", what)).collect()
}

/// How the host takes part in networks that hosts share, and a line for each thing that is wrong with them.
fn cluster_networks(networks: Option<&ClusterNetworks>) -> String {
    let Some(networks) = networks else { return String::new() };
    let ClusterNetworks { networks, overlays, troubles, since_confirmed_seconds, .. } = networks;
    let confirmed = since_confirmed_seconds.map(|since| format!(", confirmed {} ago", time(since)));
    let head = format!("networks of the cluster: {networks}{}", confirmed.unwrap_or_default());
    let stands =
        std::iter::once(head).chain(troubles.iter().cloned()).collect::<Vec<_>>().join("; ");
    let overlays = overlays.iter().map(|what| line("networks", what));
    overlays.chain([line("member", &stands)]).collect()
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
    let Peers { total, unconnected, missing, outside, .. } = peers;
    let mut text = total.to_string();
    if *missing > 0 {
        text.push_str(&format!(", {missing} of them missing in the store"));
    }
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
mod tests;
