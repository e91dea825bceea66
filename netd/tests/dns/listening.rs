//! Where the server listens, and for whom.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};

use kernel::testing::sh;
use netd::dns::{Names, Network};

use super::site::{
    ask_from_host, bridge, endpoint, hear, network, on_host, query, say, text, wait_until,
};

#[test]
fn it_listens_as_soon_as_a_bridge_is_there_and_again_on_one_that_is_made_anew() {
    on_host(|site| {
        let server = site.serve(&[network("front", 1)]);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        let trouble = server.trouble();
        for round in 0..3 {
            bridge(1);
            let web = site.container(1, 2);
            wait_until("the gateway answers", || web.is_served());
            assert_eq!(web.ask_tcp("A web"), "10.1.0.2", "round {round}");
            sh("ip link del br1");
        }
        // That there is no bridge is for whoever makes it to tell.
        assert_eq!(*trouble.borrow(), None);
    });
}

#[test]
fn a_network_that_is_gone_is_not_listened_on_and_the_others_are() {
    on_host(|site| {
        bridge(1);
        bridge(2);
        let server = site.serve(&[network("front", 1), network("back", 2)]);
        let (web, db) = (site.container(1, 2), site.container(2, 3));
        server.put_endpoint(endpoint("front", 1, "web", 2));
        server.put_endpoint(endpoint("back", 2, "db", 3));
        wait_until("both gateways answer", || web.is_served() && db.is_served());
        server.remove_network("id-of-back");
        wait_until("nobody listens on the bridge", || !db.is_served());
        assert_eq!(web.ask("A web"), "10.1.0.2");
        drop(server);
        assert!(!web.is_served());
        let sockets = sh("ss -H -lntu sport = :53");
        assert_eq!(sockets, "");
    });
}

#[test]
fn only_containers_of_a_network_are_answered_on_its_gateway() {
    on_host(|site| {
        bridge(1);
        bridge(2);
        sh("sysctl -qw net.ipv4.ip_forward=1");
        let server = site.serve(&[network("front", 1), network("back", 2)]);
        let (web, db, stranger) =
            (site.container(1, 2), site.container(2, 3), site.container(1, 9));
        server.put_endpoint(endpoint("front", 1, "web", 2));
        server.put_endpoint(endpoint("back", 2, "db", 3));
        wait_until("both gateways answer", || web.is_served() && db.is_served());
        // Another bridge is not behind the device.
        assert!(db.hears_nothing_from(web.gateway));
        // Who is, or is the host itself, and has no address of a container, gets nothing.
        assert_eq!(ask_from_host(web.gateway, "A name.example"), "Query Refused");
        assert_eq!(stranger.ask("A web"), "Query Refused");
        assert_eq!(stranger.ask_tcp("A name.example"), "Query Refused");
    });
}

#[test]
fn a_port_that_another_program_has_is_told_and_taken_when_it_is_free() {
    on_host(|site| {
        bridge(1);
        let other = UdpSocket::bind("0.0.0.0:53").unwrap();
        let mut front = network("front", 1);
        front.gateways.truncate(1);
        let server = site.serve(&[front]);
        let trouble = server.trouble();
        wait_until("it is told", || trouble.borrow().is_some());
        assert_eq!(
            trouble.borrow().as_deref(),
            Some(
                "serve DNS on network front, 10.1.0.1 port 53: Address already in use (os error 98): \
                 another program listens there (ss -lnp sport = :53 names it): let it listen on \
                 addresses of its own"
            )
        );
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        assert!(!web.is_served());
        drop(other);
        wait_until("the gateway answers", || web.is_served());
        wait_until("there is no trouble", || trouble.borrow().is_none());
    });
}

#[test]
fn more_networks_are_listened_on_than_a_process_may_have_files_at_first() {
    on_host(|site| {
        bridge(1);
        let networks: Vec<Network> = (0..1000_u16)
            .map(|number| {
                let [high, low] = number.to_be_bytes();
                let id = format!("id-of-{number}");
                let mut network = Network { id, ..network(&format!("n{number}"), 1) };
                network.gateways.truncate(1);
                network.gateways[0].ip = IpAddr::from([10, 200, high, low]);
                network
            })
            .collect();
        let server = site.serve(&[network("front", 1)]);
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        let endpoints = vec![endpoint("front", 1, "web", 2)];
        let networks = [networks, vec![network("front", 1)]].concat();
        server.update(Names { networks, endpoints });
        wait_until("all are listened on", || {
            sh("ss -H -lntu sport = :53 | wc -l").trim() == (2 * 1000 + 2 * 2).to_string()
        });
        assert_eq!(*server.trouble().borrow(), None);
        assert_eq!(web.ask("A web"), "10.1.0.2");
    });
}

#[test]
fn a_client_that_keeps_connections_open_takes_none_from_others() {
    on_host(|site| {
        bridge(1);
        let server = site.serve(&[network("front", 1)]);
        let (web, db) = (site.container(1, 2), site.container(1, 3));
        server.put_endpoint(endpoint("front", 1, "web", 2));
        server.put_endpoint(endpoint("front", 1, "db", 3));
        wait_until("the gateway answers", || web.is_served());
        let mut held: Vec<TcpStream> = (0..16).map(|_| web.connect()).collect();
        // A part of a question keeps the server waiting as much as none.
        held.iter_mut().for_each(|stream| stream.write_all(&[0, 40, 1]).unwrap());
        let mut refused = web.connect();
        assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0, "one too many");
        assert_eq!(db.ask_tcp("A web"), "10.1.0.2");
        assert_eq!(web.ask("A db"), "10.1.0.3");
        held.pop();
        wait_until("another connection is let in", || {
            let mut stream = web.connect();
            say(&mut stream, &query("A db", None)).is_ok() && hear(&mut stream).is_ok()
        });
    });
}

#[test]
fn several_questions_are_answered_on_one_connection() {
    on_host(|site| {
        bridge(1);
        let server = site.serve(&[network("front", 1)]);
        let web = site.container(1, 2);
        server.put_endpoint(endpoint("front", 1, "web", 2));
        wait_until("the gateway answers", || web.is_served());
        let mut stream = web.connect();
        for _ in 0..3 {
            say(&mut stream, &query("A web", None)).unwrap();
        }
        for _ in 0..3 {
            assert_eq!(text(&hear(&mut stream).unwrap()), "10.1.0.2");
        }
        // On another program's port nothing was changed.
        assert!(TcpListener::bind("127.0.0.1:53").is_ok());
    });
}
