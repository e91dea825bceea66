//! Wrong input: a CNI error with the specification's code that names key and value, and nothing
//! is changed.

use anyhow::{Context as _, Result, ensure};
use e2e::{Chain, Cni, Container, Host, Lab, Place as _, PluginSet, Reply, probe};
use serde_json::{Value, json};

/// All that a plugin could have changed. Left out: where host-local looks first next time.
const STATE: &str = r#"
ip -o -d link; ip -o addr; ip route; ip -6 route; nft list ruleset
sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.all.route_localnet
find /run/netd /var/lib/cni -type f ! -name 'last_reserved_ip.*' ! -name lock ! -name '.*' \
    -printf '%p\n' -exec cat {} \; | sort
ip netns exec c1 ip -o -d link; ip netns exec c1 ip -o addr; ip netns exec c1 ip route
"#;

struct Site {
    host: Host,
    cni: Cni,
    container: Container,
    holder: Chain,
    _listener: e2e::Process,
}

/// One wrong call.
struct Row {
    name: &'static str,
    verb: &'static str,
    plugin: &'static str,
    stdin: Vec<u8>,
    change: fn(&mut Cni),
    code: u64,
    words: &'static [&'static str],
}

fn row(
    name: &'static str,
    plugin: &'static str,
    conf: &Value,
    code: u64,
    words: &'static [&'static str],
) -> Row {
    let stdin = conf.to_string().into_bytes();
    Row { name, verb: "ADD", plugin, stdin, change: |_| {}, code, words }
}

impl Row {
    fn verb(self, verb: &'static str) -> Self {
        Self { verb, ..self }
    }

    fn with(self, change: fn(&mut Cni)) -> Self {
        Self { change, ..self }
    }

    fn stdin(self, stdin: Vec<u8>) -> Self {
        Self { stdin, ..self }
    }

    fn check(&self, site: &Site) -> Result<()> {
        let before = site.host.sh(STATE)?.stdout;
        let mut cni = site.cni.clone();
        (self.change)(&mut cni);
        let reply = cni.call_bytes(self.verb, self.plugin, self.stdin.clone())?;
        says(&reply, self.code, self.words)?;
        let after = site.host.sh(STATE)?.stdout;
        ensure!(before == after, "changed the host\nbefore: {before}\nafter: {after}");
        Ok(())
    }
}

fn says(reply: &Reply, code: u64, words: &[&str]) -> Result<()> {
    let (is, text) = reply.error()?;
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    ensure!(is == code && missing.is_empty(), "expected {code}, {missing:?}; got {is}: {text}");
    Ok(())
}

impl Site {
    /// A host with one attachment, `holder`, which has the host port 8080 and the address
    /// 10.1.0.2; a process that listens on 9090; and an empty container `c1`.
    fn new(lab: &Lab) -> Result<Self> {
        let host = lab.host("host")?;
        PluginSet::Ours.install(&host)?;
        host.sh("ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up")?;
        let other = host.add_container("holder")?;
        let mut holder = Chain::new(json!({"cniVersion": "1.1.0", "name": "net", "plugins": [
            bridge(json!({})),
            {"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall"}]}))
        .with_args(json!({"portMappings": [{"hostPort": 8080, "containerPort": 80}]}));
        holder.add(&Cni::new(&other))?;
        let listener = probe::serve(&host, 9090, &[])?;
        let container = host.add_container("c1")?;
        let cni = Cni::new(&container);
        Ok(Self { host, cni, container, holder, _listener: listener })
    }

    fn run(&self, rows: &[Row]) -> Result<()> {
        let failed: Vec<String> = rows
            .iter()
            .filter_map(|row| Some(format!("{}: {:#}", row.name, row.check(self).err()?)))
            .collect();
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    }
}

