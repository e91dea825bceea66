//! Who reaches a published port or a container, and as whom it is seen.
//!
//! ```text
//!   outside 192.0.2.1 --- eth0 host --- cni0 10.1.0.1, fd00:1::1 --- c1 .2, sibling .3
//!                               +------ cni1 10.2.0.1 ------------- other .2
//! ```

use std::net::IpAddr;

use anyhow::{Result, bail};
use e2e::{Chain, Cni, Container, Host, Internet, Lab, Place, PluginSet, Proto, Uplink, probe};
use serde_json::{Map, Value, json};

use crate::allowed::Group;
use crate::compare::Comparison;
use crate::{observe, there};

/// How often both are asked again where they differ: a busy machine may miss an answer.
const ATTEMPTS: usize = 3;

/// A chain after `bridge`, and the ports.
struct Case {
    name: &'static str,
    bridge: Value,
    after: Value,
    ports: Value,
    /// A script that prepares the host.
    setup: &'static str,
}

fn case(name: &'static str, after: Value) -> Case {
    let ports = json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 80, "protocol": "udp"}]);
    Case { name, bridge: json!({}), after, ports, setup: "" }
}

impl Case {
    fn host_ip(mut self, ip: &str) -> Self {
        for port in self.ports.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
        {
            port.insert("hostIP".to_owned(), ip.into());
        }
        self
    }
}

fn cases() -> Vec<Case> {
    let portmap = |keys: Value| {
        let mut conf = json!({"type": "portmap", "capabilities": {"portMappings": true}});
        if let (Some(conf), Value::Object(keys)) = (conf.as_object_mut(), keys) {
            conf.extend(keys);
        }
        conf
    };
    let firewall = |policy: &str| json!({"type": "firewall", "ingressPolicy": policy});
    let drop = "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";
    vec![
        case("ports", json!([portmap(json!({}))])),
        Case {
            bridge: json!({"hairpinMode": true}),
            ..case("ports hairpin", json!([portmap(json!({}))]))
        },
        case("ports no snat", json!([portmap(json!({"snat": false}))])),
        case("ports mark", json!([portmap(json!({"markMasqBit": 5}))])),
        case(
            "ports condition met",
            json!([portmap(json!({"conditionsV4": ["-s", "192.0.2.0/24"]}))]),
        ),
        case(
            "ports condition not met",
            json!([portmap(json!({"conditionsV4": ["!", "-s", "192.0.2.0/24"]}))]),
        ),
        case("ports of lo", json!([portmap(json!({}))])).host_ip("127.0.0.1"),
        case("ports of any v4", json!([portmap(json!({}))])).host_ip("0.0.0.0"),
        case("ports of the bridge", json!([portmap(json!({}))])).host_ip("10.1.0.1"),
        Case { setup: drop, ..case("drop without firewall", json!([portmap(json!({}))])) },
        Case { setup: drop, ..case("drop", json!([portmap(json!({})), firewall("open")])) },
        case("open", json!([portmap(json!({})), firewall("open")])),
        case("same-bridge", json!([portmap(json!({})), firewall("same-bridge")])),
    ]
}

/// The configurations of all cases.
pub(crate) fn configurations() -> Vec<Value> {
    let of = |case: Case| {
        let mut confs = case.after.as_array().cloned().unwrap_or_default();
        confs.extend(list(&case, 1).pointer("/plugins/0").cloned());
        confs
    };
    cases().into_iter().flat_map(of).collect()
}

/// A host with its way out, and the plugins of one set.
struct Site<'l> {
    host: Host,
    uplink: Uplink,
    outside: &'l Host,
}

#[test]
fn ports_and_bridges_are_reached_as_with_the_reference() -> Result<()> {
    Lab::run(|lab| {
        if !there()? {
            return Ok(());
        }
        let internet = lab.internet()?;
        let theirs = Site::new(lab, &internet, "reference", PluginSet::Reference)?;
        let ours = Site::new(lab, &internet, "ours", PluginSet::Ours)?;
        let mut comparison = Comparison::new(Group::Reach);
        for case in cases() {
            let (one, other) = (Wired::new(&theirs, &case)?, Wired::new(&ours, &case)?);
            let mut seen = both(&one, &other)?;
            for _ in 1..ATTEMPTS {
                if !comparison.fits(case.name, &seen.0, &seen.1) {
                    seen = both(&one, &other)?;
                }
            }
            comparison.documents(case.name, "1.0.0", &seen.0, &seen.1);
            one.remove()?;
            other.remove()?;
        }
        comparison.judge()
    })
}

fn both(one: &Wired<'_>, other: &Wired<'_>) -> Result<(Value, Value)> {
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| one.matrix());
        let ours = other.matrix()?;
        let Ok(theirs) = theirs.join() else { bail!("the reference's probes panicked") };
        Ok((theirs?, ours))
    })
}

impl<'l> Site<'l> {
    fn new(lab: &Lab, internet: &'l Internet, name: &str, set: PluginSet) -> Result<Self> {
        let host = lab.host(name)?;
        set.install(&host)?;
        host.sh(
            "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
        )?;
        let uplink = internet.connect(lab, &host)?;
        Ok(Self { host, uplink, outside: &internet.host })
    }
}

