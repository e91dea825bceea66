//! Kill safety: ADD and DEL of bridge, host-local, portmap and firewall are killed, and separately
//! failed, at every netlink message and at every system call; DEL alone, or GC alone, then leaves
//! nothing, and ADD works.
//!
//! System calls are cut by strace in the release program, messages (each position in a batch) by
//! the program of profile `inject`. `assets/kill.sh` does what is done on a host.

#![expect(clippy::indexing_slicing, reason = "an index out of range fails the test")]

mod orphans;
mod plan;
mod point;
mod site;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use e2e::points::try_all;
use e2e::{CNI_BIN, Lab, PluginSet, bins, require, require_programs};

use site::Site;

/// More than there are processors: removing links waits without using one.
const WORKERS: usize = 6;

#[test]
fn killed_or_failed_anywhere_del_or_gc_leaves_nothing() -> Result<()> {
    if !can_run()? {
        return Ok(());
    }
    Lab::run(|lab| {
        let points = plan::points(&Site::new(lab, "plan")?.calls()?);
        ensure!(points.len() > 2000, "only {} points", points.len());
        let tried = points.len();
        let site = |number| Site::new(lab, &format!("host{number}"));
        let wrong = try_all(WORKERS, points, site, |site, point| site.try_point(point))?;
        ensure!(wrong.is_empty(), "{} of {tried} points:\n{}", wrong.len(), wrong.join("\n"));
        println!("{tried} points");
        Ok(())
    })
}

/// What makes programs fail on purpose is in no release.
#[test]
fn the_released_programs_cannot_be_made_to_fail() -> Result<()> {
    if !can_run()? {
        return Ok(());
    }
    let has = |path: PathBuf| -> Result<bool> {
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(bytes.windows(11).any(|part| part == b"NETD_INJECT"))
    };
    for name in ["plugins", "netd"] {
        ensure!(has(bins::injected(name)?)?, "{name} of profile inject has no injection");
        ensure!(!has(bins::program(name)?)?, "the released {name} has injection");
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        for name in host.list(CNI_BIN)? {
            let installed = host.path(&format!("{CNI_BIN}/{name}"));
            ensure!(!has(installed)?, "the installed {name} has injection");
        }
        Ok(())
    })?;
    let make = ["make", "--dry-run", "install", "-C", concat!(env!("CARGO_MANIFEST_DIR"), "/..")];
    let output =
        std::process::Command::new(make[0]).args(&make[1..]).output().context("run make")?;
    let commands = String::from_utf8(output.stdout)?;
    for name in ["plugins", "netd"] {
        ensure!(commands.contains(&format!("/release/{name}")), "{commands}");
    }
    ensure!(!commands.contains("inject"), "{commands}");
    Ok(())
}

fn can_run() -> Result<bool> {
    Ok(require_programs(&["strace", "nft", "conntrack"])?
        && require("built plugins (make build)", bins::injected("plugins").is_ok())?)
}
