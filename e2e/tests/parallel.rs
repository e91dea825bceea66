//! Attachments made and removed many at a time, as a busy node does: nothing fails, no address is
//! given twice, nothing stays behind.

use anyhow::{Context as _, Result, ensure};
use e2e::load::Session;
use e2e::load::cni::NETWORK;
use e2e::{CNI_BIN, Host, Lab, Place as _, PluginSet};

/// Operations at once.
const JOBS: u32 = 8;

/// Eight at once, of which each may be the one that makes bridge, table and directories. That the
/// addresses differ is seen to by the load program itself.
#[test]
fn eight_containers_are_attached_at_once_to_an_empty_host() -> Result<()> {
    Lab::run(|lab| {
        for round in 0..20 {
            let host = lab.host(&format!("host{round}"))?;
            let mut load = start(&host)?;
            load.ask(&format!("populate {JOBS} {JOBS}")).with_context(|| host.name())?;
            load.ask("check 1").with_context(|| host.name())?;
            load.ask(&format!("clear {JOBS}")).with_context(|| host.name())?;
            nothing_is_left(&host).with_context(|| host.name())?;
        }
        Ok(())
    })
}

/// Between rounds of 500 GC is called, with the list of what is attached.
///
/// `E2E_CHURN` operations (default 10,000), from the seed `E2E_SEED` or a new one.
#[test]
fn random_operations_at_once_leave_nothing() -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let ops = number("E2E_CHURN").unwrap_or(10_000);
    let seed = number("E2E_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    Lab::run(|lab| {
        let host = lab.host("host")?;
        let mut load = start(&host)?;
        let done = load
            .ask(&format!("churn {ops} {JOBS} {seed}"))
            .with_context(|| format!("E2E_CHURN={ops} E2E_SEED={seed}"))?;
        nothing_is_left(&host).with_context(|| format!("E2E_SEED={seed}: {done}"))?;
        for verb in ["add", "del", "del again", "check"] {
            ensure!(done.get(verb).is_some_and(|n| *n != 0), "no {verb} among them: {done}");
        }
        load.ask("gc")?;
        nothing_is_left(&host).context("after GC")
    })
}

fn start(host: &Host) -> Result<Session> {
    PluginSet::Ours.install(host)?;
    Session::start(host, &["cni", CNI_BIN, "1.1.0"])
}

/// The bridge stays, and its name in the table; but no link of a container, element, reservation
/// or record.
fn nothing_is_left(host: &Host) -> Result<()> {
    let links = host.interfaces()?;
    ensure!(links == ["lo", "load0"], "links are left: {links:?}");
    let ruleset = host.run(&["nft", "list", "ruleset"])?.stdout;
    ensure!(!ruleset.contains("eth0") && !ruleset.contains("10.88."), "elements: {ruleset}");
    let mut reservations = host.list(&format!("/var/lib/cni/networks/{NETWORK}"))?;
    reservations.retain(|name| name.starts_with("10."));
    ensure!(reservations.is_empty(), "reservations are left: {reservations:?}");
    let records = host.sh("find /run/netd -type f -path '*attachments*' ! -name '*lock*'")?.stdout;
    ensure!(records.is_empty(), "records are left: {records}");
    Ok(())
}
