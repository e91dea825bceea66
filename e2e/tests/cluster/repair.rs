//! Whatever is deleted or altered is right again, and how soon. The times are of the host itself,
//! where a loop compares all that there is with what was there before.

mod damages;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::damage::Damage;
use e2e::{Host, Place as _};

use crate::site::{DUAL, DUAL_DIRECT, DUAL_HOST_GW, Site, run};
use damages::{WITH_DEVICES, WITH_ROUTES};

/// The longest time for 99 of 100 repairs, and for half of those of each damage.
const SOON: Duration = Duration::from_millis(100);
/// Whatever else a machine does delays some: it is right if one of so many tables is.
const TABLES: usize = 3;
/// How often each damage is done to an agent that runs; it is done once to one that stands still.
const ROUNDS: usize = 5;

/// Functions to compare a host with what it was, and names for what is damaged.
pub(crate) const STATE: &str = include_str!("../../assets/repair.sh");

#[test]
fn every_kind_of_object_is_right_again_at_once_alone_and_together() -> Result<()> {
    damaged("VXLAN", DUAL, &["-ip-masq"], &WITH_DEVICES)
}

#[test]
fn routes_of_host_gw_and_the_one_that_drops_are_right_again_at_once() -> Result<()> {
    damaged("host-gw", DUAL_HOST_GW, &["-ip-masq", "-ip-blackhole-route"], &WITH_ROUTES)
}

#[test]
fn direct_routes_are_right_again_at_once() -> Result<()> {
    damaged("DirectRouting", DUAL_DIRECT, &["-ip-masq", "-ip-blackhole-route"], &WITH_ROUTES)
}

fn damaged(backend: &str, config: &str, options: &[&str], damages: &[&[Damage]]) -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, config, 2, options)?;
        let host = &site.nodes.first().context("a host")?.host;
        for number in 1..=TABLES {
            let (table, is_soon) = measured(host, damages)?;
            writeln!(std::io::stderr(), "\n{backend}, table {number}\n{table}")?;
            if is_soon {
                return Ok(());
            }
        }
        bail!("99 of 100 repairs took longer than {SOON:?}, or half of those of a damage")
    })
}

/// A table of all damages, and whether they were right again soon.
fn measured(host: &Host, damages: &[&[Damage]]) -> Result<(String, bool)> {
    let mut table = "| | | ms |\n|---|---|---|\n".to_owned();
    let (mut all, mut is_soon) = (Vec::new(), true);
    for damage in damages.iter().copied().flatten() {
        let times = repairs(host, damage).with_context(|| damage.to_string())?;
        writeln!(table, "| {} | {} | {times:?} |", damage.kind, damage.what)?;
        is_soon &= Duration::from_millis(of(&times, 50)?) < SOON;
        all.extend(times.into_iter().map(|ms| (damage.kind, ms)));
    }
    write!(table, "\n{}", by_kind(&all)?)?;
    let times: Vec<u64> = all.into_iter().map(|(_, ms)| ms).collect();
    Ok((table, is_soon && Duration::from_millis(of(&times, 99)?) < SOON))
}

/// After how many milliseconds all was right: that of the agent which stood still comes first.
fn repairs(host: &Host, damage: &Damage) -> Result<Vec<u64>> {
    let script = format!(
        "kind='{}'
         {STATE}
         address=$(address -4 flannel.1 2>/dev/null) address6=$(address -6 flannel-v6.1 2>/dev/null)
         other_of_name() {{ ip link add $1 type bridge 2>/dev/null || true; }}
         damage() {{ {}; }}
         round=0; is_damaged
         for round in $(seq {ROUNDS}); do damage; start=$(now); until_equal; done",
        damage.kind, damage.script
    );
    let shown = host.sh(&script)?.stdout;
    let times: Vec<u64> = shown.lines().map(str::parse).collect::<Result<_, _>>()?;
    ensure!(times.len() == ROUNDS + 1, "{shown}");
    Ok(times)
}

/// A line for each kind of object, and one for all.
fn by_kind(all: &[(&str, u64)]) -> Result<String> {
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, _) in all {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    let mut table =
        "| Object | repairs | half, ms | 99 of 100, ms | longest, ms |\n|---|---|---|---|---|\n"
            .to_owned();
    for wanted in kinds.into_iter().map(Some).chain([None]) {
        let is_of = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
        let times: Vec<u64> =
            all.iter().filter(|(kind, _)| is_of(kind)).map(|(_, ms)| *ms).collect();
        let shares = [of(&times, 50)?, of(&times, 99)?, of(&times, 100)?];
        let shares = shares.map(|ms| ms.to_string()).join(" | ");
        writeln!(table, "| {} | {} | {shares} |", wanted.unwrap_or("all"), times.len())?;
    }
    Ok(table)
}

/// The longest of the quickest so many of a hundred.
fn of(times: &[u64], percent: usize) -> Result<u64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().context("a repair")
}
