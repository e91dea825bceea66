use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cni::json;
use kernel::testing::{in_new_host, sh};
use netstate::LinkName;

use super::*;
use crate::backend::{Backend, Macs};
use crate::config::network::BackendConf;
use crate::lease::{ClusterView, LeaseValue, Peer, SubnetKey};
use crate::underlay::Underlay;

mod clash;
mod left;
mod parts;
mod plan;
mod ways;

const OWN_MAC: &str = "02:00:00:00:00:01";

/// A host with an uplink, and the loop of a backend on it.
struct Site {
    reconciler: Reconciler,
}

impl Site {
    fn start(backend: &str) -> Self {
        sh("ip link set lo up; ip link add up0 type bridge; ip link set up0 up
            ip addr add 10.0.0.1/24 dev up0");
        Self::resume(backend)
    }

    /// Again on a host that is there.
    fn resume(backend: &str) -> Self {
        Self::of(goal(backend), Part::default())
    }

    fn of(goal: Goal, part: Part) -> Self {
        Self { reconciler: Reconciler::start(goal, listen().unwrap(), part).unwrap() }
    }

    fn tell(&self, event: ClusterEvent) {
        self.reconciler.inputs().send(Input::Cluster(event)).unwrap();
    }

    fn reset(&self, peers: &[Peer]) {
        let peers: BTreeMap<_, _> = peers.iter().map(|p| (p.subnet, p.clone())).collect();
        self.tell(ClusterEvent::Reset(ClusterView { peers }));
        self.settled();
    }

    /// Waits until everything told so far is done.
    fn settled(&self) {
        let (answer, answered) = oneshot::channel();
        self.reconciler.inputs().send(Input::Ping(answer)).unwrap();
        answered.blocking_recv().unwrap();
    }

    /// Waits until a condition holds, looking after each turn of the loop.
    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let bound = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < bound, "waited in vain for: {what}");
            self.settled();
        }
    }

    fn health(&self) -> Health {
        self.reconciler.health().borrow().clone()
    }
}

fn goal(backend: &str) -> Goal {
    let options = json::parse(backend.as_bytes()).unwrap();
    let kind = options.field("Type").and_then(json::Value::as_str).unwrap().to_owned();
    let backend = Backend::parse(&BackendConf { kind, options }).unwrap();
    let underlay = Underlay {
        link: LinkName::new("up0").unwrap(),
        mtu: 1500,
        v4: "10.0.0.1".parse().unwrap(),
        v6: None,
        public_v4: "10.0.0.1".parse().unwrap(),
        public_v6: None,
    };
    let subnet: SubnetKey = "10.5.1.0-24".parse().unwrap();
    let macs: Macs = [(LinkName::new("flannel.1").unwrap(), OWN_MAC.parse().unwrap())].into();
    Goal {
        overlay: backend.overlay(underlay, subnet, &macs, true).unwrap(),
        traffic: Traffic {
            name: String::new(),
            apart: vec![],
            networks: vec!["10.5.0.0/16".parse().unwrap()],
            subnets: subnet.networks().collect(),
            masquerade: true,
            fully_random: true,
        },
        forward_rules: true,
        blackhole: false,
        resync: Duration::from_secs(3600),
    }
}

const VXLAN: &str = r#"{"Type":"vxlan"}"#;
const HOST_GW: &str = r#"{"Type":"host-gw"}"#;

