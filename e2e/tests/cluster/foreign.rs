//! A store that others write to.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, PREFIX, Place as _, wait_until};

use crate::site::{Site, VXLAN, all_reach_all, run};

#[test]
fn malformed_keys_and_values_beside_ours_harm_nobody_else_and_are_reported() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/foo"), "x"])?;
        site.etcd.ctl(&["put", &format!("{PREFIX}/subnets/10.5.200.0-24"), "{not json"])?;
        for said in ["subnets/foo", "10.5.200.0-24"] {
            site.nodes[0].agent()?.wait_for_log(said, PATIENCE)?;
        }
        all_reach_all(&members)?;
        ensure!(site.nodes[0].health("readyz")?.0 == 200);
        // And to an agent that starts on such a store.
        site.nodes[1].stop()?;
        site.nodes[1].resume()?;
        site.nodes[1].wait_ready()?;
        all_reach_all(&members)
    })
}

#[test]
fn a_lease_that_flanneld_wrote_is_a_peer() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &[])?;
        let value = r#"{"PublicIP":"192.0.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}"#;
        let key = format!("{PREFIX}/subnets/10.5.77.0-24");
        site.etcd.ctl(&["put", &key, value])?;
        let host = &site.nodes[0].host;
        let shown = || {
            host.sh("ip route show proto 78; ip neigh show dev flannel.1; bridge fdb show dev flannel.1")
                .map(|output| output.stdout)
                .unwrap_or_default()
        };
        wait_until("route, neighbour and forwarding entry", PATIENCE, || {
            let shown = shown();
            shown.contains("10.5.77.0/24 via 10.5.77.0 dev flannel.1 onlink")
                && shown.contains("10.5.77.0 lladdr c6:d2:32:6f:8f:44 PERMANENT")
                && shown.contains("c6:d2:32:6f:8f:44 dst 192.0.2.77 self permanent")
        })?;
        site.etcd.ctl(&["del", &key])?;
        wait_until("nothing of it", PATIENCE, || {
            let shown = shown();
            !shown.contains("10.5.77.0") && !shown.contains("c6:d2:32:6f:8f:44")
        })
    })
}

#[test]
fn a_configuration_that_comes_late_is_waited_for() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.add(lab, "host1", &[])?;
        let said = "there is no network configuration at /coreos.com/network/config";
        site.nodes[0].agent()?.wait_for_log(said, PATIENCE)?;
        let (status, body) = site.nodes[0].health("readyz")?;
        ensure!(status == 503 && body.contains("no network configuration"), "{status} {body}");
        ensure!(site.nodes[0].health("healthz")? == (200, "flanneld is running".to_owned()));
        site.etcd.configure(VXLAN)?;
        site.nodes[0].wait_ready()?;
        let log = site.nodes[0].agent()?.log();
        let times = log.matches("there is no network configuration").count();
        ensure!(times == 1, "said {times} times: {log}");
        ensure!(site.nodes[0].health("readyz")? == (200, "flanneld is ready".to_owned()));
        Ok(())
    })
}
