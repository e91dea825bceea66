use super::*;
use crate::global::record::Claim;
use crate::global::view::Kept;
use crate::network::{Driver, Id, Moment, Scope};

const ME: &str = "me";
const OTHER: &str = "other";

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn kept<T>(value: T) -> Kept<T> {
    Kept { value, created: 1, changed: 1 }
}

fn claim(machine: &str) -> Kept<Claim> {
    kept(Claim { machine: machine.to_owned(), without: Vec::new() })
}

fn subnet(text: &str) -> Subnet {
    let net = net(text);
    let gateway = Span::of(net).address(Span::of(net).first + 1);
    Subnet { net, ip_range: None, gateway, aux: Default::default(), vni: None }
}

fn network(subnets: &[&str]) -> OfNetwork {
    let subnets: Vec<Subnet> = subnets.iter().map(|text| subnet(text)).collect();
    let network = Network {
        id: Id::random(),
        name: "n".to_owned(),
        scope: Scope::Global,
        created: Moment::now(),
        driver: Driver::Overlay,
        ipv4: true,
        ipv6: subnets.iter().any(|subnet| subnet.net.is_ipv6()),
        subnets,
        internal: false,
        attachable: false,
        options: Default::default(),
        labels: Default::default(),
        ipam_options: Default::default(),
        adopted: false,
    };
    OfNetwork { network: Some(kept(network)), ..OfNetwork::default() }
}

fn with<T>(of: &OfNetwork, used: &[&str], look: impl FnOnce(&Share<'_>) -> T) -> T {
    let used = used.iter().map(|text| ip(text)).collect();
    look(&Share::new(of, ME, &used).unwrap())
}

#[test]
fn blocks_are_a_sixteenth_of_a_subnet_from_one_address_to_256() {
    with(&network(&["fd00::/64"]), &[], |share| {
        assert_eq!(share.next(true), Some(net("fd00::/120")))
    });
    for (of, first, count) in [
        ("10.0.0.0/24", "10.0.0.0/28", 16),
        ("10.0.0.0/20", "10.0.0.0/24", 16),
        ("10.0.0.0/16", "10.0.0.0/24", 256),
        // The first two of each are the network's and the gateway's, the last is for broadcasts.
        ("10.0.0.0/29", "10.0.0.2/32", 5),
        ("10.0.0.0/30", "10.0.0.2/32", 1),
        ("fd00::/116", "fd00::/120", 16),
    ] {
        let mut of = network(&[of]);
        let mut seen = Vec::new();
        let v6 = first.contains(':');
        while let Some(block) = with(&of, &[], |share| share.next(v6)) {
            seen.push(block);
            of.blocks.insert(block, claim(OTHER));
        }
        assert_eq!((seen[0], seen.len()), (net(first), count));
    }
}

#[test]
fn a_range_is_cut_and_not_the_whole_subnet() {
    let mut of = network(&["10.0.0.0/16"]);
    of.network.as_mut().unwrap().value.subnets[0].ip_range = Some(net("10.0.7.0/24"));
    with(&of, &[], |share| {
        assert_eq!(share.next(false), Some(net("10.0.7.0/28")));
        assert_eq!(share.free_block_of(ip("10.0.7.33")), Some(net("10.0.7.32/28")));
        assert_eq!(share.free_block_of(ip("10.0.8.33")), None, "of no block");
    });
}

#[test]
fn the_next_block_is_fetched_when_less_than_half_of_one_is_free() {
    let mut of = network(&["10.0.0.0/24"]);
    with(&of, &[], |share| {
        assert_eq!(
            (share.lacking(), share.running_out()),
            (vec![false], vec![]),
            "none was needed"
        );
    });
    of.blocks.insert(net("10.0.0.0/28"), claim(ME));
    // Two of sixteen nobody gets.
    let all: Vec<String> = (2..16).map(|at| format!("10.0.0.{at}")).collect();
    for used in 0..=all.len() {
        let used: Vec<&str> = all[..used].iter().map(String::as_str).collect();
        with(&of, &used, |share| {
            let left = all.len() - used.len();
            assert_eq!(!share.running_out().is_empty(), left < 8, "{left} left");
            assert_eq!(!share.lacking().is_empty(), left == 0, "{left} left");
        });
    }
}

#[test]
fn a_host_gives_out_its_own_blocks_but_for_what_others_have_of_them() {
    let mut of = network(&["10.0.0.0/24"]);
    of.blocks.insert(net("10.0.0.16/28"), claim(ME));
    of.blocks.insert(net("10.0.0.32/28"), claim(OTHER));
    of.addresses.insert(ip("10.0.0.20"), claim(OTHER));
    of.addresses.insert(ip("10.0.0.40"), claim(ME));
    with(&of, &["10.0.0.17"], |share| {
        let own = share.own();
        let expected =
            ["10.0.0.16/30", "10.0.0.21/32", "10.0.0.22/31", "10.0.0.24/29", "10.0.0.40/32"];
        assert_eq!(own, expected.map(net));
        for (of, has) in
            [("10.0.0.17", true), ("10.0.0.20", false), ("10.0.0.40", true), ("10.0.0.41", false)]
        {
            assert_eq!(share.has(ip(of)), has, "{of}");
        }
        assert_eq!(share.spare_addresses(), [ip("10.0.0.40")]);
        assert_eq!(share.unclaimed(), [] as [IpAddr; 0]);
    });
    with(&of, &["10.0.0.20"], |share| assert_eq!(share.unclaimed(), [ip("10.0.0.20")]));
}

#[test]
fn of_empty_blocks_one_is_kept_ahead_as_long_as_there_are_containers() {
    let mut of = network(&["10.0.0.0/24"]);
    for block in ["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28"] {
        of.blocks.insert(net(block), claim(ME));
    }
    with(&of, &["10.0.0.17"], |share| assert_eq!(share.spare(), [net("10.0.0.32/28")]));
    with(&of, &[], |share| assert_eq!(share.spare().len(), 3));
}

#[test]
fn with_both_families_both_are_needed() {
    let mut of = network(&["10.0.0.0/24", "fd00::/64"]);
    with(&of, &[], |share| assert_eq!(share.lacking(), [false, true]));
    of.blocks.insert(net("fd00::/68"), claim(ME));
    with(&of, &[], |share| assert_eq!(share.lacking(), [false]));
}
