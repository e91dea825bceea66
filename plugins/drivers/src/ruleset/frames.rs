//! Frames of overlays: whose are let in, and which links they may take.

use netstate::nft::{Field, Rule, SetId, Stmt, Value};

use super::sets::{Ip, closed, known, sealed};

/// Frames between hosts, before the tunnel ends' socket sees them, and where they are forwarded: of networks of this
/// host's they come from hosts that are known to be on them, or not at all. What a container says they are would
/// leave with this host's address, and be let in elsewhere. Nothing else on the port is looked at.
pub(super) fn tunnels() -> Vec<Rule> {
    let from_strangers = |ip: Ip| {
        let fields = vec![ip.saddr(), Field::Vni];
        let stranger = Stmt::In { fields, ne: true, set: known(ip).name.to_string() };
        Rule([frames_of(&closed()), vec![stranger, Stmt::Drop]].concat())
    };
    std::iter::once(sealed_by(Field::Iifname)).chain(Ip::BOTH.map(from_strangers)).collect()
}

/// Frames of encrypted networks come and go by the device that encrypts: by another link they are forged, or would be
/// read on the way.
pub(super) fn sealed_by(link: Field) -> Rule {
    let device = Value::Ifname(crate::encryption::link());
    let other = Stmt::Cmp { field: link, ne: true, value: device };
    Rule([frames_of(&sealed()), vec![other, Stmt::Drop]].concat())
}

/// Frames between hosts with a number of the set.
fn frames_of(vnis: &SetId) -> Vec<Stmt> {
    const UDP: u8 = 17;
    let is = |field, value| Stmt::Cmp { field, ne: false, value };
    vec![
        is(Field::L4Proto, Value::Proto(UDP)),
        is(Field::ThDport, Value::Port(crate::overlay::PORT)),
        Stmt::In { fields: vec![Field::Vni], ne: false, set: vnis.name.to_string() },
    ]
}
