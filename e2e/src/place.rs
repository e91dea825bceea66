//! Where a command runs: a host of the lab, or a container on it.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{Command, Output};
use crate::host::Host;
use crate::process::Process;

/// A host or container: something with a network namespace to run commands in.
pub trait Place: Sync {
    /// The name, for errors and captures.
    fn name(&self) -> String;

    /// The host: itself, or the one the container is on.
    fn host(&self) -> &Host;

    /// The start of a command here; its words are added with [`Command::arg`].
    fn enter(&self) -> Command;

    /// A command of these words, to be given an environment or standard input.
    fn command(&self, words: &[&str]) -> Command {
        self.enter().args(words)
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    ///
    /// When it fails; the error shows its output.
    fn run(&self, words: &[&str]) -> Result<Output> {
        self.command(words).run()
    }

    /// Runs a bash script that must succeed; it stops at the first command that fails.
    ///
    /// # Errors
    ///
    /// When it fails; the error shows its output.
    fn sh(&self, script: &str) -> Result<Output> {
        self.command(&["bash", "-euc", script]).run()
    }

    /// Starts a command in the background; its output goes to the log `name`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    fn spawn(&self, name: &str, words: &[&str]) -> Result<Process> {
        self.command(words).spawn(name)
    }

    /// The addresses of an interface, each `address/prefix`, in the kernel's order.
    ///
    /// # Errors
    ///
    /// When there is no such interface.
    fn addresses(&self, interface: &str) -> Result<Vec<String>> {
        let shown = self.run(&["ip", "-j", "addr", "show", "dev", interface])?.json()?;
        let entries = shown.pointer("/0/addr_info").and_then(Value::as_array);
        entries
            .context("no addr_info in the output of ip")?
            .iter()
            .map(|entry| {
                let local = entry.get("local").and_then(Value::as_str).context("no local")?;
                Ok(format!("{local}/{}", entry.get("prefixlen").context("no prefixlen")?))
            })
            .collect()
    }

    /// The names of all interfaces, sorted.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    fn interfaces(&self) -> Result<Vec<String>> {
        let shown = self.run(&["ip", "-j", "link", "show"])?.json()?;
        let mut names: Vec<String> = shown
            .as_array()
            .context("no list in the output of ip")?
            .iter()
            .filter_map(|link| link.get("ifname").and_then(Value::as_str).map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }
}
