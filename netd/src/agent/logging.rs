//! The log: to stderr, where the journal or a terminal takes it.
//!
//! * error: something is wrong that containers notice, and somebody has to look;
//! * warn: a peer or a file is wrong, or something was put right that somebody had broken;
//! * info: what changed: the lease, peers, readiness;
//! * debug: every change to the kernel, as the command it stands for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Logs to stderr from now on. `filter` is a level for netd alone, or tracing's filter language.
/// Lines have no time where the journal adds it.
pub fn log_to_stderr(filter: &str) {
    let filter =
        if LEVELS.contains(&filter) { format!("warn,netd={filter}") } else { filter.to_owned() };
    let filter = EnvFilter::new(filter);
    let ansi = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false);
    // Fails where a log is set already, which is then the one to use.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
}
