//! Encrypted overlays on the machine's own kernel, which as a rule has no WireGuard: such networks are made, shown and
//! removed, and no container comes on them. With it they work; what that means is checked in virtual machines
//! (`--test tunnels`).

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::attach;
use e2e::guest::Guest;
use e2e::{Host, NETD, PATIENCE, Place as _, wait_until};
use serde_json::json;

use crate::guest::together;
use crate::site::{Site, run};

const REASON: &str =
    "this host's kernel has no WireGuard, which encrypts overlays: load module wireguard";

#[test]
fn an_encrypted_overlay_is_made_and_shown_and_no_container_is_on_it_where_the_kernel_has_no_wireguard()
-> Result<()> {
    run(2, |site| {
        let create = ["create", "-d", "overlay", "--opt", "encrypted=false", "sealed"];
        site.done(0, &create)?;
        site.done(0, &["create", "-d", "overlay", "open"])?;
        site.wait_shown(1, "open")?;
        for host in [0, 1] {
            assert_eq!(site.inspect(host, "sealed")?["Options"], json!({"encrypted": "false"}));
        }
        if has_wireguard(site.host(0)?)? {
            let a = Guest::new(site.host(0)?, "a", "sealed", &json!({}))?;
            let b = Guest::new(site.host(1)?, "b", "sealed", &json!({}))?;
            return together(&a, &b);
        }
        let host = site.host(0)?.clone();
        let before = made(site, &host)?;
        let one = host.add_container("one")?;
        let why = attach(&one, "sealed", &json!({})).err().context("it is refused")?.to_string();
        ensure!(why.contains(REASON) && why.contains("(code 11)"), "{why}");
        assert_eq!(made(site, &host)?, before, "{why}");
        ensure!(one.run(&["ip", "-o", "link"])?.stdout.lines().count() == 1);
        tells(&host, true)?;

        // Networks that are not encrypted go on, and what is told ends with the network.
        let c = Guest::new(&host, "c", "open", &json!({}))?;
        let d = Guest::new(site.host(1)?, "d", "open", &json!({}))?;
        together(&c, &d)?;
        tells(&host, true)?;
        site.done(0, &["rm", "sealed"])?;
        tells(&host, false)
    })
}

/// Whether a link of it can be made in a host.
fn has_wireguard(host: &Host) -> Result<bool> {
    let made = host.command(&["ip", "link", "add", "probe", "type", "wireguard"]).output()?;
    if made.code == 0 {
        host.run(&["ip", "link", "del", "probe"])?;
    }
    Ok(made.code == 0)
}

/// All that an attachment makes on its host, and claims in the store.
fn made(site: &Site, host: &Host) -> Result<String> {
    let links = host.run(&["ip", "-o", "link"])?.stdout;
    let links: Vec<&str> = links.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    let files = host
        .sh("cd /run/netd && find netns overlays endpoints attachments -type f | sort || true")?;
    let table = host.run(&["nft", "-s", "list", "ruleset"])?.stdout;
    let claims = ["blocks/", "endpoints/", "addresses/"].map(|part| site.stored(part).ok());
    Ok(format!("{links:?} {} {claims:?} {table}", files.stdout))
}

/// Waits until `netd status` says why, or does not.
fn tells(host: &Host, told: bool) -> Result<()> {
    let status = || host.command(&[NETD, "status"]).output();
    wait_until("netd status tells that there is no WireGuard, or does not", PATIENCE, || {
        status().is_ok_and(|status| status.stdout.contains(REASON) == told)
    })
    .with_context(|| format!("{:?}", status()))
}
