//! Networks that cannot be had as they are configured, beside one that can.

use anyhow::{Result, ensure};
use e2e::{Cni, Node, PATIENCE, PREFIX, Place as _, wait_until};
use serde_json::{Value, json};

use super::{
    BLUE, GREEN, OPTIONS, PLAIN, STATE, all_passed, configure, join, members, pinging, said,
    two_hosts,
};
use crate::operate::status;
use crate::site::{Site, run};

#[test]
fn a_network_that_has_no_configuration_or_another_one_leaves_the_others_alone() -> Result<()> {
    run(|lab| {
        let mut site = two_hosts(lab, PLAIN)?;
        let (blue, green) = (members(&site, "blue")?, members(&site, "green")?);
        let traffic = [pinging(&blue)?, pinging(&green)?];
        let refused = r#"{"Network":"10.2.0.0/16","Backend":{"Type":"vxlan","VNI":2}}"#;
        for (json, why) in [(refused, "Backend.Type is \"vxlan\""), ("{", "cannot be used")] {
            configure(&site, "green", json)?;
            wait_until("green is refused, and blue is not", PATIENCE, || {
                let (code, text) = said(&site.nodes[0], "readyz");
                code == 200 && text.starts_with("flanneld is ready; green: ") && text.contains(why)
            })?;
        }
        site.etcd.ctl(&["del", &format!("{PREFIX}/green/config")])?;
        let absent = "green: the network configuration of the store is not followed: there is no";
        wait_until("green has none", PATIENCE, || {
            said(&site.nodes[0], "readyz").1.contains(absent)
        })?;
        let told = status(&site.nodes[0].host)?;
        let refused = |name: &str| told["networks"][name]["configuration"]["refused"].is_string();
        ensure!(refused("green") && !refused("blue"), "{told}");
        all_passed(traffic)?;
        site.nodes[0].host.sh("ip route flush proto 78; nft flush ruleset")?;
        wait_until("what is lost is put back in both", PATIENCE, || {
            let state = site.nodes[0].host.sh(STATE).map(|shown| shown.stdout);
            state.is_ok_and(|s| s.contains("10.2.0.0/16") && s.contains("via 192.0.2."))
        })?;

        // A host that starts now is in blue, and waits for green.
        site.add(lab, "host3", &OPTIONS)?;
        let third = &site.nodes[2];
        wait_until("the third host is in blue", PATIENCE, || {
            said(third, "metrics").1.contains("\nnetd_ready{network=\"blue\"} 1\n")
        })?;
        let (code, text) = said(third, "readyz");
        ensure!(code == 503 && text.contains("yet: green: there is no"), "{code}: {text}");
        ensure!(!text.contains("blue"), "{text}");
        let new = join(third, "blue")?;
        new.wait_to_reach(blue[0].ip, PATIENCE)?;
        let cni = Cni::new(&third.host.add_container("early")?);
        let (code, text) = cni.call("STATUS", "overlay", &network("green"))?.error()?;
        ensure!(code == 50 && text.contains("there is no network configuration"), "{text}");
        cni.call("STATUS", "overlay", &network("blue"))?.result()?;
        let (_, text) = cni.call("STATUS", "overlay", &network("red"))?.error()?;
        ensure!(text.contains("not in network red here, but in blue, green"), "{text}");
        configure(&site, "green", PLAIN)?;
        site.nodes.iter_mut().try_for_each(Node::wait_ready)?;
        join(&site.nodes[2], "green")?.wait_to_reach(green[1].ip, PATIENCE)
    })
}

fn network(name: &str) -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "type": "overlay", "network": name,
        "delegate": { "isDefaultGateway": true } })
}

#[test]
fn networks_that_cannot_be_on_one_host_are_refused_by_one_sentence_until_they_can() -> Result<()> {
    const VNI: &str = "networks blue and green have the same Backend.VNI 1: give green another";
    const OVERLAP: &str = "networks blue and red overlap, 10.1.0.0/16 and 10.1.128.0/17: give red \
                           addresses of its own by its Network";
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        let same = GREEN.replace("\"VNI\":2", "\"VNI\":1");
        configure(&site, "blue", BLUE)?;
        configure(&site, "green", &same)?;
        configure(&site, "red", &BLUE.replace("10.1.0.0/16", "10.1.128.0/17"))?;
        site.add(lab, "host1", &["-networks=blue,green,red", OPTIONS[1], OPTIONS[2]])?;
        wait_until("blue is there, and the others are refused", PATIENCE, || {
            let (code, text) = said(&site.nodes[0], "readyz");
            let all = format!("flanneld is not ready yet: green: {VNI}; red: {OVERLAP}");
            code == 503 && text == all
        })?;
        let host = site.nodes[0].host.clone();
        let devices = host.interfaces()?;
        ensure!(devices.contains(&"flannel.1".to_owned()), "{devices:?}");
        let log = site.nodes[0].agent()?.log();
        ensure!(log.matches(VNI).count() == 1, "said once: {log}");
        join(&site.nodes[0], "blue")?;

        configure(&site, "green", GREEN)?;
        let red = r#"{"Network":"10.3.0.0/16","Backend":{"Type":"host-gw"}}"#;
        configure(&site, "red", red)?;
        site.nodes[0].wait_ready()?;
        // A running network can no more come in another's way than one that starts.
        let wide = r#"{"Network":"10.0.0.0/14","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":2}}"#;
        configure(&site, "green", wide)?;
        wait_until("the wider network is refused", PATIENCE, || {
            let (code, text) = said(&site.nodes[0], "readyz");
            code == 200 && text.contains("networks blue and green overlap, 10.1.0.0/16 and 10.0.0")
        })
    })
}
