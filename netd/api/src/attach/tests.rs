mod refused;

use super::*;
use crate::SubnetEnv;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use cni::Code;
use proptest::prelude::*;

const ENV: &str = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

fn held() -> Subnet {
    let env = Some(SubnetEnv::parse(ENV).unwrap());
    Subnet { lease: Lease::Held, ready: true, env, reason: String::new() }
}

/// A netd that answers one question with these bytes, and what it was asked.
fn answering(dir: &Path, answer: Vec<u8>) -> std::thread::JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(dir.join("attach.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = vec![0; Request::Subnet { network: None }.frame().len()];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&answer).unwrap();
        asked
    })
}

fn framed(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_client_is_told_the_subnet() {
    let dir = tempfile::tempdir().unwrap();
    let netd = answering(dir.path(), Reply::Subnet(held()).frame());
    assert_eq!(subnet(&dir.path().join("attach.sock"), None).unwrap(), held());
    let asked = netd.join().unwrap();
    assert_eq!(Request::parse(&asked[4..]), Ok(Request::Subnet { network: None }));
}

#[test]
fn every_subnet_is_read_as_it_was_written() {
    let none = Subnet { reason: "etcd does not answer".to_owned(), ..Subnet::default() };
    let lost = Subnet { lease: Lease::Lost, ready: false, ..held() };
    for subnet in [none, held(), lost] {
        let reply = Reply::Subnet(subnet);
        assert_eq!(Reply::parse(&reply.frame()[4..]).unwrap(), reply);
    }
}

#[test]
fn a_netd_that_does_not_run_is_told_from_one_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attach.sock");
    assert!(matches!(subnet(&path, None), Err(Error::Absent { .. })));
    drop(UnixListener::bind(&path).unwrap());
    assert!(
        matches!(subnet(&path, None), Err(Error::Absent { .. })),
        "a socket that was left behind"
    );
}

