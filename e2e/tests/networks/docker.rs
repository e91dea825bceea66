//! C1: `netd network` beside `docker network` of Debian's dockerd: the same words on two hosts.

use anyhow::{Context as _, Result, ensure};
use e2e::runtimes::Docker;
use e2e::{Lab, Output, require_programs};
use serde_json::Value;

use crate::site::Site;

/// Keys that Docker has added since Debian's version: `EnableIPv4` of `inspect` and `IPv4` of `ls`
/// came with API 1.48 (docs/api/version-history.md of moby).
const NEWER: [&str; 2] = ["EnableIPv4", "IPv4"];

/// What both are asked, with equal answers, but for ids and times.
const SAME: [&[&str]; 33] = [
    &[
        "create",
        "--subnet",
        "172.30.11.0/24",
        "--gateway",
        "172.30.11.1",
        "--label",
        "k=v",
        "--label",
        "l",
        "a",
    ],
    &[
        "create",
        "--internal",
        "--subnet",
        "172.30.12.0/24",
        "--gateway",
        "172.30.12.1",
        "-o",
        "com.docker.network.driver.mtu=1400",
        "c",
    ],
    &[
        "create",
        "--subnet",
        "fd00:1::/64",
        "--ipv6",
        "--gateway",
        "fd00:1::1",
        "--subnet",
        "172.30.14.0/24",
        "--gateway",
        "172.30.14.129",
        "--ip-range",
        "172.30.14.128/25",
        "--aux-address",
        "r=172.30.14.200",
        "--aux-address",
        "q=172.30.14.201",
        "six",
    ],
    &["ls"],
    &["list", "--no-trunc"],
    &["ls", "-q"],
    &["ls", "--format", ""],
    &["inspect", "-f", "{{.IPAM.Config}}", "a", "six"],
    &["inspect", "-f", "{{range .IPAM.Config}}{{.}}{{end}}", "a"],
    &["ls", "--filter", "name=a"],
    &["ls", "-f", "driver=bridge", "-f", "type=custom"],
    &["ls", "--filter", "type=builtin", "--format", "{{.Name}}"],
    &["ls", "--filter", "dangling=true", "--format", "raw"],
    &["ls", "--filter", "scope=swarm"],
    &[
        "ls",
        "--filter",
        "label=k",
        "--format",
        "{{.ID}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Label \"k\"}} {{.CreatedAt}}",
    ],
    &["ls", "--format", "table {{.Name}}\\t{{.Driver}}"],
    &["inspect", "-f", "{{.Name}} {{.ID}} {{.Internal}} {{.Driver}}", "a", "c"],
    &["inspect", "-f", "{{.Id}} {{.Name}}", "a"],
    &["inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}};{{end}}", "six"],
    &[
        "inspect",
        "-f",
        "{{(index .IPAM.Config 0).Subnet}} {{index .Labels \"k\"}} {{len .Containers}}",
        "a",
    ],
    &["inspect", "--format", "{{json .IPAM}}", "six"],
    &["inspect", "-f", "{{.Options}} {{json .Labels}}{{if .EnableIPv6}} v6{{end}}", "c"],
    &["inspect", "-f", "{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}{{println .Name}}", "a"],
    &["rm", "c"],
    &["prune", "--force", "--filter", "label!=k"],
    &["prune", "-f", "--filter", "until=24h"],
    &["prune"],
    &["prune", "-f"],
    &["prune", "-f"],
    &["ls", "--format", "{{.Name}} {{.Driver}}"],
    &["create", "-d", "bridge", "--subnet=10.66.0.0/24", "--attachable", "late"],
    &["inspect", "-f", "{{.Attachable}}", "late"],
    &["remove", "late"],
];

