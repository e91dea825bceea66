//! Part two: two hosts, an etcd, and the overlay between them.

use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{Capture, Etcd, Internet, Lab, Member, Node, PATIENCE, Place as _, Proto, Uplink, probe};

use crate::{say, show, title};

const CONFIG: &str = r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}"#;

/// Shows it.
pub(crate) fn show_all(lab: &Lab) -> Result<()> {
    let mut demo = Demo::new(lab)?;
    demo.leases()?;
    demo.reach()?;
    demo.wire()?;
    demo.cable()?;
    demo.damage()?;
    demo.restart()
}

struct Demo {
    internet: Internet,
    etcd: Etcd,
    nodes: Vec<Node>,
    uplinks: Vec<Uplink>,
    members: Vec<Member>,
}

impl Demo {
    fn new(lab: &Lab) -> Result<Self> {
        title("7. Two hosts run netd, as flanneld was run; an etcd tells them of each other");
        let internet = lab.internet()?;
        let etcd = Etcd::start(&internet.host, Ipv4Addr::new(192, 0, 2, 1).into())?;
        etcd.configure(CONFIG)?;
        println!("  etcdctl put {}/config '{CONFIG}'", e2e::PREFIX);
        let (mut nodes, mut uplinks) = (Vec::new(), Vec::new());
        for name in ["host1", "host2"] {
            let host = lab.host(name)?;
            uplinks.push(internet.connect(lab, &host)?);
            nodes.push(Node::start(&host, &etcd, &["-ip-masq"])?);
            println!("  {name} $ netd -etcd-endpoints={} -ip-masq &", etcd.url());
        }
        nodes.iter_mut().try_for_each(Node::wait_ready)?;
        let members = nodes.iter().map(|node| node.add("web")).collect::<Result<Vec<_>>>()?;
        let demo = Self { internet, etcd, nodes, uplinks, members };
        demo.picture()?;
        Ok(demo)
    }

    fn picture(&self) -> Result<()> {
        println!();
        for ((node, uplink), member) in self.nodes.iter().zip(&self.uplinks).zip(&self.members) {
            let (gateway, length) = node.subnet()?;
            println!(
                "  switch --- eth0 {} {} flannel.1 --- cni0 {gateway}/{length} --- web {}",
                uplink.v4,
                node.host.name(),
                member.ip
            );
        }
        Ok(())
    }

    fn leases(&self) -> Result<()> {
        title("8. A lease per host, in flannel's keys: flanneld would read them, and be read");
        for (key, value) in self.etcd.list(&format!("{}/subnets/", e2e::PREFIX))? {
            println!("  {key}\n    {value}");
        }
        let (one, _) = self.two()?;
        say("");
        show(&one.host, &["cat", e2e::SUBNET_ENV])?;
        say("The other host is a route, a neighbour and a forwarding entry:");
        show(&one.host, &["ip", "route", "show", "proto", "78"])?;
        show(&one.host, &["ip", "neigh", "show", "dev", "flannel.1", "nud", "permanent"])?;
        show(&one.host, &["bridge", "fdb", "show", "dev", "flannel.1"])
    }

    fn reach(&self) -> Result<()> {
        title("9. Containers reach each other across hosts, and nobody translates");
        let servers = self
            .members
            .iter()
            .map(|m| probe::serve(&m.container, 80, &[]))
            .collect::<Result<Vec<_>>>()?;
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (self.member(from)?, self.member(to)?);
            probe::ping(&from.container, to.ip)?;
            for proto in [Proto::Tcp, Proto::Udp] {
                let seen = probe::ask(&from.container, proto, (to.ip, 80))?.source.ip();
                ensure!(seen == from.ip, "{} is seen as {seen}", from.ip);
            }
            println!(
                "  {} -> {}  ping, TCP, UDP: answered; it saw {}",
                from.container.name(),
                to.ip,
                from.ip
            );
        }
        drop(servers);
        let seen =
            probe::ask(&self.member(0)?.container, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        println!(
            "  {} -> the internet       it saw {}: masqueraded",
            self.member(0)?.container.name(),
            seen.source.ip()
        );
        Ok(())
    }

    fn wire(&self) -> Result<()> {
        title("10. On the wire: VXLAN, UDP port 8472, network 1 (tcpdump calls it OTV there)");
        let capture = Capture::start(&self.two()?.0.host, "eth0", "udp port 8472")?;
        probe::ping(&self.member(0)?.container, self.member(1)?.ip)?;
        let packets = capture.stop_when("the ping and its answer", |p| {
            p.iter().filter(|p| p.text.contains("ICMP")).count() >= 2
        })?;
        packets.iter().for_each(|packet| println!("  {}", packet.text));
        Ok(())
    }

    fn cable(&self) -> Result<()> {
        title("11. The cable of host1 is pulled, and put back");
        let (here, there) = (self.member(0)?, self.member(1)?);
        let switch = &self.internet.host;
        switch.run(&["ip", "link", "set", "uplink0", "down"])?;
        ensure!(!probe::pings(&there.container, here.ip)?, "a ping without a cable");
        println!("  pulled: {} does not reach {}", there.container.name(), here.ip);
        switch.run(&["ip", "link", "set", "uplink0", "up"])?;
        let start = Instant::now();
        there.wait_to_reach(here.ip, PATIENCE)?;
        println!("  back: reached after {} ms", start.elapsed().as_millis());
        Ok(())
    }

    fn damage(&self) -> Result<()> {
        title("12. Somebody removes the device, and flushes all rules");
        let (here, there) = (self.member(0)?, self.member(1)?);
        let host = &self.two()?.0.host;
        show(host, &["ip", "link", "del", "flannel.1"])?;
        show(host, &["nft", "flush", "ruleset"])?;
        let start = Instant::now();
        there.wait_to_reach(here.ip, PATIENCE)?;
        println!(
            "  reached again after {} ms, with the same device address and all peers",
            start.elapsed().as_millis()
        );
        e2e::wait_until("the rules", PATIENCE, || {
            host.run(&["nft", "list", "table", "inet", "netd_cluster"]).is_ok()
        })
    }

    fn restart(&mut self) -> Result<()> {
        title("13. netd ends and starts again: the network does not notice");
        let key = self.two()?.0.key()?;
        let node = self.nodes.first_mut().context("host1")?;
        ensure!(node.stop()? == 0, "netd ends with 0");
        let (here, there) = (self.member(0)?, self.member(1)?);
        probe::ping(&there.container, here.ip)?;
        println!("  without netd: {} reaches {}", there.container.name(), here.ip);
        let node = self.nodes.first_mut().context("host1")?;
        node.resume()?;
        node.wait_ready()?;
        ensure!(node.key()? == key, "another subnet");
        println!("  with it again: the lease is still {key}\n");
        self.members.iter().try_for_each(Member::del)
    }

    fn two(&self) -> Result<(&Node, &Node)> {
        let [one, two] = self.nodes.as_slice() else { anyhow::bail!("there are two hosts") };
        Ok((one, two))
    }

    fn member(&self, at: usize) -> Result<&Member> {
        self.members.get(at).context("a container on each host")
    }
}
