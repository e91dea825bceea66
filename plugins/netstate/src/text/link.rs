//! Commands for links.

use super::shell::{Line, Tool, View, Words, quote};
use super::wireguard;
use crate::link::{Link, LinkChange, LinkKind, MacVlanMode, PeerInit, VlanRange};
use crate::name::LinkName;
use crate::tunnel::Vxlan;

/// `ip link add`, and what the kernel does not take in the same message
/// (`rtnl_newlink_create()`, `net/core/rtnetlink.c`): the alias and the flags of a bridge port.
pub(super) fn add(link: &Link, peer: Option<&PeerInit>, view: &View<'_>) -> Vec<Line> {
    let mut words = Words::new("link add");
    let mut born_elsewhere = None;
    if let Some(parent) = link.kind.parent() {
        if link.kind.lower().is_some() {
            words.pair("link", &parent.name);
        }
        born_elsewhere = view.own.filter(|own| **own != parent.ns);
    }
    words.pair("name", &link.name);
    if let (Some(own), Some(parent)) = (born_elsewhere, link.kind.parent()) {
        let from_parent = View { own: Some(&parent.ns), names: view.names };
        if let Some(netns) = from_parent.netns(own) {
            words.word("netns");
            words.word(&netns);
        }
    }
    words.pair_if("mtu", link.mtu);
    words.pair_if("address", link.mac);
    let is_veth = matches!(link.kind, LinkKind::Veth { .. });
    if is_veth {
        words.word(ONE_QUEUE);
    }
    // The command looks for a master where it runs, and the kernel where the link is born.
    let late = link.master.clone().filter(|_| born_elsewhere.is_some());
    words.pair_if("master", link.master.as_ref().filter(|_| late.is_none()));
    if link.promisc {
        words.word("promisc on");
    }
    if link.up {
        words.word("up");
    }
    kind(&mut words, &link.kind);
    if let Some(peer) = peer.filter(|_| is_veth) {
        push_peer(&mut words, peer, view);
    }
    let mut first = words.into_line(Tool::Ip);
    if let (Some(_), Some(parent)) = (born_elsewhere, link.kind.parent()) {
        first.ns = Some(parent.ns.clone());
    }
    let mut lines = vec![first];
    let mut rest: Vec<LinkChange> = Vec::new();
    rest.extend(late.map(|master| LinkChange::Master(Some(master))));
    rest.extend(after_birth(link));
    lines.extend(set(&link.name, &rest));
    lines
}

pub(super) fn del(name: &LinkName) -> Vec<Line> {
    let mut words = Words::new("link del");
    words.pair("dev", name);
    vec![words.into_line(Tool::Ip)]
}

/// One command for each run of changes that one command can make.
pub(super) fn set(name: &LinkName, changes: &[LinkChange]) -> Vec<Line> {
    let mut lines: Vec<(Verb, Words)> = Vec::new();
    for change in changes {
        let verb = Verb::of(change);
        let open = lines.last_mut().filter(|(last, _)| *last == verb && verb.joins());
        if let Some((_, words)) = open {
            push_change(words, change);
        } else {
            let mut words = Words::new(verb.words());
            if matches!(verb, Verb::WgSet | Verb::Features) {
                words.word(&quote(name.as_str()));
            } else {
                words.pair("dev", name);
            }
            match verb {
                Verb::IpSetVxlan => words.word("type vxlan"),
                Verb::IpSetIpip => words.word("type ipip"),
                Verb::IpSet | Verb::IpSetType | Verb::WgSet | Verb::Features => {}
                Verb::BridgeSet | Verb::VlanAdd | Verb::VlanDel => {}
            }
            push_change(&mut words, change);
            lines.push((verb, words));
        }
    }
    lines.into_iter().map(|(verb, words)| words.into_line(verb.tool())).collect()
}

