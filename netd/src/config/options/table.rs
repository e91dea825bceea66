//! Every option, once.

use super::draft::Draft;

/// An option.
pub(super) struct OptionRow {
    /// The flag without dashes; the key in the file.
    pub(super) name: &'static str,
    /// What its value is.
    pub(super) value: Value,
    /// What it does, for the usage; empty hides it.
    pub(super) help: &'static str,
    /// Takes a value; the error says what is wrong with it, without its name.
    pub(super) set: fn(&mut Draft, &str) -> Result<(), String>,
}

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// `true` or `false`; the flag alone is `true`.
    Switch,
    /// One value; the word stands for it in the usage.
    One(&'static str),
    /// Any number of values, one per flag.
    Many(&'static str),
    /// Comma separated.
    List(&'static str),
    /// Known, and not for netd.
    Refused,
}

use Value::{List, Many, One, Refused, Switch};

const KUBERNETES: &str = "netd takes subnets from etcd only and has no Kubernetes mode: leave it out, and use flanneld \
     for a cluster whose nodes hold the subnets";

const fn row(
    name: &'static str,
    value: Value,
    help: &'static str,
    set: fn(&mut Draft, &str) -> Result<(), String>,
) -> OptionRow {
    OptionRow { name, value, help, set }
}

/// The options, in the order of the usage.
pub(super) const OPTIONS: &[OptionRow] = &[
    row(
        "etcd-endpoints",
        List("URLS"),
        "etcd's client URLs, comma separated [http://127.0.0.1:4001,http://127.0.0.1:2379]",
        |d, v| d.endpoints(v),
    ),
    row(
        "etcd-prefix",
        One("PREFIX"),
        "where network configuration and subnets are [/coreos.com/network]",
        |d, v| d.prefix(v, |o| &mut o.store.etcd_prefix),
    ),
    row("etcd-keyfile", One("FILE"), "the client's key (PEM)", |d, v| {
        d.file(v, |o| &mut o.store.etcd_keyfile)
    }),
    row("etcd-certfile", One("FILE"), "the client's certificate (PEM)", |d, v| {
        d.file(v, |o| &mut o.store.etcd_certfile)
    }),
    row("etcd-cafile", One("FILE"), "the authorities that are trusted (PEM)", |d, v| {
        d.file(v, |o| &mut o.store.etcd_cafile)
    }),
    row("etcd-username", One("USER"), "etcd's user", |d, v| {
        d.text(v, |o| &mut o.store.etcd_username)
    }),
    row("etcd-password", One("PASSWORD"), "its password", |d, v| {
        d.text(v, |o| &mut o.store.etcd_password)
    }),
    row(
        "iface",
        Many("NAME|IP"),
        "the interface between hosts; may be repeated, the first that is there is taken",
        |d, v| d.push(v, |o| &mut o.iface.iface),
    ),
    row(
        "iface-regex",
        Many("REGEX"),
        "the same by a regular expression on addresses, then on names",
        |d, v| d.regex(v),
    ),
    row("iface-can-reach", One("IP"), "the interface by which this address is reached", |d, v| {
        d.address(v, |o| &mut o.iface.can_reach)
    }),
    row(
        "public-ip",
        One("IP"),
        "the address other hosts reach this one by [the interface's]",
        |d, v| d.address(v, |o| &mut o.iface.public_ip),
    ),
    row("public-ipv6", One("IP"), "the same for IPv6", |d, v| {
        d.address(v, |o| &mut o.iface.public_ipv6)
    }),
    row(
        "subnet-file",
        One("FILE"),
        "where the subnet is written for others [/run/flannel/subnet.env]",
        |d, v| d.path(v, |o| &mut o.subnet_file),
    ),
    row(
        "subnet-lease-renew-margin",
        One("MINUTES"),
        "1 to 1439; checked and else unused: netd keeps its lease alive",
        |d, v| d.renew_margin(v),
    ),
    row("ip-masq", Switch, "masquerade what leaves the network of the cluster [false]", |d, v| {
        d.switch(v, |o, on| o.ip_masq = on)
    }),
    row(
        "ip-masq-fully-random-disable",
        Switch,
        "do not choose the ports of masqueraded flows at random [false]",
        |d, v| d.switch(v, |o, on| o.ip_masq_fully_random = !on),
    ),
    row(
        "iptables-forward-rules",
        Switch,
        "accept forwarded traffic of the network [true]",
        |d, v| d.switch(v, |o, on| o.forward_rules = on),
    ),
    row(
        "iptables-resync",
        One("SECONDS"),
        "how often everything is looked at though nothing was heard of [60]",
        |d, v| d.resync(v),
    ),
    row(
        "ip-blackhole-route",
        Switch,
        "keep a blackhole route for the own subnet [false]",
        |d, v| d.switch(v, |o, on| o.blackhole_route = on),
    ),
    row("healthz-ip", One("IP"), "where /healthz and /readyz are served [0.0.0.0]", |d, v| {
        d.health_ip(v)
    }),
    row("healthz-port", One("PORT"), "their port; 0 serves nothing [0]", |d, v| d.health_port(v)),
    row(
        "cni-conf-dir",
        One("DIR"),
        "write a CNI network configuration there once ready",
        |d, v| d.file(v, |o| &mut o.cni_conf_dir),
    ),
    row(
        "etcd-own-prefix",
        One("PREFIX"),
        "where netd keeps its own keys in etcd [/netd/v1]",
        |d, v| d.prefix(v, |o| &mut o.store.etcd_own_prefix),
    ),
    row("state-dir", One("DIR"), "what must survive a reboot [/var/lib/netd]", |d, v| {
        d.path(v, |o| &mut o.state_dir)
    }),
    row("run-dir", One("DIR"), "sockets [/run/netd]", |d, v| d.path(v, |o| &mut o.run_dir)),
    row(
        "log",
        One("FILTER"),
        "error, warn, info, debug, trace, or a filter as netd=debug [info]",
        |d, v| d.log(v),
    ),
    row(
        "v",
        One("NUMBER"),
        "flannel's log level: 0 is info, 1 to 4 debug, from 5 on trace",
        |d, v| d.verbosity(v),
    ),
    row("subnet-ttl", One("SECONDS"), "", |d, v| d.subnet_ttl(v)),
    row("vmodule", One("TEXT"), "", |d, _| d.no_effect("vmodule")),
    row("log_backtrace_at", One("TEXT"), "", |d, _| d.no_effect("log_backtrace_at")),
    row("logtostderr", Switch, "", |d, _| d.no_effect("logtostderr")),
    row("alsologtostderr", Switch, "", |d, _| d.no_effect("alsologtostderr")),
    row("stderrthreshold", One("TEXT"), "", |d, _| d.no_effect("stderrthreshold")),
    row("log_dir", One("TEXT"), "", |d, _| d.no_effect("log_dir")),
    row("kube-subnet-mgr", Switch, "", |_, v| {
        if v == "false" { Ok(()) } else { Err(KUBERNETES.to_owned()) }
    }),
    row("kube-api-url", Refused, "", |_, _| Err(KUBERNETES.to_owned())),
    row("kubeconfig-file", Refused, "", |_, _| Err(KUBERNETES.to_owned())),
    row("kube-annotation-prefix", Refused, "", |_, _| Err(KUBERNETES.to_owned())),
    row("net-config-path", Refused, "", |_, _| Err(KUBERNETES.to_owned())),
    row("set-node-network-unavailable", Refused, "", |_, _| Err(KUBERNETES.to_owned())),
];

/// The option of that name; `_` may stand for `-`.
pub(super) fn find(name: &str) -> Option<&'static OptionRow> {
    let same = |row: &&OptionRow| row.name == name || row.name.replace('-', "_") == name;
    OPTIONS.iter().find(same)
}

/// What `netd run --help` prints.
#[must_use]
pub fn usage() -> String {
    let mut text = "Run the agent: lease a subnet, connect it with all others, keep it so\n\n\
        Usage: netd run [OPTIONS]\n       netd -OPTION ...   (as flanneld is called)\n\n\
        One dash or two; --option value or --option=value; a switch alone is true.\n\
        The same options as variables (NETD_ETCD_PREFIX, FLANNELD_ETCD_PREFIX) and as keys of the\n\
        file of --config (etcd-prefix = \"/a\"). The command line comes before variables, NETD_\n\
        before FLANNELD_, and all of them before the file.\n\nOptions:\n"
        .to_owned();
    let mut add = |name: &str, value: &str, help: &str| {
        let left = format!("--{name} {value}");
        text.push_str(&format!("  {:32} {help}\n", left.trim_end()));
    };
    add("config", "FILE", "a TOML file of options");
    for row in OPTIONS.iter().filter(|row| !row.help.is_empty()) {
        let value = match row.value {
            Switch | Refused => "",
            One(word) | Many(word) | List(word) => word,
        };
        add(row.name, value, row.help);
    }
    add("version", "", "print the version and end");
    add("help", "", "print this and end");
    text
}
