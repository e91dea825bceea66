//! Who reaches a container on a bridge with a published port, and as whom: the whole matrix.
//!
//! ```text
//!   internet 203.0.113.10 --- eth0 192.0.2.10 host --- cni0 10.1.0.1, fd00:1::1
//!                                                       |             |
//!                                              web eth0 (8080->80)   sibling eth0
//! ```

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Capture, Chain, Cni, Container, Host, Internet, Lab, Place, PluginSet, Proto, Uplink, address,
    probe,
};
use serde_json::{Value, json};

const PROTOS: [Proto; 2] = [Proto::Tcp, Proto::Udp];

#[test]
fn routed_with_hairpin_mode() -> Result<()> {
    matrix(false, true)
}

#[test]
fn routed_without_hairpin_mode() -> Result<()> {
    matrix(false, false)
}

#[test]
fn bridged_by_br_netfilter_with_hairpin_mode() -> Result<()> {
    matrix(true, true)
}

#[test]
fn bridged_by_br_netfilter_without_hairpin_mode() -> Result<()> {
    matrix(true, false)
}

/// The seed's own check: tcpdump on the bridge shows the container, on the uplink the host.
#[test]
fn the_way_out_is_masqueraded_on_the_uplink_only() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, true, false)?;
        for (server, inside, outside) in [
            (Internet::V4, site.web_v4, site.uplink.v4),
            (Internet::V6, site.web_v6, site.uplink.v6),
        ] {
            let on_bridge = Capture::start(&site.host, "cni0", "tcp or udp")?;
            let on_uplink = Capture::start(&site.host, "eth0", "tcp or udp")?;
            for proto in PROTOS {
                let seen = probe::ask(&site.web, proto, (server, Internet::PORT))?;
                ensure!(seen.source.ip() == outside, "{proto:?}: seen as {}", seen.source);
            }
            on_bridge.stop_when("the container's packets on the bridge", |packets| {
                packets.iter().any(|p| p.source_is(inside) && p.destination_is(server))
            })?;
            let left = on_uplink.stop_when("the host's packets on the uplink", |packets| {
                packets.iter().any(|p| p.source_is(outside) && p.destination_is(server))
            })?;
            ensure!(!left.iter().any(|p| p.source_is(inside)), "{inside} left unmasqueraded");
            probe::ping(&site.web, server)?;
        }
        Ok(())
    })
}

/// Without `ipMasq` packets leave with the container's address.
#[test]
fn without_ip_masq_the_source_stays() -> Result<()> {
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        internet.connect(lab, &host)?;
        internet.host.sh("ip route add 10.1.0.0/24 via 192.0.2.10")?;
        let web = host.add_container("web")?;
        let mut conf = conflist(false);
        *conf.pointer_mut("/plugins/0/ipMasq").context("ipMasq")? = json!(false);
        let result = Chain::new(conf).add(&Cni::new(&web))?;
        let seen = probe::ask(&web, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        ensure!(seen.source.ip() == address(&result, 0)?, "seen as {}", seen.source);
        Ok(())
    })
}

/// A port published on 127.0.0.1 is for this host alone, whatever a neighbour puts in its routes.
#[test]
fn a_loopback_port_is_closed_to_a_neighbour_with_a_crafted_route() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::with_ports(
            lab,
            true,
            false,
            json!([{ "hostPort": 9000, "containerPort": 80, "protocol": "tcp",
                     "hostIP": "127.0.0.1" }]),
        )?;
        let loopback: IpAddr = "127.0.0.1".parse()?;
        let seen = probe::ask(&site.host, Proto::Tcp, (loopback, 9000))?;
        ensure!(seen.destination.port() == 80, "{seen:?}");
        let outside = &site.internet.host;
        outside.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1
             ip route flush table local 127.0.0.0/8 || true
             ip route del local 127.0.0.0/8 dev lo table local || true
             ip route del local 127.0.0.1 dev lo table local || true
             ip route add 127.0.0.1/32 via 192.0.2.10 dev br0 src 192.0.2.1")?;
        let reached = probe::refusal(outside, Proto::Tcp, (loopback, 9000))?;
        ensure!(reached.is_err(), "a neighbour reached 127.0.0.1:9000: {reached:?}");
        for ip in [site.uplink.v4, site.gateway_v4] {
            let reached = probe::refusal(outside, Proto::Tcp, (ip, 9000))?;
            ensure!(reached.is_err(), "reached {ip}:9000: {reached:?}");
        }
        Ok(())
    })
}

fn matrix(br_netfilter: bool, hairpin: bool) -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab, hairpin, br_netfilter)?;
        site.neighbours()?;
        site.outside()?;
        site.inside()?;
        site.local()?;
        site.itself()?;
        site.way_out()
    })
}

/// The topology of the module's picture.
struct Site {
    internet: Internet,
    uplink: Uplink,
    host: Host,
    web: Container,
    sibling: Container,
    web_v4: IpAddr,
    web_v6: IpAddr,
    gateway_v4: IpAddr,
    gateway_v6: IpAddr,
    _server: e2e::Process,
}

impl Site {
    fn new(lab: &Lab, hairpin: bool, br_netfilter: bool) -> Result<Self> {
        let ports = json!([
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": 8080, "containerPort": 80, "protocol": "udp" },
        ]);
        Self::with_ports(lab, hairpin, br_netfilter, ports)
    }

