//! `host-gw`: a route to each host of the same Ethernet segment.

use netstate::NetState;

use super::{InvalidBackend, UnusablePeer, expect_kind, families};
use crate::lease::{LeaseValue, Peer};
use crate::underlay::Underlay;

pub(super) fn publish(underlay: &Underlay, value: &mut LeaseValue) -> Result<(), InvalidBackend> {
    if underlay.public_v4 != underlay.v4 || underlay.public_v6 != underlay.v6 {
        return Err(InvalidBackend::NotBehindNat {
            public: underlay.public_v4.into(),
            own: underlay.v4.into(),
        });
    }
    "host-gw".clone_into(&mut value.backend_type);
    Ok(())
}

pub(super) fn peer(underlay: &Underlay, peer: &Peer) -> Result<NetState, UnusablePeer> {
    expect_kind(peer, "host-gw")?;
    let mut state = NetState::default();
    for (subnet, public_ip) in families(peer) {
        if subnet.is_ipv6() && underlay.v6.is_none() {
            continue;
        }
        let public_ip = public_ip.ok_or(UnusablePeer::Missing("PublicIPv6"))?;
        let parent = underlay.link.clone();
        state.join(drivers::host_gw::peer(&drivers::host_gw::Peer { subnet, public_ip, parent }));
    }
    Ok(state)
}
