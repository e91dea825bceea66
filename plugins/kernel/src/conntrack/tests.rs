use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use super::message::{PROTO_DST_PORT, TUPLE_ORIG, TUPLE_PROTO};
use super::*;
use crate::netlink::Protocol;
use crate::testing::{in_new_host, sh};

/// A way to delete, each tested alike.
type Flush = fn(&mut Socket, bool, HostPort);

/// Original destinations of all flows, read without the filter under test.
fn flows(socket: &mut Socket, ipv4: bool) -> BTreeSet<String> {
    let mut all = Batch::default();
    all.push_with(GET, flag::DUMP, |out| out.extend(header(ipv4)));
    socket
        .dump_batch(all, |found: &mut BTreeSet<String>, _, body| {
            let tuple = attributes(body).nested(TUPLE_ORIG);
            let port = tuple.nested(TUPLE_PROTO).get(PROTO_DST_PORT).unwrap();
            let port = u16::from_be_bytes(port.try_into().unwrap());
            found.insert(match udp_destination(attributes(body)) {
                Some((ip, port)) => format!("udp {}", SocketAddr::new(ip, port)),
                None => format!("other {port}"),
            });
        })
        .unwrap()
}

/// Sends a datagram there, so that conntrack has a flow. No other gets the socket's port while it
/// is open.
fn send(to: &str) -> UdpSocket {
    let to: SocketAddr = to.parse().unwrap();
    let from = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(from).unwrap();
    // Where nobody listens the answer is an ICMP error, which does not concern the flow.
    socket.send_to(b"x", to).unwrap();
    socket
}

fn set(flows: &[&str]) -> BTreeSet<String> {
    flows.iter().map(|f| (*f).to_owned()).collect()
}

/// A namespace that tracks flows, with one DNAT: port 6000 goes on to port 5353.
fn tracking<T: Send>(f: impl FnOnce(&mut Socket) -> T + Send) -> T {
    in_new_host(|| {
        sh("ip link set lo up
            ip address add fd00::1/128 dev lo
            nft 'table inet t {
                chain o { type filter hook output priority 0; ct state new accept; }
                chain n { type nat hook output priority -100; udp dport 6000 redirect to :5353; }
            }'");
        f(&mut Socket::open(Protocol::Netfilter).unwrap())
    })
}

/// Each way of deleting, with flows of both families and of TCP.
fn each_way(test: impl Fn(&mut Socket, Flush) + Send + Sync) {
    let by_filter: Flush = |socket, ipv4, port| {
        assert!(flush_by_filter(socket, ipv4, port).unwrap(), "this kernel deletes by filter");
    };
    let by_dump: Flush =
        |socket, ipv4, port| flush_by_dump(socket, ipv4, &BTreeSet::from([port])).unwrap();
    let public: Flush = |socket, ipv4, port| flush_on(socket, ipv4, &[port]).unwrap();
    for way in [by_filter, by_dump, public] {
        tracking(|socket| test(socket, way));
    }
}

#[test]
fn udp_flows_to_the_port_go_at_every_address_and_no_others() {
    each_way(|socket, flush| {
        let server = TcpListener::bind("127.0.0.1:5353").unwrap();
        let _client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        for to in ["127.0.0.1:5353", "127.0.0.2:5353", "127.0.0.1:5354", "[::1]:5353"] {
            send(to);
        }
        flush(socket, true, (None, 5353));
        assert_eq!(flows(socket, true), set(&["other 5353", "udp 127.0.0.1:5354"]));
        assert_eq!(flows(socket, false), set(&["udp [::1]:5353"]));
        flush(socket, false, (None, 5353));
        assert_eq!(flows(socket, false), set(&[]));
    });
}

#[test]
fn a_host_address_spares_the_flows_to_others() {
    each_way(|socket, flush| {
        for to in ["127.0.0.1:5353", "127.0.0.2:5353", "127.0.0.2:5354"] {
            send(to);
        }
        flush(socket, true, (Some([127, 0, 0, 2].into()), 5353));
        assert_eq!(flows(socket, true), set(&["udp 127.0.0.1:5353", "udp 127.0.0.2:5354"]));
    });
}

