use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Capture, Etcd, Host, Internet, Lab, Member, Node, Packet, Place as _, Proto, Uplink, probe,
    require_programs,
};

pub(crate) const VXLAN: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;
pub(crate) const HOST_GW: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}"#;
pub(crate) const DUAL: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,
    "IPv6Network":"fd05::/48","Backend":{"Type":"vxlan"}}"#;
pub(crate) const DUAL_DIRECT: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,
    "IPv6Network":"fd05::/48","Backend":{"Type":"vxlan","DirectRouting":true}}"#;
pub(crate) const DUAL_HOST_GW: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,
    "IPv6Network":"fd05::/48","Backend":{"Type":"host-gw"}}"#;

/// The address of the store, or of its first member.
const STORE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The store's host, and hosts with agents. They end before the store does, so that the logs of
/// a test that fails do not end with an outage.
pub(crate) struct Site {
    pub(crate) nodes: Vec<Node>,
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) etcd: Etcd,
    pub(crate) internet: Internet,
}

/// Runs a test where there is an etcd.
pub(crate) fn run(test: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    if require_programs(&["etcd", "etcdctl", "tcpdump"])? { Lab::run(test) } else { Ok(()) }
}

impl Site {
    /// Hosts with the same options, all ready.
    pub(crate) fn new(lab: &Lab, config: &str, hosts: usize, options: &[&str]) -> Result<Self> {
        let mut site = Self::without_nodes(lab)?;
        site.fill(lab, config, hosts, options)?;
        Ok(site)
    }

    /// The store alone, empty.
    pub(crate) fn without_nodes(lab: &Lab) -> Result<Self> {
        Self::with_store(lab, |host| Etcd::start(host, STORE))
    }

    /// A store of three members, each on a host of its own, who miss their leader for so long.
    pub(crate) fn with_three_members(lab: &Lab, election: Duration) -> Result<Self> {
        let internet = lab.internet()?;
        let hosts = [lab.host("store2")?, lab.host("store3")?];
        let mut members = vec![(&internet.host, STORE)];
        for host in &hosts {
            members.push((host, internet.connect(lab, host)?.v4));
        }
        let etcd = Etcd::cluster(&members, election)?;
        Ok(Self { nodes: Vec::new(), uplinks: Vec::new(), etcd, internet })
    }

    /// A store that speaks TLS, and in which the hosts' user may touch flannel's prefix only.
    pub(crate) fn with_secured_store(lab: &Lab) -> Result<Self> {
        Self::with_store(lab, |host| Etcd::secured(host, STORE))
    }

    fn with_store(lab: &Lab, start: impl FnOnce(&Host) -> Result<Etcd>) -> Result<Self> {
        let internet = lab.internet()?;
        let etcd = start(&internet.host)?;
        Ok(Self { nodes: Vec::new(), uplinks: Vec::new(), etcd, internet })
    }

    /// Writes the configuration and adds hosts with the same options, all ready.
    pub(crate) fn fill(
        &mut self,
        lab: &Lab,
        config: &str,
        hosts: usize,
        options: &[&str],
    ) -> Result<()> {
        self.etcd.configure(config)?;
        for number in 1..=hosts {
            self.add(lab, &format!("host{number}"), options)?;
        }
        self.nodes.iter_mut().try_for_each(Node::wait_ready)
    }

    /// Another host; its agent is started and not waited for.
    pub(crate) fn add(&mut self, lab: &Lab, name: &str, options: &[&str]) -> Result<()> {
        let host = lab.host(name)?;
        self.uplinks.push(self.internet.connect(lab, &host)?);
        self.nodes.push(Node::start(&host, &self.etcd, options)?);
        Ok(())
    }

    /// A container on every host.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        self.nodes.iter().map(|node| node.add("web")).collect()
    }
}

/// Every container reaches every other by ping, TCP and UDP, and is seen with its own address.
pub(crate) fn all_reach_all(members: &[Member]) -> Result<()> {
    let servers: Vec<_> = members
        .iter()
        .map(|member| probe::serve(&member.container, 80, &[]))
        .collect::<Result<_>>()?;
    for from in members {
        for to in members {
            if from.ip != to.ip {
                reaches(from, to.ip)?;
            }
        }
    }
    drop(servers);
    Ok(())
}

/// The IPv6 address of a container, of network [`DUAL`].
pub(crate) fn v6(member: &Member) -> Result<IpAddr> {
    let all = member.container.addresses("eth0")?;
    let text = all.iter().find(|text| text.starts_with("fd05:")).context("an address")?;
    Ok(text.split('/').next().unwrap_or_default().parse()?)
}

/// Whether readiness answers with this status, and says this among other things.
pub(crate) fn says(node: &Node, want: u16, text: &str) -> bool {
    node.health("readyz").is_ok_and(|(code, said)| code == want && said.contains(text))
}

/// Whether readiness says that all is well, and nothing else.
pub(crate) fn is_well(node: &Node) -> bool {
    node.health("readyz").is_ok_and(|(_, said)| said == "flanneld is ready")
}

/// What passes `eth0` of a node, of what tcpdump's filter lets through, while one container pings
/// another; waits for a packet that is wanted.
pub(crate) fn wire_of_ping(
    node: &Node,
    filter: &str,
    (from, to): (&Member, &Member),
    wanted: impl Fn(&Packet) -> bool,
) -> Result<Vec<Packet>> {
    let capture = Capture::start(&node.host, "eth0", filter)?;
    probe::ping(&from.container, to.ip)?;
    capture.stop_when("the ping", |packets| packets.iter().any(&wanted))
}

/// Ten pings a second from one container to another.
pub(crate) struct Pinging(probe::Pinging);

impl Pinging {
    /// Begins; the first have been answered.
    pub(crate) fn start(from: &Member, to: &Member) -> Result<Self> {
        let pause = Duration::from_millis(100);
        probe::Pinging::start(&from.container, to.ip, pause, 3).map(Self)
    }

    /// Ends; every one was answered.
    pub(crate) fn end(self) -> Result<()> {
        let probe::Pinged { lost, log, .. } = self.0.end()?;
        ensure!(lost.is_empty(), "{lost:?}: {log}");
        Ok(())
    }
}

fn reaches(from: &Member, to: IpAddr) -> Result<()> {
    let name = from.container.name();
    probe::ping(&from.container, to)?;
    for proto in [Proto::Tcp, Proto::Udp] {
        let seen = probe::ask(&from.container, proto, (to, 80))?;
        ensure!(seen.source.ip() == from.ip, "{name} is seen as {} by {to}", seen.source);
    }
    Ok(())
}
