//! Part three: a network of the whole cluster, made once and there on every host.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Capture, Container, Etcd, Host, Internet, Lab, NETD, Node, PATIENCE, Place as _, Process,
    Proto, networks, probe, wait_until,
};
use serde_json::{Value, json};

use crate::{say, show, title};

/// The network that both containers begin on, and another one.
const NET: &str = "my_overlay_net";
const OTHER: &str = "other_net";

/// Shows it.
pub(crate) fn show_all(lab: &Lab) -> Result<()> {
    let mut demo = Demo::new(lab)?;
    demo.create()?;
    demo.attach()?;
    demo.names()?;
    demo.inside()?;
    demo.apart()?;
    demo.connect()?;
    demo.end()
}

struct Demo {
    /// With its server.
    _internet: Internet,
    nodes: Vec<Node>,
    members: Vec<Member>,
    /// The hosts' agents end before it does.
    _etcd: Etcd,
}

struct Member {
    container: Container,
    ip: IpAddr,
    _server: Process,
}

impl Demo {
    fn new(lab: &Lab) -> Result<Self> {
        title("14. Two hosts run netd with an etcd in which there is nothing yet");
        let internet = lab.internet()?;
        let etcd = Etcd::start(&internet.host, Ipv4Addr::new(192, 0, 2, 1).into())?;
        let mut nodes = Vec::new();
        for name in ["host1", "host2"] {
            let host = lab.host(name)?;
            let uplink = internet.connect(lab, &host)?;
            nodes.push(Node::start(&host, &etcd, &[])?);
            println!("  {name} {} $ netd run --etcd-endpoints {} &", uplink.v4, etcd.url());
        }
        for node in &nodes {
            wait_until("networks are served", PATIENCE, || {
                networks::network(&node.host, &["ls"]).is_ok_and(|listed| listed.code == 0)
            })?;
        }
        Ok(Self { _internet: internet, nodes, members: Vec::new(), _etcd: etcd })
    }

    fn create(&self) -> Result<()> {
        title("15. An overlay is made on host1, and is there on host2");
        let [one, two] = self.hosts()?;
        netd(one, &["network", "create", "-d", "overlay", NET])?;
        self.wait_on(two, NET)?;
        netd(two, &["network", "ls"])
    }

    fn attach(&mut self) -> Result<()> {
        title("16. A container on each host, by CNI: so does every runtime");
        say(
            "Each network is a CNI list in /run/netd/net.d: podman, nerdctl, ctr and Nomad take it, and so does `netd cni`.",
        );
        let [one, two] = self.hosts()?.map(Clone::clone);
        let members = [add(&one, "web", NET)?, add(&two, "db", NET)?];
        for member in &members {
            println!("  {}  eth0 {}", member.container.name(), member.ip);
        }
        self.members.extend(members);
        say("Who is on it, on all hosts, by what host1 knows:");
        let shown = || networks::inspect(&one, NET);
        wait_until("host1 knows both", PATIENCE, || {
            shown().is_ok_and(|it| {
                it.pointer("/Containers")
                    .and_then(Value::as_object)
                    .is_some_and(|all| all.len() == 2)
            })
        })?;
        let format = "{{range .Containers}}{{println .Name .IPv4Address}}{{end}}";
        netd(&one, &["network", "inspect", "-f", format, NET])
    }

    fn names(&self) -> Result<()> {
        title("17. They find each other by name, and talk by VXLAN");
        let [one, two] = self.hosts()?;
        let (web, db) = (self.member(0)?, self.member(1)?);
        find(one, "web", "db")?;
        find(two, "db", "web")?;
        let capture = Capture::start(one, "eth0", "udp port 4789")?;
        let seen = probe::ask(&web.container, Proto::Tcp, (db.ip, 80))?.source.ip();
        ensure!(seen == web.ip, "seen as {seen}");
        println!(
            "  web asks db by TCP; db saw {seen}. Between the hosts that is (tcpdump -i eth0):"
        );
        let packets = capture.stop_when("the first packets", |packets| {
            packets.iter().filter(|packet| packet.text.contains("vni")).count() >= 2
        })?;
        let marked = packets.iter().filter(|packet| packet.text.contains("vni"));
        marked.take(2).for_each(|packet| println!("    {}", packet.text));
        Ok(())
    }