/// A configuration of `bridge` with host-local, with these keys over it.
fn bridge(keys: Value) -> Value {
    conf(
        json!({"type": "bridge", "isGateway": true, "ipMasq": true,
            "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}),
        keys,
    )
}

fn conf(mut base: Value, keys: Value) -> Value {
    if let (Some(base), Value::Object(keys)) = (base.as_object_mut(), keys) {
        base.entry("cniVersion").or_insert("1.1.0".into());
        base.entry("name").or_insert("net".into());
        base.extend(keys);
    }
    base
}

fn macvlan(keys: Value) -> Value {
    conf(
        json!({"type": "macvlan", "master": "m0",
            "ipam": {"type": "host-local", "subnet": "10.2.0.0/24"}, "name": "mac"}),
        keys,
    )
}

fn ipam(ipam: Value) -> Value {
    bridge(json!({"ipam": ipam}))
}

#[test]
fn environment_and_standard_input_that_are_wrong() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let good = bridge(json!({}));
        let call = |name, code, words| row(name, "bridge", &good, code, words);
        let megabytes = || {
            let mut text = bridge(json!({"mtu": "x"})).to_string().into_bytes();
            text.extend(std::iter::repeat_n(b' ', 10 << 20));
            text
        };
        let wrong = br#"{"cniVersion": "1.1.0", "name": "net", "type": "bridge", "x": "#.to_vec();
        site.run(&[
            call(
                "all variables missing",
                4,
                &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "missing"],
            )
            .with(|cni| {
                cni.container_id.clear();
                cni.netns.clear();
                cni.ifname.clear();
                cni.environment.push(("CNI_PATH".to_owned(), String::new()));
            }),
            call("two variables missing", 4, &["[CNI_NETNS,CNI_IFNAME]"]).with(|cni| {
                cni.netns.clear();
                cni.ifname.clear();
            }),
            call("bad container id", 4, &["containerID", "a b"])
                .with(|cni| "a b".clone_into(&mut cni.container_id)),
            call("container id that is a path", 4, &["containerID", "../x"])
                .with(|cni| "../x".clone_into(&mut cni.container_id)),
            call(
                "interface name of 16 bytes",
                4,
                &["interface name is too long", "15", "abcdefghijklmnop"],
            )
            .with(|cni| "abcdefghijklmnop".clone_into(&mut cni.ifname)),
            call("interface name with a slash", 4, &["a/b"])
                .with(|cni| "a/b".clone_into(&mut cni.ifname)),
            call("unknown verb", 4, &["unknown CNI_COMMAND", "FROB"]).verb("FROB"),
            call("namespace that does not exist", 8, &["/run/netns/nowhere"])
                .with(|cni| "/run/netns/nowhere".clone_into(&mut cni.netns)),
            call("path that is no namespace", 8, &["/etc/hostname"])
                .with(|cni| "/etc/hostname".clone_into(&mut cni.netns)),
            call("the host's own namespace", 8, &["CNI_NETNS should not be the same"])
                .with(|cni| "/proc/self/ns/net".clone_into(&mut cni.netns)),
            call("CNI_ARGS that is no pair", 4, &["ARGS", "FOO"])
                .with(|cni| "FOO".clone_into(&mut cni.args)),
            call("CNI_ARGS of nobody", 4, &["unknown args", "FOO=1"])
                .with(|cni| "FOO=1".clone_into(&mut cni.args)),
            call("garbage", 6, &["error unmarshall network config"])
                .stdin(b"\x00\xff not json".to_vec()),
            call("nothing", 6, &["error unmarshall network config"]).stdin(Vec::new()),
            call("half an object", 6, &["error unmarshall network config"]).stdin(wrong),
            call("deep nesting", 6, &["error unmarshall network config"])
                .stdin("[".repeat(200_000).into_bytes()),
            call("10 MB", 6, &["mtu", "x"]).stdin(megabytes()),
            call("more than the limit", 6, &["more than 16777216 bytes"])
                .stdin(vec![b' '; (16 << 20) + 1]),
        ])
    })
}

#[test]
fn versions_that_do_not_fit() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let at = |version: &str| bridge(json!({"cniVersion": version}));
        let two = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}],
            [{"subnet": "10.3.0.0/24"}]]});
        site.run(&[
            row(
                "unknown version",
                "bridge",
                &at("9.9.9"),
                1,
                &["incompatible CNI versions", "9.9.9", "1.1.0"],
            ),
            row("half a version", "bridge", &at("1.0"), 1, &["1.0"]),
            row("CHECK on 0.3.1", "bridge", &at("0.3.1"), 1, &["does not allow CHECK"])
                .verb("CHECK"),
            row("GC on 1.0.0", "bridge", &at("1.0.0"), 1, &["does not allow GC"]).verb("GC"),
            row("STATUS on 1.0.0", "bridge", &at("1.0.0"), 1, &["does not allow STATUS"])
                .verb("STATUS"),
            row("CHECK without prevResult", "bridge", &at("1.0.0"), 7, &["prevResult"])
                .verb("CHECK"),
            row(
                "0.2.0 with two addresses",
                "bridge",
                &bridge(json!({"cniVersion": "0.2.0", "ipam": two})),
                7,
                &["0.2.0", "does not support more than 1 address per family"],
            ),
            row(
                "0.2.0 with no address",
                "bridge",
                &bridge(json!({"cniVersion": "0.2.0", "ipam": {}})),
                1,
                &["no valid IP addresses"],
            ),
            row("firewall on 0.3.1", "firewall", &at("0.3.1"), 1, &["incompatible", "0.3.1"]),
        ])
    })
}

