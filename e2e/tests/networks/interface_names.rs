//! What interfaces in containers are called. Names begin with the id of the behaviour of Docker's that is shown.

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::{Place as _, PluginSet};
use serde_json::json;

use crate::connect::cni;
use crate::site::run;

const PREFIX: &str = "com.docker.network.container_iface_prefix";

#[test]
fn b7_an_interface_is_the_next_of_the_networks_prefix_unless_its_name_is_asked_for() -> Result<()> {
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        let create = |name: &str, prefix: &str| {
            let option = format!("{PREFIX}={prefix}");
            site.done(&["create", "-o", &option, name])
        };
        create("app", "lan")?;
        create("db", "lan")?;
        create("long", "twelve-bytes")?;
        site.done(&["create", "plain"])?;
        assert_eq!(site.inspect("app")?["Options"][PREFIX], "lan");
        let container = site.host.add_container("one")?;
        let next = json!({ "ifname": null });
        let there = || container.interfaces();
        let connect = |network: &str| site.done(&["connect", network, "one"]);
        attach(&container, "app", &next)?;
        assert_eq!(there()?, ["lan0", "lo"]);
        for network in ["db", "plain", "long"] {
            connect(network)?;
        }
        assert_eq!(there()?, ["eth0", "lan0", "lan1", "lo", "twelve-bytes0"]);
        // The lowest number that is free, also beside links of others.
        detach_any(site, "app")?;
        container.run(&["ip", "link", "add", "lan2", "type", "bridge"])?;
        connect("app")?;
        assert_eq!(there()?, ["eth0", "lan0", "lan1", "lan2", "lo", "twelve-bytes0"]);
        detach_any(site, "app")?;
        container.run(&["ip", "link", "add", "lan0", "type", "bridge"])?;
        connect("app")?;
        ensure!(there()?.contains(&"lan3".to_owned()), "{:?}", there()?);

        // What its runtime, or who connects it, calls it.
        let two = site.host.add_container("two")?;
        cni(site, "add", "app", &two)?;
        assert_eq!(two.interfaces()?, ["eth0", "lo"]);
        let option = "com.docker.network.endpoint.ifname=wan";
        site.done(&["connect", "--driver-opt", option, "db", "two"])?;
        assert_eq!(two.interfaces()?, ["eth0", "lo", "wan"]);
        detach(&two, "app")?;
        Ok(())
    })
}

fn detach_any(site: &crate::site::Site, network: &str) -> Result<()> {
    site.done(&["disconnect", network, "one"]).map(drop)
}

#[test]
fn b2_a_prefix_that_begins_no_name_is_refused_and_that_of_another_driver_has_no_effect()
-> Result<()> {
    run(|site| {
        let links = site.links()?;
        for wrong in ["", "thirteen-byte", "a/b", "a:b", "a b", "lan%d"] {
            let option = format!("{PREFIX}={wrong}");
            let told = site.refused(&["create", "-o", &option, "app"])?;
            let why =
                format!("{PREFIX}: {wrong:?} does not begin a name: use 1 to 12 bytes of one");
            ensure!(told.contains(&why), "{wrong:?}: {told}");
        }
        assert_eq!(
            (site.links()?, site.done(&["ls", "-q", "--filter", "type=custom"])?),
            (links, String::new())
        );
        let option = format!("{PREFIX}=lan");
        site.host.sh("ip link add lan0 type veth peer name far; ip link set lan0 up")?;
        let parent = ["-d", "macvlan", "-o", "parent=lan0", "-o", &option];
        let made = site.network(&[&["create"], &parent[..], &["outside"]].concat())?;
        let told =
            format!("warning: option {PREFIX} is not known to driver macvlan and has no effect\n");
        assert_eq!((made.code, made.stderr), (0, told));
        Ok(())
    })
}
