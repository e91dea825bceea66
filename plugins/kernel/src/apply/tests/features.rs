//! Features of devices, by ethtool's protocol.

use netstate::{Datapath, Desired, Link, LinkChange, LinkKind, Mode, Ns, Op, Plan, Scope, Vxlan};

use super::{applied, at, failure, name, plan};
use crate::testing::{in_new_host, sh};
use crate::{Kernel, Kind};

fn tunnel(tx_checksum: Option<bool>) -> Desired {
    let mut desired = Desired::default();
    let kind = LinkKind::Vxlan(Vxlan {
        id: 7,
        port: Some(8472),
        parent: Some(at(Ns::Host, "u0")),
        local: Some("192.0.2.1".parse().unwrap()),
        learning: false,
        gbp: false,
        proxy: false,
        tx_checksum,
    });
    desired.0.ns_mut(Ns::Host).add_link(Link::new(name("vx0"), kind));
    desired
}

/// Makes it so; gives the commands that it took.
fn make(kernel: &mut Kernel, want: &Desired) -> Vec<String> {
    let scope = Scope::of(want);
    let plan = Plan::between(&kernel.observe(&scope).unwrap(), want, &scope);
    applied(kernel, &plan);
    let left = Plan::between(&kernel.observe(&scope).unwrap(), want, &scope);
    assert!(left.is_empty(), "{plan}\nleft:\n{left}");
    plan.commands(&netstate::NsNames::default()).collect()
}

fn shown() -> String {
    let shown =
        sh("ethtool -k vx0 | grep tx-checksum-ip-generic; ip -o link show vx0 | cut -d: -f1");
    shown.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn checksums_of_a_tunnel_are_set_at_birth_and_in_place_and_left_where_nothing_is_said() {
    in_new_host(|| {
        sh(
            "ip link add u0 type veth peer name w0; ip link set u0 up; ip addr add 192.0.2.1/24 dev u0",
        );
        let mut kernel = Kernel::open(None);
        let birth = make(&mut kernel, &tunnel(Some(false)));
        assert!(birth[0].ends_with(" && ethtool -K vx0 tx-checksum-ip-generic off"), "{birth:?}");
        let off = shown();
        assert!(off.starts_with("off "), "{off}");
        assert!(make(&mut kernel, &tunnel(None)).is_empty());
        assert_eq!(shown(), off);
        let on = make(&mut kernel, &tunnel(Some(true)));
        assert_eq!(on, ["ethtool -K vx0 tx-checksum-ip-generic on"]);
        assert_eq!(shown(), off.replace("off", "on"), "it is the same device");
        // Somebody else's change is seen.
        sh("ethtool -K vx0 tx-checksum-ip-generic off");
        assert_eq!(make(&mut kernel, &tunnel(Some(true))), on);
    });
}

#[test]
fn a_feature_of_a_link_that_is_gone_is_an_error_that_shows_the_command() {
    in_new_host(|| {
        let set = Op::SetLink { name: name("vx0"), changes: vec![LinkChange::TxChecksum(false)] };
        let error = failure(Kernel::open(None).apply(&plan([(Ns::Host, Mode::Fresh, set)])));
        assert_eq!(error.kind(), Kind::NoDevice);
        assert!(
            error.to_string().starts_with("ethtool -K vx0 tx-checksum-ip-generic off"),
            "{error}"
        );
    });
}