#[test]
fn an_ipv6_host_address_spares_the_flows_to_others() {
    tracking(|socket| {
        for to in ["[::1]:5353", "[fd00::1]:5353", "[fd00::1]:5354"] {
            send(to);
        }
        flush_on(socket, false, &[(Some("fd00::1".parse().unwrap()), 5353)]).unwrap();
        assert_eq!(flows(socket, false), set(&["udp [::1]:5353", "udp [fd00::1]:5354"]));
    });
}

#[test]
fn flows_are_told_by_the_host_port_and_not_by_the_translated_one() {
    each_way(|socket, flush| {
        send("127.0.0.1:6000");
        send("127.0.0.1:5353");
        flush(socket, true, (None, 5353));
        assert_eq!(flows(socket, true), set(&["udp 127.0.0.1:6000"]));
        flush(socket, true, (None, 6000));
        assert_eq!(flows(socket, true), set(&[]));
    });
}

#[test]
fn flows_of_every_zone_go() {
    tracking(|socket| {
        sh("nft 'add chain inet t z { type filter hook output priority -400; }
            add rule inet t z udp dport 5353 ct zone set 7'");
        for flush in [
            (|s, p| flush_by_dump(s, true, &BTreeSet::from([p])).unwrap()) as fn(&mut _, _),
            |s, p| flush_on(s, true, &[p]).unwrap(),
        ] {
            send("127.0.0.1:5353");
            assert_eq!(flows(socket, true), set(&["udp 127.0.0.1:5353"]));
            flush(socket, (None, 5353));
            assert_eq!(flows(socket, true), set(&[]));
        }
    });
}

#[test]
fn any_address_is_also_written_as_zeros_and_one_of_the_other_family_is_nothing() {
    tracking(|socket| {
        send("127.0.0.1:5353");
        let v6: IpAddr = "::1".parse().unwrap();
        let mut kernel = Kernel::open(None);
        kernel.flush_udp_ports(true, &[(Some(v6), 5353)]).unwrap();
        assert_eq!(flows(socket, true), set(&["udp 127.0.0.1:5353"]));
        kernel.flush_udp_ports(true, &[(Some([0, 0, 0, 0].into()), 5353)]).unwrap();
        assert_eq!(flows(socket, true), set(&[]));
    });
}

#[test]
fn many_ports_go_in_one_walk() {
    tracking(|socket| {
        let ports: Vec<HostPort> = (7000..7000 + 2 * u16::try_from(MANY).unwrap())
            .map(|port| (Some([127, 0, 0, 1].into()), port))
            .collect();
        for (_, port) in &ports {
            send(&format!("127.0.0.1:{port}"));
        }
        send("127.0.0.2:7000");
        flush_on(socket, true, &ports).unwrap();
        assert_eq!(flows(socket, true), set(&["udp 127.0.0.2:7000"]));
    });
}

#[test]
fn more_entries_than_one_batch_go_by_dump() {
    tracking(|socket| {
        let _open: Vec<_> = (0..3 * CHUNK).map(|_| send("127.0.0.1:5353")).collect();
        assert_eq!(entries(socket).unwrap(), u32::try_from(3 * CHUNK).unwrap());
        flush_by_dump(socket, true, &BTreeSet::from([(None, 5353)])).unwrap();
        assert_eq!(entries(socket).unwrap(), 0);
    });
}

#[test]
fn an_entry_that_took_the_place_of_another_is_not_deleted() {
    tracking(|socket| {
        send("127.0.0.1:5353");
        let mut stale = find(socket, true, &BTreeSet::from([(None, 5353)])).unwrap();
        let number = stale[0].len() - 1;
        stale[0][number] ^= 1;
        delete(socket, true, &stale).unwrap();
        assert_eq!(flows(socket, true), set(&["udp 127.0.0.1:5353"]));
    });
}

#[test]
fn a_namespace_without_flows_is_fine() {
    in_new_host(|| {
        Kernel::open(None).flush_udp_ports(true, &[(None, 53), (None, 54)]).unwrap();
    });
}

#[test]
fn a_flow_survives_any_input() {
    corpus::survive("netlink", |body| {
        let attrs = message::attributes(body);
        let _ = (message::udp_destination(attrs), message::exact(attrs));
    });
}
