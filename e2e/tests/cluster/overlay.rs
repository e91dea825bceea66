//! The plugin `overlay` and the agent itself.

use anyhow::{Context as _, Result, ensure};
use e2e::{Cni, PATIENCE, Place as _, SUBNET_ENV};
use serde_json::{Value, json};

use crate::site::{Site, VXLAN, run};

/// No file is named.
fn network() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "type": "overlay",
        "delegate": { "isDefaultGateway": true } })
}

fn conflist() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [
        { "type": "overlay", "delegate": { "isDefaultGateway": true } } ] })
}

#[test]
fn overlay_asks_the_agent_and_without_one_its_file() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        for name in ["host1", "host2"] {
            site.add(lab, name, &["-ip-masq"])?;
        }
        let said = "there is no network configuration";
        site.nodes[0].agent()?.wait_for_log(said, PATIENCE)?;
        let early = Cni::new(&site.nodes[0].host.add_container("early")?);
        let (code, text) = early.call("STATUS", "overlay", &network())?.error()?;
        ensure!(code == 50 && text.contains(said), "{code}: {text}");
        let (code, text) = early.call("ADD", "overlay", &network())?.error()?;
        ensure!(code == 11 && text.contains(said), "{code}: {text}");

        site.etcd.configure(VXLAN)?;
        site.nodes.iter_mut().try_for_each(e2e::Node::wait_ready)?;
        early.call("STATUS", "overlay", &network())?.result()?;
        let members: Vec<_> =
            site.nodes.iter().map(|node| node.add_by("web", conflist())).collect::<Result<_>>()?;
        crate::site::all_reach_all(&members)?;

        // The agent has ended: its file speaks for it.
        site.nodes[0].stop()?;
        early.call("STATUS", "overlay", &network())?.result()?;
        let later = site.nodes[0].add_by("later", conflist())?;
        later.wait_to_reach(members[1].ip, PATIENCE)?;
        let host = &site.nodes[0].host;
        host.run(&["rm", SUBNET_ENV])?;
        let (code, text) = early.call("STATUS", "overlay", &network())?.error()?;
        ensure!(code == 50 && text.contains("netd does not run"), "{code}: {text}");
        // What was attached is taken away all the same.
        later.del()?;
        members.first().context("a container")?.del()?;
        let left = host.list("/run/netd/attachments/pods")?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}
