//! The log: to stderr, where the journal or a terminal takes it.
//!
//! * error: something is wrong that containers notice, and somebody has to look;
//! * warn: a peer or a file is wrong, or something was put right that somebody had broken;
//! * info: what changed: the lease, peers, readiness;
//! * debug: every change to the kernel, as the command it stands for.

use std::fmt::Debug;
use std::io::IsTerminal;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
        .fmt_fields(fields())
        .with_target(false);
    // Fails where a log is set already, which is then the one to use.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
}

/// An event is one line: a line break or an escape in what others wrote, as in a key of the store, makes
/// none that looks like netd's, and no colours.
fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        for sign in format!("{value:?}").chars() {
            if sign.is_control() {
                write!(writer, "{}", sign.escape_default())?;
            } else {
                writer.write_char(sign)?;
            }
        }
        Ok(())
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_others_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .fmt_fields(fields())
            .with_writer(File::create(&path).unwrap())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let forged = "/subnets/x\n ERROR it burns\r\u{1b}[31m";
            tracing::warn!(key = forged, reason = %forged, "{forged}");
            tracing::info!(subnet = %"10.5.1.0/24", peers = 2, "leased");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = r"/subnets/x\n ERROR it burns\r\u{1b}[31m";
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                format!(" WARN {shown} key=\"{shown}\" reason={shown}"),
                " INFO leased subnet=10.5.1.0/24 peers=2".to_owned(),
            ]
        );
        assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    }
}
