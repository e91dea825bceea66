//! `netd lease` and `netd config`, the program.

use std::process::{Command, Output};

use serde_json::Value;

use super::etcd::{Etcd, free_port, write};
use super::setup::{CONFIG, SUBNETS};

/// What the program did.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// stderr of a run that failed with this status, without a word on stdout.
    #[track_caller]
    fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        self.stderr
    }
}

fn netd(etcd: &Etcd, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netd"));
    Ran::of(command.args(args).args(["--etcd-endpoints", &etcd.url()]).output().unwrap())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

const NETWORK: &str = r#"{"Network":"10.3.0.0/16","Backend":{"Type":"vxlan"}}"#;

#[test]
fn a_configuration_is_written_as_given_if_it_is_right() {
    let etcd = Etcd::start();
    let error = netd(&etcd, &["config", "show"]).fails(64);
    assert!(error.contains("/coreos.com/network/config") && error.contains("netd config set"));

    let error = netd(&etcd, &["config", "set", r#"{"Network":"10.3.0.0/30"}"#]).fails(64);
    assert!(error.contains("Network 10.3.0.0/30: it is too small"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(etcd.ctl(&["get", CONFIG]).is_empty(), "nothing was written");

    let ran = netd(&etcd, &["config", "set", NETWORK]);
    assert!(ran.stderr.contains("Network: 10.3.0.0/16"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(etcd.ctl(&["get", "--print-value-only", CONFIG]), NETWORK);

    let shown = netd(&etcd, &["config", "show"]).ok();
    assert!(shown.contains("SubnetMax") && shown.contains("10.3.255.0"), "{shown}");
    let shown = json(&netd(&etcd, &["config", "show", "--output", "json"]).ok());
    assert_eq!(shown["SubnetLen"], 24);
    assert_eq!(shown["Backend"]["Type"], "vxlan");
    assert_eq!(netd(&etcd, &["config", "show", "--raw"]).ok(), format!("{NETWORK}\n"));
    // With flanneld's single dash, too.
    let elsewhere = netd(&etcd, &["config", "show", "-etcd-prefix=/other"]).fails(64);
    assert!(elsewhere.contains("/other/config"), "{elsewhere}");
    let shown = netd(&etcd, &["lease", "list", "-etcd-prefix", "/other", "--output", "json"]).ok();
    assert_eq!(json(&shown)["leases"], serde_json::json!([]));
}

#[test]
fn what_a_new_configuration_changes_is_said_first() {
    let etcd = Etcd::start();
    etcd.ctl(&["put", CONFIG, NETWORK]);
    etcd.ctl(&["put", &format!("{SUBNETS}10.3.5.0-24"), r#"{"PublicIP":"192.168.0.1"}"#]);
    write(&etcd.path("new"), "{\"Network\":\"10.3.0.0/16\",\"SubnetLen\":26}\n");
    let new = format!("@{}", etcd.path("new").display());
    let said = netd(&etcd, &["config", "set", &new, "--dry-run"]);
    for part in ["SubnetLen: 24 -> 26", r#"{"Type":"vxlan"} -> {"Type":"udp"}"#, "10.3.5.0-24"] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    said.ok();
    assert_eq!(etcd.ctl(&["get", "--print-value-only", CONFIG]), NETWORK);
    netd(&etcd, &["config", "set", &new]).ok();
    let written = etcd.ctl(&["get", "--print-value-only", CONFIG]);
    assert_eq!(written, r#"{"Network":"10.3.0.0/16","SubnetLen":26}"#);
    let again = netd(&etcd, &["config", "set", &new]);
    assert!(again.stderr.contains("nothing changes"), "{}", again.stderr);
}

#[test]
fn leases_are_acquired_listed_shown_reserved_and_released() {
    let etcd = Etcd::start();
    etcd.ctl(&["put", CONFIG, NETWORK]);
    let acquire = |id: &str, ip: &str, more: &[&str]| {
        let args = ["lease", "acquire", "--machine-id", id, "--public-ip", ip, "--output", "json"];
        json(&netd(&etcd, &[&args, more].concat()).ok())
    };
    let first = acquire("a1", "192.168.0.1", &["--subnet", "10.3.5.0/24"]);
    assert_eq!((&first["subnet"], &first["ttlSeconds"]), (&"10.3.5.0/24".into(), &86400.into()));
    assert_eq!(acquire("a1", "192.168.0.1", &[]), first);
    etcd.ctl(&["put", &format!("{SUBNETS}foo"), "x"]);

    let listed = netd(&etcd, &["lease", "list"]);
    let lease = first["lease"].as_str().unwrap();
    let row = |line: &&str| line.starts_with("10.3.5.0/24  192.168.0.1") && line.contains(lease);
    assert!(listed.stdout.lines().any(|line| row(&line)), "{}", listed.stdout);
    assert!(listed.stderr.contains("subnets/foo\" is no lease"), "{}", listed.stderr);
    let listed = json(&netd(&etcd, &["lease", "list", "--output", "json"]).ok());
    assert_eq!(listed["leases"][0]["owner"]["machineId"], "a1");
    assert_eq!(listed["leases"][0]["owner"]["alive"], false);
    assert_eq!(listed["malformed"][0]["key"], format!("{SUBNETS}foo"));

    let shown = json(&netd(&etcd, &["lease", "show", "10.3.5.0/24", "--output", "json"]).ok());
    assert!(shown["endsInSeconds"].as_u64().unwrap() > 86000, "{shown}");
    assert_eq!((&shown["reserved"], &shown["publicIP"]), (&false.into(), &"192.168.0.1".into()));

    netd(&etcd, &["lease", "reserve", "10.3.5.0/24"]).ok();
    let shown = netd(&etcd, &["lease", "show", "10.3.5.0-24"]).ok();
    assert!(shown.contains("none: reserved"), "{shown}");
    assert_eq!(etcd.ctl(&["lease", "list"]), "found 0 leases", "its lease ended");
    assert_eq!(acquire("a1", "192.168.0.1", &[])["lease"], Value::Null);

    netd(&etcd, &["lease", "release", "10.3.5.0/24"]).ok();
    let error = netd(&etcd, &["lease", "release", "10.3.5.0/24"]).fails(1);
    assert!(error.contains("is not leased") && error.contains("netd lease list"), "{error}");
    assert!(etcd.ctl(&["get", "--prefix", "/netd"]).is_empty());
}

#[test]
fn a_subnet_is_reserved_for_a_host_that_is_to_come() {
    let etcd = Etcd::start();
    etcd.ctl(&["put", CONFIG, NETWORK]);
    let reserve = |args: &[&str]| netd(&etcd, &[&["lease", "reserve"], args].concat());
    let error = reserve(&["10.3.5.0/24"]).fails(1);
    assert!(error.contains("--public-ip"), "{error}");
    let error = reserve(&["10.4.5.0/24", "--public-ip", "192.168.0.1"]).fails(1);
    assert!(error.contains("netd config show"), "{error}");
    reserve(&["10.3.5.0/24", "--public-ip", "192.168.0.1"]).ok();
    assert_eq!(
        etcd.ctl(&["get", "--print-value-only", &format!("{SUBNETS}10.3.5.0-24")]),
        r#"{"PublicIP":"192.168.0.1","PublicIPv6":null}"#
    );
    let error = reserve(&["10.3.5.0/24", "--public-ip", "192.168.0.2"]).fails(1);
    assert!(error.contains("192.168.0.1, not 192.168.0.2"), "{error}");
    etcd.ctl(&["put", &format!("{SUBNETS}10.3.6.0-23"), r#"{"PublicIP":"192.168.0.9"}"#]);
    let error = reserve(&["10.3.7.0/24", "--public-ip", "192.168.0.1"]).fails(1);
    assert!(error.contains("10.3.6.0-23, which overlaps 10.3.7.0-24"), "{error}");
    assert!(etcd.ctl(&["get", &format!("{SUBNETS}10.3.7.0-24")]).is_empty(), "it was withdrawn");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_key_value_and_remedy() {
    let etcd = Etcd::start();
    let error = netd(&etcd, &["lease", "show", "10.3.5.7/24"]).fails(2);
    assert!(error.contains("write 10.3.5.0/24"), "{error}");
    let error = netd(&etcd, &["lease", "list", "--etcd-own-prefix", "/coreos.com"]).fails(64);
    assert!(error.contains("give two that are apart"), "{error}");
    let error = netd(&etcd, &["lease", "list", "--etcd-username", "me"]).fails(64);
    assert!(error.contains("--etcd-password"), "{error}");
    let url = format!("http://127.0.0.1:{}", free_port());
    let output = Command::new(env!("CARGO_BIN_EXE_netd"))
        .args(["lease", "list", "--etcd-endpoints", &url])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&url) && error.contains("refused"), "{error}");
}

#[test]
fn the_store_is_found_by_file_and_variables_as_the_agent_finds_it() {
    let etcd = Etcd::start();
    let file = etcd.path("netd.toml");
    write(&file, &format!("etcd-endpoints = {:?}\netcd-prefix = '/of/file'\n", etcd.url()));
    let netd = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netd"));
        let output = command.args(args).envs(variables.iter().copied()).output().unwrap();
        Ran::of(output)
    };
    let config = ["--config", file.to_str().unwrap()];
    let named = ("NETD_CONFIG", file.to_str().unwrap());
    netd(&[&["config", "set", NETWORK], &config[..]].concat(), &[]).ok();
    assert_eq!(etcd.ctl(&["get", "--print-value-only", "/of/file/config"]), NETWORK);
    netd(&["config", "show"], &[named]).ok();
    netd(&["lease", "list"], &[named]).ok();
    // A variable of flannel's comes before the file, one of netd's before that, a flag before all.
    let flannels = ("FLANNELD_ETCD_PREFIX", "/of/flannel");
    let ours = ("NETD_ETCD_PREFIX", "/of/netd");
    let absent = |args: &[&str], variables: &[(&str, &str)]| {
        netd(&[&["config", "show"], args].concat(), variables).fails(64)
    };
    assert!(absent(&[], &[named, flannels]).contains("/of/flannel/config"));
    assert!(absent(&[], &[named, flannels, ours]).contains("/of/netd/config"));
    netd(&["config", "show", "--etcd-prefix", "/of/file"], &[named, flannels, ours]).ok();

    let error = netd(&["lease", "list"], &[("NETD_ETCD_ENDPOINTS", "etcd.example")]).fails(64);
    assert!(error.contains("variable NETD_ETCD_ENDPOINTS: \"etcd.example\""), "{error}");
    let error = netd(&["lease", "list", "--etcd-endpoints", "etcd.example"], &[]).fails(2);
    assert!(error.contains("--etcd-endpoints: \"etcd.example\" is no endpoint"), "{error}");
}