    fn inside(&self) -> Result<()> {
        title("18. In the container: eth0 is the overlay, eth1 the way out");
        let web = self.member(0)?;
        show(&web.container, &["ip", "link"])?;
        show(&web.container, &["ip", "-brief", "addr"])?;
        show(&web.container, &["ip", "route"])?;
        let seen = probe::ask(&web.container, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        println!("  web -> the internet: it saw {}, the host", seen.source.ip());
        say("On the host the overlay is a namespace, with a bridge and a tunnel:");
        let [one, _] = self.hosts()?;
        let shown = networks::inspect(one, NET)?;
        let id = shown.pointer("/Id").and_then(Value::as_str).context("an id")?;
        let netns = format!("--net=/run/netd/netns/{}", id.get(..12).context("twelve digits")?);
        show(one, &["nsenter", &netns, "ip", "-brief", "link", "show", "type", "bridge"])?;
        show(one, &["nsenter", &netns, "bridge", "fdb", "show", "dev", "vxlan0"])
    }

    fn apart(&mut self) -> Result<()> {
        title("19. A second overlay cannot talk to the first, on this host or another");
        let [one, two] = self.hosts()?.map(Clone::clone);
        netd(&two, &["network", "create", "-d", "overlay", OTHER])?;
        self.wait_on(&one, OTHER)?;
        for (host, name) in [(&one, "near"), (&two, "far")] {
            self.members.push(add(host, name, OTHER)?);
        }
        let web = self.member(0)?;
        for at in [2, 3] {
            let to = self.member(at)?;
            let answer = probe::refusal(&web.container, Proto::Tcp, (to.ip, 80))?;
            ensure!(answer.is_err(), "web reaches {}", to.ip);
            println!("  web -> {} {}  blocked", to.container.name(), to.ip);
        }
        let found = one.command(&asking("web", "far")).output()?;
        ensure!(found.code != 0, "web finds far: {found:?}");
        say("  web asks for the name far: there is none");
        Ok(())
    }

    fn connect(&self) -> Result<()> {
        title("20. Connected to both, it talks to both: while it runs");
        let [one, _] = self.hosts()?;
        let (web, far) = (self.member(0)?, self.member(3)?);
        netd(one, &["network", "connect", OTHER, &format!("netns:{}", web.container.netns())])?;
        show(&web.container, &["ip", "-brief", "addr", "show", "eth2"])?;
        wait_until("web reaches far", PATIENCE, || {
            probe::pings(&web.container, far.ip).unwrap_or(false)
        })?;
        probe::ask(&web.container, Proto::Tcp, (far.ip, 80))?;
        println!("  web -> {} {}  reached", far.container.name(), far.ip);
        find(one, "web", "far")
    }

    fn end(self) -> Result<()> {
        title("21. A network goes when nobody is on it, on whichever host");
        let [one, two] = self.hosts()?.map(Clone::clone);
        let refused = networks::refused(&one, &["rm", NET])?;
        println!("  host1 $ netd network rm {NET}\n    error: {refused}");
        let web = format!("netns:{}", self.member(0)?.container.netns());
        netd(&one, &["network", "disconnect", OTHER, &web])?;
        for (member, network) in self.members.iter().zip([NET, NET, OTHER, OTHER]) {
            let container = &member.container;
            let netns = container.netns();
            let words = [NETD, "cni", "del", "--conf-dir", "/run/netd/net.d", network, &netns];
            container.host().run(&words)?;
        }
        netd(&two, &["network", "rm", NET, OTHER])?;
        let left = one.list("/run/netd/netns")?;
        ensure!(left.is_empty(), "namespaces stay: {left:?}");
        say("  Nothing of either is left, on both hosts.\n");
        Ok(())
    }

    fn hosts(&self) -> Result<[&Host; 2]> {
        let [one, two] = self.nodes.as_slice() else { anyhow::bail!("there are two hosts") };
        Ok([&one.host, &two.host])
    }

    fn member(&self, at: usize) -> Result<&Member> {
        self.members.get(at).context("a container")
    }

    fn wait_on(&self, host: &Host, network: &str) -> Result<()> {
        let what = format!("{network} is on {}", host.name());
        wait_until(&what, PATIENCE, || networks::inspect(host, network).is_ok())
    }
}

/// `netd` on a host, shown and with what it says.
fn netd(host: &Host, words: &[&str]) -> Result<()> {
    println!("  {} $ netd {}", host.name(), shell(words));
    for line in host.command(&[NETD]).args(words).run()?.stdout.trim_end().lines() {
        println!("    {line}");
    }
    Ok(())
}

/// Words as a shell takes them.
fn shell(words: &[&str]) -> String {
    let quoted = |word: &&str| match word.contains(['{', ' ', '"']) {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A new container on a network, which is called as it is, with a server inside.
fn add(host: &Host, name: &str, network: &str) -> Result<Member> {
    let container = host.add_container(name)?;
    let aliases = json!({ "aliases": [name] }).to_string();
    let words = ["cni", "add", "--conf-dir", "/run/netd/net.d", "--capability-args", &aliases];
    let words = [&words[..], &[network, name]].concat();
    println!("  {} $ netd {}", host.name(), shell(&words));
    let result = host.command(&[NETD]).args(&words).run()?.json()?;
    // As runtimes do, and `ip netns exec` takes it up.
    let servers = result.pointer("/dns/nameservers").and_then(Value::as_array);
    let server = servers.and_then(|all| all.first()?.as_str()).context("a name server")?;
    let resolver = format!("nameserver {server}\noptions ndots:0\n");
    host.write_file(&format!("/etc/netns/{name}/resolv.conf"), resolver)?;
    host.run(&["touch", "/etc/resolv.conf"])?;
    let ip = e2e::address(&result, 0)?;
    let _server = probe::serve(&container, 80, &[])?;
    Ok(Member { container, ip, _server })
}

fn asking<'w>(container: &'w str, name: &'w str) -> [&'w str; 7] {
    ["ip", "netns", "exec", container, "getent", "hosts", name]
}

/// A container asks for a name, as soon as it is known.
fn find(host: &Host, container: &str, name: &str) -> Result<()> {
    let words = asking(container, name);
    wait_until(&format!("{container} finds {name}"), PATIENCE, || {
        host.command(&words).output().is_ok_and(|found| found.code == 0)
    })?;
    show(host, &words)
}
