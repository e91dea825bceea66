//! Measured rounds, and what is said of them.

use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A round: for each step its wall time (microseconds), CPU time (microseconds), memory (KiB) and
/// page faults.
pub(crate) type Round = Vec<[f64; 4]>;

/// Rounds of one target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    pub(crate) add: Vec<Round>,
    pub(crate) del: Vec<Round>,
    /// The most memory of any process, in KiB; measured by itself, of plugins only.
    pub(crate) peak: Option<f64>,
}

impl Samples {
    /// Takes an answer of `round` or `single`.
    pub(crate) fn take(&mut self, answer: &Value) -> Result<()> {
        for (rounds, key) in [(&mut self.add, "add"), (&mut self.del, "del")] {
            let steps = answer.get(key).with_context(|| format!("no {key} in {answer}"))?;
            let Some(steps) = steps.as_array() else { continue };
            rounds.push(steps.iter().map(figures).collect());
        }
        Ok(())
    }
}

fn figures(step: &Value) -> [f64; 4] {
    let figure = |index| step.get(index).and_then(Value::as_f64).unwrap_or_default();
    [figure(0), figure(1), figure(2), figure(3)]
}

/// Wall time over rounds, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    pub(crate) median: f64,
    pub(crate) least: f64,
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", ms(self.median), ms(self.least))
    }
}

/// Wall time of these steps together.
pub(crate) fn wall(rounds: &[Round], steps: &[usize]) -> Wall {
    let sums = sums(rounds, steps, 0);
    Wall { median: middle(&sums), least: sums.first().copied().unwrap_or_default() }
}

/// The median of one figure of these steps together.
pub(crate) fn median(rounds: &[Round], steps: &[usize], figure: usize) -> f64 {
    middle(&sums(rounds, steps, figure))
}

/// Microseconds as milliseconds, to three digits.
pub(crate) fn ms(micros: f64) -> String {
    let value = micros / 1000.0;
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// What a call of a single plugin is named in a table.
pub(crate) fn label(what: &str) -> String {
    match what.strip_prefix("host-local-") {
        Some(count) => format!("host-local, {count} reserved,"),
        None if what == "version" => "bridge".to_owned(),
        None => what.to_owned(),
    }
}

fn sums(rounds: &[Round], steps: &[usize], figure: usize) -> Vec<f64> {
    let of = |round: &Round| {
        let chosen = steps.iter().filter_map(|step| round.get(*step));
        chosen.filter_map(|figures| figures.get(figure)).sum()
    };
    let mut sums: Vec<f64> = rounds.iter().map(of).collect();
    sums.sort_by(f64::total_cmp);
    sums
}

/// The median.
pub(crate) fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
