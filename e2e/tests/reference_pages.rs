//! Reference pages that show the kernel's state: written from it (`UPDATE_GOLDEN=1`), and compared
//! with it ever after.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::{Chain, Cni, Host, Lab, Place as _, PluginSet};
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("../assets/nftables.md");

#[test]
fn the_page_of_installed_rules_is_what_the_kernel_has() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        let web = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1" }]);
        add(&host, "web", 2, "same-bridge", &web)?;
        add(&host, "db", 3, "isolated", &json!([]))?;
        let mut page = TEMPLATE.to_owned();
        for table in ["inet netd", "bridge netd"] {
            let words: Vec<&str> =
                ["nft", "list", "table"].into_iter().chain(table.split(' ')).collect();
            let listing = host.run(&words)?.stdout;
            for name in named(&listing) {
                let row = format!("\n| `{name}` | ");
                ensure!(TEMPLATE.contains(&row), "{table} {name} is not explained");
            }
            page = page.replace(&format!("{{{{{table}}}}}"), listing.trim_end());
        }
        golden("docs/reference/nftables.md", &page)
    })
}

fn add(host: &Host, name: &str, number: u8, policy: &str, ports: &Value) -> Result<()> {
    let container = host.add_container(name)?;
    let conflist = json!({
        "cniVersion": "1.0.0",
        "name": "red",
        "plugins": [
            { "type": "bridge", "bridge": "red", "isDefaultGateway": true, "ipMasq": true,
              "macspoofchk": true, "mac": format!("02:00:00:00:00:0{number}"),
              "capabilities": { "mac": true },
              "ipam": { "type": "static", "addresses": [
                  { "address": format!("10.1.0.{number}/24"), "gateway": "10.1.0.1" },
                  { "address": format!("fd00:1::{number}/64"), "gateway": "fd00:1::1" }] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall", "ingressPolicy": policy },
        ],
    });
    let args = json!({ "portMappings": ports, "mac": format!("02:00:00:00:00:0{number}") });
    Chain::new(conflist).with_args(args).add(&Cni::new(&container)).map(drop)
}

/// The names of chains, sets and maps in a listing, without the digit of the protocol.
fn named(listing: &str) -> BTreeSet<&str> {
    let words = listing.lines().filter_map(|line| line.trim().strip_suffix(" {"));
    words
        .filter_map(|line| line.split_once(' '))
        .filter(|(word, _)| ["chain", "set", "map"].contains(word))
        .map(|(_, name)| name.trim_end_matches(['4', '6']))
        .collect()
}

fn golden(file: &str, actual: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).with_context(|| format!("write {file}"))?;
    }
    let there = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
    ensure!(
        there == actual,
        "{file} differs from what the kernel has: UPDATE_GOLDEN=1 cargo test -p e2e --test \
         reference_pages\n{actual}"
    );
    Ok(())
}
