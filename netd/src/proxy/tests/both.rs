//! A port of all addresses of both families, which is one socket.

use super::*;

const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A port that nobody has.
fn free(protocol: Protocol) -> u16 {
    let at = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let address = match protocol {
        Protocol::Tcp => TcpListener::bind(at).unwrap().local_addr(),
        Protocol::Udp => UdpSocket::bind(at).unwrap().local_addr(),
    };
    address.unwrap().port()
}

fn both(protocol: Protocol, port: u16, to: [SocketAddr; 2]) -> [Forward; 2] {
    let [v4, v6] = ANY.map(|ip| SocketAddr::new(ip, port));
    [Forward { protocol, listen: v4, to: to[0] }, Forward { protocol, listen: v6, to: to[1] }]
}

#[test]
fn each_family_is_led_where_it_is_to_be_led_and_follows_by_itself() {
    let mut lab = Lab::new();
    let port = free(Protocol::Tcp);
    let to = ["four:", "six:"].map(tcp_container);
    let forwards = both(Protocol::Tcp, port, to);
    assert_eq!(lab.set("c1", &forwards).unwrap(), forwards);
    let [v4, v6] = LOOPBACK.map(|ip| SocketAddr::new(ip, port));
    assert_eq!((tcp(v4, b"x"), tcp(v6, b"x")), (b"four:x".to_vec(), b"six:x".to_vec()));
    let moved = both(Protocol::Tcp, port, [to[0], tcp_container("new:")]);
    lab.set("c1", &moved).unwrap();
    assert_eq!((tcp(v4, b"x"), tcp(v6, b"x")), (b"four:x".to_vec(), b"new:x".to_vec()));
}

#[test]
fn packets_of_either_family_are_answered_from_the_address_that_was_asked() {
    let mut lab = Lab::new();
    let port = free(Protocol::Udp);
    let forwards = both(Protocol::Udp, port, ["four:", "six:"].map(udp_container));
    lab.set("c1", &forwards).unwrap();
    let local: [(&str, String, &[u8]); 3] = [
        ("127.0.0.1:0", format!("127.0.0.1:{port}"), b"four:x"),
        ("127.0.0.1:0", format!("127.0.0.77:{port}"), b"four:x"),
        ("[::1]:0", format!("[::1]:{port}"), b"six:x"),
    ];
    for (from, to, answer) in local {
        let client = UdpSocket::bind(from).unwrap();
        assert_eq!(udp(&client, to.parse().unwrap(), b"x"), answer, "{to}");
    }
}

#[test]
fn what_is_asked_for_no_more_leads_nowhere_and_nobody_else_has_it_until_the_rest_is_gone_too() {
    let mut lab = Lab::new();
    let port = free(Protocol::Tcp);
    let forwards = both(Protocol::Tcp, port, ["four:", "six:"].map(tcp_container));
    lab.set("c1", &forwards).unwrap();
    assert_eq!(lab.set("c1", &forwards[..1]).unwrap(), forwards[..1]);
    let [v4, v6] = LOOPBACK.map(|ip| SocketAddr::new(ip, port));
    assert_eq!(tcp(v4, b"x"), b"four:x");
    let mut heard = Vec::new();
    let end = TcpStream::connect(v6).and_then(|mut stream| stream.read_to_end(&mut heard));
    assert!(end.is_err() || heard.is_empty(), "{heard:?}");
    for at in [v4, v6] {
        assert!(TcpListener::bind(at).is_err(), "another program cannot have {at}");
    }
    let Err(Error::Refused(refused)) = lab.set("c2", &forwards[1..]) else { panic!("refused") };
    assert_eq!(refused.holder.as_deref(), Some("c1"));
    lab.set("c1", &forwards).unwrap();
    assert_eq!((tcp(v4, b"x"), tcp(v6, b"x")), (b"four:x".to_vec(), b"six:x".to_vec()));
    lab.set("c1", &[]).unwrap();
    for at in [v4, v6] {
        TcpListener::bind(at).unwrap();
    }
}

#[test]
fn the_family_of_which_another_program_has_the_port_is_named() {
    let mut lab = Lab::new();
    for (at, taken) in LOOPBACK.into_iter().enumerate() {
        let other = TcpListener::bind((taken, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let forwards = both(Protocol::Tcp, port, [NOWHERE; 2]);
        let Err(Error::Refused(refused)) = lab.set("c1", &forwards) else { panic!("refused") };
        assert_eq!(refused.forward, forwards[at], "{refused}");
        let free = SocketAddr::new(LOOPBACK[1 - at], port);
        TcpListener::bind(free).unwrap_or_else(|error| panic!("{free} is held: {error}"));
        let rest = [forwards[1 - at]];
        assert_eq!(lab.set("c1", &rest).unwrap(), rest, "what is free can be held alone");
        lab.set("c1", &[]).unwrap();
    }
}
