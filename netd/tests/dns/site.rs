//! A host with bridges, containers on them, and a link to where resolvers are.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use kernel::Netns;
use kernel::testing::{in_new_host, new_container, sh, sh_in};
use netd::dns::{Config, Endpoint, EndpointKey, Gateway, Network, Server};
use netstate::LinkName;
use tempfile::TempDir;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(20);
/// How long is waited for what must not come; what is to come is there in a thousandth of it.
const NEVER: Duration = Duration::from_millis(300);

/// The host, in the calling thread's namespaces. Resolvers are in another one, at 192.0.2.2 and 3.
pub(crate) struct Site {
    pub(crate) outside: Netns,
    dir: TempDir,
    links: Cell<u32>,
}

/// A container with an address on one bridge.
pub(crate) struct Container {
    pub(crate) netns: Netns,
    pub(crate) gateway: IpAddr,
}

/// Runs a test on a host of its own.
pub(crate) fn on_host(test: impl FnOnce(&Site) + Send) {
    in_new_host(|| {
        let dir = tempfile::tempdir().unwrap();
        let site = Site { outside: new_container(), dir, links: Cell::new(0) };
        sh("ip link set lo up; ip link add out type bridge; ip link set out up
            ip addr add 192.0.2.1/24 dev out");
        site.plug("out", &site.outside);
        let setup = "ip link set lo up; ip addr add 192.0.2.2/24 dev eth0
                     ip addr add 192.0.2.3/24 dev eth0";
        sh_in(&site.outside, setup);
        site.resolvers(&[]);
        test(&site);
    });
}

impl Site {
    /// Writes resolv.conf.
    pub(crate) fn resolvers(&self, addresses: &[&str]) {
        let lines = addresses.iter().map(|address| format!("nameserver {address}\n"));
        let draft = self.dir.path().join("draft");
        std::fs::write(&draft, lines.collect::<String>()).unwrap();
        std::fs::rename(draft, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("resolv.conf")
    }

    /// Starts the server.
    pub(crate) fn serve(&self, networks: &[Network]) -> Server {
        let config = Config { resolv_conf: self.file(), ..Config::default() };
        let server = Server::start(config).unwrap();
        networks.iter().cloned().for_each(|network| server.put_network(network));
        server
    }

    /// A container on the bridge of this number, at 10.N.0.LAST and fd0N::LAST.
    pub(crate) fn container(&self, number: u8, last: u8) -> Container {
        let netns = new_container();
        self.plug(&format!("br{number}"), &netns);
        let setup = format!(
            "ip link set lo up; ip addr add 10.{number}.0.{last}/24 dev eth0
             ip addr add fd0{number}::{last:x}/64 dev eth0 nodad
             ip route add default via 10.{number}.0.1"
        );
        sh_in(&netns, &setup);
        Container { netns, gateway: IpAddr::from([10, number, 0, 1]) }
    }

    fn plug(&self, bridge: &str, netns: &Netns) {
        let number = self.links.get();
        self.links.set(number + 1);
        let (pid, fd) = (std::process::id(), netns.as_fd().as_raw_fd());
        sh(&format!(
            "ip link add v{number} type veth peer name eth0 netns /proc/{pid}/fd/{fd}
             ip link set v{number} master {bridge} up"
        ));
        sh_in(netns, "ip link set eth0 up");
    }
}

/// Makes the bridge of this number, with 10.N.0.1 and fd0N::1 on it.
pub(crate) fn bridge(number: u8) {
    sh(&format!(
        "ip link add br{number} type bridge; ip link set br{number} up
         ip addr add 10.{number}.0.1/24 dev br{number}
         ip addr add fd0{number}::1/64 dev br{number} nodad"
    ));
}

/// The network on the bridge of this number.
pub(crate) fn network(name: &str, number: u8) -> Network {
    Network {
        id: format!("id-of-{name}"),
        name: name.to_owned(),
        internal: false,
        named: true,
        gateways: [format!("10.{number}.0.1"), format!("fd0{number}::1")]
            .map(|ip| Gateway {
                device: LinkName::new(format!("br{number}")).unwrap(),
                ip: ip.parse().unwrap(),
            })
            .to_vec(),
        apart: false,
        subnets: [format!("10.{number}.0.0/24"), format!("fd0{number}::/64")]
            .map(|subnet| subnet.parse().unwrap())
            .to_vec(),
    }
}

/// The endpoint of a container on this network, called like the container.
pub(crate) fn endpoint(network: &str, number: u8, container: &str, last: u8) -> Endpoint {
    Endpoint {
        key: EndpointKey {
            network: format!("id-of-{network}"),
            container: container.to_owned(),
            interface: format!("eth{number}"),
        },
        names: Vec::new(),
        addresses: [format!("10.{number}.0.{last}"), format!("fd0{number}::{last:x}")]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
    }
}

impl Container {
    /// What the gateway says by a datagram: records, or the code where it is another than NOERROR.
    pub(crate) fn ask(&self, question: &str) -> String {
        text(&self.datagram(self.gateway, &query(question, None)).expect("an answer"))
    }

    /// The same by TCP.
    pub(crate) fn ask_tcp(&self, question: &str) -> String {
        let mut stream = self.connect();
        say(&mut stream, &query(question, None)).unwrap();
        text(&hear(&mut stream).unwrap())
    }

    /// A connection to the gateway.
    pub(crate) fn connect(&self) -> TcpStream {
        let connect = || TcpStream::connect((self.gateway, 53)).unwrap();
        let stream = self.netns.with(connect).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// An answer from an address; none where nobody gives one.
    pub(crate) fn datagram(&self, server: IpAddr, query: &Message) -> Option<Message> {
        datagram(&self.netns, server, query, SOON)
    }

    /// Whether an address says nothing.
    pub(crate) fn hears_nothing_from(&self, server: IpAddr) -> bool {
        datagram(&self.netns, server, &query("A web", None), NEVER).is_none()
    }

    /// Whether the gateway answers, at once.
    pub(crate) fn is_served(&self) -> bool {
        datagram(&self.netns, self.gateway, &query("A web", None), NEVER).is_some()
    }
}

fn datagram(netns: &Netns, server: IpAddr, query: &Message, patience: Duration) -> Option<Message> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = netns.with(|| UdpSocket::bind(any)).unwrap().unwrap();
    socket.connect((server, 53)).ok()?;
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.send(&query.to_vec().unwrap()).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

/// What an address says to this host itself.
pub(crate) fn ask_from_host(server: IpAddr, question: &str) -> String {
    let here = Netns::current().unwrap();
    text(&datagram(&here, server, &query(question, None), SOON).expect("an answer"))
}

/// A question, as `A web`; with EDNS of this size, or without.
pub(crate) fn query(question: &str, size: Option<u16>) -> Message {
    let (kind, name) = question.split_once(' ').unwrap();
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(format!("{name}.")).unwrap();
    message.add_query(Query::query(name, kind.parse::<RecordType>().unwrap()));
    if let Some(size) = size {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message
}

pub(crate) fn text(answer: &Message) -> String {
    if answer.metadata.response_code != ResponseCode::NoError {
        return answer.metadata.response_code.to_string();
    }
    let mut texts: Vec<String> = answer.answers.iter().map(|of| of.data.to_string()).collect();
    texts.sort();
    texts.join(" ")
}

/// Writes a message into a stream.
pub(crate) fn say(stream: &mut TcpStream, message: &Message) -> std::io::Result<()> {
    let bytes = message.to_vec().map_err(std::io::Error::other)?;
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?.to_be_bytes();
    stream.write_all(&[&length[..], &bytes].concat())
}

/// Reads a message from a stream.
pub(crate) fn hear(stream: &mut TcpStream) -> std::io::Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes)?;
    Message::from_vec(&bytes).map_err(std::io::Error::other)
}

/// Waits for something that is to come.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "waited {SOON:?} in vain for: {what}");
        std::thread::yield_now();
    }
}