/// What both refuse: with the text of Docker's in netd's, which may say more.
const REFUSED: [&[&str]; 22] = [
    &["create", "a"],
    &["create", "--subnet", "172.30.11.0/25", "b"],
    &["create", "--subnet", "172.30.22.0/24", "--gateway", "10.0.0.1", "b"],
    &["create", "--gateway", "10.0.0.1", "b"],
    &["create", "--subnet", "172.30.22.0/24", "--subnet", "172.30.23.0/24", "b"],
    &["create", "--subnet", "172.30.22.0/24", "--subnet", "172.30.22.0/25", "b"],
    &[
        "create",
        "--subnet",
        "172.30.22.0/24",
        "--gateway",
        "172.30.22.1",
        "--gateway",
        "172.30.22.2",
        "b",
    ],
    &["create", "--subnet", "172.30.22.0/24", "--ip-range", "172.30.23.0/24", "b"],
    &["create", "--subnet", "172.30.22.0/24", "--aux-address", "x=172.30.23.1", "b"],
    &["create", "--subnet", "172.30.22.0/24", "--gateway", "172.30.22.0", "b"],
    &["create", "bridge"],
    &["create", "host"],
    &["create", "-d", "host", "b"],
    &["create", "-d", "null", "b"],
    &["create", "-d", "nosuch", "b"],
    &["create", "-o", "com.docker.network.bridge.name=lo", "b"],
    &["ls", "--filter", "foo=bar"],
    &["ls", "--filter", "type=x"],
    &["ls", "--filter", "dangling=x"],
    &["prune", "-f", "--filter", "until=x"],
    &["rm", "bridge"],
    &["ls", "--format", "{{.Name"],
];

/// What both refuse in words of their own: why is said at each.
const OWN_WORDS: [(&[&str], &str); 6] = [
    // Docker takes any name; netd's are names of CNI networks, which have no spaces.
    (&["create", "-o", "com.docker.network.bridge.enable_icc=maybe", "b"], "enable_icc"),
    (&["create", "-o", "com.docker.network.driver.mtu=abc", "b"], "com.docker.network.driver.mtu"),
    (&["create", "--subnet", "nonsense", "b"], "nonsense"),
    // netd has no Swarm.
    (&["create", "-d", "overlay", "b"], "overlay"),
    (&["create", "--scope", "swarm", "b"], "swarm"),
    // "No such network" is `network X not found` since Docker 23.
    (&["rm", "nope"], "nope"),
];

/// Two hosts, one with dockerd and one with netd.
pub(crate) struct Both {
    pub(crate) docker: Docker,
    pub(crate) netd: Site,
}

impl Both {
    /// Runs a test with both.
    pub(crate) fn run(test: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if !require_programs(&["dockerd", "docker", "runc"])? {
            return Ok(());
        }
        Lab::run(|lab| {
            let host = lab.host("docker")?;
            host.write_file("/run/docker.env", "OPTS=\"\"\n")?;
            let docker = Docker::with_environment_file(&host, "/run/docker.env", "OPTS")?;
            let netd = Site::start(&lab.host("netd")?, &["--standalone"])?;
            test(&Self { docker, netd })
        })
    }

    /// The same words to both.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<(Output, Output)> {
        let docker = self.docker.command(&["network"]).args(words).output()?;
        Ok((docker, self.netd.network(words)?))
    }

    /// Demands that both answer the same, but for ids, times and link-layer addresses.
    pub(crate) fn same(&self, words: &[&str]) -> Result<()> {
        let (docker, netd) = self.ask(words)?;
        let answer = |output: &Output| (output.code, masked(&output.stdout));
        ensure!(answer(&docker) == answer(&netd), "{words:?}\n{docker:#?}\n{netd:#?}");
        Ok(())
    }

    fn inspect(&self, words: &[&str]) -> Result<(Value, Value)> {
        let (docker, netd) = self.ask(words)?;
        Ok((docker.json()?, netd.json()?))
    }
}

#[test]
fn c1_what_docker_prints_netd_prints() -> Result<()> {
    Both::run(|both| {
        for (at, words) in SAME.iter().enumerate() {
            if at == 3 {
                refusals(both)?;
                shapes(both)?;
            }
            both.same(words)?;
        }
        Ok(())
    })
}

