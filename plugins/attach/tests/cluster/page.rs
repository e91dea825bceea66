//! The reference page that shows the kernel's state.

use std::path::Path;

use drivers::traffic::{self, Traffic};
use drivers::vxlan::{self, Peer};
use kernel::Kernel;
use kernel::testing::sh;
use netstate::{Datapath, Desired, Plan};

use crate::hosts::{applied, merge, on_wires, peer, wanted, wire_here};
use crate::rules::rules;

const TEMPLATE: &str = include_str!("vxlan.md");

#[test]
fn the_page_of_the_overlay_is_what_the_kernel_has() {
    on_wires(|hosts| {
        let mut page = TEMPLATE.to_owned();
        let mut fill = |place: &str, text: &str| {
            page = page.replace(&format!("{{{{{place}}}}}"), text.trim_end());
        };
        let plan = wire_here(&wanted(&hosts.a, &hosts.b), &hosts.a);
        fill("devices", &devices());
        fill("peers", &on_devices());
        let rules = traffic::plan(None, &[&Traffic { fully_random: true, ..rules() }]);
        applied(&Kernel::open(None).apply(&rules));
        fill("rules", &sh("nft list table inet netd_cluster"));
        fill("commands", &format!("{plan}{rules}"));

        let ([own, _], [other, _]) = (&hosts.a, &hosts.b);
        let near = vxlan::peer(own, &Peer { direct: true, ..peer(other) });
        put(near);
        fill("direct", &sh("ip route show proto 78 dev u0"));
        put(traffic::blackhole(own.subnet));
        fill("blackhole", &sh("ip route show type blackhole"));
        golden(&page);
    });
}

/// Without the numbers that differ from run to run and from kernel to kernel.
fn devices() -> String {
    sh("for link in flannel.1 flannel-v6.1; do
            ip -d -o link show $link | sed 's/^[0-9]*: //; s/addrgenmode.*//; s/\\\\ */\\n    /g'
            ip -o addr show dev $link scope global | sed 's/^[0-9]*: [^ ]* */    /; s/\\\\.*//'
        done")
    .lines()
    .map(|line| format!("{}\n", line.trim_end()))
    .collect()
}

fn on_devices() -> String {
    let shown = sh("for link in flannel.1 flannel-v6.1; do
            ip route show dev $link proto 78; ip -6 route show dev $link proto 78
            ip neigh show dev $link nud permanent; bridge fdb show dev $link
        done");
    shown.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn put(state: netstate::NetState) {
    let mut desired = Desired::default();
    merge(&mut desired, state);
    applied(&Kernel::open(None).apply(&Plan::update(&Desired::default(), &desired)));
}

fn golden(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/vxlan.md");
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1") {
        std::fs::write(&path, page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, there, "docs/reference/vxlan.md differs; UPDATE_GOLDEN=1 rewrites it");
}
