use super::*;
use crate::api::status::{Backend, ClusterNetworks, LastRound, Several};

fn report() -> Report {
    Report {
        version: "0.1.0".into(),
        pid: 42,
        ready: true,
        lease: Lease {
            state: State::Held,
            subnet: Some("10.5.52.0/24".into()),
            ttl_seconds: Some(86400.0),
            age_seconds: Some(7265.0),
            since_keep_alive_seconds: Some(65.0),
            ..Lease::default()
        },
        backend: Some(Backend {
            kind: "vxlan".into(),
            interface: "eth0".into(),
            public_ip: "192.0.2.10".into(),
            mtu: 1450,
            trouble: None,
        }),
        store: Store {
            endpoints: "http://192.0.2.1:2379".into(),
            reachable: true,
            since_answer_seconds: Some(3.0),
            ..Store::default()
        },
        reconcile: Reconcile {
            last: Some(LastRound { succeeded: true, age_seconds: 5.0, duration_seconds: 0.0021 }),
            steps_applied: 9,
            ..Reconcile::default()
        },
        peers: Peers { total: 2, ..Peers::default() },
        ..Report::default()
    }
}

fn text(report: &Report) -> String {
    whole(&Answer::One(Box::new(report.clone())))
}

#[test]
fn of_several_networks_each_has_its_lines_below_those_of_the_agent() {
    let networks = ["blue", "green"].map(|name| (name.to_owned(), report()));
    let reason = Some("green: no network configuration".to_owned());
    let text = whole(&Answer::Several(Several::new(networks.into(), reason)));
    let lines: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let each = ["ready", "lease", "backend", "kernel", "peers"];
    let expected =
        [&["ready", "store", "agent", "", "network"][..], &each, &["", "network"], &each];
    assert_eq!(lines, expected.concat(), "{text}");
    assert!(text.starts_with("ready      no: green: no network configuration\n"), "{text}");
    assert!(text.contains("\nnetwork    green\n"), "{text}");
}

#[test]
fn a_person_reads_one_line_for_each_part() {
    let expected = "\
ready      yes
lease      10.5.52.0/24, held for 2 h 1 min, sign of life 1 min 5 s ago, of 1 d it lives
backend    vxlan over eth0, 192.0.2.10, MTU 1450
store      http://192.0.2.1:2379, answered 3 s ago
kernel     looked at 5 s ago in 2.1 ms, 9 changes made, 0 refused
peers      2
agent      netd 0.1.0, process 42
";
    assert_eq!(text(&report()), expected);
}

#[test]
fn what_is_wrong_is_in_the_line_of_its_part() {
    let mut report = report();
    report.reason = Some("the lease is lost: x has it".into());
    report.lease.state = State::Lost;
    report.lease.reason = Some("x has it".into());
    report.store.reason = Some("no route".into());
    report.reconcile.trouble = Some("no link eth0".into());
    report.configuration.refused = Some("its Backend.VNI is 2".into());
    report.host_networks.dns = Some("serve DNS on network web: no".into());
    report.cluster_networks = Some(ClusterNetworks {
        networks: 2,
        since_confirmed_seconds: Some(65.0),
        overlays: vec!["overlay n: no namespace".into()],
        troubles: vec!["no sign of life".into()],
        ..ClusterNetworks::default()
    });
    let trouble = Some("Backend.SubnetAddCommand for 10.5.9.0-24 failed: why".into());
    report.backend = report.backend.map(|backend| Backend { trouble, ..backend });
    report.peers.unconnected = 1;
    report.peers.example = Some("10.5.9.0-24: its lease has no BackendData".into());
    report.peers.outside = 1;
    report.peers.outsider = Some("10.6.1.0-24".into());
    let text = text(&report);
    for said in [
        "ready      no: the lease is lost: x has it\n",
        "lease      10.5.52.0/24, lost: x has it\n",
        "store      http://192.0.2.1:2379 does not answer, for 3 s: no route\n",
        "kernel     not as it should be: no link eth0; looked at",
        "config     not followed: its Backend.VNI is 2\n",
        "MTU 1450; Backend.SubnetAddCommand for 10.5.9.0-24 failed: why\n",
        "networks   serve DNS on network web: no\n",
        "networks   overlay n: no namespace\n",
        "member     networks of the cluster: 2, confirmed 1 min 5 s ago; no sign of life\n",
        "peers      2, 1 of them not connected (10.5.9.0-24: its lease has no BackendData), \
         1 of them outside the network (10.6.1.0-24)\n",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}