#[test]
fn configurations_that_are_wrong() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let host_local = |keys: Value| {
            let mut base = keys;
            if let Some(map) = base.as_object_mut() {
                map.insert("type".to_owned(), "host-local".into());
            }
            ipam(base)
        };
        site.run(&[
            row("no name", "bridge", &bridge(json!({"name": ""})), 7, &["missing network name"]),
            row("bad name", "bridge", &bridge(json!({"name": "a/b"})), 7, &["network name", "a/b"]),
            row(
                "wrong type of mtu",
                "bridge",
                &bridge(json!({"mtu": "1500"})),
                6,
                &["mtu", "1500"],
            ),
            row(
                "wrong type of isGateway",
                "bridge",
                &bridge(json!({"isGateway": 1})),
                6,
                &["isGateway", "1"],
            ),
            row("wrong type of ipam", "bridge", &bridge(json!({"ipam": "x"})), 6, &["ipam", "x"]),
            row("negative mtu", "bridge", &bridge(json!({"mtu": -1})), 7, &["mtu", "-1"]),
            row(
                "bridge name of 16 bytes",
                "bridge",
                &bridge(json!({"bridge": "abcdefghijklmnop"})),
                7,
                &["bridge", "abcdefghijklmnop"],
            ),
            row("vlan 4095", "bridge", &bridge(json!({"vlan": 4095})), 7, &["VLAN", "4095"]),
            row(
                "unknown ipMasqBackend",
                "bridge",
                &bridge(json!({"ipMasqBackend": "x"})),
                7,
                &["ipMasqBackend", "x"],
            ),
            row(
                "bad mac",
                "bridge",
                &bridge(json!({"runtimeConfig": {"mac": "zz"}})),
                7,
                &["mac", "zz"],
            ),
            row(
                "no ipam plugin",
                "bridge",
                &ipam(json!({"type": "nowhere"})),
                999,
                &["failed to find plugin", "nowhere", "/opt/cni/bin"],
            ),
            row("ipam type that is a path", "bridge", &ipam(json!({"type": "../x"})), 7, &["../x"]),
            row(
                "bad CIDR",
                "bridge",
                &host_local(json!({"subnet": "10.1.0.0/33"})),
                7,
                &["subnet", "10.1.0.0/33"],
            ),
            row(
                "host bits",
                "bridge",
                &host_local(json!({"subnet": "10.1.0.5/24"})),
                7,
                &["host bits set", "10.1.0.0"],
            ),
            row(
                "rangeStart elsewhere",
                "bridge",
                &host_local(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.9.0.1"})),
                7,
                &["RangeStart", "10.9.0.1"],
            ),
            row("no ranges", "bridge", &host_local(json!({})), 7, &["no IP ranges specified"]),
            row(
                "range full",
                "bridge",
                &host_local(json!({"subnet": "10.1.0.0/24",
                "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"})),
                11,
                &["no IP addresses available in range set", "10.1.0.2"],
            ),
            row(
                "address taken",
                "bridge",
                &conf(bridge(json!({})), json!({"runtimeConfig": {"ips": ["10.1.0.2"]}})),
                11,
                &["10.1.0.2", "not available"],
            ),
            row(
                "no static address",
                "bridge",
                &ipam(json!({"type": "static"})),
                7,
                &["missing IP config"],
            ),
            row(
                "static without prefix",
                "bridge",
                &ipam(json!({"type": "static", "addresses": [{"address": "10.1.0.5"}]})),
                7,
                &["CIDR notation", "10.1.0.5"],
            ),
            row(
                "another address on the bridge",
                "bridge",
                &host_local(json!({"subnet": "10.9.0.0/24"})),
                7,
                &["cni0", "10.9.0.1/24"],
            ),
            row(
                "MTU above the master's",
                "macvlan",
                &macvlan(json!({"mtu": 9000})),
                7,
                &["invalid MTU 9000", "1500"],
            ),
            row(
                "unknown mode",
                "macvlan",
                &macvlan(json!({"mode": "x"})),
                7,
                &["macvlan mode", "x"],
            ),
            row(
                "no such master",
                "macvlan",
                &macvlan(json!({"master": "nope0"})),
                7,
                &["master", "nope0"],
            ),
        ])
    })
}

