//! A foreign plugin that records how a runtime calls it.
//!
//! The probe program is that plugin when it is called by the name `record`: it appends each call to
//! a file and passes the previous result on. A test puts `{"type": "record"}` into a list.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::host::Host;
use crate::plugin_set::CNI_BIN;
use crate::{bins, probe};

/// The file of the recorded calls on a host, one JSON object per line.
pub const FILE: &str = "/run/e2e-calls";

/// One recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `CNI_COMMAND`.
    pub verb: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// The configuration from standard input; `Null` when there was none.
    pub conf: Value,
}

/// Puts the plugin `record` beside the others on a host.
///
/// # Errors
///
/// When the probe program is not built.
pub fn install(host: &Host) -> Result<()> {
    probe::install(host)?;
    host.copy_program(&bins::program("e2e-probe")?, &format!("{CNI_BIN}/record"))
}

/// The calls up to now, without those that only ask for the version.
///
/// # Errors
///
/// When the file is damaged.
pub fn calls(host: &Host) -> Result<Vec<Call>> {
    if !host.path(FILE).exists() {
        return Ok(Vec::new());
    }
    host.read(FILE)?.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<Call> {
    let call: Value = serde_json::from_str(line).with_context(|| format!("read {line:?}"))?;
    let text = |key: &str| call.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Call {
        verb: text("CNI_COMMAND"),
        container_id: text("CNI_CONTAINERID"),
        netns: text("CNI_NETNS"),
        ifname: text("CNI_IFNAME"),
        args: text("CNI_ARGS"),
        conf: call.get("stdin").cloned().unwrap_or_default(),
    })
}
