//! ADD of what is there.

use anyhow::{Context as _, Result, ensure};
use e2e::{Chain, Lab, Place as _};
use serde_json::json;

use crate::site::{Site, bridge, row};

#[test]
fn an_attachment_that_is_there_already() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let good = bridge(json!({}));
        let mut chain =
            Chain::new(json!({"cniVersion": "1.1.0", "name": "net", "plugins": [good]}));
        chain.add(&site.cni)?;
        let other_network = bridge(json!({"name": "other"}));
        site.run(&[
            row("the same again", "bridge", &good, 4, &["c1", "eth0", "net"]),
            row("the interface of another network", "bridge", &other_network, 4, &["eth0"]),
            row("the same in another namespace", "bridge", &good, 4, &["c1", "eth0", "net"])
                .with(|cni| "/run/netns/holder".clone_into(&mut cni.netns)),
        ])?;
        chain.check(&site.cni).context("after the refused ones")?;
        ensure!(site.container.addresses("eth0")?.len() >= 1);
        Ok(())
    })
}
