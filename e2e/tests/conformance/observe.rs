//! What one run of a case left to see: every answer, and the state of container and host.
//!
//! It decides what is comparable between two sets of plugins: what a user or a program in the
//! container could see, and of the host what no set keeps in a form of its own.

use anyhow::{Context as _, Result};
use e2e::{Chain, Cni, Container, Host, Place as _};
use serde_json::{Map, Value, json};

use crate::cases::Case;
use crate::tidy;

/// Versions without CHECK, and without `prevResult` for DEL.
const OLD: [&str; 4] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1"];

const IN_CONTAINER: &str = r#"
show() { local out; out=$("${@:2}"); echo "\"$1\": ${out:-[]},"; }
echo "{"
show links ip -j -d link
show addresses ip -j addr
show routes ip -j route
show routes6 ip -j -6 route
echo "\"sysctls\": {"
for name in eth0 lo; do
    for key in ipv4/conf/$name/{arp_notify,forwarding,rp_filter,route_localnet} \
        ipv6/conf/$name/{accept_dad,accept_ra,disable_ipv6,keep_addr_on_down,ndisc_notify,forwarding}
    do
        if [ -e /proc/sys/net/$key ]; then echo "\"$key\": $(cat /proc/sys/net/$key),"; fi
    done
done
echo "\"\": 0}}"
"#;

const ON_HOST: &str = r#"
show() { local out; out=$("${@:2}"); echo "\"$1\": ${out:-[]},"; }
echo "{"
show links ip -j -d link
show addresses ip -j addr
show routes ip -j route
show routes6 ip -j -6 route
echo "\"ip_forward\": $(cat /proc/sys/net/ipv4/ip_forward),"
echo "\"forwarding6\": $(cat /proc/sys/net/ipv6/conf/all/forwarding),"
for bridge in $(cd /sys/class/net; ls -d */bridge 2>/dev/null | cut -d/ -f1); do
    for key in accept_ra accept_dad; do
        echo "\"bridge $key\": $(cat /proc/sys/net/ipv6/conf/$bridge/$key),"
    done
    for port in $(ls /sys/class/net/$bridge/brif); do
        echo "\"port accept_ra\": $(cat /proc/sys/net/ipv6/conf/$port/accept_ra),"
    done
done
echo "\"reservations\": {"
for file in $(find /var/lib/cni -type f 2>/dev/null | grep -vE '/(lock|\.[^/]*)$'); do
    echo "\"$file\": \"$(tr '\r\n' '  ' <$file)\","
done
echo "\"\": 0}}"
"#;

/// Puts a host back as it was before a case, but for its physical links.
pub(crate) const FORGET: &str = r#"
for link in $(ls /sys/class/net); do
    case $link in lo|m0|m1|eth0) ;; *) ip link del $link 2>/dev/null || true;; esac
done
nft flush ruleset
rm -rf /var/lib/cni/networks /var/lib/cni/other /etc/cni/rc
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
"#;

/// Links that are made from now on get no address by themselves: it would come in its own time.
pub(crate) const QUIET: &str = "sysctl -qw net.ipv6.conf.default.addr_gen_mode=1";

/// Runs a case with the plugins of `host`: ADD and CHECK of each plugin, DEL of each twice, and
/// what is to be seen after ADD and after DEL. Leaves the host as it was.
pub(crate) fn run(host: &Host, case: &Case, version: &str) -> Result<Value> {
    if !case.setup.is_empty() {
        host.sh(case.setup)?;
    }
    let container = host.add_container("c1")?;
    container.sh(QUIET)?;
    let cni = Cni::new(&container).args(case.args);
    let list = json!({"cniVersion": version, "name": "net", "plugins": case.plugins});
    let mut chain = Chain::new(list).with_args(case.capability_args.clone());
    let mut seen = Map::new();
    seen.insert("ADD".to_owned(), add(&mut chain, &cni)?);
    seen.insert("container".to_owned(), container_state(&container)?);
    seen.insert("host".to_owned(), host_state(host)?);
    if case.error.is_empty() && !OLD.contains(&version) {
        seen.insert("CHECK".to_owned(), check(&chain, &cni)?);
    }
    for key in ["DEL", "DEL again"] {
        seen.insert(key.to_owned(), del(&chain, &cni, version)?);
    }
    seen.insert("container after DEL".to_owned(), container_state(&container)?);
    seen.insert("host after DEL".to_owned(), host_state(host)?);
    container.remove()?;
    host.sh("ip addr flush dev m0")?;
    host.sh(FORGET)?;
    let mut document = Value::Object(seen);
    tidy::forget_random(&mut document, &case.keeps());
    Ok(document)
}

/// The answer of each plugin in turn, until one fails.
fn add(chain: &mut Chain, cni: &Cni) -> Result<Value> {
    let mut answers = Vec::new();
    for mut conf in chain.plugins()? {
        let kind = kind(&conf)?;
        if !chain.prev_result.is_null() {
            conf.insert("prevResult".to_owned(), chain.prev_result.clone());
        }
        let reply = cni.call("ADD", &kind, &Value::Object(conf))?;
        if reply.0.code != 0 {
            let (code, text) = reply.error()?;
            answers.push(json!({"plugin": kind, "code": code, "error": text}));
            break;
        }
        chain.prev_result = reply.result()?;
        answers.push(json!({"plugin": kind, "result": chain.prev_result}));
    }
    Ok(answers.into())
}

/// Whether each plugin is content. The texts differ, and ours is longer.
fn check(chain: &Chain, cni: &Cni) -> Result<Value> {
    let mut answers = Map::new();
    for mut conf in chain.plugins()? {
        let kind = kind(&conf)?;
        conf.insert("prevResult".to_owned(), chain.prev_result.clone());
        let reply = cni.call("CHECK", &kind, &Value::Object(conf))?;
        let answer = if reply.0.code == 0 { "content".to_owned() } else { reply.error()?.1 };
        answers.insert(kind, answer.into());
    }
    Ok(answers.into())
}

fn del(chain: &Chain, cni: &Cni, version: &str) -> Result<Value> {
    let mut answers = Vec::new();
    for mut conf in chain.plugins()?.into_iter().rev() {
        let kind = kind(&conf)?;
        if !chain.prev_result.is_null() && !OLD.contains(&version) {
            conf.insert("prevResult".to_owned(), chain.prev_result.clone());
        }
        let reply = cni.call("DEL", &kind, &Value::Object(conf))?;
        answers.push(match reply.0.code {
            0 => json!({"plugin": kind, "stdout": reply.0.stdout}),
            _ => json!({"plugin": kind, "code": reply.error()?.0, "error": reply.error()?.1}),
        });
    }
    Ok(answers.into())
}

fn kind(conf: &Map<String, Value>) -> Result<String> {
    let kind = conf.get("type").and_then(Value::as_str);
    Ok(kind.context("a plugin without type")?.to_owned())
}

fn container_state(container: &Container) -> Result<Value> {
    tidy::state(&container.sh(IN_CONTAINER)?.stdout, &[])
}

fn host_state(host: &Host) -> Result<Value> {
    tidy::state(&host.sh(ON_HOST)?.stdout, &["lo", "m0", "m1"])
}
