//! Every kind of netd's networks by every verb of CNI. Names begin with the id of the behaviour of Docker's that is
//! shown.

use anyhow::{Result, ensure};
use e2e::{Container, NETD, Output, Place as _, PluginSet, Proto, image, probe};
use serde_json::json;

use crate::attach::{World, in_world};
use crate::site::Site;

const LISTS: &str = "/run/netd/net.d";

/// `netd cni` of a network, whatever its exit status.
fn call(site: &Site, verb: &str, network: &str, more: &[&str]) -> Result<Output> {
    let words = [&[NETD, "cni", verb, "--conf-dir", LISTS, network], more].concat();
    site.host.command(&words).output()
}

/// The same, which must succeed.
fn done(site: &Site, verb: &str, network: &str, more: &[&str]) -> Result<String> {
    let output = call(site, verb, network, more)?;
    ensure!(output.code == 0, "{verb} {network}: {output:?}");
    Ok(output.stdout)
}

/// What a container has beside `lo`.
fn interfaces(container: &Container) -> Result<Vec<String>> {
    Ok(container.interfaces()?.into_iter().filter(|name| name != "lo").collect())
}

#[test]
fn p1_each_kind_of_network_is_used_by_every_verb_of_cni_and_del_comes_twice() -> Result<()> {
    in_world(|world| {
        let World { internet, site, uplink } = world;
        PluginSet::selected()?.install(&site.host)?;
        site.host.sh("ip link add lan0 up type veth peer name far; ip link set far up")?;
        site.done(&["create", "--ipv6", "app"])?;
        site.done(&["create", "--internal", "vault"])?;
        site.done(&["create", "-d", "macvlan", "-o", "parent=lan0", "lan"])?;
        // By the network: the interface, and whether its ports are published.
        for (network, ifnames, is_published) in [
            ("bridge", &["eth0"][..], true),
            ("app", &["eth0"], true),
            ("vault", &["eth0"], false),
            ("lan", &["eth0"], false),
            ("none", &[], false),
        ] {
            let versions = done(site, "version", network, &[])?;
            ensure!(versions.contains(" 1.1.0"), "{network}: {versions}");
            done(site, "status", network, &[])?;
            let name = format!("on-{network}");
            let container = site.host.add_container(&name)?;
            let _server = probe::serve(&container, image::PORT, &[])?;
            let netns = container.netns();
            let ports = json!({ "portMappings": [
                { "hostPort": 8080, "containerPort": image::PORT, "protocol": "tcp" },
            ] });
            let (id, ports) = (["--container-id", &name], ports.to_string());
            let of = [&[netns.as_str()][..], &id].concat();
            let add = [&of[..], &["--capability-args", &ports]].concat();
            let added: serde_json::Value =
                serde_json::from_str(&done(site, "add", network, &add)?)?;
            assert_eq!(added["cniVersion"], "1.1.0", "{network}: {added}");
            assert_eq!(interfaces(&container)?, ifnames, "{network}");
            let asked = probe::refusal(&internet.host, Proto::Tcp, (uplink.v4, 8080))?;
            assert_eq!(asked.is_ok(), is_published, "{network}: {asked:?}");
            done(site, "check", network, &of)?;
            let valid = format!("{name}/eth0");
            done(site, "gc", network, &["--valid", &valid])?;
            done(site, "check", network, &of)?;
            for time in ["once", "twice"] {
                done(site, "del", network, &of).map_err(|error| error.context(time))?;
                assert_eq!(interfaces(&container)?, [""; 0], "{network}");
            }
            let checked = call(site, "check", network, &of)?;
            ensure!(checked.code != 0, "{network}: there is nothing to check: {checked:?}");
            container.remove()?;
        }
        ensure!(
            site.done(&["ls", "-q", "--filter", "dangling=false", "--filter", "type=custom"])?
                .is_empty()
        );
        Ok(())
    })
}
