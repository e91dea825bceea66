//! The configurations that both sets of plugins run.

use serde_json::{Value, json};

/// Every version the reference plugins of Debian 12 (1.1.1) speak.
pub(crate) const ALL: [&str; 6] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
/// Where the configuration is what matters.
const ONE: [&str; 1] = ["1.0.0"];

/// A configuration and what goes with it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) plugins: Value,
    pub(crate) args: &'static str,
    pub(crate) capability_args: Value,
    pub(crate) versions: &'static [&'static str],
    /// A script that prepares the host.
    pub(crate) setup: &'static str,
    /// What the reference's error says, and ours has to say as well; empty where ADD succeeds.
    pub(crate) error: &'static str,
}

impl Case {
    fn new(name: &'static str, plugins: Value) -> Self {
        let plugins = if plugins.is_array() { plugins } else { json!([plugins]) };
        Self {
            name,
            plugins,
            args: "",
            capability_args: json!({}),
            versions: &ONE,
            setup: "",
            error: "",
        }
    }

    fn versions(mut self, versions: &'static [&'static str]) -> Self {
        self.versions = versions;
        self
    }

    fn args(mut self, args: &'static str) -> Self {
        self.args = args;
        self
    }

    fn capability_args(mut self, args: Value) -> Self {
        self.capability_args = args;
        self
    }

    fn setup(mut self, script: &'static str) -> Self {
        self.setup = script;
        self
    }

    fn fails(mut self, words: &'static str) -> Self {
        self.error = words;
        self.versions = &ONE;
        self
    }

    /// The MACs that this case asks for.
    pub(crate) fn keeps(&self) -> Vec<String> {
        let asked = ["c2:11:22:33:44:55", "c2:11:22:33:44:66"];
        asked.map(str::to_owned).to_vec()
    }
}

fn v4() -> Value {
    json!({"type": "host-local", "subnet": "10.1.0.0/24"})
}

