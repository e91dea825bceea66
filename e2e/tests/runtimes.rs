//! Real runtimes with the plugins of `E2E_PLUGINS` (ours by default): what their users see.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};
use e2e::runtimes::{Containerd, Cri, Podman};
use e2e::{
    Capture, Host, Internet, Lab, Place as _, PluginSet, Proto, Uplink, image, lend_reference,
    probe, record, require_programs,
};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The network of containerd's tests; `record` tells how it is called.
const CONFLIST: &str = r#"{"cniVersion": "1.0.0", "name": "tnet", "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.5.0/24"}]],
              "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}},
    {"type": "firewall"},
    {"type": "record", "capabilities": {"portMappings": true}}]}"#;

/// A host with plugins, on the internet:
///
/// ```text
/// containers -- (bridge) host eth0 -------- internet
/// ```
struct Site {
    internet: Internet,
    host: Host,
    uplink: Uplink,
}

impl Site {
    fn new(lab: &Lab) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        let uplink = internet.connect(lab, &host)?;
        PluginSet::selected()?.install(&host)?;
        record::install(&host)?;
        Ok(Self { internet, host, uplink })
    }

    /// Demands that no container has left anything: reservation, link, rule or element.
    fn assert_clean(&self, network: &str, bridge: &str) -> Result<()> {
        let left = self.host.list(&format!("/var/lib/cni/networks/{network}"))?;
        let addresses: Vec<_> = left.iter().filter(|name| name.parse::<IpAddr>().is_ok()).collect();
        assert!(addresses.is_empty(), "reserved: {addresses:?}");
        assert_eq!(self.host.interfaces()?, [bridge, "eth0", "lo"]);
        let rules = self.host.run(&["nft", "list", "ruleset"])?.stdout;
        // The reference `bridge` 1.1.1 returns from a DEL without namespace before it removes its
        // masquerade rules (plugins/main/bridge/bridge.go, cmdDel).
        let left = rules.contains("10.88.") && PluginSet::selected()? == PluginSet::Ours;
        assert!(!left, "{rules}");
        Ok(())
    }
}

#[test]
fn ctr_run_gives_a_way_out_and_leaves_nothing() -> Result<()> {
    if !require_programs(&["containerd", "ctr", "runc", "tcpdump"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.write_file("/etc/cni/net.d/10-tnet.conflist", CONFLIST)?;
        let containerd = Containerd::start(&site.host)?;
        let capture = Capture::start(&site.host, "eth0", "tcp port 80")?;
        let script = format!(
            "ip -4 -o addr show eth0 | awk '{{print $4}}'
             {program} tcp {server}:{port} 5000
             ping -q -c 1 -W 2 {server} >/dev/null && echo pong",
            program = probe::PROGRAM,
            server = Internet::V4,
            port = Internet::PORT,
        );
        let output = containerd.run_in_foreground("c1", &["/bin/sh", "-ec", &script]).run()?;
        let lines: Vec<&str> = output.stdout.lines().collect();
        let [address, answer, pong] = lines.as_slice() else { anyhow::bail!("{lines:?}") };
        assert_eq!((*address, *pong), ("10.88.5.2/24", "pong"));
        assert_eq!(probe::parse(answer)?.source.ip(), site.uplink.v4);
        let packets = capture.stop_when("the end of the connection", |packets| {
            packets.iter().any(|p| p.source_is(Internet::V4) && p.text.contains("Flags [F"))
        })?;
        let inner = "10.88.5.2".parse()?;
        assert!(packets.iter().all(|p| !p.source_is(inner) && !p.destination_is(inner)));

        site.assert_clean("tnet", "cni0")?;
        let calls = record::calls(&site.host)?;
        let [add, del] = calls.as_slice() else { anyhow::bail!("{calls:?}") };
        assert_eq!((add.verb.as_str(), add.container_id.as_str()), ("ADD", "default-c1"));
        assert_eq!((del.verb.as_str(), del.netns.as_str()), ("DEL", ""));
        Ok(())
    })
}

#[test]
fn a_pod_publishes_its_port_and_its_network_is_deleted_twice() -> Result<()> {
    if !require_programs(&["containerd", "ctr", "runc", "python3"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.write_file("/etc/cni/net.d/10-tnet.conflist", CONFLIST)?;
        let cri = Cri::start(&site.host)?;
        let pod = cri.run_pod("web", &["8081:80"])?;
        let address = cri.address(&pod)?;
        assert_eq!(address, "10.88.5.2".parse::<IpAddr>()?);
        let seen = probe::ask(&site.internet.host, Proto::Tcp, (site.uplink.v4, 8081))?;
        assert_eq!((seen.destination.ip(), seen.destination.port()), (address, image::PORT));
        probe::ask(&site.host, Proto::Tcp, (LOCALHOST, 8081))?;

        cri.stop_pod(&pod)?;
        let refused = probe::refusal(&site.internet.host, Proto::Tcp, (site.uplink.v4, 8081))?;
        assert_eq!(refused, Err("refused".to_owned()));
        cri.remove_pod(&pod)?;
        site.assert_clean("tnet", "cni0")?;
        let calls = record::calls(&site.host)?;
        let [add, first, second] = calls.as_slice() else { anyhow::bail!("{calls:?}") };
        let ports = add.conf.pointer("/runtimeConfig/portMappings/0").context("no port mapping")?;
        assert_eq!(ports.get("HostPort").and_then(|port| port.as_u64()), Some(8081), "{ports}");
        assert_eq!((first.verb.as_str(), first.netns.is_empty()), ("DEL", false));
        assert_eq!((second.verb.as_str(), second.netns.as_str()), ("DEL", ""));
        Ok(())
    })
}

