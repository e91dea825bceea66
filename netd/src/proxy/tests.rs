mod both;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::*;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// Where nobody listens.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A proxy in a thread of its own, and the agent's side of it; the proxy ends with the latter and
/// with the ports.
struct Lab {
    client: Client,
    proxy: std::thread::JoinHandle<std::io::Result<()>>,
    _dir: tempfile::TempDir,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let proxy = std::thread::spawn(move || runtime().block_on(serve(listener)));
        let client = Client::new(dir.path());
        Self { client, proxy, _dir: dir }
    }

    fn set(&mut self, owner: &str, forwards: &[Forward]) -> Result<Vec<Forward>, Error> {
        self.client.set(owner, forwards)
    }

    fn owners(&mut self) -> Vec<String> {
        self.client.owners().unwrap()
    }
}

fn forward(protocol: Protocol, listen: impl Into<IpAddr>, to: SocketAddr) -> Forward {
    Forward { protocol, listen: (listen.into(), 0).into(), to }
}

/// A container that answers each connection with `name`, after what the client has said.
fn tcp_container(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut said = Vec::new();
                stream.read_to_end(&mut said).unwrap();
                stream.write_all(name.as_bytes()).unwrap();
                stream.write_all(&said).unwrap();
            });
        }
    });
    address
}

fn udp_container(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 65_535];
        loop {
            let (length, from) = socket.recv_from(&mut bytes).unwrap();
            let answer = [name.as_bytes(), &bytes[..length]].concat();
            // The largest packet has no room for a name.
            let answer = answer.get(..answer.len().min(65_507)).unwrap();
            socket.send_to(answer, from).unwrap();
        }
    });
    address
}

