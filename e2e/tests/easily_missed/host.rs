//! What others do to the host, and what we must not do to it.

use anyhow::{Context as _, Result, ensure};
use e2e::{Cni, Host, Lab, PATIENCE, Place as _, Proto, probe, require_programs, wait_until};
use serde_json::{Value, json};

use super::{call_all, host, network};

/// Rulesets of other programs, in every family: one as nft writes it, one as iptables does.
const FOREIGN: &str = r#"
nft -f - <<'END'
table inet mine {
    set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }
    chain forward { type filter hook forward priority 10; policy accept; ip saddr @s counter packets 0 bytes 0 accept comment "mine"; }
}
table bridge mine { chain c { type filter hook forward priority 0; policy accept; }; }
table netdev mine { chain c { }; }
table arp mine { chain c { type filter hook input priority 0; policy accept; }; }
table ip nat { chain other { }; }
END
iptables -N MINE; iptables -A FORWARD -s 192.0.2.7 -j MINE; iptables -t mangle -N X; ip6tables -N MINE
"#;

/// All tables but ours, as text.
fn foreign(host: &Host) -> Result<String> {
    let list = host.run(&["nft", "list", "tables"])?.stdout;
    let mut all = String::new();
    for table in list.lines().filter(|line| !line.ends_with(" netd")) {
        all += &host.sh(&format!("nft -a list {table}"))?.stdout;
    }
    Ok(all)
}

#[test]
fn other_peoples_tables_are_byte_identical_before_and_after() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        host.sh(FOREIGN)?;
        let container = host.add_container("c1")?;
        let cni = Cni::new(&container);
        let before = foreign(&host)?;
        ensure!(before.contains("table inet mine") && before.contains("MINE"), "{before}");
        let same = |after: &str| -> Result<()> {
            let now = foreign(&host)?;
            ensure!(now == before, "after {after}:\n{now}\nbefore:\n{before}");
            Ok(())
        };
        let mut chain = network("net", 1, 8080);
        chain.add(&cni)?;
        same("ADD")?;
        chain.check(&cni)?;
        host.run(&["nft", "delete", "table", "inet", "netd"])?;
        host.run(&[super::NETD, "cni", "repair"])?;
        same("repair")?;
        call_all(&chain, &cni, "DEL", &Value::Null)?;
        same("DEL")?;
        call_all(&chain, &cni, "GC", &json!({ "cni.dev/valid-attachments": [] }))?;
        same("GC")
    })
}

/// What Debian's nftables.conf does when it is loaded.
#[test]
fn after_nft_flush_ruleset_the_next_add_restores_all() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab)?;
        let (first, second) = (host.add_container("first")?, host.add_container("second")?);
        let mut chain = network("net", 1, 8001);
        chain.add(&Cni::new(&first))?;
        let _server = probe::serve(&first, 80, &[])?;
        let local = "127.0.0.1".parse()?;
        probe::ask(&host, Proto::Tcp, (local, 8001))?;
        host.run(&["nft", "flush", "ruleset"])?;
        ensure!(probe::refusal(&host, Proto::Tcp, (local, 8001))?.is_err(), "still published");
        network("net", 1, 8002).add(&Cni::new(&second))?;
        chain.check(&Cni::new(&first)).context("of the container that was there")?;
        probe::ask(&host, Proto::Tcp, (local, 8001)).map(drop)
    })
}

/// A router advertisement: lifetime 1800 s, and a prefix for addresses.
const ADVERTISE: &str = r"
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex('br0'))
prefix = socket.inet_pton(socket.AF_INET6, sys.argv[1])
packet = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0)
packet += struct.pack('!BBBBIII', 3, 4, 64, 0xc0, 3600, 3600, 0) + prefix
s.sendto(packet, ('ff02::1', 0, 0, socket.if_nametoindex('br0')))
";

