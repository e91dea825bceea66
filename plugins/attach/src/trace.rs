//! A log of what is done, as commands: off unless `NETD_LOG_FILE` names a file.

use std::fs::OpenOptions;
use std::io::Write;

use netstate::{NsNames, Plan};

/// Appends a plan's commands to the log, if there is one. A log that cannot be written is no
/// reason to fail.
pub(crate) fn commands(plan: &Plan, names: &NsNames) {
    let Some(path) = std::env::var_os("NETD_LOG_FILE") else { return };
    let mut text = String::new();
    for step in &plan.steps {
        text.push_str(&step.command(names));
        text.push('\n');
    }
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(text.as_bytes());
    }
}
