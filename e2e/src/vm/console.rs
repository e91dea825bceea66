//! Reading a virtual machine's console: which check said what, and how it ended.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

/// What a virtual machine left behind.
#[derive(Debug, Clone)]
pub struct Report {
    /// The kernel's release (`uname -r`); empty when it did not boot.
    pub release: String,
    /// From the start of the kernel to that of the first process.
    pub boot: Duration,
    /// The whole life of the machine, seen from outside.
    pub took: Duration,
    /// Every check, in their order, then one of the kernel's log.
    pub outcomes: Vec<Outcome>,
    /// The bound that was over before the machine was.
    pub overtime: Option<Duration>,
    /// All that was printed.
    pub console: String,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The check's name.
    pub name: String,
    /// Its exit status, 124 when it took too long; `None` when the machine was over before.
    pub status: Option<i32>,
    /// How long it took, to the second.
    pub took: Duration,
    /// What it printed, and the kernel meanwhile.
    pub log: String,
}

impl Report {
    /// Demands that every check ended well.
    ///
    /// # Errors
    ///
    /// When one did not: shows the output of those, and all of the console when the machine itself
    /// did not come to its end.
    pub fn verdict(&self) -> Result<()> {
        let bad: Vec<&Outcome> =
            self.outcomes.iter().filter(|outcome| outcome.status != Some(0)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let mut text = self.to_string();
        for outcome in &bad {
            text += &format!("\n--- {}\n{}", outcome.name, outcome.log);
        }
        if bad.iter().any(|outcome| outcome.status.is_none()) {
            text += &format!("\n--- the console\n{}", self.console);
        }
        bail!("{} of {} checks failed\n{text}", bad.len(), self.outcomes.len())
    }

    /// Reads the console of a machine that ran the checks `names`.
    pub(super) fn read(names: &[String], console: &str, took: Duration) -> Self {
        let console = console.replace('\r', "");
        let mut report = Self {
            release: String::new(),
            boot: Duration::ZERO,
            took,
            outcomes: names.iter().map(|name| Outcome::new(name)).collect(),
            overtime: None,
            console: String::new(),
        };
        let mut current = None;
        for line in console.lines() {
            match line.strip_prefix("VM ").map(|rest| rest.split(' ').collect::<Vec<_>>()) {
                Some(words) => report.note(&words, &mut current),
                None => {
                    if let Some(outcome) = current.and_then(|it: usize| report.outcomes.get_mut(it))
                    {
                        outcome.log += line;
                        outcome.log.push('\n');
                    }
                }
            }
        }
        report.console = console;
        report
    }

    /// Takes in one line of `assets/vm/init`.
    fn note(&mut self, words: &[&str], current: &mut Option<usize>) {
        match words {
            ["BOOTED", release, uptime] => {
                (*release).clone_into(&mut self.release);
                self.boot = uptime.parse().map_or(Duration::ZERO, Duration::from_secs_f64);
            }
            ["BEGIN", number] => *current = number.parse().ok(),
            ["END", number, status, seconds] => {
                let index = number.parse::<usize>().ok();
                if let Some(outcome) = index.and_then(|it| self.outcomes.get_mut(it)) {
                    outcome.status = status.parse().ok();
                    outcome.took = seconds.parse().map_or(Duration::ZERO, Duration::from_secs);
                }
                *current = None;
            }
            _ => {}
        }
    }
}

impl Outcome {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), status: None, took: Duration::ZERO, log: String::new() }
    }
}

/// The table of all checks.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (boot, took) = (self.boot.as_secs_f32(), self.took.as_secs_f32());
        match self.release.as_str() {
            "" => write!(f, "the machine did not boot, {took:.1} s in all")?,
            release => write!(f, "Linux {release}: booted in {boot:.1} s, {took:.1} s in all")?,
        }
        if let Some(bound) = self.overtime {
            write!(f, ", stopped because its {} s were over", bound.as_secs())?;
        }
        for Outcome { name, status, took, .. } in &self.outcomes {
            let word = match status {
                Some(0) => "ok".to_owned(),
                Some(124) => "took too long".to_owned(),
                Some(status) => format!("FAILED ({status})"),
                None => "did not end".to_owned(),
            };
            write!(f, "\n  {word:<14} {:>3} s  {name}", took.as_secs())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
