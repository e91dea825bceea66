//! Hosts that the administrator's commands connect.

use anyhow::{Result, ensure};
use e2e::{NETD, PATIENCE, Place as _, wait_until};

use crate::site::{Site, all_reach_all, run};

const COMMANDS: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension",
    "PreStartupCommand":"uname -n",
    "PostStartupCommand":"mkdir -p /run/post/$SUBNET/$PUBLIC_IP/$NETWORK",
    "SubnetAddCommand":"ip route replace $SUBNET via ${PUBLIC_IP} dev eth0",
    "SubnetRemoveCommand":"ip route del $SUBNET",
    "ShutdownCommand":"rm -r /run/post"}}"#;

const OF_A_SHELL: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension",
    "PreStartupCommand":"echo \"I am\"; uname -n",
    "SubnetAddCommand":"read -r data; ip route replace $SUBNET via $PUBLIC_IP dev eth0 && echo $data >>/run/said"}}"#;

#[test]
fn commands_connect_hosts_without_a_shell_and_take_back_what_they_made() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, COMMANDS, 2, &["-ip-masq"])?;
        let members = site.members()?;
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        all_reach_all(&members)?;
        let key = site.nodes[1].key()?;
        let lease = site.etcd.ctl(&["get", &format!("{}/subnets/{key}", e2e::PREFIX)])?;
        let published = r#""BackendType":"extension","BackendData":"host2"}"#;
        ensure!(format!("{lease:?}").replace('\\', "").contains(published), "{lease:?}");
        let post = format!("/run/post/{}", key.replace('-', "/"));
        site.nodes[1].host.sh(&format!("ls -d {post}/192.0.2.*/10.5.0.0/16"))?;

        site.nodes[1].stop()?;
        site.nodes[1].host.sh("test -d /run/post")?;
        site.etcd.ctl(&["del", &format!("{}/subnets/{key}", e2e::PREFIX)])?;
        let net = key.replace('-', "/");
        let host = &site.nodes[0].host;
        wait_until("the route of the host that left is gone", PATIENCE, || {
            host.run(&["ip", "route"]).is_ok_and(|shown| !shown.stdout.contains(&net))
        })?;
        site.nodes[1].host.run(&[NETD, "cleanup"])?;
        site.nodes[1].host.sh("! test -e /run/post")?;
        Ok(())
    })
}

#[test]
fn a_command_for_a_shell_is_refused_where_the_host_allows_none() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(OF_A_SHELL)?;
        site.add(lab, "host1", &[])?;
        let refused = &site.nodes[0];
        wait_until("the refusal is told", PATIENCE, || {
            let told = refused.health("readyz");
            told.is_ok_and(|(status, text)| status == 503 && text.contains("--extension-shell"))
        })?;
        for name in ["host2", "host3"] {
            site.add(lab, name, &["-extension-shell"])?;
        }
        site.nodes[1].wait_ready()?;
        site.nodes[2].wait_ready()?;
        let members = [site.nodes[1].add("web")?, site.nodes[2].add("web")?];
        members[0].wait_to_reach(members[1].ip, PATIENCE)?;
        // The first of its two lines: `read` takes one.
        let said = site.nodes[1].host.read("/run/said")?;
        ensure!(said == "I am\n", "{said:?}");
        Ok(())
    })
}
