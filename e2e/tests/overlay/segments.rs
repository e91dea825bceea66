//! An overlay of two subnets: each is a link-layer network of its own, and a host leads from one to the other.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{detach, missing};
use e2e::guest::Guest;
use e2e::{PATIENCE, wait_until};
use serde_json::json;

use crate::guest::{below, links_below, mac, netns, together};
use crate::site::{Site, run};

/// What leads from a host to others, by the tunnel's end.
fn leading(site: &Site, host: usize, netns: &str, tunnel: &str) -> Result<BTreeSet<String>> {
    let place = site.host(host)?;
    let words = ["ip", "neigh", "show", "nud", "permanent", "dev", tunnel];
    let neighbours = below(place, netns, &words)?.stdout;
    let forwarding = below(place, netns, &["bridge", "fdb", "show", "dev", tunnel])?.stdout;
    let forwarding = forwarding.lines().filter(|line| line.contains(" dst "));
    let all = neighbours.lines().chain(forwarding);
    let first = all.map(|line| line.split_whitespace().next().unwrap_or_default().to_owned());
    Ok(first.collect())
}

#[test]
fn o3_each_subnet_of_an_overlay_is_a_segment_of_its_own_and_containers_of_all_talk() -> Result<()> {
    run(2, |site| {
        let subnets = ["--subnet", "10.7.0.0/24", "--subnet", "10.8.0.0/24"];
        site.done(0, &[&["create", "-d", "overlay"], &subnets[..], &["ov"]].concat())?;
        site.wait_shown(1, "ov")?;
        let netns = netns(site, "ov")?;
        let at = |ip: &str| json!({ "ips": [ip] });
        let (one, other) = (site.host(0)?, site.host(1)?);
        let all = [
            Guest::new(one, "a7", "ov", &at("10.7.0.20"))?,
            Guest::new(one, "a8", "ov", &at("10.8.0.20"))?,
            Guest::new(other, "b7", "ov", &at("10.7.0.40"))?,
            Guest::new(other, "b8", "ov", &at("10.8.0.40"))?,
        ];
        for from in &all {
            for to in all.iter().filter(|to| to.ip != from.ip) {
                together(from, to)?;
            }
            assert_eq!(missing(&from.container, "ov", "eth0")?, Vec::<String>::new());
        }
        // A number for each in the store, and on each host.
        let stored: BTreeSet<String> = site.stored("vnis/")?.into_iter().map(|it| it.0).collect();
        assert_eq!(stored.len(), 2);
        for (host, [seven, eight]) in [(0, [&all[2], &all[3]]), (1, [&all[0], &all[1]])] {
            let place = site.host(host)?;
            assert_eq!(links_below(place, &netns)?, ["br0", "br1", "vxlan0", "vxlan1"]);
            let mut seen = BTreeSet::new();
            for (tunnel, there) in [("vxlan0", seven), ("vxlan1", eight)] {
                let link = below(place, &netns, &["ip", "-d", "link", "show", tunnel])?.stdout;
                let id = link.split_once("vxlan id ").context(link.clone())?.1;
                seen.extend(id.split_whitespace().next().map(str::to_owned));
                let wanted = [there.ip.to_string(), mac(there.ip)?].into();
                assert_eq!(leading(site, host, &netns, tunnel)?, wanted, "{tunnel}");
            }
            assert_eq!(seen, stored, "host{}", host + 1);
        }
        // What leads to a container goes with it from its segment, and stays in the other.
        detach(&all[3].container, "ov")?;
        wait_until("nothing leads there", PATIENCE, || {
            leading(site, 0, &netns, "vxlan1").is_ok_and(|all| all.is_empty())
        })?;
        ensure!(!leading(site, 0, &netns, "vxlan0")?.is_empty());
        together(&all[1], &all[2])
    })
}
