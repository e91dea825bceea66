//! Who is asked for the subnet.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use cni::{Code, Verb};
use netd_api::SubnetEnv;
use netd_api::attach::{Lease, Reply, Request, Subnet};

use super::bench::{Bench, V4};
use crate::subnet::{Source, add, status};

/// A netd that gives these answers, one to each client.
fn netd(socket: &Path, answers: Vec<Subnet>) -> std::thread::JoinHandle<()> {
    let answers = answers.into_iter().map(|subnet| (None, Reply::Subnet(subnet)));
    netd_asked(socket, answers.collect())
}

/// The same, asked for these networks.
fn netd_asked(
    socket: &Path,
    answers: Vec<(Option<&'static str>, Reply)>,
) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(socket).expect("listen");
    std::thread::spawn(move || {
        for (network, reply) in answers {
            let want = Request::Subnet { network: network.map(str::to_owned) }.frame();
            let mut asked = vec![0; want.len()];
            let (mut stream, _) = listener.accept().expect("client");
            stream.read_exact(&mut asked).expect("request");
            assert_eq!(asked, want);
            stream.write_all(&reply.frame()).expect("answer");
        }
    })
}

fn subnet(lease: Lease, ready: bool) -> Subnet {
    let env = SubnetEnv::parse(V4).expect("subnet.env");
    Subnet { lease, ready, env: Some(env), reason: "the reason".to_owned() }
}

fn source(bench: &Bench) -> Source {
    Source::Netd {
        network: None,
        socket: bench.path("attach.sock"),
        file: bench.path("subnet.env"),
    }
}

#[test]
fn netd_is_asked_before_the_file() {
    let bench = Bench::new();
    let other = V4.replace("10.1.17.1/24", "10.1.99.1/24");
    std::fs::write(bench.path("subnet.env"), &other).expect("write");
    let source = source(&bench);
    let from_file = source.read().expect("without netd");
    assert_eq!(from_file.to_string(), other);
    let netd = netd(&bench.path("attach.sock"), vec![subnet(Lease::Held, true)]);
    assert_eq!(source.read().expect("with netd").to_string(), V4);
    netd.join().expect("netd");
}

#[test]
fn a_netd_without_a_subnet_is_believed_whatever_the_file_says() {
    let bench = Bench::new();
    let source = source(&bench);
    let answers = vec![
        Subnet { reason: "etcd does not answer".to_owned(), ..Subnet::default() },
        subnet(Lease::Held, false),
        subnet(Lease::Lost, true),
    ];
    let netd = netd(&bench.path("attach.sock"), answers);
    for (code, want) in [
        (Code::TryAgainLater, "netd has no subnet for this host yet: etcd does not answer"),
        (Code::TryAgainLater, "netd has no subnet for this host yet: the reason"),
        (Code::LimitedConnectivity, "netd has lost this host's subnet: the reason"),
    ] {
        let error = source.read().expect_err(want);
        assert_eq!((error.code, error.msg.as_str()), (code, want));
    }
    netd.join().expect("netd");
}

#[test]
fn a_lost_lease_is_51_for_status_and_11_for_add() {
    let bench = Bench::new();
    let mut settings = bench.settings("{}");
    settings.source = source(&bench);
    let lost = || subnet(Lease::Lost, false);
    let netd = netd(&bench.path("attach.sock"), vec![lost(), lost()]);
    let error = status(&settings, &bench.request(Verb::Status, "")).expect_err("STATUS");
    assert_eq!(error.code, Code::LimitedConnectivity);
    let error = add(&settings, &bench.request(Verb::Add, "")).expect_err("ADD");
    assert_eq!(error.code, Code::TryAgainLater);
    netd.join().expect("netd");
}

