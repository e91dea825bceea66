//! C1: containers on networks, by `netd network` beside `docker network` of Debian's dockerd: the same words
//! on two hosts.

use anyhow::{Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::{Output, image};
use serde_json::json;

use crate::docker::{Both, lines, masked};

/// The id of netd's container `c1`, of as many digits as Docker's.
const ID: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// What there is, on both.
const NETWORKS: [&[&str]; 3] = [
    &["create", "--subnet", "172.30.11.0/24", "--gateway", "172.30.11.1", "a"],
    &["create", "--subnet", "172.30.12.0/24", "--gateway", "172.30.12.1", "b"],
    &[
        "create",
        "--ipv6",
        "--subnet",
        "fd00:1::/64",
        "--gateway",
        "fd00:1::1",
        "--subnet",
        "172.30.14.0/24",
        "--gateway",
        "172.30.14.1",
        "six",
    ],
];

const NAMES: &str = "{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.IPv6Address}};{{end}}";

/// What both are asked, with equal answers, but for ids and link-layer addresses.
const SAME: [&[&str]; 14] = [
    &["inspect", "-f", NAMES, "a"],
    &["connect", "b", "c1"],
    &["inspect", "-f", NAMES, "b"],
    &["connect", "--ip", "172.30.14.150", "--ip6", "fd00:1::9", "--alias", "x", "six", "c1"],
    &["inspect", "-f", NAMES, "six"],
    &["inspect", "-f", "{{len .Containers}}", "a"],
    &["prune", "--force"],
    &["disconnect", "b", "c1"],
    &["inspect", "-f", "{{len .Containers}}", "b"],
    &["disconnect", "--force", "six", "c1"],
    &["connect", "--ip", "172.30.12.2", "b", "c1"],
    &["inspect", "-f", NAMES, "b"],
    &["disconnect", "b", "c1"],
    &["rm", "b", "six"],
];

/// What both refuse, while `c1` is on `a`: with the text of Docker's in netd's.
const REFUSED: [&[&str]; 11] = [
    &["connect", "nope", "c1"],
    &["connect", "b", "nobody"],
    &["disconnect", "nope", "c1"],
    &["disconnect", "b", "nobody"],
    &["disconnect", "b", "c1"],
    &["connect", "--ip", "172.30.12.1", "b", "c1"],
    &["connect", "--ip", "172.30.12.0", "b", "c1"],
    &["connect", "none", "c1"],
    &["disconnect", "none", "c1"],
    &["disconnect", "host", "c1"],
    &["rm", "none"],
];

/// What both refuse in words of their own: Docker's, and netd's, which are those of a newer Docker where
/// nothing else is said.
const OWN_WORDS: [(&[&str], &str, &str); 7] = [
    (
        &["connect", "a", "c1"],
        "endpoint with name c1 already exists in network a",
        "is already attached to network a",
    ),
    (
        &["connect", "host", "c1"],
        "container cannot be disconnected from host network or connected to host network",
        "cannot connect container to host network",
    ),
    (
        &["connect", "--ip", "10.0.0.1", "b", "c1"],
        "It does not belong to any of this network's subnets",
        "no configured subnet contains IP address 10.0.0.1: network b",
    ),
    // netd's says how to write one, and its bracket is not left over.
    (
        &["connect", "--ip", "nonsense", "b", "c1"],
        "Invalid IPv4 address: nonsense)",
        "ips: \"nonsense\" is no address",
    ),
    (
        &["connect", "--ip", "172.17.0.9", "bridge", "c1"],
        "user specified IP address is supported on user defined networks only",
        "user-specified IP address is supported on user-defined networks only",
    ),
    (
        &["connect", "--alias", "z", "bridge", "c1"],
        "network-scoped alias is supported only for containers in user defined networks",
        "network-scoped aliases are only supported for user-defined networks",
    ),
    // The names of who is on it, since Docker 28.
    (
        &["rm", "a"],
        "error while removing network: network a id ID has active endpoints",
        "network a has active endpoints (name:\"c1\" id:\"1111",
    ),
];

#[test]
fn c1_containers_are_connected_shown_and_refused_as_docker_does() -> Result<()> {
    Both::run(|both| {
        for words in NETWORKS {
            let (docker, netd) = both.ask(words)?;
            ensure!((docker.code, netd.code) == (0, 0), "{words:?}\n{docker:#?}\n{netd:#?}");
        }
        let ip = "172.30.11.9";
        let words = ["run", "--detach", "--name", "c1", "--network", "a", "--ip", ip, image::IMAGE];
        both.docker.run(&words)?;
        let container = both.netd.host.add_container(ID)?;
        attach(&container, "a", &json!({ "names": ["c1"], "ips": [ip] }))?;
        let mut wrong = refusals(both)?;
        let (docker, netd) = both.ask(&["inspect", "a"])?;
        let (docker, netd) = (lines(&docker.stdout), lines(&netd.stdout));
        if docker != netd {
            wrong.push(format!("{docker:#?}\n{netd:#?}"));
        }
        for words in SAME {
            wrong.extend(both.same(words).err().map(|error| format!("{error:#}")));
        }
        // Docker 20.10 takes a network with containers for unused here; what it removes is right.
        let (docker, netd) = both.ask(&["ls", "-q", "--filter", "dangling=true"])?;
        if docker.stdout.lines().count() != 1 || !netd.stdout.is_empty() {
            wrong.push(format!("{docker:#?}\n{netd:#?}"));
        }
        both.docker.run(&["rm", "--force", "c1"])?;
        detach(&container, "a")?;
        let (docker, netd) = both.ask(&["rm", "a"])?;
        ensure!((docker.code, &docker.stdout) == (netd.code, &netd.stdout), "{docker:?} {netd:?}");
        ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        Ok(())
    })
}

/// What is refused otherwise than expected.
fn refusals(both: &Both) -> Result<Vec<String>> {
    let of_docker = |output: &Output| {
        masked(output.stderr.trim().trim_start_matches("Error response from daemon: "))
    };
    let mut wrong = Vec::new();
    for words in REFUSED {
        let (docker, netd) = both.ask(words)?;
        let text = of_docker(&docker);
        if (docker.code, netd.code) != (1, 1) || !masked(&netd.stderr).contains(&text) {
            wrong.push(format!("{words:?}\n{docker:#?}\n{netd:#?}"));
        }
    }
    for (words, theirs, ours) in OWN_WORDS {
        let (docker, netd) = both.ask(words)?;
        let says = of_docker(&docker).contains(theirs) && netd.stderr.contains(ours);
        if (docker.code, netd.code) != (1, 1) || !says {
            wrong.push(format!("{words:?}\n{docker:#?}\n{netd:#?}"));
        }
    }
    Ok(wrong)
}
