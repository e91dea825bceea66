//! What outlives the agent.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, Place as _, probe, wait_until};

use crate::site::{Pinging, Site, VXLAN, run, says};

#[test]
fn a_restart_keeps_subnet_and_link_layer_address_and_interrupts_nothing() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &["-ip-masq"])?;
        let members = site.members()?;
        let state = |site: &Site| -> Result<_> {
            let node = &site.nodes[0];
            Ok((node.key()?, node.mac("flannel.1")?, node.host.read(e2e::SUBNET_ENV)?))
        };
        let before = state(&site)?;
        // From the other host, over the whole time.
        let pinging = Pinging::start(&members[1], &members[0])?;
        ensure!(site.nodes[0].stop()? == 0, "SIGTERM ends it with 0");
        probe::ping(&members[1].container, members[0].ip)?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        site.nodes[0].kill();
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        assert_eq!(state(&site)?, before);
        pinging.end()
    })
}

#[test]
fn after_a_reboot_a_host_has_its_subnet_and_address_again() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[])?;
        let before = (site.nodes[0].key()?, site.nodes[0].mac("flannel.1")?);
        site.nodes[0].stop()?;
        // What a reboot takes: links, rules, /run.
        site.nodes[0]
            .host
            .sh("ip link del flannel.1; nft flush ruleset; rm -r /run/flannel /run/netd")?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        assert_eq!((site.nodes[0].key()?, site.nodes[0].mac("flannel.1")?), before);
        Ok(())
    })
}

#[test]
fn a_host_that_crashed_and_booted_is_no_twin_of_itself_and_a_clone_is() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 1, &[])?;
        let before = (site.nodes[0].key()?, site.nodes[0].mac("flannel.1")?);
        site.nodes[0].kill();
        site.nodes[0]
            .host
            .sh("ip link del flannel.1; nft flush ruleset; rm -r /run/flannel /run/netd")?;
        let machine = site.nodes[0].host.read("/etc/machine-id")?;
        let key = format!("/netd/v1/hosts/{}/live{}", machine.trim(), e2e::PREFIX);
        // All hosts of a lab are of one boot: what there is becomes that of another.
        let sign = site.etcd.ctl(&["get", "--print-value-only", &key])?.stdout;
        let mut sign: serde_json::Value = serde_json::from_str(&sign)?;
        let boot = std::mem::replace(&mut sign["bootId"], "of before".into());
        site.etcd.ctl(&["put", "--ignore-lease", &key, &sign.to_string()])?;
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        assert_eq!((site.nodes[0].key()?, site.nodes[0].mac("flannel.1")?), before);
        let log = site.nodes[0].agent()?.log();
        ensure!(!log.contains("machine id"), "no wait for its own sign of life: {log}");
        let now = site.etcd.ctl(&["get", "--print-value-only", &key])?.stdout;
        ensure!(now.contains(boot.as_str().unwrap_or("?")), "{now}");

        site.nodes[0].stop()?;
        sign["publicIP"] = "192.0.2.99".into();
        site.etcd.ctl(&["put", &key, &sign.to_string()])?;
        site.nodes[0].resume()?;
        wait_until("a clone that runs elsewhere is told", PATIENCE, || {
            says(&site.nodes[0], 503, "192.0.2.99 has the same machine id")
        })
    })
}

#[test]
fn leftovers_of_hosts_that_left_meanwhile_are_gone_after_a_start() -> Result<()> {
    run(|lab| {
        let mut site = Site::new(lab, VXLAN, 2, &[])?;
        let (gone, key) = (site.nodes[1].mac("flannel.1")?, site.nodes[1].key()?);
        site.nodes[0].stop()?;
        site.nodes[1].stop()?;
        site.etcd.ctl(&["del", &format!("{}/subnets/{key}", e2e::PREFIX)])?;
        let shown = |site: &Site| {
            site.nodes[0].host.sh("ip route show proto 78; ip neigh show dev flannel.1; bridge fdb show dev flannel.1")
        };
        ensure!(shown(&site)?.stdout.contains(&gone), "still there before the start");
        site.nodes[0].resume()?;
        site.nodes[0].wait_ready()?;
        let left = shown(&site)?.stdout;
        ensure!(!left.contains(&gone) && !left.contains(&key.replace('-', "/")), "{left}");
        Ok(())
    })
}

#[test]
fn a_second_agent_on_a_host_refuses_to_run() -> Result<()> {
    run(|lab| {
        let site = Site::new(lab, VXLAN, 1, &[])?;
        let url = format!("-etcd-endpoints={}", site.etcd.url());
        let second = site.nodes[0].host.command(&[e2e::NETD, &url]).output()?;
        ensure!(second.code == 1 && second.stderr.contains("another netd runs"), "{second:?}");
        Ok(())
    })
}

#[test]
fn a_device_that_flanneld_left_is_taken_over_with_its_address() -> Result<()> {
    run(|lab| {
        let mut site = Site::without_nodes(lab)?;
        site.etcd.configure(VXLAN)?;
        let host = lab.host("host1")?;
        site.internet.connect(lab, &host)?;
        // As flanneld makes it, with the MTU and the address it has.
        host.sh("ip link add flannel.1 mtu 1450 address 7a:11:22:33:44:55 type vxlan id 1 \
                 local 192.0.2.10 dev eth0 nolearning dstport 8472
             ip addr add 10.5.40.0/32 dev flannel.1; ip link set flannel.1 up
             ip route add 10.5.41.0/24 via 10.5.41.0 dev flannel.1 onlink")?;
        host.write_file(e2e::SUBNET_ENV, "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.40.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n")?;
        let index = "cat /sys/class/net/flannel.1/ifindex";
        let before = host.sh(index)?.stdout;
        site.nodes.push(e2e::Node::start(&host, &site.etcd, &[])?);
        site.nodes[0].wait_ready()?;
        assert_eq!(site.nodes[0].mac("flannel.1")?, "7a:11:22:33:44:55");
        assert_eq!(site.nodes[0].key()?, "10.5.40.0-24");
        assert_eq!(host.sh(index)?.stdout, before, "the device is the same one");
        wait_until("flanneld's old route is gone", PATIENCE, || {
            host.run(&["ip", "route"]).is_ok_and(|o| !o.stdout.contains("10.5.41.0/24"))
        })
    })
}
