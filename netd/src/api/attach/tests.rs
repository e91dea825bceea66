//! Real clients at a real socket.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;
use std::path::PathBuf;

use netd_api::SubnetEnv;
use netd_api::attach::{self, Error, Lease};

use super::*;

/// A served socket, with what is published there.
struct Netd {
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
    published: watch::Sender<Published>,
}

impl Netd {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let netd = Self {
            runtime: runtime.expect("runtime"),
            dir: tempfile::tempdir().expect("directory"),
            published: watch::Sender::new(only(Subnet::default())),
        };
        netd.serve();
        netd
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("netd/attach.sock")
    }

    /// Does what a client does, beside the server.
    fn client<T: Send + 'static>(&self, ask: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let socket = self.socket();
        self.runtime
            .block_on(async { tokio::task::spawn_blocking(move || ask(socket)).await })
            .expect("the client")
    }

    fn ask(&self) -> Result<Subnet, Error> {
        self.client(|socket| attach::subnet(&socket, None))
    }

    fn serve(&self) -> tokio::task::JoinHandle<Infallible> {
        let _inside = self.runtime.enter();
        let listener = crate::api::socket::listen(&self.socket()).expect("listen");
        let (_, networks) = watch::channel(Err::<Registry, _>("there are none".to_owned()));
        self.runtime.spawn(serve(listener, self.published.subscribe(), networks))
    }
}

/// What an agent publishes that is in one network.
fn only(subnet: Subnet) -> Published {
    Published { subnets: [(String::new(), subnet)].into() }
}

fn held() -> Subnet {
    let text = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.72.1/24\n\
                FLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n";
    let env = SubnetEnv::parse(text).expect("subnet.env");
    Subnet { lease: Lease::Held, ready: true, env: Some(env), reason: String::new() }
}

#[test]
fn every_client_is_told_what_is_published_by_then() {
    let netd = Netd::new();
    assert_eq!(netd.ask().expect("answer"), Subnet::default());
    netd.published.send_replace(only(held()));
    for _ in 0..3 {
        assert_eq!(netd.ask().expect("answer"), held());
    }
}

#[test]
fn the_socket_is_roots_and_takes_the_place_of_the_one_before() {
    let netd = Netd::new();
    let mode = std::fs::metadata(netd.socket()).expect("socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    netd.published.send_replace(only(held()));
    let second = netd.serve();
    assert_eq!(netd.ask().expect("answer"), held());
    second.abort();
    let _ = netd.runtime.block_on(second);
    let gone = netd.ask();
    assert!(matches!(gone, Err(Error::Absent { .. })), "{gone:?}");
    let names = std::fs::read_dir(netd.socket().parent().expect("directory")).expect("directory");
    assert_eq!(names.count(), 1);
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_waiting() {
    let netd = Netd::new();
    let silent: Vec<_> = (0..CLIENTS * 2).map(|_| Blocking::connect(netd.socket())).collect();
    assert!(silent.iter().all(Result::is_ok));
    netd.ask().expect("answer");
}

#[test]
fn a_request_too_long_or_unknown_gets_no_subnet() {
    let netd = Netd::new();
    let long = netd.client(|socket| answer_to(&socket, &u32::MAX.to_be_bytes()));
    assert_eq!(long, "");
    let text = br#"{"version":7,"request":"subnet"}"#;
    let length = u32::try_from(text.len()).expect("short").to_be_bytes();
    let newer = [&length[..], text].concat();
    let answer = netd.client(move |socket| answer_to(&socket, &newer));
    assert!(answer.contains("upgrade netd"), "{answer}");
}

#[test]
fn of_several_networks_the_one_that_is_named_is_told_and_all_names_where_none_fits() {
    let netd = Netd::new();
    let ask = |network: Option<&'static str>| {
        netd.client(move |socket| attach::subnet(&socket, network)).map_err(|e| e.to_string())
    };
    let refused = ask(Some("blue")).expect_err("refused");
    assert!(refused.contains("which has no name, and not in blue"), "{refused}");
    let networks = [("blue".to_owned(), held()), ("green".to_owned(), Subnet::default())];
    netd.published.send_replace(Published { subnets: networks.into() });
    assert_eq!(ask(Some("blue")), Ok(held()));
    assert_eq!(ask(Some("green")), Ok(Subnet::default()));
    for none in [None, Some("red")] {
        let refused = ask(none).expect_err("refused");
        assert!(refused.contains("blue, green"), "{refused}");
    }
}

fn answer_to(socket: &Path, bytes: &[u8]) -> String {
    use std::io::{Read, Write};
    let mut stream = Blocking::connect(socket).expect("connect");
    stream.write_all(bytes).expect("ask");
    let mut answer = Vec::new();
    // A server that hangs up at once may do so with a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
