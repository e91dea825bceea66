//! `netd network` on a host.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Host, NETD, Output, Place as _};

/// With these words, whatever its exit status.
///
/// # Errors
/// Where it cannot be started.
pub fn network(host: &Host, words: &[&str]) -> Result<Output> {
    host.command(&[NETD, "network"]).args(words).output()
}

/// The same, which must succeed; its standard output without the last line's end.
///
/// # Errors
/// Where it fails; the error shows its output.
pub fn done(host: &Host, words: &[&str]) -> Result<String> {
    let output = host.command(&[NETD, "network"]).args(words).run()?;
    Ok(output.stdout.trim_end_matches('\n').to_owned())
}

/// The same, which must fail: status 1 and what it says.
///
/// # Errors
/// Where it succeeds, or fails otherwise.
pub fn refused(host: &Host, words: &[&str]) -> Result<String> {
    let output = network(host, words)?;
    ensure!(output.code == 1 && output.stdout.is_empty(), "{words:?}: {output:?}");
    Ok(output.stderr.trim().trim_start_matches("error: ").to_owned())
}

/// What `inspect` shows of one network.
///
/// # Errors
/// Where there is none, or it is shown as no JSON.
pub fn inspect(host: &Host, word: &str) -> Result<Value> {
    let all: Value = serde_json::from_str(&done(host, &["inspect", word])?)?;
    all.get(0).cloned().with_context(|| format!("one network in {all}"))
}
