//! A host whose containers were attached by the reference plugins, and are detached by ours.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    CNI_BIN, Chain, Cni, Container, Host, Internet, Lab, PATIENCE, Place as _, PluginSet, Proto,
    Uplink, address, probe, wait_until,
};
use serde_json::{Value, json};

const PROTOS: [Proto; 2] = [Proto::Tcp, Proto::Udp];

#[test]
fn del_with_the_result_and_the_namespace_leaves_nothing_of_the_reference() -> Result<()> {
    upgrade(true, true)
}

#[test]
fn del_with_the_result_of_a_namespace_that_is_gone_leaves_nothing_of_the_reference() -> Result<()> {
    upgrade(true, false)
}

#[test]
fn del_without_the_result_leaves_nothing_of_the_reference() -> Result<()> {
    upgrade(false, true)
}

/// Only addresses tell whose an accept of `firewall` is, and nobody knows them any more.
#[test]
fn del_without_result_and_namespace_leaves_accepts_only() -> Result<()> {
    upgrade(false, false)
}

/// What the nftables backends of newer versions (1.6 on) write, for two networks of one container
/// and for another container.
#[test]
fn del_takes_the_rules_of_the_nftables_backends_and_no_others() -> Result<()> {
    Lab::run(|lab| {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.sh(NFTABLES)?;
        let container = host.add_container("abc123")?;
        let mut chain = Chain::new(conflist("mynet")).with_args(json!({ "portMappings": [
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }] }));
        let ips = ["10.0.0.2/24", "fd00::2/64"].map(|address| json!({ "address": address }));
        chain.prev_result = json!({ "cniVersion": "1.0.0", "ips": ips });
        chain.del(&Cni::new(&container))?;

        let left = host.sh("nft list ruleset")?.stdout;
        for own in ["10.0.0.2", "fd00::2", "cni-br-iface-abc123", "macspoofchk-abc123", "mynet"] {
            ensure!(!left.contains(own), "{own} in\n{left}");
        }
        let kept =
            ["10.0.0.3:80", "10.9.0.2:80", "[fd00::3]:80", "ip saddr 10.0.0.3", "other-eth0"];
        for others in kept {
            ensure!(left.contains(others), "no {others} in\n{left}");
        }
        Ok(())
    })
}

const NFTABLES: &str = r#"
nft -f - <<'END'
table inet cni_plugins_masquerade {
  chain masq_checks {
    ip saddr 10.0.0.2 ip daddr != 10.0.0.0/24 masquerade comment "d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123"
    ip saddr 10.0.0.3 ip daddr != 10.0.0.0/24 masquerade comment "d23676b4f2d9fe04-0000000000000000, net: n, if: eth0, id: other"
  }
  chain postrouting {
    type nat hook postrouting priority 100
    goto masq_checks
  }
}
table ip cni_hostport {
  chain hostports {
    tcp dport 8080 dnat to 10.0.0.2:80 comment "abc123"
    tcp dport 8081 dnat to 10.9.0.2:80 comment "abc123"
    tcp dport 8082 dnat to 10.0.0.3:80 comment "other"
  }
  chain prerouting {
    type nat hook prerouting priority -100
    fib daddr type local jump hostports
  }
  chain masquerading {
    type nat hook postrouting priority 100
    ip saddr 10.0.0.2 ip daddr 10.0.0.2 masquerade comment "abc123"
    ip saddr 127.0.0.1 ip daddr 10.0.0.2 masquerade comment "abc123"
    ip saddr 10.0.0.3 ip daddr 10.0.0.3 masquerade comment "other"
  }
}
table ip6 cni_hostport {
  chain hostports {
    tcp dport 8080 dnat to [fd00::2]:80 comment "abc123"
    tcp dport 8082 dnat to [fd00::3]:80 comment "other"
  }
}
table bridge nat {
  chain cni-br-iface-abc123-eth0-mac {
    ether saddr 02:00:00:00:00:01 return comment "macspoofchk-abc123-eth0"
    drop comment "macspoofchk-abc123-eth0"
  }
  chain cni-br-iface-abc123-eth0 {
    jump cni-br-iface-abc123-eth0-mac comment "macspoofchk-abc123-eth0"
  }
  chain cni-br-iface-other-eth0 {
  }
  chain PREROUTING {
    type filter hook prerouting priority -300
    iifname "veth1" jump cni-br-iface-abc123-eth0 comment "macspoofchk-abc123-eth0"
    iifname "veth2" jump cni-br-iface-other-eth0 comment "macspoofchk-other-eth0"
  }
}
END
"#;