#[test]
fn published_ports_that_are_wrong_or_taken() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let mut chain = Chain::new(json!({"cniVersion": "1.1.0", "name": "net",
            "plugins": [bridge(json!({}))]}));
        let prev = chain.add(&site.cni)?;
        let portmap = |keys: Value, mapping: Value| {
            conf(
                json!({"type": "portmap", "prevResult": prev,
                "runtimeConfig": {"portMappings": [mapping]}}),
                keys,
            )
        };
        let port = |host: Value, container: Value| {
            portmap(
                json!({}),
                json!({"hostPort": host, "containerPort": container, "protocol": "tcp"}),
            )
        };
        let good = json!({"hostPort": 7000, "containerPort": 80});
        site.run(&[
            row(
                "port 0",
                "portmap",
                &port(0.into(), 80.into()),
                7,
                &["Invalid host port number: 0"],
            ),
            row(
                "container port 0",
                "portmap",
                &port(7000.into(), 0.into()),
                7,
                &["Invalid container port number: 0"],
            ),
            row(
                "port 70000",
                "portmap",
                &port(70_000.into(), 80.into()),
                6,
                &["hostPort", "70000"],
            ),
            row("port as text", "portmap", &port("80".into(), 80.into()), 6, &["hostPort", "80"]),
            row(
                "protocol",
                "portmap",
                &portmap(
                    json!({}),
                    json!({"hostPort": 7000, "containerPort": 80, "protocol": "icmp"}),
                ),
                7,
                &["protocol", "icmp"],
            ),
            row(
                "hostIP",
                "portmap",
                &portmap(
                    json!({}),
                    json!({"hostPort": 7000, "containerPort": 80, "hostIP": "300.1.1.1"}),
                ),
                7,
                &["hostIP", "300.1.1.1"],
            ),
            row(
                "condition",
                "portmap",
                &portmap(json!({"conditionsV4": ["-m", "owner"]}), good.clone()),
                2,
                &["conditionsV4", "-m"],
            ),
            row(
                "conflict",
                "portmap",
                &portmap(json!({"hostPortConflict": "maybe"}), good.clone()),
                7,
                &["hostPortConflict", "maybe"],
            ),
            row(
                "mark",
                "portmap",
                &portmap(json!({"markMasqBit": 32}), good.clone()),
                7,
                &["MasqMarkBit must be between 0 and 31", "32"],
            ),
            row(
                "no prevResult",
                "portmap",
                &conf(
                    json!({"type": "portmap", "runtimeConfig": {"portMappings": [good]}}),
                    json!({}),
                ),
                7,
                &["must be called as chained plugin"],
            ),
            row(
                "port of another container",
                "portmap",
                &port(8080.into(), 80.into()),
                7,
                &["8080", "holder"],
            ),
            row(
                "port of a process",
                "portmap",
                &portmap(
                    json!({"hostPortConflict": "error"}),
                    json!({"hostPort": 9090, "containerPort": 80}),
                ),
                7,
                &["9090"],
            ),
            row(
                "policy",
                "firewall",
                &conf(
                    json!({"type": "firewall", "prevResult": prev,
                "ingressPolicy": "x"}),
                    json!({}),
                ),
                7,
                &["ingress", "\"x\""],
            ),
        ])?;
        // The same port without the key: a word on stderr, and it works.
        let reply = site.cni.call("ADD", "portmap", &port(9090.into(), 80.into()))?;
        reply.result()?;
        ensure!(reply.0.stderr.contains("9090"), "no warning: {reply:?}");
        let mut holder = site.cni.clone();
        "holder".clone_into(&mut holder.container_id);
        "/run/netns/holder".clone_into(&mut holder.netns);
        site.holder.check(&holder)
    })
}

#[test]
fn an_attachment_that_is_there_already() -> Result<()> {
    Lab::run(|lab| {
        let site = Site::new(lab)?;
        let good = bridge(json!({}));
        let mut chain =
            Chain::new(json!({"cniVersion": "1.1.0", "name": "net", "plugins": [good]}));
        chain.add(&site.cni)?;
        let other_network = bridge(json!({"name": "other"}));
        site.run(&[
            row("the same again", "bridge", &good, 4, &["c1", "eth0", "net"]),
            row("the interface of another network", "bridge", &other_network, 4, &["eth0"]),
        ])?;
        chain.check(&site.cni).context("after the refused ones")?;
        ensure!(site.container.addresses("eth0")?.len() >= 1);
        Ok(())
    })
}
