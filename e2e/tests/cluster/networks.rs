//! Networks of one host beside the network of its cluster.

use anyhow::{Result, ensure};
use e2e::{Host, Lab, NETD, Output, PATIENCE, Place as _, wait_until};

use crate::site::{Site, run};

/// The default pool of one host's networks, but for the part in 10.0.0.0/8.
const CONFIG: &str = r#"{"Network":"172.16.0.0/12","SubnetLen":24,"Backend":{"Type":"vxlan"}}"#;

const SUBNET: &str = "{{(index .IPAM.Config 0).Subnet}}";

fn network(host: &Host, words: &[&str]) -> Result<Output> {
    host.command(&[NETD, "network"]).args(words).output()
}

fn subnet(host: &Host, name: &str) -> Result<String> {
    Ok(network(host, &["inspect", "-f", SUBNET, name])?.stdout.trim().to_owned())
}

#[test]
fn no_network_of_a_host_has_addresses_of_the_cluster() -> Result<()> {
    run(|lab: &Lab| {
        let mut site = Site::without_nodes(lab)?;
        // The host knows of no cluster yet, and has chosen for network bridge.
        site.add(lab, "host1", &["-healthz-ip=127.0.0.1"])?;
        let host = site.nodes[0].host.clone();
        wait_until("networks are served", PATIENCE, || {
            subnet(&host, "bridge").is_ok_and(|subnet| subnet == "172.17.0.0/24")
        })?;
        let early = network(&host, &["create", "--subnet", "172.30.1.0/24", "early"])?;
        ensure!(early.code == 0, "{early:?}");
        site.etcd.configure(CONFIG)?;
        site.nodes[0].wait_ready()?;
        wait_until("network bridge has moved", PATIENCE, || {
            subnet(&host, "bridge").is_ok_and(|subnet| subnet == "10.192.0.0/24")
        })?;
        let text = "subnet 172.30.1.0/24 of network early overlaps 172.16.0.0/12, which is the network of this \
                    host's cluster";
        wait_until("the one that was there is told", PATIENCE, || {
            host.run(&[NETD, "status"]).is_ok_and(|status| status.stdout.contains(text))
        })?;
        network(&host, &["create", "a"])?;
        assert_eq!(subnet(&host, "a")?, "10.192.1.0/24");
        let given = network(&host, &["create", "--subnet", "172.20.7.0/24", "b"])?;
        ensure!(
            given.code == 1
                && given
                    .stderr
                    .contains("172.20.7.0/24 overlaps 172.16.0.0/12, which is the network"),
            "{given:?}"
        );
        // A restart knows it before the store is asked.
        site.etcd.kill()?;
        site.nodes[0].stop()?;
        site.nodes[0].resume()?;
        wait_until("networks are served", PATIENCE, || {
            network(&host, &["ls"]).is_ok_and(|listed| listed.code == 0)
        })?;
        let given = network(&host, &["create", "--subnet", "172.20.7.0/24", "b"])?;
        ensure!(given.code == 1 && given.stderr.contains("overlaps 172.16.0.0/12"), "{given:?}");
        Ok(())
    })
}
