//! Every key of the plugins' pages is in a case, or stands here with the reason why it is not.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cases, reach};

/// Keys that nothing is compared of: the plugin, the key, and why.
const NOT_COMPARED: [(&str, &str, &str); 13] = [
    ("bridge", "ipMasqBackend", "since 1.6"),
    ("bridge", "vlan", "no VLAN filtering in every kernel: tests/vm.rs"),
    ("bridge", "vlanTrunk", "since 1.3: tests/vm.rs"),
    ("bridge", "preserveDefaultVlan", "since 1.3: tests/vm.rs"),
    ("bridge", "disableContainerInterface", "since 1.4.1"),
    ("bridge", "portIsolation", "since 1.7"),
    ("macvlan", "linkInContainer", "since 1.3"),
    ("macvlan", "bcqueuelen", "since 1.6"),
    ("portmap", "hostPortConflict", "ours: tests/bad_input"),
    ("portmap", "masqAll", "since 1.2"),
    ("portmap", "backend", "since 1.6"),
    ("portmap", "externalSetMarkChain", "the chain is somebody else's; ours masquerades itself"),
    ("firewall", "firewalldZone", "tests/firewalld.rs"),
];

#[test]
fn every_key_of_the_pages_is_compared_or_listed() -> Result<()> {
    let mut wrong = Vec::new();
    for plugin in ["bridge", "macvlan", "portmap", "firewall", "host-local"] {
        let compared = compared(plugin);
        let listed: BTreeSet<String> = NOT_COMPARED
            .iter()
            .filter(|(of, _, why)| *of == plugin && !why.is_empty())
            .map(|(_, key, _)| (*key).to_owned())
            .collect();
        let keys = of_page(plugin)?;
        ensure!(!keys.is_empty(), "no keys on the page of {plugin}");
        for key in &keys {
            if compared.contains(key) == listed.contains(key) {
                wrong.push(format!("{plugin} {key}: in cases {}", compared.contains(key)));
            }
        }
        wrong
            .extend(listed.difference(&keys).map(|key| format!("{plugin} {key}: not on its page")));
    }
    ensure!(wrong.is_empty(), "in a case and listed, or neither: {wrong:#?}");
    Ok(())
}

/// The keys in the first column of the page's table: the last part of each, without what is asked
/// for in CNI_ARGS.
fn of_page(plugin: &str) -> Result<BTreeSet<String>> {
    let file = format!("../docs/plugins/{plugin}.md");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file))
        .with_context(|| format!("read {file}"))?;
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('|'));
    let words = cells.flat_map(|(cell, _)| cell.split('`').filter(|word| !word.contains(' ')));
    let keys = words.filter(|word| !word.is_empty() && !word.ends_with('='));
    Ok(keys.filter_map(|key| key.rsplit('.').next()).map(str::to_owned).collect())
}

/// The keys of a plugin's configurations in the cases that succeed, at any depth.
fn compared(plugin: &str) -> BTreeSet<String> {
    let groups = [
        cases::bridge::cases(),
        cases::macvlan::cases(),
        cases::addresses::cases(),
        cases::chained::cases(),
    ];
    let mut keys = BTreeSet::new();
    for case in groups.iter().flatten().filter(|case| case.error.is_empty()) {
        case.plugins
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|conf| of_conf(plugin, conf, &mut keys));
        if case.plugins.pointer("/0/type") == Some(&plugin.into()) || plugin == "portmap" {
            all(&case.capability_args, &mut keys);
        }
    }
    reach::configurations().iter().for_each(|conf| of_conf(plugin, conf, &mut keys));
    keys
}

fn of_conf(plugin: &str, conf: &Value, keys: &mut BTreeSet<String>) {
    let is = |conf: &Value| conf.get("type") == Some(&plugin.into());
    if is(conf) || conf.get("ipam").is_some_and(is) {
        all(conf, keys);
    }
}

fn all(value: &Value, keys: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        keys.insert(key.clone());
        all(value, keys);
    }
    value.as_array().into_iter().flatten().for_each(|entry| all(entry, keys));
}