fn tcp(to: SocketAddr, say: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    let mut other = stream.try_clone().unwrap();
    let said = say.to_vec();
    let says = std::thread::spawn(move || {
        other.write_all(&said).unwrap();
        other.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    says.join().unwrap();
    heard
}

fn udp(socket: &UdpSocket, to: SocketAddr, say: &[u8]) -> Vec<u8> {
    socket.set_read_timeout(PATIENCE).unwrap();
    socket.send_to(say, to).unwrap();
    let mut bytes = vec![0; 65_535];
    let (length, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!(from, to, "an answer comes from where the client asked");
    bytes.truncate(length);
    bytes
}

#[test]
fn a_connection_to_an_ipv6_port_reaches_a_container_that_has_ipv4_alone() {
    let mut lab = Lab::new();
    let to = tcp_container("web:");
    let bound = lab.set("c1", &[forward(Protocol::Tcp, Ipv6Addr::LOCALHOST, to)]).unwrap();
    // More than any pipe or buffer takes, both ways, with each side's end passed on.
    let say = vec![7; 5 << 20];
    let heard = tcp(bound[0].listen, &say);
    assert_eq!(heard.len(), say.len() + 4);
    assert!(heard.starts_with(b"web:\x07"));
}

#[test]
fn packets_of_any_size_come_and_go_and_answers_come_from_the_address_that_was_asked() {
    let mut lab = Lab::new();
    let to = udp_container("dns:");
    let any_v6 = forward(Protocol::Udp, Ipv6Addr::UNSPECIFIED, to);
    let any_v4 = forward(Protocol::Udp, Ipv4Addr::UNSPECIFIED, to);
    let bound = lab.set("c1", &[any_v6, any_v4]).unwrap();
    let clients = [
        ("[::1]:0", format!("[::1]:{}", bound[0].listen.port())),
        ("127.0.0.1:0", format!("127.0.0.1:{}", bound[1].listen.port())),
        ("127.0.0.1:0", format!("127.0.0.77:{}", bound[1].listen.port())),
    ];
    for (from, to) in clients {
        let client = UdpSocket::bind(from).unwrap();
        for length in [0, 1, 1400, 9000, 60_000] {
            let say = vec![9; length];
            let heard = udp(&client, to.parse().unwrap(), &say);
            assert_eq!(heard, [b"dns:", &say[..]].concat(), "{length} bytes to {to}");
        }
    }
}

#[test]
fn a_port_that_is_held_is_nobody_elses_and_free_when_it_is_given_back() {
    let mut lab = Lab::new();
    let held = forward(Protocol::Tcp, Ipv4Addr::LOCALHOST, NOWHERE);
    let bound = lab.set("c1", &[held]).unwrap();
    let address = bound[0].listen;
    assert!(address.port() != 0);
    assert!(TcpListener::bind(address).is_err(), "another program cannot have it");
    let again = Forward { listen: address, ..held };
    let other = forward(Protocol::Tcp, Ipv4Addr::LOCALHOST, NOWHERE);
    let Err(Error::Refused(refused)) = lab.set("c2", &[other, again]) else { panic!("refused") };
    assert_eq!(refused.to_string(), format!("hold port {address}/tcp: it is held already by c1"));
    assert_eq!(lab.owners(), ["c1"], "nothing of what was refused is held");
    lab.set("c1", &[]).unwrap();
    TcpListener::bind(address).unwrap();
}

#[test]
fn a_port_of_another_program_is_refused_with_what_the_kernel_says() {
    let mut lab = Lab::new();
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = other.local_addr().unwrap();
    let wanted = Forward { protocol: Protocol::Udp, listen, to: NOWHERE };
    let refused = lab.set("c1", &[wanted]).unwrap_err().to_string();
    assert!(
        refused.starts_with(&format!("hold port {listen}/udp: another program listens there")),
        "{refused}"
    );
}

#[test]
fn a_port_that_moves_to_another_container_stays_open_with_its_connections() {
    let mut lab = Lab::new();
    let first = forward(Protocol::Tcp, Ipv4Addr::LOCALHOST, tcp_container("one:"));
    let datagrams = forward(Protocol::Udp, Ipv4Addr::LOCALHOST, udp_container("one:"));
    let bound = lab.set("app", &[first, datagrams]).unwrap();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert_eq!(udp(&client, bound[1].listen, b"x"), b"one:x");
    let mut open = TcpStream::connect(bound[0].listen).unwrap();
    open.set_read_timeout(PATIENCE).unwrap();
    open.write_all(b"begun").unwrap();
    // Accepted by then: connections are served in their order.
    assert_eq!(tcp(bound[0].listen, b"y"), b"one:y");
    let moved = [
        Forward { to: tcp_container("two:"), ..bound[0] },
        Forward { to: udp_container("two:"), ..bound[1] },
    ];
    assert_eq!(lab.set("app", &moved).unwrap(), moved);
    assert_eq!(tcp(bound[0].listen, b"z"), b"two:z");
    assert_eq!(udp(&client, bound[1].listen, b"x"), b"two:x");
    open.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = String::new();
    open.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "one:begun");
}

#[test]
fn it_ends_with_the_last_port_and_outlives_the_agent_until_then() {
    let mut lab = Lab::new();
    let to = tcp_container("web:");
    let bound = lab.set("c1", &[forward(Protocol::Tcp, Ipv4Addr::LOCALHOST, to)]).unwrap();
    let Lab { client, proxy, _dir: dir } = lab;
    drop(client);
    assert_eq!(tcp(bound[0].listen, b"x"), b"web:x");
    let client = Client::new(dir.path());
    let mut lab = Lab { client, proxy, _dir: dir };
    assert_eq!(lab.owners(), ["c1"]);
    lab.set("c1", &[]).unwrap();
    let Lab { client, proxy, _dir: dir } = lab;
    drop(client);
    proxy.join().unwrap().unwrap();
    drop(dir);
}

#[test]
fn without_a_port_no_proxy_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::new(dir.path());
    let done = (client.set("c1", &[]), client.owners());
    assert_eq!((done.0.unwrap(), done.1.unwrap()), (Vec::new(), Vec::<String>::new()));
    assert!(!dir.path().join(SOCKET).exists());
}
