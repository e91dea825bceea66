//! Every option, once.

use std::path::PathBuf;
use std::str::FromStr;

use super::Options;
use super::draft::Draft;

/// An option.
pub(super) struct OptionRow {
    /// The flag without dashes; the key in the file.
    pub(super) name: &'static str,
    /// What its value is.
    pub(super) value: Value,
    /// What it does, for the usage; empty hides it.
    pub(super) help: &'static str,
    /// What becomes of its value.
    pub(super) set: Set,
}

/// What becomes of a value.
pub(super) enum Set {
    /// Kept as it is.
    Word(fn(&mut Options) -> &mut String),
    /// Kept as it is; an empty one is none.
    Text(fn(&mut Options) -> &mut Option<String>),
    /// A path; an empty one is none.
    File(fn(&mut Options) -> &mut Option<PathBuf>),
    /// An absolute path.
    Path(fn(&mut Options) -> &mut PathBuf),
    /// An address; an empty one is none. Whether it could be read.
    Address(fn(&mut Options, &str) -> bool),
    /// A boolean.
    On(fn(&mut Options, bool)),
    /// Read by a rule of its own; the error says what is wrong, without the option's name.
    By(fn(&mut Draft, &str) -> Result<(), String>),
    /// Accepted.
    NoEffect,
    /// A sentence against it.
    Never(&'static str),
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

use Set::{Address, By, File, Never, NoEffect, On, Path, Text, Word};
use Value::{List, Many, One, Refused, Switch};

const KUBERNETES: &str = "netd takes subnets from etcd only and has no Kubernetes mode: leave it out, and use flanneld \
     for a cluster whose nodes hold the subnets";

const WATCH: &str =
    "netd is in the networks that it is told at its start: name them with --networks";

fn read<T: FromStr>(slot: &mut Option<T>, text: &str) -> bool {
    let value: Option<T> = text.parse().ok();
    let fine = value.is_some() || text.is_empty();
    *slot = value;
    fine
}

const fn row(name: &'static str, value: Value, set: Set, help: &'static str) -> OptionRow {
    OptionRow { name, value, help, set }
}

const fn without_effect(name: &'static str, value: Value) -> OptionRow {
    row(name, value, NoEffect, "")
}

const fn of_kubernetes(name: &'static str) -> OptionRow {
    row(name, Refused, Never(KUBERNETES), "")
}

/// The options, in the order of the usage.
pub(super) const OPTIONS: &[OptionRow] = &[
    row(
        "etcd-endpoints",
        List("URLS"),
        By(Draft::endpoints),
        "etcd's client URLs, comma separated [http://127.0.0.1:4001,http://127.0.0.1:2379]",
    ),
    row(
        "etcd-prefix",
        One("PREFIX"),
        Word(|o| &mut o.store.etcd_prefix),
        "where network configuration and subnets are [/coreos.com/network]",
    ),
    row(
        "networks",
        List("NAMES"),
        By(Draft::networks),
        "be in these networks, whose keys are below PREFIX/NAME; NAME=PREFIX: below that one",
    ),
    row("etcd-keyfile", One("FILE"), File(|o| &mut o.store.etcd_keyfile), "the client's key (PEM)"),
    row(
        "etcd-certfile",
        One("FILE"),
        File(|o| &mut o.store.etcd_certfile),
        "the client's certificate (PEM)",
    ),
    row(
        "etcd-cafile",
        One("FILE"),
        File(|o| &mut o.store.etcd_cafile),
        "the authorities that are trusted (PEM)",
    ),
    row("etcd-username", One("USER"), Text(|o| &mut o.store.etcd_username), "etcd's user"),
    row("etcd-password", One("PASSWORD"), Text(|o| &mut o.store.etcd_password), "its password"),
    row(
        "iface",
        Many("NAME|IP"),
        By(Draft::iface),
        "the interface between hosts; may be repeated, the first that is there is taken",
    ),
    row(
        "iface-regex",
        Many("REGEX"),
        By(Draft::iface_regex),
        "the same by a regular expression on addresses, then on names",
    ),
    row(
        "iface-can-reach",
        One("IP"),
        Address(|o, v| read(&mut o.iface.can_reach, v)),
        "the interface by which this address is reached",
    ),
    row(
        "public-ip",
        One("IP"),
        Address(|o, v| read(&mut o.iface.public_ip, v)),
        "the address other hosts reach this one by [the interface's]",
    ),
    row(
        "public-ipv6",
        One("IP"),
        Address(|o, v| read(&mut o.iface.public_ipv6, v)),
        "the same for IPv6",
    ),
    row(
        "subnet-file",
        One("FILE"),
        Path(|o| &mut o.subnet_file),
        "where the subnet is written for others [/run/flannel/subnet.env]",
    ),
    row(
        "subnet-dir",
        One("DIR"),
        Path(|o| &mut o.subnet_dir),
        "the same with --networks: NAME.env of each [/run/flannel/networks]",
    ),
    row(
        "subnet-lease-renew-margin",
        One("MINUTES"),
        By(Draft::renew_margin),
        "1 to 1439; checked and else unused: netd keeps its lease alive",
    ),
    row(
        "ip-masq",
        Switch,
        On(|o, on| o.ip_masq = on),
        "masquerade what leaves the network of the cluster [false]",
    ),
    row(
        "ip-masq-exclude",
        Many("CIDR"),
        By(Draft::ip_masq_exclude),
        "no source is masqueraded between the cluster and this network; may be repeated",
    ),
    row(
        "ip-masq-fully-random-disable",
        Switch,
        On(|o, on| o.ip_masq_fully_random = !on),
        "do not choose the ports of masqueraded flows at random [false]",
    ),
    row(
        "iptables-forward-rules",
        Switch,
        On(|o, on| o.forward_rules = on),
        "accept forwarded traffic of the network [true]",
    ),
    row(
        "iptables-resync",
        One("SECONDS"),
        By(Draft::resync),
        "how often everything is looked at though nothing was heard of [60]",
    ),
    row(
        "ip-blackhole-route",
        Switch,
        On(|o, on| o.blackhole_route = on),
        "keep a blackhole route for the own subnet [false]",
    ),
    row(
        "vxlan-tx-checksum",
        One("on|off"),
        By(Draft::vxlan_tx_checksum),
        "off: finish checksums before VXLAN, for hardware that cannot in it [as it is found]",
    ),
    row(
        "healthz-ip",
        One("IP"),
        By(Draft::health_ip),
        "where /healthz, /readyz and /metrics are served [0.0.0.0]",
    ),
    row("healthz-port", One("PORT"), By(Draft::health_port), "their port; 0 serves nothing [0]"),
    row(
        "cni-conf-dir",
        One("DIR"),
        File(|o| &mut o.cni_conf_dir),
        "write a CNI network configuration there once ready",
    ),
    row(
        "etcd-own-prefix",
        One("PREFIX"),
        Word(|o| &mut o.store.etcd_own_prefix),
        "where netd keeps its own keys in etcd [/netd/v1]",
    ),
    row(
        "confirm-restored",
        Switch,
        On(|o, on| o.confirm_restored = on),
        "a new host: do not wait for hosts that are missing in an etcd that was built anew [false]",
    ),
    row(
        "state-dir",
        One("DIR"),
        Path(|o| &mut o.state_dir),
        "what must survive a reboot [/var/lib/netd]",
    ),
    row("run-dir", One("DIR"), Path(|o| &mut o.run_dir), "sockets [/run/netd]"),
    row("standalone", Switch, On(|o, on| o.standalone = on), "no cluster: networks alone [false]"),
    row("avoid", List("CIDRS"), By(Draft::avoid), "never a network's subnet, comma separated"),
    row(
        "extension-shell",
        Switch,
        On(|o, on| o.extension_shell = on),
        "let a shell read the commands of backend extension, which are etcd's text [false]",
    ),
    row(
        "wireguard-key-file",
        One("FILE"),
        Path(|o| &mut o.wireguard_key_file),
        "this host's private key for WireGuard [/run/flannel/wgkey]",
    ),
    row(
        "log",
        One("FILTER"),
        By(Draft::log),
        "error, warn, info, debug, trace, or a filter as netd=debug [info]",
    ),
    row(
        "v",
        One("NUMBER"),
        By(Draft::verbosity),
        "flannel's log level: 0 is info, 1 to 4 debug, from 5 on trace",
    ),
    row("subnet-ttl", One("SECONDS"), By(Draft::subnet_ttl), ""),
    row("extension-timeout", One("SECONDS"), By(Draft::extension_timeout), ""),
    row("missing-ttl", One("SECONDS"), By(Draft::missing_ttl), ""),
    without_effect("vmodule", One("TEXT")),
    without_effect("log_backtrace_at", One("TEXT")),
    without_effect("logtostderr", Switch),
    without_effect("alsologtostderr", Switch),
    without_effect("stderrthreshold", One("TEXT")),
    without_effect("log_dir", One("TEXT")),
    row(
        "kube-subnet-mgr",
        Switch,
        By(|_, v| if v == "false" { Ok(()) } else { Err(KUBERNETES.to_owned()) }),
        "",
    ),
    row("watch-networks", Refused, Never(WATCH), ""),
    of_kubernetes("kube-api-url"),
    of_kubernetes("kubeconfig-file"),
    of_kubernetes("kube-annotation-prefix"),
    of_kubernetes("net-config-path"),
    of_kubernetes("set-node-network-unavailable"),
];

/// The option of that name; `_` may stand for `-`.
pub(super) fn find(name: &str) -> Option<&'static OptionRow> {
    let same = |row: &&OptionRow| row.name == name || row.name.replace('-', "_") == name;
    OPTIONS.iter().find(same)
}