    fn with_ports(lab: &Lab, hairpin: bool, br_netfilter: bool, ports: Value) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::selected()?.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        let on = i32::from(br_netfilter);
        host.sh(&format!(
            "sysctl -qw net.bridge.bridge-nf-call-iptables={on} net.bridge.bridge-nf-call-ip6tables={on}"
        ))?;
        let (web, sibling) = (host.add_container("web")?, host.add_container("sibling")?);
        // As runtimes do, before the network.
        let lo = json!({ "cniVersion": "1.0.0", "name": "lo", "type": "loopback" });
        for container in [&web, &sibling] {
            Cni::new(container).ifname("lo").call("ADD", "loopback", &lo)?.result()?;
        }
        let mut chain = Chain::new(conflist(hairpin)).with_args(json!({ "portMappings": ports }));
        let result = chain.add(&Cni::new(&web))?;
        chain.check(&Cni::new(&web))?;
        Chain::new(conflist(hairpin)).add(&Cni::new(&sibling))?;
        let server = probe::serve(&web, 80, &[])?;
        Ok(Self {
            internet,
            uplink,
            host,
            web,
            sibling,
            web_v4: address(&result, 0)?,
            web_v6: address(&result, 1)?,
            gateway_v4: "10.1.0.1".parse()?,
            gateway_v6: "fd00:1::1".parse()?,
            _server: server,
        })
    }

    /// Containers of one bridge see each other as they are.
    fn neighbours(&self) -> Result<()> {
        for web in [self.web_v4, self.web_v6] {
            probe::ping(&self.sibling, web)?;
            probe::ping(&self.host, web)?;
            for proto in PROTOS {
                let seen = probe::ask(&self.sibling, proto, (web, 80))?;
                ensure!(seen.source.ip() != self.gateway_v4, "{proto:?}: a neighbour masqueraded");
                ensure!(!seen.source.ip().to_string().ends_with("::1"), "{proto:?} {seen:?}");
                probe::ask(&self.host, proto, (web, 80))?;
            }
        }
        Ok(())
    }

    /// From outside the client's own address is seen.
    fn outside(&self) -> Result<()> {
        for (uplink, client) in [(self.uplink.v4, "192.0.2.1"), (self.uplink.v6, "2001:db8:1::1")] {
            for proto in PROTOS {
                let seen = probe::ask(&self.internet.host, proto, (uplink, 8080))?;
                ensure!(seen.source.ip() == client.parse::<IpAddr>()?, "{proto:?}: {seen:?}");
            }
            let closed = probe::refusal(&self.internet.host, Proto::Tcp, (uplink, 8081))?;
            ensure!(closed.is_err(), "an unpublished port answers: {closed:?}");
        }
        Ok(())
    }

    /// From the container itself and from its neighbour, by the host's addresses.
    fn inside(&self) -> Result<()> {
        for ip in self.of_the_host() {
            for from in [&self.sibling, &self.web] {
                probe::ping(from, ip)?;
                for proto in PROTOS {
                    probe::ask(from, proto, (ip, 8080))
                        .with_context(|| format!("{} asks {ip}:8080", from.name()))?;
                }
            }
        }
        Ok(())
    }

    /// From the host itself, by each of its addresses. There is no way from ::1 to elsewhere: IPv6
    /// has no `route_localnet`.
    fn local(&self) -> Result<()> {
        let (v4, v6): (IpAddr, IpAddr) = ("127.0.0.1".parse()?, "::1".parse()?);
        for ip in self.of_the_host().into_iter().chain([v4]) {
            for proto in PROTOS {
                probe::ask(&self.host, proto, (ip, 8080))
                    .with_context(|| format!("the host asks {ip}:8080"))?;
            }
        }
        ensure!(probe::refusal(&self.host, Proto::Tcp, (v6, 8080))?.is_err(), "[::1]:8080 answers");
        Ok(())
    }

    /// The container and itself, by its own addresses and by its loopback's.
    fn itself(&self) -> Result<()> {
        for ip in [self.web_v4, self.web_v6, "127.0.0.1".parse()?, "::1".parse()?] {
            probe::ping(&self.web, ip)?;
            for proto in PROTOS {
                let seen = probe::ask(&self.web, proto, (ip, 80))?;
                ensure!(seen.source.ip() == ip, "{proto:?} to itself at {ip}: {seen:?}");
            }
        }
        Ok(())
    }

    /// From the containers to the internet, as the host; and no way in but by published ports.
    fn way_out(&self) -> Result<()> {
        for (server, outside) in [(Internet::V4, self.uplink.v4), (Internet::V6, self.uplink.v6)] {
            for from in [&self.web, &self.sibling] {
                probe::ping(from, server)?;
                for proto in PROTOS {
                    let seen = probe::ask(from, proto, (server, Internet::PORT))?;
                    ensure!(seen.source.ip() == outside, "{proto:?}: seen as {}", seen.source);
                }
            }
        }
        for web in [self.web_v4, self.web_v6] {
            ensure!(!probe::pings(&self.internet.host, web)?, "the internet pings {web}");
        }
        Ok(())
    }

    fn of_the_host(&self) -> [IpAddr; 4] {
        [self.uplink.v4, self.uplink.v6, self.gateway_v4, self.gateway_v6]
    }
}

fn conflist(hairpin: bool) -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "net",
        "plugins": [
            { "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
              "hairpinMode": hairpin,
              "ipam": { "type": "host-local",
                        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall" },
        ],
    })
}
