//! The same configurations through the reference plugins (Debian's, 1.1.1) and ours.
//!
//! Compared: the answer of each plugin to ADD and both DELs, what a program in the container sees,
//! and what of the host is comparable. What may differ stands in `allowed.rs`; anything else fails.

mod allowed;
mod cases;
mod compare;
mod keys;
mod observe;
mod reach;
mod results;
mod tidy;

use allowed::Group;
use anyhow::{Context as _, Result, bail, ensure};
use cases::Case;
use compare::Comparison;
use e2e::{CNI_BIN, Host, Lab, Place as _, PluginSet, REFERENCE_BIN, require};
use serde_json::Value;

/// Whether the reference plugins are on this machine.
fn there() -> Result<bool> {
    let there = std::path::Path::new(REFERENCE_BIN).join("bridge").exists();
    require("the reference plugins (containernetworking-plugins)", there)
}

fn hosts(lab: &Lab) -> Result<Option<(Host, Host)>> {
    if !there()? {
        return Ok(None);
    }
    let pair = (lab.host("reference")?, lab.host("ours")?);
    PluginSet::Reference.install(&pair.0)?;
    PluginSet::Ours.install(&pair.1)?;
    for host in [&pair.0, &pair.1] {
        host.sh(observe::QUIET)?;
        host.sh("ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up
            sysctl -qw net.bridge.bridge-nf-call-iptables=0 || true")?;
    }
    Ok(Some(pair))
}

fn run(group: Group, cases: &[Case]) -> Result<()> {
    Lab::run(|lab| {
        let Some((reference, ours)) = hosts(lab)? else { return Ok(()) };
        let mut comparison = Comparison::new(group);
        for case in cases {
            for version in case.versions {
                let (one, other) = std::thread::scope(|scope| {
                    let one = scope.spawn(|| observe::run(&reference, case, version));
                    (observe::run(&ours, case, version), one.join())
                });
                let Ok(other) = other else { bail!("{} {version}: panicked", case.name) };
                let context = || format!("{} {version}", case.name);
                let (theirs, ours) = (other.with_context(context)?, one.with_context(context)?);
                comparison.add(case, version, &theirs, &ours);
            }
        }
        comparison.judge()
    })
}

#[test]
fn bridge_and_loopback_do_what_the_reference_does() -> Result<()> {
    run(Group::Bridge, &cases::bridge::cases())
}

#[test]
fn macvlan_does_what_the_reference_does() -> Result<()> {
    run(Group::MacVlan, &cases::macvlan::cases())
}

#[test]
fn host_local_and_static_do_what_the_reference_does() -> Result<()> {
    run(Group::Addresses, &cases::addresses::cases())
}

#[test]
fn portmap_and_firewall_answer_what_the_reference_does() -> Result<()> {
    run(Group::Chained, &cases::chained::cases())
}

#[test]
fn version_and_banner_have_the_form_of_the_reference() -> Result<()> {
    Lab::run(|lab| {
        let Some((reference, ours)) = hosts(lab)? else { return Ok(()) };
        for plugin in
            ["bridge", "loopback", "macvlan", "portmap", "firewall", "host-local", "static"]
        {
            let program = format!("{CNI_BIN}/{plugin}");
            let mut spoken = Vec::new();
            for host in [&reference, &ours] {
                let version = host.command(&[&program]).env("CNI_COMMAND", "VERSION").run()?;
                ensure!(version.stdout.trim_end().lines().count() == 1, "{version:?}");
                let banner = host.run(&[&program])?;
                ensure!(banner.stdout.is_empty(), "the banner belongs on stderr: {banner:?}");
                let mut lines = banner.stderr.lines();
                let first = lines.next().unwrap_or_default();
                ensure!(first.starts_with(&format!("CNI {plugin} plugin ")), "{banner:?}");
                let second = lines.next().unwrap_or_default();
                ensure!(second.starts_with("CNI protocol versions supported: "), "{banner:?}");
                ensure!(lines.next().is_none(), "{banner:?}");
                spoken.push(version.json()?);
            }
            let list = |value: &Value| value.get("supportedVersions").cloned().unwrap_or_default();
            let mut expected = list(&spoken[0]);
            expected.as_array_mut().into_iter().for_each(|list| list.push("1.1.0".into()));
            ensure!(list(&spoken[1]) == expected, "{plugin}: {spoken:?}");
        }
        Ok(())
    })
}