#[test]
fn enabling_ipv6_forwarding_does_not_lose_the_uplinks_ra_routes() -> Result<()> {
    if !require_programs(&["python3"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let (internet, host) = (lab.internet()?, host(lab)?);
        internet.connect(lab, &host)?;
        host.sh("ip -6 route del default; sysctl -qw net.ipv6.conf.all.forwarding=0")?;
        let routes = || -> Result<String> {
            let shown = host.sh("ip -6 route show dev eth0 | sed 's/ expires [^ ]*//' | sort")?;
            Ok(shown.stdout)
        };
        // One that is lost is sent again, as routers do.
        let learn = |prefix: &str, wanted: &str| {
            wait_until(&format!("{wanted} is learnt"), PATIENCE, || {
                internet.host.run(&["python3", "-c", ADVERTISE, prefix]).is_ok()
                    && routes().is_ok_and(|routes| routes.contains(wanted))
            })
        };
        learn("2001:db8:a::", "2001:db8:a::/64")?;
        let before = routes()?;
        ensure!(before.contains("default via fe80::"), "{before}");
        let container = host.add_container("c1")?;
        let mut chain = network("net", 1, 0);
        if let Some(ipam) = chain.conflist.pointer_mut("/plugins/0/ipam") {
            *ipam = json!({ "type": "host-local", "ranges": [[{ "subnet": "fd00:1::/64" }]] });
        }
        chain.add(&Cni::new(&container))?;
        let forwarding = host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding")?.stdout;
        ensure!(forwarding.trim() == "1", "forwarding is {forwarding}");
        ensure!(routes()? == before, "{}\nbefore:\n{before}", routes()?);
        // And goes on learning.
        learn("2001:db8:b::", "2001:db8:b::/64")
    })
}

/// Code 50: no ADD can be served. Code 51: containers would not be reached.
#[test]
fn status_says_50_or_51_and_why() -> Result<()> {
    if !require_programs(&["strace", "iptables-legacy"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let host = host(lab)?;
        let container = host.add_container("c1")?;
        let cni = Cni::new(&container);
        let small = json!({ "cniVersion": "1.1.0", "name": "small", "type": "bridge",
            "ipam": { "type": "host-local", "subnet": "10.9.0.0/30" } });
        let plugin = |kind: &str| {
            json!({ "cniVersion": "1.1.0", "name": "net", "type": kind,
            "bridge": "net", "ipMasq": true })
        };
        for (kind, conf) in ["bridge", "portmap", "firewall"].map(|kind| (kind, plugin(kind))) {
            cni.call("STATUS", kind, &conf)?.result().with_context(|| format!("ready {kind}"))?;
        }
        cni.call("STATUS", "bridge", &small)?.result()?;
        cni.call("ADD", "bridge", &small)?.result()?;
        let (code, text) = cni.call("STATUS", "bridge", &small)?.error()?;
        ensure!(code == 50 && text.contains("small"), "range full: {code} {text}");
        for kind in ["bridge", "portmap"] {
            let (code, text) = without_nf_tables(&host, kind, &plugin(kind))?;
            ensure!(code == 50 && text.contains("nf_tables"), "{kind}: {code} {text}");
        }
        host.sh("iptables-legacy -P FORWARD DROP")?;
        let (code, text) = cni.call("STATUS", "firewall", &plugin("firewall"))?.error()?;
        ensure!(code == 51 && text.contains("FORWARD"), "FORWARD drops: {code} {text}");
        Ok(())
    })
}

/// STATUS on a kernel whose netfilter netlink cannot be had: its socket is refused.
fn without_nf_tables(host: &Host, plugin: &str, conf: &Value) -> Result<(u64, String)> {
    host.write_file("/run/status.json", conf.to_string())?;
    let traced = |options: &str| {
        host.sh(&format!(
            "CNI_COMMAND=STATUS CNI_PATH=/opt/cni/bin strace -f -qq -e trace=socket -o /run/calls \
             {options} /opt/cni/bin/{plugin} </run/status.json || true; grep -c . /run/calls >&2"
        ))
    };
    traced("")?;
    let nth = host.sh("grep -n NETLINK_NETFILTER /run/calls | head -n1 | cut -d: -f1")?.stdout;
    let answer = traced(&format!("-e inject=socket:error=EPROTONOSUPPORT:when={}", nth.trim()))?;
    let error = answer.json().with_context(|| format!("socket {nth}: {answer:?}"))?;
    let code = error.get("code").and_then(Value::as_u64).context("a code")?;
    Ok((code, error.to_string()))
}
