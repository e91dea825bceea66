//! Running containers, put on networks and taken off by their users' words. Names begin with the id of the
//! behaviour of Docker's that is shown.

use anyhow::{Context as _, Result, ensure};
use e2e::{Container, NETD, Output, PATIENCE, Place as _, PluginSet};
use serde_json::Value;

use crate::attach::default_route;
use crate::site::{Site, run};

/// A namespace on network `first`, by CNI, as container `c1`; and another network.
fn with_two_networks(site: &Site) -> Result<Container> {
    PluginSet::selected()?.install(&site.host)?;
    site.done(&["create", "--subnet", "172.30.1.0/24", "first"])?;
    site.done(&["create", "--subnet", "172.30.2.0/24", "second"])?;
    let container = site.host.add_container("c1")?;
    cni(site, "add", "first", &container)?;
    Ok(container)
}

/// `netd cni` by the lists that netd writes for its networks.
pub(crate) fn cni(site: &Site, verb: &str, network: &str, container: &Container) -> Result<Output> {
    let netns = container.netns();
    let words = [NETD, "cni", verb, "--conf-dir", "/run/netd/net.d", network, &netns];
    site.host.command(&words).args(["--container-id", container.id()]).run()
}

/// What `netd ps` shows by a template.
pub(crate) fn ps(site: &Site, format: &str) -> Result<String> {
    let shown = site.host.run(&[NETD, "ps", "--format", format])?.stdout;
    Ok(shown.trim_end().to_owned())
}

#[test]
fn b7_a_running_container_is_connected_by_every_word_for_it_and_disconnected_again() -> Result<()> {
    run(|site| {
        let container = with_two_networks(site)?;
        let sleeper = container.spawn("sleeper", &["sleep", "1000"])?;
        let inside = site.host.run(&["ip", "netns", "pids", "c1"])?.stdout;
        let inside = format!("pid:{}", inside.lines().next().context("a process in it")?);
        let route = default_route(&container)?;
        ensure!(route.starts_with("default via 172.30.1.1 dev eth0"), "{route}");
        let netns = format!("netns:{}", container.netns());
        for (connect, disconnect) in
            [("c1", netns.as_str()), (&netns, "c1"), (&inside, &inside), ("c", "c")]
        {
            let words = ["connect", "--ip", "172.30.2.7", "--alias", "api", "second", connect];
            assert_eq!(site.done(&words)?, "", "{connect}");
            assert_eq!(container.addresses("eth1")?[..1], ["172.30.2.7/24".to_owned()]);
            let own = container.run(&["ip", "-4", "route", "show", "dev", "eth1"])?.stdout;
            ensure!(
                own.starts_with("172.30.2.0/24 proto kernel scope link "),
                "on the link: {own}"
            );
            assert_eq!(default_route(&container)?, route, "{connect}: the runtime's stays");
            assert_eq!(
                ps(site, "{{.ID}} {{.Networks}} {{.Interfaces}}")?,
                "c1 first,second eth0,eth1"
            );
            let again = site.refused(&words)?;
            ensure!(again.contains("is already attached to network second"), "{again}");
            assert_eq!(site.done(&["disconnect", "second", disconnect])?, "");
            ensure!(container.run(&["ip", "link", "show", "eth1"]).is_err(), "eth1 stays");
            assert_eq!(default_route(&container)?, route, "{connect}");
        }
        let gone = site.refused(&["disconnect", "second", "c1"])?;
        assert_eq!(gone, "container c1 is not connected to network second");
        drop(sleeper);
        Ok(())
    })
}

#[test]
fn d1_connect_says_what_to_write_where_a_container_asks_another_resolver_than_netd() -> Result<()> {
    run(|site| {
        let container = with_two_networks(site)?;
        let file = "/run/c1.resolv";
        // What its runtime has given it; a process of its own sees it.
        let script =
            format!("mount --bind {file} $(readlink -f /etc/resolv.conf); echo up; sleep 1000");
        let connect = |servers: &str| -> Result<String> {
            site.host.write_file(file, servers)?;
            let mut inside = container.spawn("inside", &["unshare", "-m", "sh", "-c", &script])?;
            inside.wait_for_log("up", PATIENCE)?;
            let told = site.network(&["connect", "second", "c1"])?;
            ensure!(told.code == 0 && told.stdout.is_empty(), "{told:?}");
            site.done(&["disconnect", "second", "c1"])?;
            Ok(told.stderr.trim().to_owned())
        };
        assert_eq!(
            connect("nameserver 192.0.2.53\n")?,
            "names of network second are not found in container c1: its /etc/resolv.conf names \
             192.0.2.53. Write the gateway there instead: nameserver 172.30.2.1"
        );
        ensure!(connect("")?.contains("/etc/resolv.conf names no server. Write the gateway"));
        // Any gateway of its networks answers for all of them.
        for gateway in ["172.30.1.1", "172.30.2.1"] {
            assert_eq!(connect(&format!("nameserver {gateway}\n"))?, "", "{gateway}");
        }
        Ok(())
    })
}