#[test]
fn a_file_of_netds_is_not_used_while_netd_has_lost_the_subnet_in_it() {
    let bench = Bench::new();
    let settings = bench.settings("{}");
    let socket = bench.path("attach.sock");
    let (lost, held) = (|| subnet(Lease::Lost, false), || subnet(Lease::Held, false));
    // What is written of it is used while netd has not lost it, ready or not.
    let netd = netd(&socket, vec![held(), Subnet::default(), lost(), lost()]);
    for _ in 0..2 {
        assert_eq!(settings.source.read().expect("the file").to_string(), V4);
    }
    let error = status(&settings, &bench.request(Verb::Status, "")).expect_err("STATUS");
    assert_eq!(error.code, Code::LimitedConnectivity);
    assert_eq!(error.msg, "netd has lost this host's subnet: the reason");
    let error = add(&settings, &bench.request(Verb::Add, "")).expect_err("ADD");
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(bench.kept().is_empty() && bench.calls().is_empty());
    netd.join().expect("netd");
    // Nobody listens there any more, as after netd has ended.
    add(&settings, &bench.request(Verb::Add, "")).expect("ADD by the file alone");
}

#[test]
fn a_file_of_another_daemon_is_used_whatever_netd_has_lost() {
    let bench = Bench::new();
    let other = V4.replace("10.1.17.1/24", "10.1.99.1/24");
    std::fs::write(bench.path("subnet.env"), &other).expect("write");
    let netd = netd(&bench.path("attach.sock"), vec![subnet(Lease::Lost, false)]);
    let env = bench.settings("{}").source.read().expect("the file");
    assert_eq!(env.to_string(), other);
    netd.join().expect("netd");
}

#[test]
fn of_several_networks_netd_is_asked_for_the_one_that_the_file_is_named_by() {
    let bench = Bench::new();
    let (file, socket) = (bench.path("blue.env"), bench.path("attach.sock"));
    std::fs::write(&file, V4).expect("write");
    let source = Source::File { file, socket: socket.clone() };
    let several = || Reply::refusal("netd is in networks blue, green here");
    let lost = Reply::Subnet(subnet(Lease::Lost, false));
    let unknown = Reply::refusal("netd is not in network blue here");
    let answers =
        vec![(None, several()), (Some("blue"), lost), (None, several()), (Some("blue"), unknown)];
    let netd = netd_asked(&socket, answers);
    assert_eq!(source.read().expect_err("lost").code, Code::LimitedConnectivity);
    assert_eq!(source.read().expect("another's file").to_string(), V4);
    netd.join().expect("netd");
}

#[test]
fn without_netd_and_file_both_are_named() {
    let bench = Bench::new();
    std::fs::remove_file(bench.path("subnet.env")).expect("remove");
    let error = source(&bench).read().expect_err("nobody knows");
    assert_eq!(error.code, Code::TryAgainLater);
    for word in ["netd does not run", "attach.sock", "failed to load flannel 'subnet.env' file"] {
        assert!(error.msg.contains(word), "{error}");
    }
}

#[test]
fn add_waits_for_a_subnet_only_as_long_as_it_is_told_to() {
    let bench = Bench::new();
    let (from, to) = (bench.path("subnet.env"), bench.path("later.env"));
    std::fs::rename(&from, &to).expect("hide");
    let mut settings = bench.settings("{}");
    let request = bench.request(Verb::Add, "");
    let begun = Instant::now();
    let error = add(&settings, &request).expect_err("no subnet");
    assert_eq!(error.code, Code::TryAgainLater);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited");
    assert!(bench.kept().is_empty() && bench.calls().is_empty());

    settings.wait = Duration::from_secs(60);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| add(&settings, &request));
        std::fs::rename(&to, &from).expect("show");
        waiting.join().expect("the thread").expect("ADD");
    });
}

#[test]
fn a_file_that_is_wrong_is_not_waited_for() {
    let bench = Bench::new();
    std::fs::write(bench.path("subnet.env"), "FLANNEL_MTU=1450\n").expect("write");
    let mut settings = bench.settings("{}");
    settings.wait = Duration::from_secs(600);
    let error = add(&settings, &bench.request(Verb::Add, "")).expect_err("half a file");
    assert_eq!(error.code, Code::InvalidConfig);
    let want = "subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, \
                FLANNEL_IPV6_SUBNET, FLANNEL_IPMASQ";
    assert!(error.msg.ends_with(want), "{error}");
}
