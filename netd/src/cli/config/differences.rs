//! What a new configuration changes.

use crate::config::network::{InvalidConfig, NetworkConfig};
use crate::lease::{Keyspace, Leased};
use crate::store::Entry;

use super::text;

/// One line per key whose effective value changes.
pub(super) fn lines(
    old: Option<&Result<NetworkConfig, InvalidConfig>>,
    new: &NetworkConfig,
) -> Vec<String> {
    let old = match old {
        None => return described(new, "there was no network configuration; now there is"),
        Some(Err(error)) => {
            return described(
                new,
                &format!("what was there could not be used ({error}); now there is"),
            );
        }
        Some(Ok(old)) => old.effective(),
    };
    let new = new.effective();
    let mut lines = Vec::new();
    for (key, value) in &new {
        match old.iter().find(|(name, _)| name == key) {
            Some((_, before)) if before == value => {}
            Some((_, before)) => lines.push(format!("{key}: {} -> {}", text(before), text(value))),
            None => lines.push(format!("{key}: {} is new", text(value))),
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.iter().any(|(name, _)| name == key));
    lines.extend(gone.map(|(key, before)| format!("{key}: {} is gone", text(before))));
    if lines.is_empty() {
        lines.push("nothing changes".to_owned());
    }
    lines
}

/// One line per lease that its host will give up when it starts next.
pub(super) fn unfit(keys: &Keyspace, entries: Vec<Entry>, new: &NetworkConfig) -> Vec<String> {
    let leased = Leased::read(keys, entries);
    let unfit = leased.leases.iter().filter(|lease| !new.gives_out(&lease.subnet));
    unfit
        .map(|lease| {
            format!(
                "warning: {} is no subnet of it: its host gets another when its agent starts next",
                lease.subnet
            )
        })
        .collect()
}

fn described(new: &NetworkConfig, heading: &str) -> Vec<String> {
    let keys = new.effective();
    let keys = keys.iter().map(|(key, value)| format!("  {key}: {}", text(value)));
    std::iter::once(format!("{heading}:")).chain(keys).collect()
}