/// The host 10.0.0.`n` with subnet 10.5.`n`.0/24.
fn peer(n: u8, backend: &str) -> Peer {
    let data = format!(r#""BackendData":{{"VNI":1,"VtepMAC":"02:00:00:00:01:{n:02x}"}}"#);
    let value = format!(r#"{{"PublicIP":"10.0.0.{n}","BackendType":"{backend}",{data}}}"#);
    let value = LeaseValue::decode(value.as_bytes()).unwrap();
    Peer { subnet: format!("10.5.{n}.0-24").parse().unwrap(), value, revision: 1, session: None }
}

/// What a peer consists of, in the words of `ip` and `bridge`.
fn is_connected(n: u8) -> bool {
    sh("ip route show proto 78")
        .contains(&format!("10.5.{n}.0/24 via 10.5.{n}.0 dev flannel.1 onlink"))
        && sh("ip neigh show dev flannel.1 nud permanent")
            .contains(&format!("10.5.{n}.0 lladdr 02:00:00:00:01:{n:02x} PERMANENT"))
        && sh("bridge fdb show dev flannel.1")
            .contains(&format!("02:00:00:00:01:{n:02x} dst 10.0.0.{n} self permanent"))
}

#[test]
fn the_first_round_makes_device_and_peers_and_removes_what_an_earlier_run_left() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        sh("ip route add 10.5.77.0/24 dev up0 proto 78; ip route add 10.5.78.0/24 dev up0");
        sh("sysctl -qw net.ipv4.ip_forward=0");
        assert!(!sh("ip link").contains("flannel.1"), "nothing before the peers are known");
        site.reset(&[peer(2, "vxlan"), peer(3, "vxlan")]);
        assert_eq!(site.health(), Health { synced: true, peers: 2, ..Health::default() });
        assert!(is_connected(2) && is_connected(3), "{}", sh("ip route; ip neigh; bridge fdb"));
        let link = sh("ip -d link show flannel.1");
        for part in
            [OWN_MAC, "vxlan id 1 local 10.0.0.1 dev up0", "dstport 8472", "nolearning", "mtu 1450"]
        {
            assert!(link.contains(part), "{part}: {link}");
        }
        assert!(sh("ip addr show flannel.1").contains("inet 10.5.1.0/32"));
        let routes = sh("ip route");
        assert!(!routes.contains("10.5.77.0/24") && routes.contains("10.5.78.0/24"), "{routes}");
        assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
        assert!(sh("nft list table inet netd_cluster").contains("masquerade"));
    });
}

#[test]
fn peers_come_change_and_go_one_by_one() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(2, "vxlan")]);
        site.tell(ClusterEvent::Put(peer(3, "vxlan")));
        site.settled();
        assert!(is_connected(2) && is_connected(3));
        // Another host has the subnet: the old link-layer address leads nowhere any more.
        let moved = Peer { subnet: peer(3, "vxlan").subnet, ..peer(4, "vxlan") };
        site.tell(ClusterEvent::Put(moved));
        site.settled();
        let fdb = sh("bridge fdb show dev flannel.1");
        assert!(fdb.contains("02:00:00:00:01:04 dst 10.0.0.4") && !fdb.contains(":01:03"), "{fdb}");
        site.tell(ClusterEvent::Deleted(peer(3, "vxlan").subnet));
        site.settled();
        assert!(is_connected(2));
        let left = sh(
            "ip route show proto 78; ip neigh show dev flannel.1; bridge fdb show dev flannel.1",
        );
        assert!(!left.contains("10.5.3") && !left.contains("10.0.0.4"), "{left}");
    });
}

#[test]
fn a_peer_that_cannot_be_used_is_told_and_the_others_are_connected() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(2, "vxlan"), peer(3, "host-gw")]);
        assert!(is_connected(2) && !is_connected(3));
        let health = site.health();
        assert_eq!((health.synced, health.peers, health.unconnected), (true, 2, 1));
        assert!(health.reason.unwrap().contains("10.5.3.0-24: its backend is \"host-gw\""));
        site.tell(ClusterEvent::Put(peer(3, "vxlan")));
        site.settled();
        assert!(is_connected(3));
        assert_eq!(site.health().unconnected, 0);
    });
}

