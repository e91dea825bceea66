//! Part one: the plugins on one host.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{Capture, Chain, Cni, Container, Host, Internet, Lab, Place, PluginSet, Proto, probe};
use serde_json::{Value, json};

use crate::{say, show, title};

/// Where the plugins write the commands they stand for.
const LOG: &str = "/run/netd-demo.log";

/// Shows it.
pub(crate) fn show_all(lab: &Lab) -> Result<()> {
    let mut demo = Demo::new(lab)?;
    demo.bridge()?;
    demo.way_out()?;
    demo.published_port()?;
    demo.two_bridges()?;
    demo.macvlan()?;
    demo.end()
}

struct Demo {
    internet: Internet,
    host: Host,
    uplink: e2e::Uplink,
    members: Vec<Member>,
}

struct Member {
    container: Container,
    chain: Chain,
    v4: IpAddr,
    _server: e2e::Process,
}

impl Demo {
    fn new(lab: &Lab) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::Ours.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        println!(
            "netd demo: one host, made of network namespaces, and an internet.\n\n  \
             internet  203.0.113.10:80 (knows no container network)\n     |\n  \
             eth0 {}   the host; plugins in /opt/cni/bin: {}",
            uplink.v4,
            host.list("/opt/cni/bin")?.join(" ")
        );
        Ok(Self { internet, host, uplink, members: Vec::new() })
    }

    fn bridge(&mut self) -> Result<()> {
        title("1. Two containers on a bridge");
        let ports = json!([
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": 8080, "containerPort": 80, "protocol": "udp" },
        ]);
        let web = self.add("web", bridge("red", 1), ports)?;
        say(
            "The plugins bridge, host-local, portmap and firewall did with netlink what these commands do:",
        );
        self.show_commands()?;
        self.add("sibling", bridge("red", 1), json!([]))?;
        println!(
            "\n  eth0 {} --- host --- red 10.1.0.1 --+-- web eth0 {web}  (8080 -> 80)\n\
             {:46}+-- sibling eth0 {}",
            self.uplink.v4,
            "",
            self.member("sibling")?.v4
        );
        let web = self.member("web")?;
        show(&web.container, &["ip", "-brief", "addr"])?;
        show(&web.container, &["ip", "route"])?;
        ensure!(
            probe::pings(&self.member("sibling")?.container, web.v4)?,
            "siblings must reach each other"
        );
        say("sibling pings web: yes.");
        Ok(())
    }

    fn way_out(&self) -> Result<()> {
        title("2. The way out: MASQUERADE on the uplink, and only there");
        let web = self.member("web")?;
        let inside = Capture::start(&self.host, "red", "tcp")?;
        let outside = Capture::start(&self.host, "eth0", "tcp")?;
        let seen = probe::ask(&web.container, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        ensure!(seen.source.ip() == self.uplink.v4, "seen as {}", seen.source);
        println!(
            "web asks {}:{}; the server saw {}",
            Internet::V4,
            Internet::PORT,
            seen.source.ip()
        );
        for (name, capture, source) in [("red ", inside, web.v4), ("eth0", outside, self.uplink.v4)]
        {
            let packets = capture.stop_when("the first packet", |packets| {
                packets.iter().any(|p| p.source_is(source) && p.destination_is(Internet::V4))
            })?;
            let first = packets.first().map(|p| p.text.as_str()).unwrap_or_default();
            let first = first.split(", seq").next().unwrap_or_default();
            println!("  tcpdump -i {name}  {first}");
        }
        Ok(())
    }

    fn published_port(&self) -> Result<()> {
        title("3. A published port: 8080 on the host is 80 in web");
        let loopback: IpAddr = "127.0.0.1".parse()?;
        let sibling = &self.member("sibling")?.container;
        let web = &self.member("web")?.container;
        let asks: [(&str, &dyn Place, IpAddr); 4] = [
            ("from the internet", &self.internet.host, self.uplink.v4),
            ("from the host, by 127.0.0.1", &self.host, loopback),
            ("from sibling, by the host's address", sibling, self.uplink.v4),
            ("from web itself, by the host's address", web, self.uplink.v4),
        ];
        for (who, from, to) in asks {
            for proto in [Proto::Tcp, Proto::Udp] {
                let seen = probe::ask(from, proto, (to, 8080)).with_context(|| who.to_owned())?;
                println!("  {who:40} {proto:?} {to}:8080  answered; web saw {}", seen.source.ip());
            }
        }
        say("Every port is one element of a map; rules never grow:");
        show(&self.host, &["nft", "list", "map", "inet", "netd", "dnat_any4"])
    }

    fn two_bridges(&mut self) -> Result<()> {
        title("4. Another bridge: no way between them but published ports");
        self.add("db", bridge("blue", 2), json!([]))?;
        let (db, web) = (self.member("db")?, self.member("web")?);
        for (name, from, to, wanted) in [
            ("db   -> web ", &db.container, (web.v4, 80), false),
            ("web  -> db  ", &web.container, (db.v4, 80), false),
            ("db   -> host:8080 (published)", &db.container, (self.uplink.v4, 8080), true),
        ] {
            let reached = probe::refusal(from, Proto::Tcp, to)?.is_ok();
            ensure!(reached == wanted, "{name}: {reached}");
            println!("  {name:32} {}", if reached { "reached" } else { "blocked" });
        }
        Ok(())
    }

    fn macvlan(&mut self) -> Result<()> {
        title("5. macvlan: a container on the wire itself, no bridge, no NAT");
        let conf = json!({ "cniVersion": "1.0.0", "name": "wire", "plugins": [
            { "type": "macvlan", "master": "eth0",
              "ipam": { "type": "static", "addresses": [{ "address": "192.0.2.200/24", "gateway": "192.0.2.1" }],
                        "routes": [{ "dst": "0.0.0.0/0" }] } }] });
        self.add("wire", conf, json!([]))?;
        self.show_commands()?;
        let wire = self.member("wire")?;
        let seen = probe::ask(&wire.container, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        ensure!(seen.source.ip() == wire.v4, "seen as {}", seen.source);
        println!("  the internet saw {}: the container's own address", seen.source.ip());
        Ok(())
    }

    fn end(&self) -> Result<()> {
        title("6. DEL leaves nothing");
        for member in &self.members {
            member.chain.del(&Cni::new(&member.container))?;
        }
        let left = self.host.sh("find /run/netd /var/lib/cni/networks -type f -path '*10.*'; ip -br link show type veth | grep ^veth || true")?;
        ensure!(left.stdout.is_empty(), "left behind: {}", left.stdout);
        println!("  no link, no element, no reservation, no record is left.\n");
        Ok(())
    }

    /// ADD of a new container through a list of plugins, with a server inside.
    fn add(&mut self, name: &str, conflist: Value, ports: Value) -> Result<IpAddr> {
        let _ = self.host.run(&["rm", "-f", LOG]);
        let container = self.host.add_container(name)?;
        let mut chain = Chain::new(conflist).with_args(json!({ "portMappings": ports }));
        let result = chain.add(&Cni::new(&container).env("NETD_LOG_FILE", LOG))?;
        let text = result.pointer("/ips/0/address").and_then(Value::as_str);
        let text = text.with_context(|| format!("no address in {result}"))?;
        let v4 = text.split('/').next().unwrap_or_default().parse()?;
        let server = probe::serve(&container, 80, &[])?;
        self.members.push(Member { container, chain, v4, _server: server });
        Ok(v4)
    }

    fn member(&self, name: &str) -> Result<&Member> {
        let mut members = self.members.iter();
        members.find(|m| m.container.id() == name).with_context(|| format!("no container {name}"))
    }

    fn show_commands(&self) -> Result<()> {
        for line in self.host.read(LOG)?.lines() {
            println!("    {line}");
        }
        Ok(())
    }
}

fn bridge(name: &str, number: u8) -> Value {
    json!({ "cniVersion": "1.0.0", "name": name, "plugins": [
        { "type": "bridge", "bridge": name, "isDefaultGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "ranges": [[{ "subnet": format!("10.{number}.0.0/24") }]] } },
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall", "ingressPolicy": "same-bridge" } ] })
}
