//! A container may only send frames from its own link-layer address.

use netstate::nft::{Element, Value};
use netstate::{Desired, LinkName, Mac, Ns};

use crate::Owner;
use crate::ruleset;

/// Adds the elements of `bridge netd` that check frames coming in by `port`.
pub fn add(desired: &mut Desired, owner: &Owner, port: &LinkName, mac: Mac) {
    let (checked, genuine) = ruleset::spoofing_sets();
    let host = desired.0.ns_mut(Ns::Host);
    let element = |key| Element { key, data: vec![], comment: owner.comment() };
    host.add_element(checked, element(vec![Value::Ifname(port.clone())]));
    host.add_element(genuine, element(vec![Value::Ifname(port.clone()), Value::Mac(mac)]));
}