#[test]
fn a_device_that_was_removed_comes_back_with_its_address_and_all_peers() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(2, "vxlan"), peer(3, "vxlan")]);
        sh("ip link del flannel.1");
        site.until("both peers again", || {
            sh("ip link").contains("flannel.1") && is_connected(2) && is_connected(3)
        });
        assert!(sh("ip link show flannel.1").contains(OWN_MAC));
        sh("ip link set flannel.1 down");
        site.until("the device up again", || is_connected(2) && is_connected(3));
        sh("ip link set flannel.1 address 02:00:00:00:00:99");
        site.until("its own address", || sh("ip link show flannel.1").contains(OWN_MAC));
    });
}

#[test]
fn what_somebody_removes_or_changes_of_a_peer_is_put_back() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[peer(2, "vxlan")]);
        for damage in [
            "ip route del 10.5.2.0/24",
            "ip neigh del 10.5.2.0 dev flannel.1",
            "bridge fdb del 02:00:00:00:01:02 dev flannel.1",
            "ip neigh replace 10.5.2.0 lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent",
            "bridge fdb replace 02:00:00:00:01:02 dst 10.0.0.99 dev flannel.1 self permanent",
            "ip route replace 10.5.2.0/24 dev up0",
            "ip addr del 10.5.1.0/32 dev flannel.1",
        ] {
            sh(damage);
            site.until(damage, || {
                is_connected(2) && sh("ip addr show flannel.1").contains("10.5.1.0/32")
            });
        }
    });
}

#[test]
fn the_rules_come_back_after_a_flush_and_after_a_change() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        site.reset(&[]);
        let whole = sh("nft list table inet netd_cluster");
        for damage in
            ["flush ruleset", "flush table inet netd_cluster", "delete table inet netd_cluster"]
        {
            sh(&format!("nft {damage}"));
            site.until(damage, || {
                sh("nft list ruleset").contains("netd_cluster")
                    && sh("nft list table inet netd_cluster") == whole
            });
        }
    });
}

#[test]
fn routes_of_host_gw_come_back_when_the_uplink_does() {
    in_new_host(|| {
        let site = Site::start(HOST_GW);
        site.reset(&[peer(2, "host-gw")]);
        let there = || sh("ip route").contains("10.5.2.0/24 via 10.0.0.2 dev up0 proto 78");
        assert!(there(), "{}", sh("ip route"));
        sh("ip link set up0 down");
        assert!(!there());
        sh("ip link set up0 up");
        site.until("the route", there);
    });
}

#[test]
fn a_peer_that_the_kernel_refuses_holds_nobody_up_and_is_tried_again() {
    in_new_host(|| {
        let site = Site::start(HOST_GW);
        let mut far = peer(3, "host-gw");
        far.value.public_ip = "10.9.0.3".parse().unwrap();
        site.reset(&[peer(2, "host-gw"), far, peer(4, "host-gw")]);
        let routes = sh("ip route show proto 78");
        assert!(routes.contains("10.5.2.0/24") && routes.contains("10.5.4.0/24"), "{routes}");
        let health = site.health();
        assert_eq!((health.synced, health.trouble, health.unconnected), (true, None, 1));
        assert!(health.reason.unwrap().contains("10.5.3.0-24: "));
        sh("ip addr add 10.9.0.1/24 dev up0");
        site.until("the peer in reach", || sh("ip route").contains("10.5.3.0/24 via 10.9.0.3"));
        site.until("health", || site.health().unconnected == 0);
    });
}

#[test]
fn a_restart_changes_nothing_that_is_right() {
    in_new_host(|| {
        let site = Site::start(VXLAN);
        let peers = [peer(2, "vxlan"), peer(3, "vxlan")];
        site.reset(&peers);
        let state = || {
            sh(
                "ip -d link show flannel.1; ip route; ip neigh; bridge fdb show dev flannel.1; nft list ruleset",
            )
        };
        let before = state();
        drop(site);
        assert_eq!(state(), before, "the end takes nothing away");
        let site = Site::resume(VXLAN);
        site.reset(&peers);
        assert_eq!(state(), before);
    });
}
