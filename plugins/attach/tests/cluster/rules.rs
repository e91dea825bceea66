//! The rules of traffic, by who is seen at the other end.

use attach::forward;
use drivers::traffic::{self, Traffic};
use kernel::Kernel;
use kernel::testing::sh;
use netstate::{Datapath, Ns};

use crate::hosts::{applied, on_wires, source};

#[test]
fn only_what_leaves_the_cluster_or_comes_from_outside_to_another_host_is_translated() {
    on_wires(|hosts| {
        hosts.wire();
        set(&rules());
        // To a container of another host: as who it is.
        assert_eq!(seen("ca", "cb", "10.5.2.2"), "10.5.1.2");
        assert_eq!(seen("cb", "ca", "10.5.1.2"), "10.5.2.2");
        // To the world: as this host.
        assert_eq!(seen("ca", "world", "198.51.100.9"), "198.51.100.1");
        // From the world to a container here: as who it is; to one elsewhere: as this host.
        assert_eq!(seen("world", "ca", "10.5.1.2"), "198.51.100.9");
        assert_eq!(seen("world", "cb", "10.5.2.2"), "10.5.1.0");
    });
}

#[test]
fn what_kube_proxy_marked_is_left_to_it() {
    on_wires(|hosts| {
        hosts.wire();
        set(&Traffic { fully_random: true, ..rules() });
        sh("nft 'table ip kube { chain pre { type filter hook prerouting priority 0; policy accept;
            ip daddr 198.51.100.9 meta mark set meta mark or 0x4001; }; }'");
        assert_eq!(seen("ca", "world", "198.51.100.9"), "10.5.1.2");
    });
}

#[test]
fn a_table_of_other_content_is_replaced_and_one_of_the_same_is_left_alone() {
    on_wires(|_| {
        set(&rules());
        let first = sh("nft list table inet netd_cluster");
        let comment = comment();
        assert!(traffic::plan(comment.as_deref(), &[&rules()]).is_empty());
        let subnets = vec!["10.5.9.0/24".parse().unwrap()];
        set(&Traffic { subnets, ..rules() });
        let second = sh("nft list table inet netd_cluster");
        assert!(first.contains("10.5.1.0/24") && !second.contains("10.5.1.0/24"), "{second}");
        set(&Traffic { masquerade: false, ..rules() });
        assert_eq!(sh("nft list tables"), "");
    });
}

#[test]
fn where_iptables_forward_drops_the_network_is_let_through_in_a_way_iptables_can_read() {
    on_wires(|hosts| {
        hosts.wire();
        let mut kernel = Kernel::open(None);
        let networks = ["10.5.0.0/16", "fd05::/44"].map(|net| net.parse().unwrap());
        for net in networks {
            let plan = forward::closed_network(&mut kernel, net, "CNI-ADMIN").unwrap();
            applied(&kernel.apply(&plan));
        }
        assert_eq!(sh("nft list tables"), "", "nothing drops, so nothing is needed");
        sh("iptables-nft -P FORWARD DROP; ip6tables-nft -P FORWARD DROP");
        assert!(source("ca", "cb", "10.5.2.2").is_err());
        for net in networks.into_iter().chain(networks) {
            let plan = forward::closed_network(&mut kernel, net, "CNI-ADMIN").unwrap();
            applied(&kernel.apply(&plan));
        }
        for ip in ["10.5.2.2", "fd05:0:0:2::2"] {
            source("ca", "cb", ip).unwrap();
        }
        let v4 = sh("iptables-nft -S CNI-FORWARD");
        let wanted = "-N CNI-FORWARD\n-A CNI-FORWARD -j CNI-ADMIN\n\
                      -A CNI-FORWARD -d 10.5.0.0/16 -j ACCEPT\n\
                      -A CNI-FORWARD -s 10.5.0.0/16 -j ACCEPT\n";
        assert_eq!(v4, wanted);
        assert!(sh("ip6tables-nft -S CNI-FORWARD").contains("-s fd05::/44 -j ACCEPT"));
        sh("iptables-save | iptables-restore");
    });
}

pub(crate) fn rules() -> Traffic {
    Traffic {
        name: String::new(),
        networks: vec!["10.5.0.0/16".parse().unwrap(), "fd05::/48".parse().unwrap()],
        subnets: vec!["10.5.1.0/24".parse().unwrap(), "fd05:0:0:1::/64".parse().unwrap()],
        masquerade: true,
        apart: vec![],
        fully_random: false,
    }
}

fn comment() -> Option<String> {
    Kernel::open(None).table_comment(&Ns::Host, &traffic::id()).unwrap()
}

fn set(traffic: &Traffic) {
    let plan = traffic::plan(comment().as_deref(), &[traffic]);
    applied(&Kernel::open(None).apply(&plan));
}

fn seen(from: &str, at: &str, to: &str) -> String {
    source(from, at, to).unwrap()
}