fn upgrade(with_result: bool, alive: bool) -> Result<()> {
    Lab::run(|lab| {
        let mut site = Site::new(lab)?;
        site.reaches(&site.second, 8081)?;
        site.reaches(&site.first, 8080)?;
        PluginSet::Ours.install(&site.host)?;

        let accepts_stay = !with_result && !alive;
        // Only the result tells of a veth pair whose other end a process keeps alive.
        if accepts_stay {
            site.first.server = None;
        }
        site.del(&site.first, with_result, alive)?;
        site.is_gone(&site.first, accepts_stay)?;
        site.reaches(&site.second, 8081)?;
        site.host.sh("iptables-save >/dev/null; ip6tables-save >/dev/null")?;
        site.del(&site.first, with_result, false).context("DEL again")?;
        site.reaches(&site.second, 8081)?;

        if accepts_stay {
            site.second.server = None;
        }
        site.del(&site.second, with_result, alive)?;
        site.is_gone(&site.second, accepts_stay)?;
        let left = site.rules()?;
        for prefix in ["CNI-DN-", "name: \\\"net\\\""] {
            ensure!(!left.contains(prefix), "{prefix} in\n{left}");
        }
        // A namespace that is gone takes its links along in its own time.
        wait_until("no link is left", PATIENCE, || {
            site.host.interfaces().is_ok_and(|names| !names.iter().any(|n| n.starts_with("veth")))
        })
    })
}

/// A container with the chain that attached it.
struct Attached {
    container: Container,
    chain: Chain,
    addrs: [IpAddr; 2],
    server: Option<e2e::Process>,
}

struct Site {
    internet: Internet,
    uplink: Uplink,
    host: Host,
    first: Attached,
    second: Attached,
}

impl Site {
    /// Two containers with published ports.
    fn new(lab: &Lab) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        PluginSet::Reference.install(&host)?;
        let uplink = internet.connect(lab, &host)?;
        let first = Attached::new(&host, "first", 8080)?;
        let second = Attached::new(&host, "second", 8081)?;
        // Links to the reference's programs: ours would be written through them.
        host.sh(&format!("rm {CNI_BIN}/*"))?;
        Ok(Self { internet, uplink, host, first, second })
    }

    fn del(&self, attached: &Attached, with_result: bool, alive: bool) -> Result<()> {
        let mut chain = attached.chain.clone();
        if !with_result {
            chain.prev_result = Value::Null;
        }
        if !alive && self.host.path(&attached.container.netns()).exists() {
            attached.container.remove()?;
        }
        chain.del(&Cni::new(&attached.container)).context("DEL by ours")
    }

    /// From outside by the host port, and outwards as the host.
    fn reaches(&self, attached: &Attached, port: u16) -> Result<()> {
        for ip in [self.uplink.v4, self.uplink.v6] {
            for proto in PROTOS {
                probe::ask(&self.internet.host, proto, (ip, port))?;
            }
        }
        for (server, outside) in [(Internet::V4, self.uplink.v4), (Internet::V6, self.uplink.v6)] {
            let to = (server, Internet::PORT);
            let seen = probe::ask(&attached.container, Proto::Tcp, to)?;
            ensure!(seen.source.ip() == outside, "seen as {}", seen.source);
        }
        Ok(())
    }

    fn is_gone(&self, attached: &Attached, accepts_stay: bool) -> Result<()> {
        let id = attached.container.id();
        let rules = self.rules()?;
        ensure!(!rules.contains(&format!("id: \\\"{id}\\\"")), "{id} in\n{rules}");
        for addr in attached.addrs {
            let accepts = rules
                .lines()
                .filter(|line| line.split([' ', '/']).any(|word| word == addr.to_string()));
            let wanted = if accepts_stay { 2 } else { 0 };
            ensure!(accepts.count() == wanted, "{addr} in\n{rules}");
        }
        let reserved = self.host.list("/var/lib/cni/networks/net")?;
        let [v4, v6] = attached.addrs.map(|addr| addr.to_string());
        ensure!(!reserved.contains(&v4) && !reserved.contains(&v6), "{reserved:?}");
        if self.host.path(&attached.container.netns()).exists() {
            let links = attached.container.sh("ip -br link")?.stdout;
            ensure!(!links.contains("eth0"), "{links}");
        }
        Ok(())
    }

    fn rules(&self) -> Result<String> {
        Ok(self.host.sh("iptables-save; ip6tables-save")?.stdout)
    }
}

impl Attached {
    fn new(host: &Host, id: &str, port: u16) -> Result<Self> {
        let container = host.add_container(id)?;
        let ports = ["tcp", "udp"]
            .map(|protocol| json!({ "hostPort": port, "containerPort": 80, "protocol": protocol }));
        let mut chain = Chain::new(conflist("net")).with_args(json!({ "portMappings": ports }));
        let result = chain.add(&Cni::new(&container)).context("ADD by the reference")?;
        let addrs = [address(&result, 0)?, address(&result, 1)?];
        let server = probe::serve(&container, 80, &[])?;
        Ok(Self { container, chain, addrs, server: Some(server) })
    }
}

fn conflist(name: &str) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": name,
        "plugins": [
            { "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true,
              "ipam": { "type": "host-local",
                        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall", "backend": "iptables" },
        ],
    })
}