fn dual() -> Value {
    json!({"type": "host-local", "ranges": [
        [{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]})
}

fn bridge(mut more: Value, ipam: Value) -> Value {
    if let Some(map) = more.as_object_mut() {
        map.insert("type".to_owned(), "bridge".into());
        if !ipam.is_null() {
            map.insert("ipam".to_owned(), ipam);
        }
    }
    more
}

fn macvlan(mut more: Value, ipam: Value) -> Value {
    if let Some(map) = more.as_object_mut() {
        map.insert("type".to_owned(), "macvlan".into());
        map.entry("master").or_insert("m0".into());
        if !ipam.is_null() {
            map.insert("ipam".to_owned(), ipam);
        }
    }
    more
}

fn host_local(ipam: Value) -> Value {
    let mut ipam = ipam;
    if let Some(map) = ipam.as_object_mut() {
        map.insert("type".to_owned(), "host-local".into());
    }
    json!({"type": "host-local", "capabilities": {"ips": true, "ipRanges": true}, "ipam": ipam})
}

fn fixed(ipam: Value) -> Value {
    let mut ipam = ipam;
    if let Some(map) = ipam.as_object_mut() {
        map.insert("type".to_owned(), "static".into());
    }
    json!({"type": "static", "capabilities": {"ips": true}, "ipam": ipam})
}

/// `bridge` and `loopback`.
pub(crate) fn bridges() -> Vec<Case> {
    let gateway = json!({"isGateway": true});
    vec![
        Case::new("bridge", bridge(json!({}), v4())).versions(&ALL),
        Case::new("bridge dual", bridge(json!({"isDefaultGateway": true, "ipMasq": true}), dual()))
            .versions(&ALL),
        Case::new("bridge isGateway", bridge(gateway.clone(), dual())),
        Case::new("bridge mtu", bridge(json!({"isGateway": true, "mtu": 1400}), v4())),
        Case::new("bridge hairpin", bridge(json!({"hairpinMode": true}), v4())),
        Case::new("bridge promisc", bridge(json!({"promiscMode": true}), v4())),
        Case::new("bridge routes", bridge(json!({"isGateway": true}),
            json!({"type": "host-local", "subnet": "10.1.0.0/24", "routes": [
                {"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}]}))),
        Case::new("bridge default and route", bridge(json!({"isDefaultGateway": true}),
            json!({"type": "host-local", "subnet": "10.1.0.0/24", "routes": [
                {"dst": "0.0.0.0/0", "gw": "10.1.0.77"}]}))),
        Case::new("bridge three sets", bridge(json!({"isGateway": true}),
            json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}],
                [{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}))),
        Case::new("bridge without ipam", bridge(json!({}), Value::Null))
            .versions(&["0.3.0", "0.3.1", "0.4.0", "1.0.0"]),
        Case::new("bridge dns", bridge(json!({"dns": {"nameservers": ["192.0.2.53"]}}),
            json!({"type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": "/etc/cni/rc"})))
            .setup("printf 'nameserver 192.0.2.1\nsearch a b\n' >/etc/cni/rc"),
        Case::new("bridge resolvConf", bridge(json!({}),
            json!({"type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": "/etc/cni/rc"})))
            .setup("printf '# no\n; no\nnameserver 192.0.2.1\ndomain x.test\nsearch a b\noptions ndots:2 c\n' >/etc/cni/rc"),
        Case::new("bridge dns empty", bridge(json!({"dns": {"nameservers": []}}),
            json!({"type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": "/etc/cni/rc"})))
            .setup("printf 'nameserver 192.0.2.1\n' >/etc/cni/rc"),
        Case::new("bridge CNI_ARGS", bridge(json!({}), v4()))
            .args("IgnoreUnknown=1;MAC=c2:11:22:33:44:55;IP=10.1.0.50;K8S_POD_NAME=x"),
        Case::new("bridge args.cni", bridge(
            json!({"args": {"cni": {"mac": "c2:11:22:33:44:55", "ips": ["10.1.0.51"]}}}), v4())),
        Case::new("bridge runtimeConfig", bridge(
            json!({"capabilities": {"mac": true, "ips": true},
                   "args": {"cni": {"mac": "c2:11:22:33:44:55"}}}), v4()))
            .capability_args(json!({"mac": "c2:11:22:33:44:66", "ips": ["10.1.0.52/24"]})),
        Case::new("bridge enabledad", bridge(json!({"enabledad": true, "isGateway": true}), dual()))
            .versions(&ONE),
        Case::new("bridge address taken", bridge(gateway.clone(), v4()))
            .setup("ip link add cni0 type bridge; ip addr add 10.9.0.1/24 dev cni0")
            .fails("\"cni0\" already has an IP address different from 10.1.0.1/24"),
        Case::new("bridge forceAddress",
            bridge(json!({"isGateway": true, "forceAddress": true}), v4()))
            .setup("ip link add cni0 type bridge; ip addr add 10.9.0.1/24 dev cni0"),
        Case::new("bridge hairpin and promisc",
            bridge(json!({"hairpinMode": true, "promiscMode": true}), v4()))
            .fails("cannot set hairpin mode and promiscuous mode at the same time"),
        Case::new("bridge vlan", bridge(json!({"vlan": 4095}), v4())).fails("4095"),
        Case::new("bridge is no bridge", bridge(json!({}), v4()))
            .setup("ip link add cni0 type veth peer name m2")
            .fails("\"cni0\" already exists but is not a bridge"),
        Case::new("bridge static no address",
            bridge(json!({}), json!({"type": "static"}))).fails("IPAM plugin returned missing IP config"),
        Case::new("ipam not there", bridge(json!({}), json!({"type": "nowhere"})))
            .fails("failed to find plugin \"nowhere\" in path"),
        Case::new("CNI_ARGS unknown", bridge(json!({}), v4())).args("FOO=1").fails("unknown args [\"FOO=1\"]"),
        Case::new("CNI_ARGS pair", bridge(json!({}), v4())).args("FOO").fails("invalid pair \"FOO\""),
        Case::new("loopback", json!({"type": "loopback"})).versions(&ALL),
    ]
}

/// `macvlan`.
pub(crate) fn macvlans() -> Vec<Case> {
    vec![
        Case::new("macvlan", macvlan(json!({}), v4())).versions(&ALL),
        Case::new("macvlan private", macvlan(json!({"mode": "private"}), v4())),
        Case::new("macvlan vepa", macvlan(json!({"mode": "vepa"}), dual())),
        Case::new("macvlan passthru", macvlan(json!({"mode": "passthru"}), v4())),
        Case::new("macvlan mtu", macvlan(json!({"mtu": 1300, "mac": "c2:11:22:33:44:55"}), v4())),
        Case::new("macvlan without ipam", macvlan(json!({}), Value::Null)),
        Case::new("macvlan CNI_ARGS", macvlan(json!({"mac": "c2:11:22:33:44:66"}), v4()))
            .args("IgnoreUnknown=true;MAC=c2:11:22:33:44:55"),
        Case::new("macvlan runtimeConfig", macvlan(json!({"capabilities": {"mac": true}}), v4()))
            .args("IgnoreUnknown=true;MAC=c2:11:22:33:44:55")
            .capability_args(json!({"mac": "c2:11:22:33:44:66"})),
        Case::new("macvlan dns", macvlan(json!({"dns": {"nameservers": ["192.0.2.53"]}}), v4())),
        Case::new("macvlan mode wrong", macvlan(json!({"mode": "x"}), v4()))
            .fails("unknown macvlan mode: \"x\""),
        Case::new("macvlan mtu wrong", macvlan(json!({"mtu": 9000}), v4()))
            .fails("invalid MTU 9000, must be [0, master MTU(1500)]"),
        Case::new("macvlan no master", json!({"type": "macvlan", "ipam": v4()}))
            .fails("no default route interface found"),
    ]
}

/// `host-local` and `static`, called alone.
pub(crate) fn addresses() -> Vec<Case> {
    let two = json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20",
        "rangeEnd": "10.1.0.30", "gateway": "10.1.0.254"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd00:9::/32", "gw": "fd00:1::9"}]});
    let subnet = json!({"subnet": "10.1.0.0/24"});
    let two_of_a_family =
        json!({"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.2.0.5/24"}]});
    vec![
        Case::new("host-local", host_local(two.clone())).versions(&ALL),
        Case::new("host-local one set of two ranges", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/30"}, {"subnet": "10.1.1.0/24"}]]}))),
        Case::new("host-local ipRanges", host_local(subnet.clone()))
            .capability_args(json!({"ipRanges": [[{"subnet": "10.7.0.0/24"}]]})),
        Case::new("host-local ips", host_local(two))
            .capability_args(json!({"ips": ["10.1.0.25", "fd00:1::25/64"]})),
        Case::new("host-local ip outside", host_local(subnet.clone()))
            .capability_args(json!({"ips": ["10.8.0.1"]}))
            .fails("failed to allocate all requested IPs: [10.8.0.1]"),
        Case::new("host-local ip is gateway", host_local(subnet.clone()))
            .capability_args(json!({"ips": ["10.1.0.1"]}))
            .fails("requested ip 10.1.0.1 is subnet's gateway"),
        Case::new("host-local ip taken", host_local(subnet.clone()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 'c9\\r\\neth0' >/var/lib/cni/networks/net/10.1.0.9")
            .capability_args(json!({"ips": ["10.1.0.9"]}))
            .fails("requested IP address 10.1.0.9 is not available in range set 10.1.0.1-10.1.0.254"),
        Case::new("host-local twice", host_local(subnet.clone()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 'c1\\r\\neth0' >/var/lib/cni/networks/net/10.1.0.9")
            .fails("10.1.0.9 has been allocated to c1, duplicate allocation is not allowed"),
        Case::new("host-local full", host_local(json!({"subnet": "10.1.0.0/24",
                "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"})))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 'c9\\r\\neth0' >/var/lib/cni/networks/net/10.1.0.9")
            .fails("no IP addresses available in range set: 10.1.0.9-10.1.0.9"),
        Case::new("host-local last reserved", host_local(subnet.clone()))
            .setup("mkdir -p /var/lib/cni/networks/net; printf 10.1.0.254 >/var/lib/cni/networks/net/last_reserved_ip.0"),
        Case::new("host-local no ranges", host_local(json!({}))).fails("no IP ranges specified"),
        Case::new("host-local no ipam", json!({"type": "host-local"}))
            .fails("IPAM config missing 'ipam' key"),
        Case::new("host-local host bits", host_local(json!({"subnet": "10.1.0.5/24"}))).fails(
            "Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0"),
        Case::new("host-local too small", host_local(json!({"subnet": "10.1.0.0/31"})))
            .fails("Network 10.1.0.0/31 too small to allocate from"),
        Case::new("host-local start outside",
            host_local(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"})))
            .fails("RangeStart 10.2.0.1 not in network 10.1.0.0/24"),
        Case::new("host-local mixed", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "fd00:1::/64"}]]}))).fails("mixed address families"),
        Case::new("host-local overlap", host_local(json!({"ranges": [
            [{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]}))).fails("range set 0 overlaps with 1"),
        Case::new("host-local overlap in set", host_local(json!({"ranges": [[
            {"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/16"}]]}))).fails("overlap"),
        Case::new("static", fixed(json!({
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::5/64"}],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.0.9"}],
            "dns": {"nameservers": ["192.0.2.53"], "domain": "x.test", "search": ["x.test"],
                "options": ["ndots:2"]}}))).versions(&ALL),
        Case::new("static two of a family", fixed(two_of_a_family.clone())),
        Case::new("static two of a family, too old", fixed(two_of_a_family))
            .fails("does not support more than 1 address per family")
            .versions(&["0.1.0", "0.2.0"]),
        Case::new("static CNI_ARGS", fixed(json!({})))
            .args("IP=10.1.0.6/24,10.2.0.6/24;GATEWAY=10.2.0.1"),
        Case::new("static runtimeConfig", fixed(json!({"addresses": [{"address": "10.1.0.5/24"}]})))
            .capability_args(json!({"ips": ["10.3.0.5/24"]})),
        Case::new("static no CIDR", fixed(json!({"addresses": [{"address": "10.1.0.5"}]}))).fails(
            "the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        Case::new("static ips no CIDR", fixed(json!({}))).capability_args(json!({"ips": ["10.1.0.5"]}))
            .fails("an entry in the 'ips' field is NOT in CIDR notation, got: '10.1.0.5'"),
        Case::new("static IP no CIDR", fixed(json!({}))).args("IP=10.1.0.5")
            .fails("the 'ip' field is expected to be in CIDR notation, got: '10.1.0.5'"),
        Case::new("static GATEWAY", fixed(json!({}))).args("IP=10.1.0.5/24;GATEWAY=x")
            .fails("x"),
        Case::new("static on bridge", bridge(json!({"isDefaultGateway": true}), json!({"type": "static",
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
            "dns": {"nameservers": ["192.0.2.53"]}}))),
        Case::new("static CNI_ARGS on bridge", bridge(json!({"isGateway": true}), json!({"type": "static"})))
            .args("IP=10.1.0.6/24;MAC=c2:11:22:33:44:55;IgnoreUnknown=1").versions(&ONE),
    ]
}

/// `portmap` and `firewall`.
pub(crate) fn chained() -> Vec<Case> {
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let base = bridge(json!({"isDefaultGateway": true, "ipMasq": true}), dual());
    let ports = json!({"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8081, "containerPort": 81, "protocol": "udp", "hostIP": "127.0.0.1"}]});
    let port = |host: i64, container: i64| json!({"portMappings": [{"hostPort": host, "containerPort": container, "protocol": "tcp"}]});
    vec![
        Case::new("portmap", json!([base, portmap]))
            .capability_args(ports.clone())
            .versions(&["0.3.0", "0.3.1", "0.4.0", "1.0.0"]),
        Case::new("portmap without ports", json!([base, portmap])),
        Case::new("firewall", json!([base, portmap, {"type": "firewall"}])).capability_args(ports),
        Case::new("firewall too old", json!([base, {"type": "firewall"}]))
            .fails("incompatible CNI versions config is \"0.3.1\", plugin supports [\"0.4.0\" \"1.0.0\"")
            .versions(&["0.3.1"]),
        Case::new("firewall alone", json!({"type": "firewall"}))
            .fails("missing prevResult from earlier plugin"),
        Case::new(
            "portmap alone",
            json!({"type": "portmap", "capabilities": {"portMappings": true}}),
        )
        .capability_args(port(8080, 80))
        .fails("must be called as chained plugin"),
        Case::new("portmap port 0", json!([base, portmap]))
            .capability_args(port(0, 80))
            .fails("Invalid host port number: 0"),
        Case::new("portmap container port 0", json!([base, portmap]))
            .capability_args(port(8080, 0))
            .fails("Invalid container port number: 0"),
        Case::new("portmap mark", json!([base, {"type": "portmap", "markMasqBit": 32}]))
            .fails("MasqMarkBit must be between 0 and 31"),
        Case::new(
            "portmap mark and chain",
            json!([base,
            {"type": "portmap", "markMasqBit": 3, "externalSetMarkChain": "X"}]),
        )
        .fails("Cannot specify externalSetMarkChain and markMasqBit"),
    ]
}