/// A veth has one queue a CPU if it is not told otherwise, which costs more to make than all else.
const ONE_QUEUE: &str = "numtxqueues 1 numrxqueues 1";

fn kind(words: &mut Words, kind: &LinkKind) {
    match kind {
        LinkKind::Loopback => words.word("type loopback"),
        LinkKind::Bridge { vlan_filtering } => {
            words.word("type bridge");
            words.pair_if("vlan_filtering", vlan_filtering.map(u8::from));
        }
        LinkKind::Veth { .. } => words.word("type veth"),
        LinkKind::MacVlan { mode, bc_queue_len, .. } => {
            words.word("type macvlan mode");
            words.word(macvlan_mode(*mode));
            words.pair_if("bcqueuelen", *bc_queue_len);
        }
        LinkKind::IpVlan(ipvlan) => {
            words.pair("type ipvlan mode", ipvlan.mode.word());
            words.word(ipvlan.flag.word());
        }
        LinkKind::Vlan { id, .. } => words.pair("type vlan id", id),
        LinkKind::Vxlan(vxlan) => push_vxlan(words, vxlan),
        LinkKind::Ipip(ipip) => {
            words.word("type ipip");
            words.pair_if("local", ipip.local);
            words.pair_if("remote", ipip.remote);
        }
        LinkKind::WireGuard(_) => words.word("type wireguard"),
        LinkKind::Other(kind) => words.pair("type", kind),
    }
}

/// iproute2 asks for the port with words where it is not told one; 0 is the kernel's default.
fn push_vxlan(words: &mut Words, vxlan: &Vxlan) {
    words.pair("type vxlan id", vxlan.id);
    words.pair_if("local", vxlan.local);
    words.pair_if("dev", vxlan.parent.as_ref().map(|parent| &parent.name));
    words.pair("dstport", vxlan.port.unwrap_or(0));
    words.word(learning(vxlan.learning));
    if vxlan.gbp {
        words.word("gbp");
    }
    if vxlan.proxy {
        words.word("proxy");
    }
}

fn learning(on: bool) -> &'static str {
    if on { "learning" } else { "nolearning" }
}

fn macvlan_mode(mode: MacVlanMode) -> &'static str {
    match mode {
        MacVlanMode::Private => "private",
        MacVlanMode::Vepa => "vepa",
        MacVlanMode::Bridge => "bridge",
        MacVlanMode::Passthru => "passthru",
    }
}

fn push_peer(words: &mut Words, peer: &PeerInit, view: &View<'_>) {
    words.pair("peer name", &peer.link.name);
    if let Some(netns) = view.netns(&peer.link.ns) {
        words.word("netns");
        words.word(&netns);
    }
    words.pair_if("mtu", peer.mtu);
    words.pair_if("address", peer.mac);
    words.word(ONE_QUEUE);
}

fn after_birth(link: &Link) -> Vec<LinkChange> {
    let mut changes = Vec::new();
    if let LinkKind::WireGuard(own) = &link.kind {
        changes.extend(wireguard::changes_of(own));
    }
    if let LinkKind::Vxlan(vxlan) = &link.kind {
        changes.extend(vxlan.tx_checksum.map(LinkChange::TxChecksum));
    }
    if let Some(port) = &link.port {
        changes.extend(port.hairpin.map(LinkChange::Hairpin));
        changes.extend(port.isolated.map(LinkChange::Isolated));
        changes.extend(port.vlans.iter().flatten().cloned().map(LinkChange::AddVlan));
    }
    changes.extend(link.alias.clone().map(LinkChange::Alias));
    changes
}

/// Which command makes a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    IpSet,
    /// What follows `type` must end the command.
    IpSetType,
    IpSetVxlan,
    IpSetIpip,
    WgSet,
    Features,
    BridgeSet,
    VlanAdd,
    VlanDel,
}

