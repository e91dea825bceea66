//! Source translation for what leaves the host.

use netstate::nft::{Element, Value};
use netstate::{Desired, LinkName, Ns};

use crate::Owner;
use crate::ruleset::{self, Ip, Purpose};

/// Adds the elements that masquerade an attachment's addresses when they leave by a link other
/// than `gateway`, the host's link towards the container (a bridge, or a point-to-point veth).
pub fn add(desired: &mut Desired, owner: &Owner, gateway: &LinkName, addrs: &[std::net::IpAddr]) {
    let host = desired.0.ns_mut(Ns::Host);
    for ip in addrs {
        host.add_element(
            ruleset::set(Purpose::Masquerade, Ip::of(*ip)),
            Element {
                key: vec![Value::from(*ip), Value::Ifname(gateway.clone())],
                data: vec![],
                comment: owner.comment(),
            },
        );
    }
}