#[test]
fn podman_publishes_ports_of_its_default_network() -> Result<()> {
    if !require_programs(&["podman", "conmon", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (site, podman) = podman_site(lab)?;
        podman.start("web", &["--publish", "8080:80", "--publish", "5353:80/udp"])?;
        let address = only_address(&podman, "web", "eth0")?;
        for (proto, port) in [(Proto::Tcp, 8080), (Proto::Udp, 5353)] {
            let seen = probe::ask(&site.internet.host, proto, (site.uplink.v4, port))?;
            assert_eq!(seen.source.ip(), "192.0.2.1".parse::<IpAddr>()?, "{proto:?}");
            assert_eq!(seen.destination.port(), image::PORT);
        }
        probe::ask(&site.host, Proto::Tcp, (LOCALHOST, 8080))?;
        probe::ask(&site.host, Proto::Tcp, (address, image::PORT))?;
        let out = format!("{} tcp {}:{} 5000", probe::PROGRAM, Internet::V4, Internet::PORT);
        let seen = probe::parse(&podman.exec("web", &out)?.stdout)?;
        assert_eq!(seen.source.ip(), site.uplink.v4);

        podman.remove("web")?;
        assert!(probe::refusal(&site.internet.host, Proto::Tcp, (site.uplink.v4, 8080))?.is_err());
        site.assert_clean("podman", "cni-podman0")
    })
}

#[test]
fn podman_gives_the_asked_address_and_mac_and_connects_running_containers() -> Result<()> {
    if !require_programs(&["podman", "conmon", "runc", "dnsmasq"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (site, podman) = podman_site(lab)?;
        podman.run(&["network", "create", "--subnet", "10.77.0.0/24", "blue"])?;
        podman.run(&["network", "create", "--subnet", "10.78.0.0/24", "green"])?;
        let mac = "02:aa:bb:cc:dd:ee";
        podman.start("a", &["--network", "blue", "--ip", "10.77.0.50", "--mac-address", mac])?;
        // Left to itself Podman numbers the interfaces of a container as its map of networks comes.
        let both = ["blue:interface_name=eth0", "green:interface_name=eth1"];
        podman.start("b", &["--network", both[0], "--network", both[1]])?;
        assert_eq!(only_address(&podman, "a", "eth0")?, "10.77.0.50".parse::<IpAddr>()?);
        let seen = podman.exec("a", "cat /sys/class/net/eth0/address")?.stdout;
        assert_eq!(seen.trim(), mac);
        let green = only_address(&podman, "b", "eth1")?;
        assert!(green.to_string().starts_with("10.78.0."), "{green}");
        // By name, from Podman's own name server for the network.
        let ask_b = format!("{} tcp b:{} 5000", probe::PROGRAM, image::PORT);
        let seen = probe::parse(&podman.exec("a", &ask_b)?.stdout)?;
        assert_eq!(seen.destination.ip(), only_address(&podman, "b", "eth0")?);

        let ask = format!("{} tcp {green}:{} 1000", probe::PROGRAM, image::PORT);
        podman.run(&["network", "connect", "green", "a"])?;
        let source = only_address(&podman, "a", "eth1")?;
        assert_eq!(probe::parse(&podman.exec("a", &ask)?.stdout)?.source.ip(), source);
        podman.run(&["network", "disconnect", "green", "a"])?;
        let left = podman.exec("a", "ls /sys/class/net")?.stdout;
        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["eth0", "lo"]);

        podman.remove("a")?;
        podman.remove("b")?;
        podman.run(&["network", "rm", "blue", "green"])?;
        assert!(
            site.host.list("/var/lib/cni/networks/blue")?.iter().all(|n| !n.starts_with("10."))
        );
        Ok(())
    })
}

/// A site with Podman. Its networks name the plugins `tuning` and `dnsname` as well; those are lent
/// from the reference set.
fn podman_site(lab: &Lab) -> Result<(Site, Podman)> {
    let site = Site::new(lab)?;
    if PluginSet::selected()? == PluginSet::Ours {
        lend_reference(&site.host, &["tuning", "dnsname"])?;
    }
    let podman = Podman::new(&site.host)?;
    Ok((site, podman))
}

/// The one IPv4 address of an interface in a container.
fn only_address(podman: &Podman, container: &str, interface: &str) -> Result<IpAddr> {
    let script = format!("ip -4 -o addr show {interface} | awk '{{print $4}}'");
    let shown = podman.exec(container, &script)?.stdout;
    let (address, _) = shown.trim().split_once('/').with_context(|| format!("{shown:?}"))?;
    Ok(address.parse()?)
}
