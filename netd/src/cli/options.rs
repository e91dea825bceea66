//! Options of commands that talk to the cluster's store.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::config::options::{OptionsError, StoreFlags};
use crate::config::store::StoreOptions;

/// Where the store is by file, environment and these flags.
///
/// # Errors
/// At the first option of any place that makes no sense.
pub(super) fn of_store(flags: &StoreFlags) -> Result<StoreOptions, OptionsError> {
    flags.read(&environment())
}

/// The environment; a variable whose name or value is no UTF-8 is none of ours.
pub(super) fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}
