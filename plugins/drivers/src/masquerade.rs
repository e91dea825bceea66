//! Source translation for what leaves the host.

use std::net::IpAddr;

use netstate::nft::{Element, Value};
use netstate::{Desired, LinkName, Ns};

use crate::Owner;
use crate::ruleset::{self, Ip, Purpose};

/// Adds the elements that masquerade an attachment's addresses when they leave by a link other
/// than `gateway`, the host's link towards the container (a bridge, or a point-to-point veth).
pub fn add(desired: &mut Desired, owner: &Owner, gateway: &LinkName, addrs: &[IpAddr]) {
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

/// Adds the element by which one of those addresses leaves with this one of the host, in the place of
/// the address of the link that it leaves by.
pub fn leave_as(
    desired: &mut Desired,
    owner: &Owner,
    gateway: &LinkName,
    addr: IpAddr,
    host: IpAddr,
) {
    desired.0.ns_mut(Ns::Host).add_element(
        ruleset::set(Purpose::Snat, Ip::of(addr)),
        Element {
            key: vec![Value::from(addr), Value::Ifname(gateway.clone())],
            data: vec![Value::from(host)],
            comment: owner.comment(),
        },
    );
}
