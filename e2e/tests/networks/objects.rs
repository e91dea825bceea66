//! Networks as objects: made, shown, refused and removed.

use anyhow::{Context as _, Result, ensure};
use e2e::Place as _;

use crate::site::{Site, run};

/// Checks that words are refused with a text, and that nothing is half made.
fn refuse(site: &Site, words: &[&str], text: &str) -> Result<()> {
    let (links, networks) = (site.links()?, site.done(&["ls", "-q"])?);
    let told = site.refused(words)?;
    ensure!(told.contains(text), "{words:?}: {told}");
    ensure!(site.done(&["ls", "-q"])? == networks, "{words:?}: another network");
    let after = site.links()?;
    ensure!(after == links, "{words:?}: another link: {after:?}");
    Ok(())
}

#[test]
fn b2_a_network_has_the_addresses_that_were_asked_for() -> Result<()> {
    run(|site| {
        let words = ["create", "--subnet", "172.30.11.0/24", "--gateway", "172.30.11.7", "web"];
        let id = site.done(&words)?;
        ensure!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let bridge = format!("br-{}", &id[..12]);
        assert_eq!(site.host.addresses(&bridge)?, ["172.30.11.7/24"]);
        let up = site.host.read(&format!("/sys/class/net/{bridge}/flags"))?;
        ensure!(u32::from_str_radix(up.trim().trim_start_matches("0x"), 16)? & 1 == 1, "{up}");
        assert_eq!(site.inspect(&id[..4])?["Name"], "web");

        refuse(site, &["create", "web"], "network with name web already exists")?;
        let overlap = ["create", "--subnet", "172.30.11.128/25", "b"];
        refuse(site, &overlap, "Pool overlaps with other one on this address space: network web")?;
        let gateway = ["create", "--subnet", "172.30.12.0/24", "--gateway", "10.0.0.1", "b"];
        refuse(site, &gateway, "no matching subnet for gateway 10.0.0.1")?;
        let taken = ["create", "--subnet", "172.30.12.0/24", "--gateway", "172.30.12.0", "b"];
        refuse(site, &taken, "failed to allocate gateway (172.30.12.0): Address already in use")?;
        let link = ["create", "-o", "com.docker.network.bridge.name=lo", "b"];
        refuse(site, &link, "existing interface lo is not a bridge")?;

        assert_eq!(site.done(&["rm", "web"])?, "web");
        ensure!(!site.host.path(&format!("/sys/class/net/{bridge}")).exists(), "{bridge} stays");
        refuse(site, &["rm", "web"], "network web not found")?;
        refuse(site, &["rm", ""], "a network is meant by nothing")?;
        let expanded = ["create", "-o", "com.docker.network.bridge.name=br%d", "b"];
        refuse(site, &expanded, "is no name of an interface")?;
        refuse(site, &["rm", "bridge"], "bridge is a pre-defined network and cannot be removed")
    })
}

#[test]
fn options_of_a_bridge_are_followed_and_an_unknown_one_is_told() -> Result<()> {
    run(|site| {
        let mtu = "com.docker.network.driver.mtu=1400";
        let made = site.network(&["create", "--ipv6", "-o", mtu, "-o", "foo=bar", "a"])?;
        ensure!(made.code == 0, "{made:?}");
        let told = "warning: option foo is not known to driver bridge and has no effect\n";
        assert_eq!(made.stderr, told);
        let bridge = format!("br-{}", &made.stdout[..12]);
        let read = |file: &str| site.host.read(&format!("/sys/class/net/{bridge}/{file}"));
        assert_eq!(read("mtu")?.trim(), "1400");
        let key = format!("net/ipv6/conf/{bridge}/accept_ra");
        assert_eq!(site.host.run(&["sysctl", "-n", &key])?.stdout, "0\n");
        let addresses = site.bridges()?.remove(&bridge).context("the bridge")?;
        ensure!(addresses.iter().any(|address| address.starts_with("fd")), "{addresses:?}");
        assert_eq!(site.bridges()?, site.shown_bridges()?);

        let key = "com.docker.network.bridge.inhibit_ipv4=true";
        let id = site.done(&["create", "-o", key, "quiet"])?;
        assert_eq!(site.host.addresses(&format!("br-{}", &id[..12]))?, [""; 0]);
        Ok(())
    })
}

#[test]
fn a_network_may_be_called_prune_and_switches_have_values() -> Result<()> {
    run(|site| {
        site.done(&["create", "--internal=true", "--attachable=false", "prune"])?;
        let format =
            "{{.Internal}} {{.Attachable}} {{slice .Id 0 2 | len}} {{printf \"%.3s\" .Name}}";
        assert_eq!(site.done(&["inspect", "-f", format, "prune"])?, "true false 2 pru");
        assert_eq!(site.done(&["rm", "--force=false", "prune"])?, "prune");
        assert_eq!(
            site.done(&["ls", "--no-trunc=false", "--format", "{{len .ID}}"])?,
            "12\n12\n12"
        );
        Ok(())
    })
}

#[test]
fn a_bridge_that_was_there_is_used_and_stays() -> Result<()> {
    run(|site| {
        site.host
            .sh("ip link add mine type bridge; ip link set mine up; ip link set mine alias own")?;
        let name = "com.docker.network.bridge.name=mine";
        site.done(&["create", "--subnet", "172.30.1.0/24", "-o", name, "a"])?;
        let addresses = site.host.addresses("mine")?;
        ensure!(addresses.contains(&"172.30.1.1/24".to_owned()), "{addresses:?}");
        let told = site.refused(&["create", "-o", name, "b"])?;
        ensure!(told.contains("networks have same bridge name mine"), "{told}");
        site.done(&["rm", "a"])?;
        let shown = site.host.run(&["ip", "link", "show", "mine"])?.stdout;
        ensure!(shown.contains("alias own"), "{shown}");
        Ok(())
    })
}

#[test]
fn macvlan_and_ipvlan_networks_need_a_parent_that_is_there_and_change_nothing_of_it() -> Result<()>
{
    run(|site| {
        site.host.sh("ip link add eth0 up type veth peer name eth1")?;
        let links = site.links()?;
        let create = |options: &[&'static str], name: &'static str| {
            [&["create", "-d", "macvlan"], options, &[name]].concat()
        };
        site.done(&create(&["-o", "parent=eth0"], "m"))?;
        let told = site.refused(&create(&["-o", "parent=eth7"], "x"))?;
        ensure!(told.contains("is no interface of this host"), "{told}");
        let alone = ["-o", "parent=eth0", "-o", "macvlan_mode=passthru"];
        let told = site.refused(&create(&alone, "x"))?;
        assert_eq!(told, "network m is already using parent interface eth0");
        // What a kernel lacks is said at once, and not to the first container.
        let ipvlan = ["create", "-d", "ipvlan", "-o", "parent=eth1", "i"];
        match site.host.sh("ip link add link eth1 name probe type ipvlan && ip link del probe") {
            Ok(_) => drop(site.done(&ipvlan)?),
            Err(_) => {
                let told = site.refused(&ipvlan)?;
                ensure!(told.contains("this host's kernel has no such links"), "{told}");
            }
        }
        assert_eq!(site.links()?, links);
        Ok(())
    })
}
