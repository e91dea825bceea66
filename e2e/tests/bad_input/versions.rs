//! `cniVersion` and what each version allows.

use anyhow::Result;
use e2e::Lab;
use serde_json::json;

use crate::site::{Site, bridge, row};

#[test]
fn versions_that_do_not_fit() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let at = |version: &str| bridge(json!({"cniVersion": version}));
        let two = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}],
            [{"subnet": "10.3.0.0/24"}]]});
        site.run(&[
            row(
                "unknown version",
                "bridge",
                &at("9.9.9"),
                1,
                &["incompatible CNI versions", "9.9.9", "1.1.0"],
            ),
            row("half a version", "bridge", &at("1.0"), 1, &["1.0"]),
            row("CHECK on 0.3.1", "bridge", &at("0.3.1"), 1, &["does not allow CHECK"])
                .verb("CHECK"),
            row("GC on 1.0.0", "bridge", &at("1.0.0"), 1, &["does not allow GC"]).verb("GC"),
            row("STATUS on 1.0.0", "bridge", &at("1.0.0"), 1, &["does not allow STATUS"])
                .verb("STATUS"),
            row("CHECK without prevResult", "bridge", &at("1.0.0"), 7, &["prevResult"])
                .verb("CHECK"),
            row(
                "0.2.0 with two addresses",
                "bridge",
                &bridge(json!({"cniVersion": "0.2.0", "ipam": two})),
                7,
                &["0.2.0", "does not support more than 1 address per family"],
            ),
            row(
                "0.2.0 with no address",
                "bridge",
                &bridge(json!({"cniVersion": "0.2.0", "ipam": {}})),
                1,
                &["no valid IP addresses"],
            ),
            row("firewall on 0.3.1", "firewall", &at("0.3.1"), 1, &["incompatible", "0.3.1"]),
        ])
    })
}