impl Verb {
    fn of(change: &LinkChange) -> Self {
        match change {
            LinkChange::Up(_)
            | LinkChange::Mtu(_)
            | LinkChange::Mac(_)
            | LinkChange::Master(_)
            | LinkChange::Promisc(_)
            | LinkChange::Alias(_) => Self::IpSet,
            LinkChange::VlanFiltering(_) => Self::IpSetType,
            LinkChange::Local(_) | LinkChange::Parent(_) | LinkChange::Learning(_) => {
                Self::IpSetVxlan
            }
            LinkChange::TxChecksum(_) => Self::Features,
            LinkChange::Source(_) => Self::IpSetIpip,
            LinkChange::ListenPort(_) | LinkChange::PrivateKey(_) => Self::WgSet,
            LinkChange::Hairpin(_) | LinkChange::Isolated(_) => Self::BridgeSet,
            LinkChange::AddVlan(_) => Self::VlanAdd,
            LinkChange::DelVlan(_) => Self::VlanDel,
        }
    }

    /// Whether several changes fit into one command.
    fn joins(self) -> bool {
        matches!(self, Self::IpSet | Self::IpSetVxlan | Self::WgSet | Self::BridgeSet)
    }

    fn words(self) -> &'static str {
        match self {
            Self::IpSet
            | Self::IpSetType
            | Self::IpSetVxlan
            | Self::IpSetIpip
            | Self::BridgeSet => "link set",
            Self::WgSet => "set",
            Self::Features => "-K",
            Self::VlanAdd => "vlan add",
            Self::VlanDel => "vlan del",
        }
    }

    fn tool(self) -> Tool {
        match self {
            Self::IpSet | Self::IpSetType | Self::IpSetVxlan | Self::IpSetIpip => Tool::Ip,
            Self::WgSet => Tool::Wg,
            Self::Features => Tool::Ethtool,
            Self::BridgeSet | Self::VlanAdd | Self::VlanDel => Tool::Bridge,
        }
    }
}

fn push_change(words: &mut Words, change: &LinkChange) {
    match change {
        LinkChange::Up(true) => words.word("up"),
        LinkChange::Up(false) => words.word("down"),
        LinkChange::Mtu(mtu) => words.pair("mtu", mtu),
        LinkChange::Mac(mac) => words.pair("address", mac),
        LinkChange::Master(Some(master)) => words.pair("master", master),
        LinkChange::Master(None) => words.word("nomaster"),
        LinkChange::Promisc(on) => words.pair("promisc", on_off(*on)),
        LinkChange::Alias(alias) => words.pair("alias", alias),
        LinkChange::Hairpin(on) => words.pair("hairpin", on_off(*on)),
        LinkChange::Isolated(on) => words.pair("isolated", on_off(*on)),
        LinkChange::Local(ip) => words.pair("local", ip),
        LinkChange::Source(ip) => words.pair("local", ip),
        LinkChange::ListenPort(port) => words.pair("listen-port", port),
        // It is not printed.
        LinkChange::PrivateKey(_) => words.word("private-key /dev/stdin"),
        LinkChange::Parent(parent) => words.pair("dev", &parent.name),
        LinkChange::Learning(on) => words.word(learning(*on)),
        LinkChange::TxChecksum(on) => words.pair("tx-checksum-ip-generic", on_off(*on)),
        LinkChange::VlanFiltering(on) => words.pair("type bridge vlan_filtering", u8::from(*on)),
        LinkChange::AddVlan(range) => push_vlan(words, range),
        LinkChange::DelVlan(range) => push_vids(words, range),
    }
}

fn push_vlan(words: &mut Words, range: &VlanRange) {
    push_vids(words, range);
    if range.pvid {
        words.word("pvid");
    }
    if range.untagged {
        words.word("untagged");
    }
}

fn push_vids(words: &mut Words, range: &VlanRange) {
    if range.first == range.last {
        words.pair("vid", range.first);
    } else {
        words.pair("vid", format!("{}-{}", range.first, range.last));
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