#[test]
fn b7_the_default_route_is_given_by_the_highest_priority_and_comes_back() -> Result<()> {
    run(|site| {
        let container = with_two_networks(site)?;
        let option = "com.docker.network.endpoint.ifname=wan";
        let mac = ["--mac-address", "02:00:00:00:00:07"];
        let words = ["connect", "--gw-priority", "1", "--driver-opt", option, "second", "c1"];
        site.done(&[&words[..1], &mac, &words[1..]].concat())?;
        ensure!(default_route(&container)?.starts_with("default via 172.30.2.1 dev wan"));
        let link = container.run(&["ip", "link", "show", "wan"])?.stdout;
        ensure!(link.contains("02:00:00:00:00:07"), "{link}");
        cni(site, "check", "first", &container)?;
        site.done(&["disconnect", "second", "c1"])?;
        ensure!(default_route(&container)?.starts_with("default via 172.30.1.1 dev eth0"));
        site.done(&["connect", "--gw-priority", "-1", "second", "c1"])?;
        ensure!(default_route(&container)?.starts_with("default via 172.30.1.1 dev eth0"));
        Ok(())
    })
}

#[test]
fn n1_h1_none_and_host_are_connected_to_nothing() -> Result<()> {
    run(|site| {
        with_two_networks(site)?;
        let shared = "container sharing network namespace with another container or host cannot be \
                      connected to any other network";
        for (words, told) in [
            (["connect", "none", "c1"], "with one of the networks in private (none) mode"),
            (["connect", "host", "c1"], "cannot connect container to host network"),
            (["connect", "second", "pid:1"], shared),
            (["disconnect", "host", "c1"], "container c1 is not connected to network host"),
        ] {
            let links = site.links()?;
            let refused = site.refused(&words)?;
            ensure!(refused.contains(told), "{words:?}: {refused}");
            assert_eq!(site.links()?, links, "{words:?}");
        }
        Ok(())
    })
}

#[test]
fn what_makes_no_sense_of_connect_and_disconnect_is_refused_in_dockers_words() -> Result<()> {
    run(|site| {
        let container = with_two_networks(site)?;
        for (words, told) in [
            (&["connect", "second", "nobody"][..], "No such container: nobody"),
            (&["disconnect", "second", "nobody"], "No such container: nobody"),
            (
                &["disconnect", "--force", "second", "nobody"],
                "container nobody is not connected to",
            ),
            (&["connect", "nothing", "c1"], "network nothing not found"),
            (&["disconnect", "nothing", "c1"], "network nothing not found"),
            (&["connect", "second", "netns:/etc/hosts"], "/etc/hosts is not a network namespace"),
            (&["connect", "second", "pid:x"], "write the number of a process"),
            (&["connect", "--ip", "10.0.0.1", "second", "c1"], "no configured subnet contains"),
            (&["connect", "--ip", "172.30.2.1", "second", "c1"], "Address already in use"),
            (&["connect", "--ip", "172.17.0.9", "bridge", "c1"], "on user-defined networks only"),
            (&["connect", "--alias", "a", "bridge", "c1"], "only supported for user-defined"),
            (&["connect", "--link", "x", "second", "c1"], "links are not supported"),
            (&["connect", "--driver-opt", "a", "second", "c1"], "write it as KEY=VALUE"),
        ] {
            let refused = site.refused(words)?;
            ensure!(refused.contains(told), "{words:?}: {refused}");
        }
        // Its runtime's own.
        container.run(&["ip", "link", "add", "own0", "type", "bridge"])?;
        container.run(&["ip", "address", "add", "172.30.9.5/24", "dev", "own0"])?;
        site.done(&["create", "--subnet", "172.30.9.128/25", "third"])?;
        let both = "network third (172.30.9.128/25) overlaps 172.30.9.5/24 of interface own0";
        let refused = site.refused(&["connect", "third", "c1"])?;
        ensure!(refused.contains(both), "{refused}");
        let wrong = site.network(&["connect", "-p", "90-80", "second", "c1"])?;
        ensure!(
            wrong.code == 2 && wrong.stderr.contains("invalid containerPort: 90-80"),
            "{wrong:?}"
        );
        assert_eq!(ps(site, "{{.ID}} {{.Networks}}")?, "c1 first");
        // Docker passes over what it does not know; that it has no effect is told.
        let of_networks = "com.docker.network.advertise_addr_nmsgs";
        let option = format!("{of_networks}=0");
        let options = ["--driver-opt", "a=b", "--driver-opt", &option];
        let told = site.network(&[&["connect"], &options[..], &["second", "c1"]].concat())?;
        ensure!(told.code == 0, "{told:?}");
        for key in ["a", of_networks] {
            let line =
                format!("WARNING: option {key} is not known of an endpoint and has no effect\n");
            ensure!(told.stderr.contains(&line), "{told:?}");
        }
        assert_eq!(ps(site, "{{.ID}} {{.Networks}}")?, "c1 first,second");
        Ok(())
    })
}

