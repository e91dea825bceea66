//! What an attachment costs, as far as it can be counted: it does not grow with the number of
//! containers, starts no process, and stays within its memory. Times are `make bench`'s.

use anyhow::{Context as _, Result, ensure};
use e2e::load::Session;
use e2e::load::trace::Calls;
use e2e::{CNI_BIN, Lab, Place as _, PluginSet, bins, require, require_programs};
use serde_json::Value;

/// Peak memory of any plugin, in KiB: less than this.
const MEMORY: u64 = 3 * 1024;

#[test]
fn an_attachment_costs_the_same_beside_one_and_beside_a_thousand_others() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let mut load = Session::start(&host, &["cni", CNI_BIN, "1.1.0"])?;
        let mut costs = Vec::new();
        for attached in [1, 1_000] {
            load.ask(&format!("populate {attached} 8"))?;
            let answer = load.ask("trace")?;
            let calls = |verb| Calls::of(answer.get(verb).context("counts of a verb")?);
            costs.push([calls("add")?, calls("del")?]);
            let peak = load.ask("peak")?;
            let peak = peak.get("peak").and_then(Value::as_u64).context("a peak")?;
            ensure!(peak < MEMORY, "{peak} KiB of memory beside {attached}");
        }
        let [one, thousand] = costs.as_slice() else { anyhow::bail!("{costs:?}") };
        for ((verb, one), thousand) in ["ADD", "DEL"].iter().zip(one).zip(thousand) {
            ensure!(one == thousand, "{verb} beside 1: {one:?}\nbeside 1,000: {thousand:?}");
            ensure!(one.programs == 0 && one.sent > 0, "{verb}: {one:?}");
        }
        Ok(())
    })
}

/// The list of docs/adr/0008 still names what the compiler makes.
#[test]
fn what_a_plugin_runs_stands_together() -> Result<()> {
    const LEAST: usize = 512 * 1024;
    if !require("built plugins (make build)", bins::find("plugins").is_some())? {
        return Ok(());
    }
    Lab::run(|lab| {
        let plugins = bins::program("plugins")?.display().to_string();
        let readelf = ["readelf", "--section-headers", "--wide", &plugins];
        let sections = lab.host("host")?.run(&readelf)?.stdout;
        let size = |name: &str| {
            let mut lines = sections.lines();
            let line = lines.find(|line| line.split_whitespace().any(|word| word == name))?;
            // [ 3] .text.hot PROGBITS address offset size
            let size = line.split(name).nth(1)?.split_whitespace().nth(3)?;
            usize::from_str_radix(size, 16).ok()
        };
        let hot = size(".text.hot").with_context(|| format!("no .text.hot in:\n{sections}"))?;
        let rest = size(".text").context("no .text")?;
        ensure!(
            hot >= LEAST && rest >= hot / 2,
            "{hot} bytes stand together, {rest} apart: write plugins/hot.ld anew by `make hot`"
        );
        Ok(())
    })
}
