use crate::Kernel;
use crate::testing::{in_new_host, sh};

#[test]
fn links_are_told_with_their_addresses_in_the_kernels_order() {
    in_new_host(|| {
        sh("ip link add up0 type bridge; ip link set up0 mtu 1400 up
            ip addr add 10.0.0.2/24 dev up0; ip addr add 10.0.0.3/24 dev up0
            ip addr add fd00::2/64 dev up0 nodad valid_lft 600 preferred_lft 0");
        let links = Kernel::open(None).uplinks().unwrap();
        let up0 = links.iter().find(|l| l.name.as_str() == "up0").unwrap();
        assert_eq!(up0.mtu, 1400);
        let of = |text: &str| up0.addrs.iter().find(|a| a.net.to_string() == text).unwrap();
        assert!(of("10.0.0.2/24").permanent && of("10.0.0.2/24").global);
        assert!(of("10.0.0.3/24").temporary, "the second of a network");
        assert!(of("fd00::2/64").deprecated && !of("fd00::2/64").permanent);
        assert!(up0.addrs.iter().any(|a| !a.global && !a.host), "link-local: {up0:?}");
    });
}

#[test]
fn the_way_to_an_address_has_a_gateway_only_where_it_is_not_on_the_link() {
    in_new_host(|| {
        sh("ip link add up0 type bridge; ip link set up0 up; ip addr add 10.0.0.2/24 dev up0
            ip route add 10.9.0.0/16 via 10.0.0.1");
        let mut kernel = Kernel::open(None);
        let near = kernel.way_to("10.0.0.7".parse().unwrap()).unwrap().unwrap();
        assert_eq!((near.via, near.src), (None, Some("10.0.0.2".parse().unwrap())));
        let far = kernel.way_to("10.9.0.7".parse().unwrap()).unwrap().unwrap();
        assert_eq!(far.via, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(kernel.way_to("192.0.2.1".parse().unwrap()).unwrap(), None);
    });
}
