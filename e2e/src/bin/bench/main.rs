//! `make bench`: the plugins beside Debian's, netavark and the floor, as the tables of
//! docs/performance.md.
//!
//! Every target has a host of its own; single rounds alternate between the targets, so that all
//! meet the same load of the machine. Compare figures of one run only. `--full` attaches 1,000
//! containers with the peers too, which takes minutes; `--own` measures the chain beside the floor
//! alone, to see at once what a change does; `--peers` measures the agent alone, `--networks`
//! networks of one host, `--overlay` those of the cluster.
#![expect(clippy::print_stdout, reason = "the tables go to stdout")]

mod attach;
mod counts;
mod networks;
mod overlay;
mod peers;
mod samples;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use e2e::load::Session;
use e2e::{CNI_BIN, Lab, Place as _, PluginSet, REFERENCE_BIN};
use serde_json::Value;

use samples::{Samples, ms};

/// Rounds at each number of attached containers.
const ROUNDS: usize = 20;

/// Numbers of attached containers.
const ATTACHED: [u32; 3] = [1, 100, 1_000];

/// The most containers that peers have attached, without `--full`.
const PEERS_ATTACHED: u32 = 100;

/// The call that takes Debian's plugin seconds, and how often it is made.
const SLOW: &str = "host-local-60000";
const SLOW_ROUNDS: usize = 3;

/// Operations at once in the parallel part.
const JOBS: u32 = 8;

fn main() -> Result<()> {
    let given = |option: &str| std::env::args().any(|word| word == option);
    let full = given("--full");
    Lab::run(|lab| {
        println!("{}\n", machine()?);
        if given("--peers") {
            return peers::print(lab);
        }
        if given("--networks") {
            return networks::print(lab);
        }
        if given("--overlay") {
            return overlay::print(lab);
        }
        let mut bench = Bench::new(lab)?;
        if given("--own") {
            return bench.own();
        }
        bench.single()?;
        bench.parallel()?;
        bench.chain(full)?;
        drop(bench);
        peers::print(lab)?;
        networks::print(lab)?;
        overlay::print(lab)
    })
}

/// One line on what this ran on.
fn machine() -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("read {path}"));
    let cpuinfo = read("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("processor", |m| m.trim_start_matches(['\t', ' ', ':']));
    let date = std::process::Command::new("date").arg("+%Y-%m-%d %H:%M %Z").output()?;
    let cpus = std::thread::available_parallelism()?;
    let load = read("/proc/loadavg")?;
    Ok(format!(
        "{}; {cpus} x {model}; Linux {}; load average before: {}",
        String::from_utf8_lossy(&date.stdout).trim(),
        read("/proc/sys/kernel/osrelease")?.trim(),
        load.split(' ').next().unwrap_or_default(),
    ))
}

struct Target {
    name: &'static str,
    session: Session,
    /// The steps of its ADD that make bridge, address and ports, and those of the whole chain.
    steps: [&'static [usize]; 2],
    peer: bool,
}

/// How many are attached, what each target took, and the system calls of ours.
type Stage = (u32, Vec<Samples>, Value);

struct Bench {
    targets: Vec<Target>,
}

impl Bench {
    fn new(lab: &Lab) -> Result<Self> {
        let mut targets = Vec::new();
        let mut add = |name, words: &[&str], steps, peer| -> Result<()> {
            let host = lab.host(&format!("bench{}", targets.len()))?;
            PluginSet::Ours.install(&host)?;
            host.sh("sysctl -qw net.ipv4.ip_forward=1")?;
            targets.push(Target { name, session: Session::start(&host, words)?, steps, peer });
            Ok(())
        };
        let chain: [&[usize]; 2] = [&[0, 1], &[0, 1, 2]];
        add("ours", &["cni", CNI_BIN, "1.0.0"], chain, false)?;
        add("floor", &["floor"], [&[0, 1, 3], &[0, 1, 2, 3]], false)?;
        add("Debian", &["cni", REFERENCE_BIN, "1.0.0"], chain, true)?;
        add("netavark", &["netavark"], [&[0], &[0]], true)?;
        Ok(Self { targets })
    }

    fn ask(&mut self, target: &str, command: &str) -> Result<Value> {
        let found = self.targets.iter_mut().find(|t| t.name == target).context("a target")?;
        found.session.ask(command).with_context(|| found.name)
    }

    fn single(&mut self) -> Result<()> {
        println!("### One plugin by itself\n\nMilliseconds: median (least).\n");
        println!("| Call | ours | Debian | Debian / ours |\n|---|---|---|---|");
        let reserved = ["host-local-10", "host-local-1000", SLOW];
        for what in ["version", "loopback", "macvlan"].iter().chain(&reserved) {
            let mut samples = [Samples::default(), Samples::default()];
            for round in 0..=ROUNDS {
                for (samples, target) in samples.iter_mut().zip(["ours", "Debian"]) {
                    if target == "Debian" && *what == SLOW && round > SLOW_ROUNDS {
                        continue;
                    }
                    let answer = self.ask(target, &format!("single {what}"))?;
                    if round > 0 {
                        samples.take(&answer)?;
                    }
                }
            }
            let [ours, debian] = samples;
            for (verb, ours, debian) in
                [("ADD", &ours.add, &debian.add), ("DEL", &ours.del, &debian.del)]
            {
                if ours.is_empty() {
                    continue;
                }
                let (ours, debian) = (samples::wall(ours, &[0]), samples::wall(debian, &[0]));
                let verb = if *what == "version" { "VERSION" } else { verb };
                let ratio = debian.median / ours.median;
                println!("| {} {verb} | {ours} | {debian} | {ratio:.1} |", samples::label(what));
            }
        }
        println!();
        Ok(())
    }

