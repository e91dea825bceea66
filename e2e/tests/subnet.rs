//! A host's subnet in use by the plugins `flannel` and `overlay`. No agent runs here: the tests
//! write what an agent would, and answer in netd's place.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::Podman;
use e2e::{
    Cni, Host, Internet, Lab, PATIENCE, Place as _, PluginSet, Process, Proto, Uplink, bins, image,
    lend_reference, probe, require_programs,
};
use serde_json::{Value, json};

const NETD: &str = "/opt/netd";
const SUBNET_ENV: &str = "/run/flannel/subnet.env";
/// As flannel writes it, for an agent that does not masquerade.
const ENV: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";

/// The list that flannel's manifest for Kubernetes installs.
fn kube() -> Value {
    json!({"cniVersion": "1.0.0", "name": "cbr0", "plugins": [
        {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

/// A host with plugins and netd's command line, on the internet.
struct Site {
    internet: Internet,
    host: Host,
    uplink: Uplink,
}

impl Site {
    fn new(lab: &Lab) -> Result<Self> {
        let (internet, host) = (lab.internet()?, lab.host("host")?);
        let uplink = internet.connect(lab, &host)?;
        PluginSet::Ours.install(&host)?;
        host.copy_program(&bins::program("netd")?, NETD)?;
        Ok(Self { internet, host, uplink })
    }

    fn netd(&self, words: &str) -> Result<String> {
        let words: Vec<&str> = [NETD].into_iter().chain(words.split_whitespace()).collect();
        Ok(self.host.run(&words)?.stdout)
    }

    /// Demands that no container of a network has left anything.
    fn assert_clean(&self, network: &str) -> Result<()> {
        for dir in ["/var/lib/cni/flannel", "/var/lib/cni/overlay", "/run/netd/attachments"] {
            let left = self.host.list(dir)?;
            ensure!(left.is_empty(), "{dir}: {left:?}");
        }
        let left = self.host.list(&format!("/var/lib/cni/networks/{network}"))?;
        ensure!(!left.iter().any(|name| name.starts_with("10.")), "reserved: {left:?}");
        let links = self.host.interfaces()?;
        ensure!(!links.iter().any(|name| name.starts_with("veth")), "{links:?}");
        Ok(())
    }
}

#[test]
fn podman_containers_live_on_the_hosts_subnet() -> Result<()> {
    if !require_programs(&["podman", "conmon", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.write_file("/etc/cni/net.d/10-flannel.conflist", kube().to_string())?;
        let podman = Podman::new(&site.host)?;
        let early = podman.start("early", &["--network", "cbr0"]);
        let text = format!("{:#}", early.err().context("a container without a subnet")?);
        ensure!(text.contains("check that one of them runs on this host"), "{text}");
        podman.remove("early")?;

        site.host.write_file(SUBNET_ENV, ENV)?;
        podman.start("web", &["--network", "cbr0", "--publish", "8080:80"])?;
        let shown = podman.exec("web", "ip -o -4 addr show eth0; ip route; ip link show eth0")?;
        for part in
            ["10.5.72.2/24", "default via 10.5.72.1", "10.5.0.0/16 via 10.5.72.1", "mtu 1450"]
        {
            ensure!(shown.stdout.contains(part), "no {part} in {}", shown.stdout);
        }
        ensure!(site.host.addresses("cni0")?.contains(&"10.5.72.1/24".to_owned()));
        let out = format!("{} tcp {}:{} 5000", probe::PROGRAM, Internet::V4, Internet::PORT);
        let seen = probe::parse(&podman.exec("web", &out)?.stdout)?;
        assert_eq!(seen.source.ip(), site.uplink.v4, "the agent does not masquerade, so this does");
        let seen = probe::ask(&site.internet.host, Proto::Tcp, (site.uplink.v4, 8080))?;
        assert_eq!(seen.destination, (Ipv4Addr::new(10, 5, 72, 2), image::PORT).into());
        podman.remove("web")?;
        site.assert_clean("cbr0")
    })
}

/// The reference set's bridge and host-local made it, as flannel's own plugin has them do.
#[test]
fn a_container_of_the_reference_plugins_is_taken_over() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.write_file(SUBNET_ENV, ENV)?;
        let container = site.host.add_container("c1")?;
        let mut cni = Cni::new(&container);
        let told = r#"{"cniVersion":"0.4.0","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.5.72.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}"#;
        let delegate: Value = serde_json::from_str(told)?;
        cni.path = e2e::REFERENCE_BIN.to_owned();
        cni.call("ADD", "bridge", &delegate)?.result()?;
        site.host.write_file("/var/lib/cni/flannel/c1", told)?;
        ensure!(site.host.list("/var/lib/cni/networks/cbr0")?.contains(&"10.5.72.2".to_owned()));

        cni.path = e2e::CNI_BIN.to_owned();
        let conf = json!({"cniVersion": "0.4.0", "name": "cbr0", "type": "flannel",
            "delegate": {"hairpinMode": true, "isDefaultGateway": true}});
        cni.call("DEL", "flannel", &conf)?.result()?;
        ensure!(container.run(&["ip", "link", "show", "eth0"]).is_err(), "eth0 is still there");
        site.assert_clean("cbr0")
    })
}

#[test]
fn a_delegate_of_another_make_is_run_and_one_of_ours_is_not() -> Result<()> {
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        lend_reference(&site.host, &["ptp"])?;
        site.host.write_file(SUBNET_ENV, ENV)?;
        let run = |id: &str, delegate: &str| -> Result<[usize; 2]> {
            let container = site.host.add_container(id)?;
            let conf = json!({"cniVersion": "1.0.0", "name": "cbr0", "type": "flannel",
                "delegate": {"type": delegate}});
            site.host.write_file("/run/conf.json", conf.to_string())?;
            let started = |verb: &str| -> Result<usize> {
                let script = format!(
                    "CNI_COMMAND={verb} CNI_CONTAINERID={id} CNI_IFNAME=eth0 CNI_PATH={bin} \
                     CNI_NETNS={netns} strace -f -qq -e trace=execve -o /run/trace \
                     {bin}/flannel </run/conf.json >/run/answer",
                    bin = e2e::CNI_BIN,
                    netns = container.netns(),
                );
                site.host.sh(&script)?;
                Ok(site.host.read("/run/trace")?.lines().filter(|l| l.contains(" = 0")).count())
            };
            Ok([started("ADD")?, started("DEL")?])
        };
        assert_eq!(run("own", "bridge")?, [1, 1], "the plugin alone");
        // ptp runs host-local and iptables.
        let foreign = run("foreign", "ptp")?;
        ensure!(foreign.iter().all(|started| *started >= 3), "{foreign:?}");
        site.assert_clean("cbr0")
    })
}