#[test]
fn a_bridge_that_is_full_is_refused_by_its_limit_and_nothing_is_left() -> Result<()> {
    run(|site| {
        site.done(&["create", "-o", "com.docker.network.bridge.name=full", "app"])?;
        let pair = |i: usize| {
            format!(
                "link add a{i} master full type veth peer name b{i}\nlink set b{i} master full\n"
            )
        };
        let all: String = (0..512).map(pair).collect();
        // The last pair is one port too many.
        let made = site.host.command(&["ip", "-batch", "-"]).stdin(all).output()?;
        ensure!(made.stderr.contains("Command failed"), "{made:?}");
        let container = site.host.add_container("c1")?;
        let to = format!("netns:{}", container.netns());
        let before = (site.links()?, ps(site, "{{.ID}}")?);
        let told = site.refused(&["connect", "app", &to])?;
        ensure!(told.contains("exchange full: a bridge has room for 1,023 interfaces"), "{told}");
        assert_eq!((site.links()?, ps(site, "{{.ID}}")?), before);
        Ok(())
    })
}

#[test]
fn none_but_root_and_its_group_is_answered_whatever_became_of_the_sockets_mode() -> Result<()> {
    run(|site| {
        PluginSet::selected()?.install(&site.host)?;
        let sockets = "/run/netd/netd.sock /run/netd/attach.sock";
        let modes = site.host.sh(&format!("stat -c '%a %u %g' {sockets}"))?.stdout;
        assert_eq!(modes, "660 0 0\n660 0 0\n");
        // One socket each: the network of this name is asked for, and whether a container could be put on it.
        let listing = [NETD, "network", "ls", "--format", "{{.Name}}"];
        let status = [NETD, "cni", "status", "--conf-dir", "/run/netd/net.d", "bridge"];
        let ask = |group: &str, words: &[&str]| {
            let user = ["setpriv", "--reuid=65534", group, "--clear-groups"];
            site.host.command(&user).args(words).output()
        };
        let listed = ask("--regid=0", &listing)?;
        assert_eq!(
            (listed.code, listed.stdout.as_str()),
            (0, "bridge\nhost\nnone\n"),
            "{listed:?}"
        );
        let served = ask("--regid=0", &status)?;
        ensure!(served.code == 0 && served.stdout.contains("ready"), "{served:?}");

        let unread = ask("--regid=65534", &listing)?;
        ensure!(unread.code == 1 && unread.stderr.contains("ermission denied"), "{unread:?}");
        site.host.sh(&format!("chmod 666 {sockets}"))?;
        for words in [&listing[..], &status] {
            let told = ask("--regid=65534", words)?;
            ensure!(told.code == 1 && !told.stdout.contains(" ready"), "{told:?}");
            let why = "only root and group root may ask, and user 65534 of group 65534 does";
            ensure!(format!("{told:?}").contains(why), "{told:?}");
        }
        Ok(())
    })
}

#[test]
fn c1_ps_lists_who_is_where_as_docker_lists_containers() -> Result<()> {
    run(|site| {
        with_two_networks(site)?;
        let ports = ["-p", "8080:80", "-p", "127.0.0.1:5353:53/udp"];
        site.done(&[&["connect"], &ports[..], &["second", "c1"]].concat())?;
        let text = site.host.run(&[NETD, "ps"])?.stdout;
        let lines: Vec<&str> = text.lines().collect();
        let [heading, line] = lines.as_slice() else { anyhow::bail!("{text}") };
        let columns: Vec<&str> = heading.split("   ").filter(|cell| !cell.is_empty()).collect();
        let columns: Vec<&str> = columns.into_iter().map(str::trim).collect();
        assert_eq!(columns, ["CONTAINER ID", "NETWORKS", "ADDRESSES", "PORTS", "NAMES"]);
        ensure!(line.contains("first,second   172.30.1.2,172.30.2.2   "), "{line}");
        ensure!(line.contains("127.0.0.1:5353->53/udp") && line.contains("0.0.0.0:8080->80/tcp"));
        let found = |words: &[&str]| -> Result<String> {
            Ok(site.host.command(&[NETD, "ps", "-q"]).args(words).run()?.stdout)
        };
        for (filter, is_met) in
            [("network=second", true), ("network=bridge", false), ("id=c", true), ("name=x", false)]
        {
            let ids = if is_met { "c1\n" } else { "" };
            assert_eq!(found(&["--filter", filter])?, ids, "{filter}");
        }
        let wrong = site.host.command(&[NETD, "ps", "--filter", "a=b"]).output()?;
        ensure!(wrong.code == 1 && wrong.stderr.contains("Invalid filter 'a'"), "{wrong:?}");
        let json = site.host.run(&[NETD, "ps", "--output", "json"])?.json()?;
        let second = json.pointer("/0/Endpoints/1").context("the second place")?;
        assert_eq!(second["IPv4Address"], "172.30.2.2/24");
        // They lead to the network that gives the default route.
        let ports = |at: &str| json.pointer(at).and_then(Value::as_array).map(Vec::len);
        let there = ["/0/Endpoints/0/Ports", "/0/Endpoints/1/Ports"].map(ports);
        assert_eq!(there, [Some(2), Some(0)]);
        assert_eq!(json.pointer("/0/SandboxKey").and_then(Value::as_str), Some("/run/netns/c1"));
        Ok(())
    })
}
