use netstate::LinkName;

use crate::Kernel;
use crate::testing::{in_new_host, sh};

/// The links by which addresses of 10.5.1.0/24, or of its like in IPv6, are in use.
fn users(net: &str) -> Vec<String> {
    let users = Kernel::open(None).users_of(net.parse().unwrap()).unwrap();
    users.iter().map(LinkName::to_string).collect()
}

#[test]
fn ports_of_a_bridge_with_an_address_and_links_of_longer_routes_use_a_network() {
    in_new_host(|| {
        sh("ip link add br0 type bridge; ip link set br0 up; ip addr add 10.5.1.1/24 dev br0
            ip addr add fd05:0:0:1::1/64 dev br0 nodad
            ip link add p0 type veth peer name q0; ip link set p0 up; ip link set q0 up
            ip link add vx0 type vxlan id 7 dstport 8472 dev p0; ip link set vx0 up
            ip addr add 10.5.1.0/32 dev vx0; ip addr add fd05:0:0:1::/128 dev vx0 nodad
            ip route add 10.5.2.0/24 dev vx0");
        assert_eq!(users("10.5.1.0/24"), [] as [String; 0], "a bridge without ports");
        assert_eq!(users("fd05:0:0:1::/64"), [] as [String; 0], "a tunnel end's address");
        sh("ip route add 10.5.1.9/32 dev p0");
        assert_eq!(users("10.5.1.0/24"), ["p0"]);
        sh("ip route del 10.5.1.9/32 dev p0; ip link set q0 master br0");
        assert_eq!(users("10.5.1.0/24"), ["q0"]);
        assert_eq!(users("fd05:0:0:1::/64"), ["q0"]);
        assert_eq!(users("10.5.2.0/24"), [] as [String; 0]);
        sh("ip link del q0");
        assert_eq!(users("10.5.1.0/24"), [] as [String; 0]);
    });
}