#[test]
fn status_check_and_gc_are_true() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let mut list = kube();
        *list.get_mut("cniVersion").context("cniVersion")? = json!("1.1.0");
        site.host.write_file("/etc/cni/net.d/10-flannel.conflist", list.to_string())?;
        let shown = site.host.command(&[NETD, "cni", "status"]).output()?;
        ensure!(shown.code == 1 && shown.stdout.contains("unavailable"), "{shown:?}");
        ensure!(shown.stdout.contains("failed to load flannel 'subnet.env' file"), "{shown:?}");
        site.host.write_file(SUBNET_ENV, ENV)?;
        ensure!(site.netd("cni status")?.contains("ready"));

        for name in ["c1", "c2"] {
            site.host.add_container(name)?;
            site.netd(&format!("cni add cbr0 {name} --container-id {name}"))?;
        }
        site.netd("cni check cbr0 c1 --container-id c1")?;
        site.host.sh("ip -n c1 addr flush dev eth0 scope global")?;
        let check = [NETD, "cni", "check", "cbr0", "c1", "--container-id", "c1"];
        let shown = site.host.command(&check).output()?;
        ensure!(shown.code == 1 && shown.stderr.contains("10.5.72.2/24"), "{shown:?}");

        // What happened to c2's namespace, and to its cached result, is nobody's knowledge.
        site.host.sh("ip netns del c2; rm /var/lib/cni/results/cbr0-c2-eth0")?;
        site.netd("cni gc cbr0 --valid c1/eth0")?;
        assert_eq!(site.host.list("/var/lib/cni/flannel")?, ["c1", "c1:cbr0:eth0"]);
        site.netd("cni del cbr0 c1 --container-id c1")?;
        site.assert_clean("cbr0")
    })
}

/// Answers in netd's place, by the protocol as `netd/api` describes it.
const FAKE_NETD: &str = r#"
import json, os, socket, struct, sys
os.makedirs("/run/netd", exist_ok=True)
server = socket.socket(socket.AF_UNIX)
server.bind("/run/netd/attach.sock")
server.listen()
print("listening", flush=True)
while True:
    client, _ = server.accept()
    length, = struct.unpack("!I", client.recv(4, socket.MSG_WAITALL))
    asked = json.loads(client.recv(length, socket.MSG_WAITALL))
    assert asked == {"version": 1, "request": "subnet"}, asked
    text = open("/run/answer.json", "rb").read()
    client.sendall(struct.pack("!I", len(text)) + text)
    client.close()
