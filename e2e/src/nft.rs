//! What `nft` shows of a host, by the expressions of crate `nftables`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use nftables::expr::Expression;
use serde::Deserialize as _;
use serde_json::Value;

use crate::host::Host;
use crate::place::Place as _;

/// The sets and maps of a table that have elements, each with its elements, sorted by their text.
///
/// # Errors
///
/// When there is no such table, or an element is of a kind that the crate does not know.
pub fn filled(
    host: &Host,
    family: &str,
    table: &str,
) -> Result<BTreeMap<String, Vec<Expression<'static>>>> {
    let shown = host.run(&["nft", "-j", "list", "table", family, table])?.json()?;
    let objects = shown.get("nftables").and_then(Value::as_array).context("a list of objects")?;
    let mut filled = BTreeMap::new();
    // Not as a whole: the crate reads neither verdict maps (nftables-rs issue 237) nor the type of
    // a map to a concatenation, as nft 1.0.6 writes it.
    for (kind, object) in objects.iter().filter_map(Value::as_object).flatten() {
        let elements = match kind.as_str() {
            "set" | "map" => object.get("elem"),
            _ => None,
        };
        if let Some(elements) = elements {
            let name = object.get("name").and_then(Value::as_str).context("a name")?;
            let mut read: Vec<Expression> =
                Vec::deserialize(elements).with_context(|| format!("read {object}"))?;
            read.sort_by_cached_key(|element| format!("{element:?}"));
            filled.insert(name.to_owned(), read);
        }
    }
    Ok(filled)
}