/// From whom, what the target is called, and its address and port.
type Way<'w> = (&'static str, &'w (dyn Place + Sync), &'static str, (IpAddr, u16));

/// The containers of a case, and a server in `c1`.
struct Wired<'s> {
    site: &'s Site<'s>,
    members: [(Container, Chain); 3],
    _server: e2e::Process,
}

impl<'s> Wired<'s> {
    fn new(site: &'s Site<'s>, case: &Case) -> Result<Self> {
        if !case.setup.is_empty() {
            site.host.sh(case.setup)?;
        }
        let member = |name: &str, number: u8, ports: &Value| {
            let container = site.host.add_container(name)?;
            let mut chain =
                Chain::new(list(case, number)).with_args(json!({"portMappings": ports}));
            chain.add(&Cni::new(&container))?;
            anyhow::Ok((container, chain))
        };
        let none = json!([]);
        let c1 = member("c1", 1, &case.ports)?;
        let server = probe::serve(&c1.0, 80, &[])?;
        let members = [c1, member("sibling", 1, &none)?, member("other", 2, &none)?];
        Ok(Self { site, members, _server: server })
    }

    /// Every way to the server, and as whom it was seen.
    fn matrix(&self) -> Result<Value> {
        let [(c1, _), (sibling, _), (other, _)] = &self.members;
        let uplink = self.site.uplink;
        let ip = |text: &str| text.parse::<IpAddr>();
        let ways: [Way<'_>; 13] = [
            ("outside", self.site.outside, "uplink", (uplink.v4, 8080)),
            ("outside", self.site.outside, "uplink6", (uplink.v6, 8080)),
            ("host", &self.site.host, "lo", (ip("127.0.0.1")?, 8080)),
            ("host", &self.site.host, "uplink", (uplink.v4, 8080)),
            ("host", &self.site.host, "bridge", (ip("10.1.0.1")?, 8080)),
            ("host", &self.site.host, "uplink6", (uplink.v6, 8080)),
            ("sibling", sibling, "bridge", (ip("10.1.0.1")?, 8080)),
            ("sibling", sibling, "uplink6", (uplink.v6, 8080)),
            ("sibling", sibling, "c1", (ip("10.1.0.2")?, 80)),
            ("c1", c1, "uplink", (uplink.v4, 8080)),
            ("other", other, "uplink", (uplink.v4, 8080)),
            ("other", other, "c1", (ip("10.1.0.2")?, 80)),
            ("other", other, "c1 by IPv6", (ip("fd00:1::2")?, 80)),
        ];
        std::thread::scope(|scope| {
            let asked = ways.map(|(from, place, to, target)| {
                let ask = move || self.ask(place, target);
                (format!("{from} to {to}"), scope.spawn(ask))
            });
            let mut seen = Map::new();
            for (way, answer) in asked {
                let Ok(answer) = answer.join() else { bail!("{way}: panicked") };
                seen.insert(way, answer?);
            }
            Ok(seen.into())
        })
    }

    /// As whom a server sees `place`, by each protocol.
    fn ask(&self, place: &(dyn Place + Sync), target: (IpAddr, u16)) -> Result<Value> {
        let mut answers = Map::new();
        for (proto, name) in [(Proto::Tcp, "tcp"), (Proto::Udp, "udp")] {
            let answer = match probe::refusal(place, proto, target)? {
                Ok(seen) => format!("seen as {}", self.role(seen.source.ip())),
                Err(_) => "no answer".to_owned(),
            };
            answers.insert(name.to_owned(), answer.into());
        }
        Ok(answers.into())
    }

    fn role(&self, ip: IpAddr) -> String {
        let uplink = self.site.uplink;
        if ip == uplink.v4 || ip == uplink.v6 { "the uplink".to_owned() } else { ip.to_string() }
    }

    fn remove(self) -> Result<()> {
        for (container, chain) in self.members.iter().rev() {
            chain.del(&Cni::new(container))?;
            container.remove()?;
        }
        self.site.host.sh("iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT")?;
        self.site.host.sh(observe::FORGET)?;
        Ok(())
    }
}

/// The network of bridge `cni0` (1) or `cni1` (2).
fn list(case: &Case, number: u8) -> Value {
    let mut bridge = json!({"type": "bridge", "bridge": format!("cni{}", number - 1),
        "isDefaultGateway": true,
        "ipam": {"type": "host-local", "ranges": [
            [{"subnet": format!("10.{number}.0.0/24")}], [{"subnet": format!("fd00:{number}::/64")}]]}});
    if let (Some(bridge), Some(keys)) = (bridge.as_object_mut(), case.bridge.as_object()) {
        bridge.extend(keys.clone());
    }
    let mut plugins = vec![bridge];
    plugins.extend(case.after.as_array().cloned().unwrap_or_default());
    json!({"cniVersion": "1.0.0", "name": format!("net{number}"), "plugins": plugins})
}