"#;

fn fake_netd(host: &Host) -> Result<Process> {
    let mut netd = host.spawn("fake-netd", &["python3", "-c", FAKE_NETD])?;
    netd.wait_for_log("listening", PATIENCE)?;
    Ok(netd)
}

#[test]
fn overlay_needs_no_file_and_follows_netds_word() -> Result<()> {
    if !require_programs(&["python3"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let list = json!({"cniVersion": "1.1.0", "name": "pods", "plugins": [
            {"type": "overlay", "delegate": {"isDefaultGateway": true}}]});
        site.host.write_file("/etc/cni/net.d/10-pods.conflist", list.to_string())?;
        let answer = |subnet: Value| {
            let reply = json!({"version": 1, "subnet": subnet});
            site.host.write_file("/run/answer.json", reply.to_string())
        };
        let status = || -> Result<String> {
            Ok(site.host.command(&[NETD, "cni", "status"]).output()?.stdout)
        };
        ensure!(status()?.contains("netd does not run"), "{}", status()?);
        let netd = fake_netd(&site.host)?;
        answer(json!({"lease": "none", "ready": false, "reason": "etcd does not answer"}))?;
        ensure!(status()?.contains("unavailable"), "{}", status()?);
        ensure!(status()?.contains("etcd does not answer"), "{}", status()?);

        let held = |env: &str| json!({"lease": "held", "ready": true, "env": env, "reason": ""});
        answer(held(ENV))?;
        ensure!(status()?.contains("ready"), "{}", status()?);
        let c1 = site.host.add_container("c1")?;
        site.netd("cni add pods c1 --container-id c1")?;
        let seen = probe::ask(&c1, Proto::Udp, (Internet::V4, Internet::PORT))?;
        assert_eq!(seen.source.ip(), site.uplink.v4);
        site.netd("cni check pods c1 --container-id c1")?;

        // Another subnet: the bridge follows, and what was attached before is still taken away.
        answer(json!({"lease": "lost", "ready": false, "reason": "another host has it"}))?;
        ensure!(status()?.contains("limited"), "{}", status()?);
        answer(held(&ENV.replace("10.5.72.1", "10.5.90.1")))?;
        let c2 = site.host.add_container("c2")?;
        site.netd("cni add pods c2 --container-id c2")?;
        assert_eq!(c2.addresses("eth0")?.first().map(String::as_str), Some("10.5.90.2/24"));
        probe::ask(&c2, Proto::Tcp, (Internet::V4, Internet::PORT))?;
        netd.stop()?;
        for name in ["c1", "c2"] {
            site.netd(&format!("cni del pods {name} --container-id {name}"))?;
        }
        site.assert_clean("pods")
    })
}

#[test]
fn containers_of_a_dual_stack_subnet_have_both_addresses() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let env = ENV.replace(
            "FLANNEL_MTU",
            "FLANNEL_IPV6_NETWORK=fd05::/48\nFLANNEL_IPV6_SUBNET=fd05:0:0:72::1/64\nFLANNEL_MTU",
        );
        site.host.write_file(SUBNET_ENV, env)?;
        site.host.write_file("/etc/cni/net.d/10-flannel.conflist", kube().to_string())?;
        let container = site.host.add_container("c1")?;
        site.netd("cni add cbr0 c1 --container-id c1")?;
        let addresses = container.addresses("eth0")?;
        for address in ["10.5.72.2/24", "fd05:0:0:72::2/64"] {
            ensure!(addresses.contains(&address.to_owned()), "{addresses:?}");
        }
        let routes = container.sh("ip route; ip -6 route")?.stdout;
        for route in ["10.5.0.0/16 via 10.5.72.1", "fd05::/48 via fd05:0:0:72::1"] {
            ensure!(routes.contains(route), "no {route} in {routes}");
        }
        for (server, uplink) in [(Internet::V4, site.uplink.v4), (Internet::V6, site.uplink.v6)] {
            let seen = probe::ask(&container, Proto::Tcp, (server, Internet::PORT))?;
            assert_eq!(seen.source.ip(), uplink);
        }
        site.netd("cni del cbr0 c1 --container-id c1")?;
        site.assert_clean("cbr0")
    })
}