    fn parallel(&mut self) -> Result<()> {
        println!(
            "### {JOBS} at a time\n\n50 ADDs of the whole chain, then 50 DELs; operations per second.\n"
        );
        println!("| | ADD/s | DEL/s |\n|---|---|---|");
        for target in &mut self.targets {
            // One stays attached: on an empty host netavark 1.4 fails ("Chain already exists").
            target.session.ask("populate 1 1").context(target.name)?;
            match target.session.ask(&format!("parallel 50 {JOBS}")) {
                Ok(answer) => {
                    let rate = |key| answer.get(key).and_then(Value::as_f64).unwrap_or_default();
                    println!("| {} | {:.0} | {:.0} |", target.name, rate("add"), rate("del"));
                }
                Err(error) if target.peer => {
                    println!("| {} | failed | failed |", target.name);
                    writeln!(std::io::stderr(), "{}: {error:#}", target.name)?;
                }
                Err(error) => return Err(error),
            }
        }
        println!();
        Ok(())
    }

    /// The chain beside the floor alone.
    fn own(&mut self) -> Result<()> {
        self.targets.retain(|target| !target.peer);
        let mut stages = Vec::new();
        for attached in [1, 100] {
            stages.push(self.stage(attached, false)?);
        }
        self.times(&stages);
        self.resources(&stages);
        Ok(())
    }

    fn chain(&mut self, full: bool) -> Result<()> {
        let mut stages = Vec::new();
        for attached in ATTACHED {
            stages.push(self.stage(attached, full)?);
        }
        let peer = self.ask("Debian", "trace")?;
        self.times(&stages);
        self.resources(&stages);
        counts::print(&stages, &peer)
    }

    /// Rounds of all targets beside so many attached containers.
    fn stage(&mut self, attached: u32, full: bool) -> Result<Stage> {
        let takes_part = |t: &Target| full || !t.peer || attached <= PEERS_ATTACHED;
        for target in self.targets.iter_mut().filter(|t| takes_part(t)) {
            target.session.ask(&format!("populate {attached} 4"))?;
        }
        let mut samples = vec![Samples::default(); self.targets.len()];
        for round in 0..=ROUNDS {
            for (target, samples) in self.targets.iter_mut().zip(&mut samples) {
                if takes_part(target) {
                    let answer = target.session.ask("round").context(target.name)?;
                    if round > 0 {
                        samples.take(&answer)?;
                    }
                }
            }
        }
        for (target, samples) in self.targets.iter_mut().zip(&mut samples) {
            if matches!(target.name, "ours" | "Debian") && takes_part(target) {
                samples.peak = target.session.ask("peak")?.get("peak").and_then(Value::as_f64);
            }
        }
        Ok((attached, samples, self.ask("ours", "trace")?))
    }

    fn times(&self, stages: &[Stage]) {
        for (chain, title) in [
            (0, "bridge + host-local + portmap (2 ports)"),
            (1, "bridge + host-local + portmap (2 ports) + firewall"),
        ] {
            println!(
                "### {title}\n\nMilliseconds: median (least); `x` is the ratio of the medians to ours.\n"
            );
            println!("| Attached | | ours | floor | ours / floor | Debian | x | netavark | x |");
            println!("|---|---|---|---|---|---|---|---|---|");
            for (attached, samples, _) in stages {
                for verb in ["ADD", "DEL"] {
                    let cells = self.cells(samples, chain, verb);
                    println!("| {attached} | {verb} | {cells} |");
                }
            }
            println!();
        }
    }

    fn cells(&self, samples: &[Samples], chain: usize, verb: &str) -> String {
        let walls: Vec<_> = self
            .targets
            .iter()
            .zip(samples)
            .map(|(target, samples)| {
                let rounds = if verb == "ADD" { &samples.add } else { &samples.del };
                let steps = target.steps.get(chain).copied().unwrap_or_default();
                (target.name, (!rounds.is_empty()).then(|| samples::wall(rounds, steps)))
            })
            .collect();
        let ours = walls.iter().find_map(|(_, wall)| *wall).map_or(1.0, |wall| wall.median);
        let cell = |(name, wall): &(&str, Option<samples::Wall>)| match (*name, wall) {
            ("ours", Some(wall)) => wall.to_string(),
            ("floor", Some(wall)) => format!("{wall} | {:.2}", ours / wall.median),
            (_, Some(wall)) => format!("{wall} | {:.1}", wall.median / ours),
            (_, None) => "- | -".to_owned(),
        };
        walls.iter().map(cell).collect::<Vec<_>>().join(" | ")
    }

    fn resources(&self, stages: &[Stage]) {
        println!(
            "### Processor, memory, page faults\n\nThe whole chain; medians, memory the peak of any process.\n"
        );
        println!("| Attached | | ADD, CPU ms | DEL, CPU ms | memory, MiB | page faults of ADD |");
        println!("|---|---|---|---|---|---|");
        for (attached, samples, _) in stages {
            for (target, samples) in self.targets.iter().zip(samples) {
                let [_, steps] = target.steps;
                if samples.add.is_empty() {
                    continue;
                }
                let cpu = |rounds| ms(samples::median(rounds, steps, 1));
                let peak = samples.peak.map(|kib| format!("{:.1}", kib / 1024.0));
                println!(
                    "| {attached} | {} | {} | {} | {} | {:.0} |",
                    target.name,
                    cpu(&samples.add),
                    cpu(&samples.del),
                    peak.unwrap_or_else(|| "-".to_owned()),
                    samples::median(&samples.add, steps, 3),
                );
            }
        }
        println!();
    }
}
