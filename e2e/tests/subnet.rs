//! A host's subnet in use: by the plugins `flannel` and `overlay`, and by Docker. No agent runs
//! here: the tests write what an agent would, and answer in netd's place.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::{Docker, Podman};
use e2e::{
    Cni, Host, Internet, Lab, PATIENCE, Place as _, PluginSet, Process, Proto, Uplink, bins, image,
    lend_reference, probe, require_programs, wait_until,
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
    if !require_programs(&["nft"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        site.host.write_file(SUBNET_ENV, ENV)?;
        let container = site.host.add_container("c1")?;
        let mut cni = Cni::new(&container);
        let told = r#"{"cniVersion":"0.4.0","hairpinMode":true,"ipMasq":true,"ipam":{"ranges":[[{"subnet":"10.5.72.0/24"}]],"routes":[{"dst":"10.5.0.0/16"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}"#;
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
        let rules = site.host.run(&["iptables-save"])?.stdout;
        ensure!(!rules.contains("10.5.72.2"), "{rules}");
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
        let run = |id: &str, delegate: &str| -> Result<Vec<usize>> {
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
            Ok(vec![started("ADD")?, started("DEL")?])
        };
        assert_eq!(run("own", "bridge")?, [1, 1], "the plugin alone");
        // ptp, and the host-local that it runs.
        assert_eq!(run("foreign", "ptp")?, [3, 3]);
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
        site.host
            .run(&["ip", "netns", "exec", "c1", "ip", "link", "set", "eth0", "mtu", "1400"])?;
        let check = [NETD, "cni", "check", "cbr0", "c1", "--container-id", "c1"];
        let shown = site.host.command(&check).output()?;
        ensure!(shown.code == 1 && shown.stderr.contains("mtu 1450"), "{shown:?}");

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
fn docker_runs_on_the_hosts_subnet() -> Result<()> {
    if !require_programs(&["dockerd", "docker", "runc"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let early = site.host.command(&[NETD, "subnet-env", "--docker-opts"]).output()?;
        ensure!(early.code == 1 && early.stderr.contains("no subnet yet"), "{early:?}");
        site.host.write_file(SUBNET_ENV, ENV)?;
        assert_eq!(site.netd("subnet-env")?, ENV);
        let file = "/run/docker_opts.env";
        site.netd(&format!("subnet-env --docker-opts -c -k OPTS -d {file}"))?;
        let options = " --bip=10.5.72.1/24 --ip-masq=true --mtu=1450";
        assert_eq!(site.host.read(file)?, format!("OPTS=\"{options}\"\n"));

        let docker = Docker::with_environment_file(&site.host, file, "OPTS")?;
        assert_eq!(site.host.addresses("docker0")?, ["10.5.72.1/24"]);
        docker.run(&["run", "--detach", "--name", "web", image::IMAGE])?;
        let mtu = |link: &str| site.host.read(&format!("/sys/class/net/{link}/mtu"));
        wait_until("docker0 has the MTU of the subnet", PATIENCE, || {
            mtu("docker0").is_ok_and(|mtu| mtu.trim() == "1450")
        })?;
        let shown = docker.run(&["exec", "web", "cat", "/sys/class/net/eth0/mtu"])?.stdout;
        assert_eq!(shown.trim(), "1450");
        let web: IpAddr = Ipv4Addr::new(10, 5, 72, 2).into();
        probe::ask(&site.host, Proto::Tcp, (web, image::PORT))?;
        let out = format!("{}:{}", Internet::V4, Internet::PORT);
        let ask = ["exec", "web", probe::PROGRAM, "tcp", &out, "5000"];
        let seen = probe::parse(&docker.run(&ask)?.stdout)?;
        assert_eq!(seen.source.ip(), site.uplink.v4);
        docker.run(&["rm", "--force", "web"]).map(drop)
    })
}
