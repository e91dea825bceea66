//! `--filter KEY=VALUE`, as Docker has it.

use crate::api::networks;

/// A key and a value.
pub(super) type Filter = (String, String);

/// Values by key.
pub(super) fn by_key(given: &[Filter]) -> networks::Filters {
    let mut filters = networks::Filters::new();
    for (key, value) in given {
        filters.entry(key.clone()).or_default().push(value.clone());
    }
    filters
}

/// Docker lowers the key, and takes spaces away. `label!=x` is a key `label!`.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let (key, value) =
        text.split_once('=').ok_or("invalid argument: write it as KEY=VALUE".to_owned())?;
    Ok((key.trim().to_lowercase(), value.trim().to_owned()))
}