fn refusals(both: &Both) -> Result<()> {
    for words in REFUSED {
        let (docker, netd) = both.ask(words)?;
        ensure!((docker.code, netd.code) == (1, 1), "{words:?}\n{docker:#?}\n{netd:#?}");
        let text = docker.stderr.trim().trim_start_matches("Error response from daemon: ");
        ensure!(netd.stderr.contains(text), "{words:?}\n{docker:#?}\n{netd:#?}");
    }
    for (words, text) in OWN_WORDS {
        let (docker, netd) = both.ask(words)?;
        ensure!((docker.code, netd.code) == (1, 1), "{words:?}\n{docker:#?}\n{netd:#?}");
        ensure!(netd.stderr.contains(text), "{words:?}\n{docker:#?}\n{netd:#?}");
    }
    // What there is is shown, and what is not is named; Docker's words for that are those of OWN_WORDS.
    for words in [&["inspect", "nope"][..], &["inspect", "-f", "{{.Name}}", "a", "nope", "c"]] {
        let (docker, netd) = both.ask(words)?;
        ensure!((docker.code, &docker.stdout) == (netd.code, &netd.stdout), "{docker:?} {netd:?}");
        ensure!(netd.code == 1, "{netd:?}");
        ensure!(docker.stderr.contains("No such network: nope"), "{docker:?}");
        ensure!(netd.stderr.contains("network nope not found"), "{netd:?}");
    }
    // The others are removed all the same; and the order is that of numbers.
    for name in ["n10", "n9", "N1"] {
        let (docker, netd) = both.ask(&["create", name])?;
        ensure!((docker.code, netd.code) == (0, 0), "{docker:?} {netd:?}");
    }
    for words in [&["ls", "--format", "{{.Name}}"][..], &["rm", "nope", "n9", "host", "N1", "n10"]]
    {
        let (docker, netd) = both.ask(words)?;
        ensure!((docker.code, &docker.stdout) == (netd.code, &netd.stdout), "{docker:?} {netd:?}");
        let errors = |output: &Output| output.stderr.lines().count();
        ensure!(errors(&docker) == errors(&netd), "{docker:?} {netd:?}");
    }
    Ok(())
}

/// The documents: the same keys in the same order, with values of the same types, and where they are
/// not ids and times, the same values.
fn shapes(both: &Both) -> Result<()> {
    for name in ["a", "c", "six"] {
        let (docker, netd) = both.ask(&["inspect", name])?;
        let (theirs, ours) = (lines(&docker.stdout), lines(&netd.stdout));
        ensure!(theirs == ours, "{name}\n{}\n{}", docker.stdout, netd.stdout);
    }
    for name in ["host", "none"] {
        let (docker, netd) = both.ask(&["inspect", name])?;
        let (theirs, ours) = (lines(&docker.stdout), lines(&netd.stdout));
        ensure!(theirs == ours, "{name}\n{}\n{}", docker.stdout, netd.stdout);
    }
    // Of the bridge that is always there device and subnet are netd's own.
    let (docker, netd) = both.inspect(&["inspect", "bridge"])?;
    let keys = |document: &Value, at: &str| -> Result<Vec<String>> {
        let object = document.pointer(at).and_then(Value::as_object).context("an object")?;
        Ok(object.keys().filter(|key| !NEWER.contains(&key.as_str())).cloned().collect())
    };
    for at in ["/0", "/0/IPAM", "/0/Options"] {
        assert_eq!(keys(&docker, at)?, keys(&netd, at)?, "{at}");
    }
    let words = ["ls", "--filter", "name=^a$", "--format", "{{json .}}"];
    let (docker, netd) = both.inspect(&words)?;
    assert_eq!(keys(&docker, "")?, keys(&netd, "")?);
    let is_text = netd.as_object().context("an object")?.values().all(Value::is_string);
    ensure!(is_text, "{netd}");
    let (docker, netd) = both.ask(&["ls", "--format", "{{json .Name}}"])?;
    assert_eq!(docker.stdout, netd.stdout);
    Ok(())
}

/// A document line by line, without what is newer and what differs by nature.
pub(crate) fn lines(document: &str) -> Vec<String> {
    let is_newer = |line: &&str| NEWER.iter().any(|key| line.contains(&format!("\"{key}\":")));
    document.lines().filter(|line| !is_newer(line)).map(masked).collect()
}

/// A text with ids, times and link-layer addresses made equal.
pub(crate) fn masked(text: &str) -> String {
    let mut masked = String::new();
    for word in text.split_inclusive(|sign: char| sign.is_whitespace() || "\",".contains(sign)) {
        let bare = word.trim_end_matches(|sign: char| sign.is_whitespace() || "\",".contains(sign));
        let rest = word.get(bare.len()..).unwrap_or_default();
        let is_id = matches!(bare.len(), 12 | 64) && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let is_time =
            bare.len() > 15 && bare.contains(':') && bare.contains('.') && bare.starts_with("20");
        let is_fraction = bare.len() > 8 && bare.contains(':') && bare.contains('.');
        let is_mac = bare.len() == 17 && bare.matches(':').count() == 5;
        match bare {
            _ if is_mac => masked.push_str("MAC"),
            _ if is_id => masked.push_str("ID"),
            _ if is_time || is_fraction => masked.push_str("TIME"),
            _ => masked.push_str(bare),
        }
        masked.push_str(rest);
    }
    masked
}