#[test]
fn broken_answers_are_errors() {
    for (answer, want) in [
        (vec![], "read from"),
        (u32::MAX.to_be_bytes().to_vec(), "a reply of 4294967295 bytes"),
        (framed("{"), "a reply that cannot be read: EOF"),
        (framed(r#"{"version":9}"#), "neither an answer nor an error, in version 9"),
        (framed(r#"{"done":{}}"#), "it answers another request"),
        (framed(r#"{"attached":{"ips":[{"address":"x"}]}}"#), "attached: ips[0].address"),
        (framed(r#"{"error":"no"}"#), "netd refuses: no"),
        (framed(r#"{"subnet":{"lease":"mine"}}"#), "subnet.lease"),
        (framed(r#"{"subnet":{"env":"FLANNEL_MTU=x"}}"#), "subnet.env line 1: FLANNEL_MTU=x"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let netd = answering(dir.path(), answer);
        let error = subnet(&dir.path().join("attach.sock"), None).unwrap_err();
        assert!(cni::ErrorChain(&error).to_string().contains(want), "{error} has no {want:?}");
        netd.join().unwrap();
    }
}

#[test]
fn requests_that_are_not_known_are_refused_with_the_reason() {
    for (text, want) in [
        (r#"{"version":1,"request":"lunch"}"#, r#""check", "status", "gc"], got "lunch""#),
        (r#"{"version":1,"request":"attach","ports":[{"hostPort":70000}]}"#, "ports[0].hostPort"),
        (r#"{"version":2,"request":"subnet"}"#, "version 1, not 2: upgrade netd"),
        (r#"{"version":"1"}"#, "version"),
        ("", "EOF"),
    ] {
        let error = Request::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
    assert_eq!(
        Request::parse(br#"{"version":1,"request":"subnet","new":1}"#),
        Ok(Request::Subnet { network: None })
    );
}

fn an_attach() -> Attach {
    Attach {
        network: "app".to_owned(),
        container: "c".to_owned(),
        ifname: Some("eth0".to_owned()),
        netns: "/run/netns/x".into(),
        names: vec!["web".to_owned()],
        aliases: vec!["www".to_owned()],
        ports: vec![Port { host_port: 8080, container_port: 80, ..Port::default() }],
        ips: vec!["172.30.0.9/24".to_owned()],
        mac: Some("02:00:00:00:00:09".to_owned()),
        gw_priority: -7,
        sysctls: [("net.ipv4.conf.IFNAME.log_martians".to_owned(), "1".to_owned())].into(),
        live: true,
        ..Attach::default()
    }
}

/// A netd that answers one question with these bytes; what was asked, and the descriptor with it.
fn receiving(
    dir: &Path,
    answer: Vec<u8>,
) -> std::thread::JoinHandle<(Result<Request, String>, Option<OwnedFd>)> {
    let listener = UnixListener::bind(dir.join("attach.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut fd, mut piece) = (Vec::new(), None, [0; 100]);
        let length = loop {
            let count = pass::receive(&stream, &mut piece, &mut fd).unwrap();
            asked.extend_from_slice(&piece[..count]);
            let length = u32::from_be_bytes(asked[..4].try_into().unwrap()) as usize;
            if asked.len() >= length + 4 {
                break length;
            }
        };
        stream.write_all(&answer).unwrap();
        (Request::parse(&asked[4..length + 4]), fd)
    })
}

#[test]
fn a_namespace_goes_with_the_request_and_the_result_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::open(dir.path()).unwrap();
    let text =
        r#"{"version":1,"attached":{"cniVersion":"1.1.0","ips":[{"address":"172.30.0.9/24"}]}}"#;
    let netd = receiving(dir.path(), framed(text));
    let socket = dir.path().join("attach.sock");
    let result = attach(&socket, an_attach(), file.as_fd()).unwrap();
    assert_eq!(result.ips[0].address.to_string(), "172.30.0.9/24");
    let (asked, fd) = netd.join().unwrap();
    assert_eq!(asked, Ok(Request::Attach(an_attach())));
    let inode = |fd: &dyn AsFd| rustix::fs::fstat(fd.as_fd()).unwrap().st_ino;
    assert_eq!(inode(&fd.unwrap()), inode(&file));
}

#[test]
fn a_refusal_has_the_code_of_the_specification() {
    for (answer, want) in [
        (r#"{"error":"no","code":7}"#, Code::InvalidConfig),
        (r#"{"error":"no"}"#, Code::TryAgainLater),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let netd = receiving(dir.path(), framed(answer));
        let refused = detach(&dir.path().join("attach.sock"), Detach::default()).unwrap_err();
        let Error::Refused { text, code } = refused else { panic!("{refused:?}") };
        assert_eq!((text.as_str(), code), ("no", want));
        let (asked, fd) = netd.join().unwrap();
        assert_eq!((asked, fd.is_none()), (Ok(Request::Detach(Detach::default())), true));
    }
}

#[test]
fn every_descriptor_that_is_not_wanted_is_closed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let file = std::fs::File::open("/").unwrap();
    let mut fd = None;
    for _ in 0..2 {
        assert_eq!(pass::send(&theirs, b"x", file.as_fd()).unwrap(), 1);
        assert_eq!(pass::receive(&ours, &mut [0; 9], &mut fd).unwrap(), 1);
    }
    assert!(fd.is_some());
    drop(theirs);
    assert_eq!(pass::receive(&ours, &mut [0; 9], &mut fd).unwrap(), 0);
    assert!(fd.is_some(), "what came before stays");
}

#[test]
fn a_request_that_is_too_long_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(dir.path().join("attach.sock")).unwrap();
    let keep = vec![Kept { container: "c".repeat(64), ifname: "eth0".to_owned() }; 20_000];
    let all = Gc { network: "app".to_owned(), keep };
    let refused = gc(&dir.path().join("attach.sock"), all).unwrap_err();
    assert!(matches!(refused, Error::RequestTooLong(_)), "{refused}");
}

/// A text as names are, and as they are not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9/.:-]{0,12}", any::<String>()]
}

fn port() -> impl Strategy<Value = Port> {
    let range = (any::<u16>(), prop::option::of(any::<u16>()));
    (text(), range, any::<u16>(), text()).prop_map(
        |(host_ip, (host_port, host_port_end), container_port, protocol)| Port {
            host_ip,
            host_port,
            host_port_end,
            container_port,
            protocol,
        },
    )
}

fn any_attach() -> impl Strategy<Value = Attach> {
    let words = || prop::collection::vec(text(), 0..3);
    let first = (text(), text(), prop::option::of(text()), text(), words());
    let rest = (prop::collection::vec(port(), 0..3), words(), prop::option::of(text()));
    (first, rest, any::<i32>(), any::<bool>()).prop_map(
        |((network, container, ifname, netns, names), (ports, ips, mac), gw_priority, live)| {
            let aliases = names.iter().rev().cloned().collect();
            let sysctls = names.iter().cloned().zip(names.iter().rev().cloned()).collect();
            Attach {
                network,
                container,
                ifname,
                netns: netns.into(),
                names,
                aliases,
                ports,
                ports_held: live,
                ips,
                mac,
                gw_priority,
                sysctls,
                live,
            }
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let kept = (text(), text()).prop_map(|(container, ifname)| Kept { container, ifname });
    let keep = prop::collection::vec(kept, 0..3);
    prop_oneof![
        any_attach().prop_map(Request::Attach),
        (text(), text(), prop::option::of(text())).prop_map(|(network, container, ifname)| {
            Request::Detach(Detach { network, container, ifname })
        }),
        (text(), text(), text()).prop_map(|(network, container, ifname)| {
            Request::Check(Check { network, container, ifname })
        }),
        text().prop_map(|network| Request::Status(Status { network })),
        (text(), keep).prop_map(|(network, keep)| Request::Gc(Gc { network, keep })),
        prop::option::of(text()).prop_map(|network| Request::Subnet { network }),
    ]
}

proptest! {
    #[test]
    fn every_request_is_read_as_it_was_written(request in any_request()) {
        prop_assert_eq!(Request::parse(&request.clone().frame()[4..]), Ok(request));
    }

    #[test]
    fn every_reply_is_read_as_it_was_written(
        lines in prop::collection::vec(text(), 0..3),
        text in text(),
        code in 1..1000_u32,
    ) {
        let code = Code::from_number(code);
        let collected = Collected { removed: lines.clone(), kept: vec![text.clone()] };
        for reply in [
            Reply::Error { text, code },
            Reply::Missing(lines),
            Reply::Collected(collected),
            Reply::Done,
            Reply::Attached(Box::default()),
        ] {
            prop_assert_eq!(Reply::parse(&reply.frame()[4..]).unwrap(), reply);
        }
    }
}

#[test]
fn messages_survive_any_input() {
    corpus::survive("attach", |bytes| {
        if let Ok(request) = Request::parse(bytes) {
            assert_eq!(Request::parse(&request.clone().frame()[4..]), Ok(request));
        }
        if let Ok(reply) = Reply::parse(bytes) {
            drop(Reply::parse(&reply.frame()[4..]).unwrap());
        }
    });
}
