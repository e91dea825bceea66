//! Wrong input: one sentence with the remedy, and the kernel as it was.

use anyhow::{Context as _, Result, ensure};
use e2e::{Host, Lab, NETD, Node, PATIENCE, Place as _, Process, bins, snapshot, wait_for};

use crate::site::{Site, VXLAN, run};

/// What the agent was given, and words of what it says.
type Row<'a> = (&'a [&'a str], &'a [&'a str]);

/// A host with the agent's program, connected if there is an internet.
fn host(lab: &Lab, site: Option<&Site>) -> Result<Host> {
    let host = lab.host("host")?;
    snapshot::quiet(&host)?;
    host.copy_program(&bins::program("netd")?, NETD)?;
    if let Some(site) = site {
        site.internet.connect(lab, &host)?;
    }
    Ok(host)
}

/// What there is of the kernel's state; the agent's own files are none of it.
fn kernel(host: &Host) -> Result<String> {
    let state = snapshot::settled(host)?;
    let is_of_agent = |line: &&str| line.starts_with("file: ") || line.starts_with("/run/netd/");
    let lines = state.lines().filter(|line| !is_of_agent(line) && !line.is_empty());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The sentence has all the words and is one line.
fn says(text: &str, words: &[&str]) -> Result<()> {
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    ensure!(missing.is_empty(), "no {missing:?} in: {text}");
    ensure!(text.trim().lines().count() == 1, "more than a line: {text}");
    Ok(())
}

/// Goes through a table, and fails with everything that was wrong about any row.
fn all<'a>(
    host: &Host,
    rows: &'a [Row<'a>],
    mut row: impl FnMut(&'a [&'a str], &'a [&'a str]) -> Result<()>,
) -> Result<()> {
    let before = kernel(host)?;
    let mut wrong = Vec::new();
    for (given, words) in rows {
        if let Err(error) = row(given, words) {
            wrong.push(format!("{given:?}: {error:#}"));
        }
        let changes = snapshot::differences(&before, &kernel(host)?);
        if !changes.is_empty() {
            wrong.push(format!("{given:?}: changed the kernel:\n{changes}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

const FLAGS: &[Row] = &[
    (&["-no-such-flag"], &["there is no option --no-such-flag", "netd run --help"]),
    (&["run", "-ip-masq", "false"], &["\"false\" is no option", "--switch=false"]),
    (&["-ip-masq=maybe"], &["--ip-masq", "maybe", "neither true nor false"]),
    (&["-etcd-endpoints=10.0.0.1:2379"], &["10.0.0.1:2379", "write http://HOST:2379"]),
    (&["-etcd-endpoints="], &["no endpoint in it", "write http://HOST:2379"]),
    (&["-etcd-prefix"], &["--etcd-prefix needs a value", "--etcd-prefix PREFIX"]),
    (&["-public-ip=10.0.0"], &["--public-ip", "10.0.0", "no such address"]),
    (&["-public-ipv6=10.0.0.1"], &["--public-ipv6", "10.0.0.1", "no such address"]),
    (&["-iface="], &["--iface", "empty", "name an interface"]),
    (&["-iface-regex=("], &["--iface-regex", "no regular expression", "write one as"]),
    (&["-iface-can-reach=x"], &["--iface-can-reach", "no such address"]),
    (&["-subnet-file=x"], &["--subnet-file", "no absolute path", "from / on"]),
    (&["-state-dir=x"], &["--state-dir", "no absolute path", "from / on"]),
    (&["-run-dir=x"], &["--run-dir", "no absolute path", "from / on"]),
    (&["-healthz-ip=x"], &["--healthz-ip", "no IP address"]),
    (&["-healthz-port=70000"], &["--healthz-port", "70000", "0 to 65535"]),
    (&["-iptables-resync=0"], &["--iptables-resync", "seconds from 1 to 31536000"]),
    (&["-subnet-lease-renew-margin=1440"], &["1440", "from 1 to 1439"]),
    (&["-log=x=y=z"], &["--log", "no log filter", "warn, info"]),
    (&["-v=x"], &["--v", "no number"]),
    (&["-kube-subnet-mgr"], &["--kube-subnet-mgr", "no Kubernetes mode", "leave it out"]),
    (&["-kube-api-url=http://x"], &["--kube-api-url", "leave it out"]),
    (&["-net-config-path=/x"], &["--net-config-path", "leave it out"]),
];

/// As [`FLAGS`], of what is told from elsewhere or makes no sense together; `NAME=VALUE` is a
/// variable, `FILE:` the text of the file of options.
const CONFIGURATION: &[Row] = &[
    (&["FLANNELD_IP_MASQ=maybe"], &["variable FLANNELD_IP_MASQ", "neither true nor false"]),
    (&["NETD_ETCD_ENDPOINTS=x"], &["variable NETD_ETCD_ENDPOINTS", "write http://HOST:2379"]),
    (&["FILE:etcd-prefx = '/x'"], &["/etc/netd.toml: there is no option etcd-prefx", "--help"]),
    (&["FILE:\n\niface = "], &["/etc/netd.toml: line 3"]),
    (&["FILE:iface = 1.5"], &["/etc/netd.toml: iface: a float", "write a string"]),
    (&["FILE:ip-masq = 'x'"], &["/etc/netd.toml: ip-masq", "neither true nor false"]),
    (&["-config=/nope"], &["/nope", "No such file"]),
    (&["-etcd-prefix=/"], &["--etcd-prefix", "give a path like"]),
    (&["-etcd-own-prefix=/coreos.com/network/x"], &["one in the other", "give two that are apart"]),
    (&["-etcd-password=x"], &["etcd-username", "give both"]),
    (&["-etcd-username=x"], &["etcd-username", "etcd-password"]),
    (&["-etcd-keyfile=/x"], &["etcd-keyfile and etcd-certfile", "give both or none"]),
    (&["-etcd-certfile=/x"], &["etcd-keyfile and etcd-certfile", "give both or none"]),
    (
        &["-etcd-endpoints=https://192.0.2.1:2379", "-etcd-cafile=/nope.pem"],
        &["--etcd-cafile /nope.pem cannot be read", "name a PEM file"],
    ),
    (
        &["-etcd-endpoints=https://192.0.2.1:2379", "-etcd-cafile=/etc/hostname"],
        &["--etcd-cafile /etc/hostname", "BEGIN CERTIFICATE", "name a PEM file"],
    ),
    (&["-etcd-endpoints=http://etcd"], &["http://etcd", "http://127.0.0.1:2379"]),
];

#[test]
fn options_that_make_no_sense_end_the_agent_at_once() -> Result<()> {
    Lab::run(|lab| {
        let host = host(lab, None)?;
        let run = |given: &[&str], code: i32, words: &[&str]| {
            let mut command = host.command(&[NETD]);
            for text in given {
                command = if let Some(text) = text.strip_prefix("FILE:") {
                    host.write_file("/etc/netd.toml", text)?;
                    command.arg("-config=/etc/netd.toml")
                } else if let (false, Some((name, value))) =
                    (text.starts_with('-'), text.split_once('='))
                {
                    command.arg("run").env(name, value)
                } else {
                    command.arg(text)
                };
            }
            let output = command.output()?;
            ensure!(output.code == code, "{output:?}");
            says(&output.stderr, words)
        };
        all(&host, FLAGS, |given, words| run(given, 2, words))?;
        all(&host, CONFIGURATION, |given, words| run(given, 64, words))
    })
}

const NETWORKS: &[Row] = &[
    (&["{"], &["cannot be used", "line 1", "write it as in"]),
    (&["{}"], &["Network is missing", "10.5.0.0/16"]),
    (&[r#"{"Network":"10.5.0.0/30"}"#], &["Network 10.5.0.0/30", "too small", "/28"]),
    (&[r#"{"Network":"10.5.0.0"}"#], &["Network", "10.5.0.0", "write it as in"]),
    (&[r#"{"Network":"fd00::/48"}"#], &["Network", "fd00::/48", "IPv4"]),
    (&[r#"{"Network":"10.5.0.0/16","SubnetLen":17}"#], &["SubnetLen 17", "at least 18"]),
    (
        &[r#"{"Network":"10.5.0.0/16","SubnetMin":"10.6.0.0"}"#],
        &["SubnetMin", "10.6.0.0", "not in Network"],
    ),
    (
        &[r#"{"Network":"10.5.0.0/16","EnableIPv6":true}"#],
        &["IPv6Network is missing", "fd00:5::/48"],
    ),
    (
        &[r#"{"Network":"10.5.0.0/16","Backend":{"Type":"ipsec"}}"#],
        &["Backend.Type \"ipsec\"", "use vxlan, host-gw, ipip"],
    ),
    (
        &[r#"{"Network":"10.5.0.0/16","Backend":{"Type":"wireguard","Mode":"both"}}"#],
        &["Backend.Mode \"both\"", "use separate, auto, ipv4 or ipv6"],
    ),
    (
        &[
            r#"{"Network":"10.5.0.0/16","Backend":{"Type":"extension","SubnetAddCommand":"a && b"}}"#,
        ],
        &["Backend.SubnetAddCommand", "'&'", "--extension-shell"],
    ),
    (
        &[r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":0}}"#],
        &["Backend.VNI 0", "use 1 to 16777215"],
    ),
    (
        &[r#"{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Port":"x"}}"#],
        &["Backend", "Port", "write it as in"],
    ),
];

#[test]
fn a_network_configuration_that_is_wrong_is_waited_out() -> Result<()> {
    run(|lab| {
        let site = Site::without_nodes(lab)?;
        let host = host(lab, Some(&site))?;
        let mut node = Node::start(&host, &site.etcd, &[])?;
        node.agent()?.wait_for_log("there is no network configuration", PATIENCE)?;
        all(&host, NETWORKS, |given, words| {
            site.etcd.configure(given.first().context("a configuration")?)?;
            wait_for("what is wrong with it", PATIENCE, || {
                let (status, body) = node.health("readyz")?;
                ensure!(status == 503, "{status}");
                says(&body, words).map(Some)
            })
        })?;
        // Each is said once, in one line.
        let log = node.agent()?.log();
        let errors = log.lines().filter(|line| line.contains(" ERROR ")).count();
        ensure!(errors == NETWORKS.len() + 1, "{log}");
        site.etcd.configure(VXLAN)?;
        node.wait_ready()
    })
}

/// Options beside those that are right, which come before them.
const STORES: &[Row] = &[
    (
        &["-etcd-endpoints=http://192.0.2.1:4"],
        &["http://192.0.2.1:4", "refused", "--etcd-endpoints"],
    ),
    (&["-etcd-endpoints=http://192.0.2.1:2379"], &["http://192.0.2.1:2379", "write https://"]),
    (&["-etcd-cafile=/etc/etcd-pki/other.crt"], &["https://192.0.2.1:2379", "certificate"]),
    (&["-etcd-certfile=", "-etcd-keyfile="], &["give --etcd-certfile and --etcd-keyfile"]),
    (&["-etcd-password=wrong"], &["does not know this user", "--etcd-password"]),
    (&["-etcd-username=nobody"], &["does not know this user", "--etcd-username"]),
    (&["-etcd-username=", "-etcd-password="], &["has no right to it", "--etcd-username"]),
    (&["-etcd-prefix=/other"], &["/other/config", "has no right to it", "grant"]),
];

#[test]
fn a_store_that_lets_nobody_in_is_named_with_what_to_do() -> Result<()> {
    run(|lab| {
        let site = Site::with_secured_store(lab)?;
        site.etcd.configure(VXLAN)?;
        let host = host(lab, Some(&site))?;
        let right = site.etcd.flags(&host)?;
        all(&host, STORES, |given, words| {
            let agent = host.command(&[NETD]).args(&right).args(given);
            let mut agent = agent.spawn("netd")?;
            let said = said(&mut agent)?;
            agent.stop()?;
            says(&said, words)
        })
    })
}

/// What the agent waits for, in its own words.
fn said(agent: &mut Process) -> Result<String> {
    agent.wait_for_log(" ERROR ", PATIENCE)?;
    let log = agent.log();
    let of_errors: Vec<_> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    ensure!(of_errors.len() == 1, "{log}");
    Ok(of_errors.join("\n"))
}
