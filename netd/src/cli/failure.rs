//! How a failure is told, and the exit status it leads to.

use std::fmt;
use std::process::ExitCode;

use cni::{Code, ErrorChain};

use super::output;
use crate::backend::InvalidBackend;
use crate::config::network::InvalidConfig;
use crate::config::options::OptionsError;
use crate::lease::{ConfigError, InvalidPrefix};
use crate::store::Fault;

/// Status for arguments that make no sense, as clap has it.
const BAD_USAGE: u8 = 2;
/// Status for configuration that cannot be read or is not there (`EX_USAGE`, sysexits.h).
pub(super) const BAD_CONFIG: u8 = 64;

/// Configuration, or the environment in its place, that cannot be read or is not there.
#[derive(Debug)]
pub(super) struct BadConfig(pub(super) cni::Error);

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BadConfig {}

/// Prints an error and gives the exit status.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        return of_usage(usage);
    }
    if let Some(error) = error.downcast_ref::<OptionsError>() {
        output::note(&format!("error: {error}"));
        return ExitCode::from(match error {
            OptionsError::Usage(_) => BAD_USAGE,
            OptionsError::Config(_) => BAD_CONFIG,
        });
    }
    if let Some(BadConfig(error)) = error.downcast_ref() {
        tell(error);
        return ExitCode::from(BAD_CONFIG);
    }
    match error.downcast_ref::<cni::Error>() {
        Some(error) => tell(error),
        None => output::note(&format!("error: {}", ErrorChain(error.as_ref()))),
    }
    if error.chain().any(is_of_config) { ExitCode::from(BAD_CONFIG) } else { ExitCode::FAILURE }
}

/// Whether it says that what is configured cannot be used, or that nothing is.
fn is_of_config(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_store = cause.downcast_ref().is_some_and(|fault| matches!(fault, Fault::Invalid(_)));
    let absent = cause.downcast_ref();
    let absent = absent.is_some_and(|error| matches!(error, ConfigError::Absent { .. }));
    of_store
        || absent
        || cause.is::<InvalidConfig>()
        || cause.is::<InvalidPrefix>()
        || cause.is::<InvalidBackend>()
}

/// Prints a CNI error: its message, which names the plugin of the chain, its code, its details.
pub(super) fn tell(error: &cni::Error) {
    let code = error.code.number();
    let mut text = format!("error: {}\n  code: {code}{}", error.msg, meaning(error.code));
    if !error.details.is_empty() {
        text.push_str("\n  details: ");
        text.push_str(&error.details);
    }
    output::note(&text);
}

/// `--help` and `--version` are "errors" of clap, too.
fn of_usage(usage: &clap::Error) -> ExitCode {
    if usage.use_stderr() {
        output::note(usage.render().to_string().trim_end());
        return ExitCode::from(BAD_USAGE);
    }
    match output::print(&usage.render().to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The codes of the specification's section "Error" in words.
fn meaning(code: Code) -> &'static str {
    match code {
        Code::IncompatibleVersion => " (incompatible CNI version)",
        Code::UnsupportedField => " (unsupported field)",
        Code::UnknownContainer => " (unknown container)",
        Code::InvalidEnvironment => " (invalid environment)",
        Code::Io => " (I/O failure)",
        Code::Decoding => " (not decodable)",
        Code::InvalidConfig => " (invalid configuration)",
        Code::InvalidNetns => " (invalid network namespace)",
        Code::TryAgainLater => " (try again later)",
        Code::NotAvailable => " (plugin not available)",
        Code::LimitedConnectivity => " (plugin not available, limited connectivity)",
        Code::Internal | Code::Other(_) => "",
    }
}
