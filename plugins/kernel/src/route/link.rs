//! Links: making, changing, naming.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecBridge, AfSpecInet, AfSpecUnspec, BridgeVlanInfo, BridgeVlanInfoFlags, InetDevConf,
    InfoBridge, InfoBridgePort, InfoData, InfoIpTunnel, InfoKind, InfoMacVlan, InfoPortData,
    InfoPortKind, InfoVeth, InfoVlan, InfoVxlan, LinkAttribute, LinkExtentMask, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netstate::{IpVlan, Ipip, Link, LinkChange, LinkKind, PeerInit, VlanRange, Vxlan};

use super::modes;

/// What a link's message needs beside the link: names resolved to indexes, namespaces to open
/// files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Birth {
    /// Index of the bridge.
    pub(crate) master: Option<u32>,
    /// Index of the parent of a macvlan, an ipvlan, a VLAN or a VXLAN tunnel end, in the parent's namespace.
    pub(crate) parent: Option<u32>,
    /// The namespace the link is born in, if not that of the socket; with the index it gets.
    pub(crate) elsewhere: Option<(i32, u32)>,
    /// The namespace of a veth's far end, if not that of the socket.
    pub(crate) peer_ns: Option<i32>,
}

/// The message that makes a link; alias and bridge port flags are not taken at birth
/// (`rtnl_newlink_create()`, `net/core/rtnetlink.c`).
pub(crate) fn create(link: &Link, peer: Option<&PeerInit>, birth: Birth) -> LinkMessage {
    let mut message = LinkMessage::default();
    set_flag(&mut message, LinkFlags::Up, link.up);
    if link.promisc {
        set_flag(&mut message, LinkFlags::Promisc, true);
    }
    let attributes = &mut message.attributes;
    attributes.push(LinkAttribute::IfName(link.name.to_string()));
    attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    attributes.extend(link.mac.map(|m| LinkAttribute::Address(m.0.to_vec())));
    if link.kind.lower().is_some() {
        attributes.extend(birth.parent.map(LinkAttribute::Link));
    }
    attributes.extend(birth.master.map(LinkAttribute::Controller));
    if let Some((netns, index)) = birth.elsewhere {
        attributes.push(LinkAttribute::NetNsFd(netns));
        // A link of that name in the socket's own namespace would be taken for the one meant;
        // with an index, only the index is looked up (`__rtnl_newlink()`).
        message.header.index = index;
    }
    let attributes = &mut message.attributes;
    let mut info = vec![LinkInfo::Kind(kind(&link.kind))];
    match &link.kind {
        LinkKind::Veth { .. } => {
            attributes.extend(ONE_QUEUE);
            info.extend(peer.map(|p| LinkInfo::Data(veth_peer(p, birth.peer_ns))));
        }
        LinkKind::Bridge { vlan_filtering: Some(on) } => {
            info.push(LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(*on)])));
        }
        LinkKind::MacVlan { mode, bc_queue_len, .. } => {
            let mut data = vec![InfoMacVlan::Mode(modes::macvlan(*mode))];
            data.extend(bc_queue_len.map(InfoMacVlan::BcQueueLen));
            info.push(LinkInfo::Data(InfoData::MacVlan(data)));
        }
        LinkKind::IpVlan(IpVlan { mode, flag, .. }) => {
            info.push(LinkInfo::Data(InfoData::IpVlan(modes::ipvlan(*mode, *flag))));
        }
        LinkKind::Vlan { id, .. } => {
            info.push(LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(*id)])));
        }
        LinkKind::Vxlan(vxlan) => {
            info.push(LinkInfo::Data(InfoData::Vxlan(tunnel(vxlan, birth.parent))));
        }
        LinkKind::Ipip(Ipip { local, remote }) => {
            let local = local.map(|ip| InfoIpTunnel::Local(ip.into()));
            let remote = remote.map(|ip| InfoIpTunnel::Remote(ip.into()));
            let data = local.into_iter().chain(remote).collect();
            info.push(LinkInfo::Data(InfoData::IpTunnel(data)));
        }
        LinkKind::Bridge { vlan_filtering: None }
        | LinkKind::Loopback
        | LinkKind::WireGuard(_)
        | LinkKind::Other(_) => {}
    }
    attributes.push(LinkAttribute::LinkInfo(info));
    message
}

/// Changes to a link, sorted into the messages that the kernel takes them in.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// `RTM_NEWLINK`: the link's own state; then its flags as a port.
    pub(crate) links: Vec<LinkMessage>,
    /// `RTM_SETLINK` with VLANs to add; needs the index.
    pub(crate) add_vlans: Vec<VlanRange>,
    /// `RTM_DELLINK` with VLANs to remove; needs the index.
    pub(crate) del_vlans: Vec<VlanRange>,
    /// What protocols of generic netlink take: WireGuard's own, and ethtool's.
    pub(crate) generic: Vec<LinkChange>,
}

impl Changes {
    /// `target` names the link; `master` and `parent` are the indexes of a new master and a new
    /// parent, if it gets one.
    pub(crate) fn new(
        target: &LinkMessage,
        changes: &[LinkChange],
        (master, parent): (Option<u32>, Option<u32>),
    ) -> Self {
        let mut this = Self::default();
        let (mut own, mut port, mut tunnel) = (target.clone(), Vec::new(), Vec::new());
        let before = own.attributes.len();
        for change in changes {
            match change {
                LinkChange::Up(on) => set_flag(&mut own, LinkFlags::Up, *on),
                LinkChange::Promisc(on) => set_flag(&mut own, LinkFlags::Promisc, *on),
                LinkChange::Mtu(mtu) => own.attributes.push(LinkAttribute::Mtu(*mtu)),
                LinkChange::Mac(mac) => {
                    own.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
                }
                LinkChange::Master(_) => {
                    own.attributes.push(LinkAttribute::Controller(master.unwrap_or(0)));
                }
                LinkChange::Alias(alias) => {
                    own.attributes.push(LinkAttribute::IfAlias(alias.clone()));
                }
                LinkChange::Local(ip) => tunnel.push(local(*ip)),
                LinkChange::Parent(_) => tunnel.push(InfoVxlan::Link(parent.unwrap_or(0))),
                LinkChange::Learning(on) => tunnel.push(InfoVxlan::Learning(*on)),
                // What is not said is set to the default (`ipip_netlink_parms()`), which is what it
                // is made with.
                LinkChange::Source(ip) => own.attributes.push(LinkAttribute::LinkInfo(vec![
                    LinkInfo::Kind(InfoKind::IpIp),
                    LinkInfo::Data(InfoData::IpTunnel(vec![InfoIpTunnel::Local((*ip).into())])),
                ])),
                LinkChange::ListenPort(_)
                | LinkChange::PrivateKey(_)
                | LinkChange::TxChecksum(_) => this.generic.push(change.clone()),
                LinkChange::Hairpin(on) => port.push(InfoBridgePort::HairpinMode(*on)),
                LinkChange::Isolated(on) => port.push(InfoBridgePort::Isolated(*on)),
                LinkChange::VlanFiltering(on) => {
                    own.attributes.push(LinkAttribute::LinkInfo(vec![
                        LinkInfo::Kind(InfoKind::Bridge),
                        LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(*on)])),
                    ]));
                }
                LinkChange::AddVlan(range) => this.add_vlans.push(range.clone()),
                LinkChange::DelVlan(range) => this.del_vlans.push(range.clone()),
            }
        }
        if !tunnel.is_empty() {
            // In a message of its own, before the MTU that depends on it: `vxlan_nl2conf()` refuses
            // an MTU beside it.
            let mut message = target.clone();
            message.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Vxlan),
                LinkInfo::Data(InfoData::Vxlan(tunnel)),
            ]));
            this.links.push(message);
        }
        if own.attributes.len() > before || !own.header.change_mask.is_empty() {
            this.links.push(own);
        }
        if !port.is_empty() {
            // In a message of its own: port flags are set before a new master is.
            let mut message = target.clone();
            message.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(port)),
            ]));
            this.links.push(message);
        }
        this
    }
}

/// A message that names a link by its index.
pub(crate) fn by_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// A message that names a link by its name.
pub(crate) fn by_name(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

/// Puts the link named by `target` into a group, or names all links of a group.
pub(crate) fn group(mut target: LinkMessage, group: u32) -> LinkMessage {
    target.attributes.push(LinkAttribute::Group(group));
    target
}

/// Leaves the counters out of the answer.
pub(crate) fn brief(mut target: LinkMessage) -> LinkMessage {
    target.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    target
}

/// Sets IPv4 settings of a link: those that are not 0.
pub(crate) fn ipv4_conf(index: u32, conf: InetDevConf) -> LinkMessage {
    let mut message = by_index(index);
    let ipv4 = AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)]);
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![ipv4]));
    message
}

/// VLANs of a bridge port, for `RTM_SETLINK` or `RTM_DELLINK` (`br_setlink()`,
/// `net/bridge/br_netlink.c`).
pub(crate) fn vlans(index: u32, ranges: &[VlanRange]) -> LinkMessage {
    let mut message = by_index(index);
    message.header.interface_family = AddressFamily::Bridge;
    let entries = ranges.iter().flat_map(vlan_entries).map(AfSpecBridge::VlanInfo).collect();
    message.attributes.push(LinkAttribute::AfSpecBridge(entries));
    message
}

/// Makes no link, as the one that it would be on is missing; but a kind that the kernel does not have is
/// refused before that is looked at (`__rtnl_newlink()`, `net/core/rtnetlink.c`).
pub(crate) fn without_parent(kind: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    let kind = LinkInfo::Kind(InfoKind::Other(kind.to_owned()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![kind]));
    message
}

/// Asks for a namespace, and for the number by which this one knows it.
pub(crate) fn nsid(of: NsidAttribute) -> NsidMessage {
    let mut message = NsidMessage::default();
    message.attributes.push(of);
    message
}

/// One queue each way: without, a veth gets one a CPU, which costs more to make than all else.
const ONE_QUEUE: [LinkAttribute; 2] =
    [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];

fn veth_peer(peer: &PeerInit, netns: Option<i32>) -> InfoData {
    let mut message = by_name(peer.link.name.as_str());
    let attributes = &mut message.attributes;
    attributes.extend(netns.map(LinkAttribute::NetNsFd));
    attributes.extend(peer.mtu.map(LinkAttribute::Mtu));
    attributes.extend(peer.mac.map(|m| LinkAttribute::Address(m.0.to_vec())));
    attributes.extend(ONE_QUEUE);
    InfoData::Veth(InfoVeth::Peer(message))
}

fn set_flag(message: &mut LinkMessage, flag: LinkFlags, on: bool) {
    message.header.change_mask.insert(flag);
    message.header.flags.set(flag, on);
}

fn kind(kind: &LinkKind) -> InfoKind {
    match kind {
        LinkKind::Loopback => InfoKind::Other("loopback".to_owned()),
        LinkKind::Bridge { .. } => InfoKind::Bridge,
        LinkKind::Veth { .. } => InfoKind::Veth,
        LinkKind::MacVlan { .. } => InfoKind::MacVlan,
        LinkKind::IpVlan(_) => InfoKind::IpVlan,
        LinkKind::Vlan { .. } => InfoKind::Vlan,
        LinkKind::Vxlan(_) => InfoKind::Vxlan,
        LinkKind::Ipip(_) => InfoKind::IpIp,
        LinkKind::WireGuard(_) => InfoKind::Wireguard,
        LinkKind::Other(word) => InfoKind::from(word.as_str()),
    }
}

/// Whatever is not said is off, or the kernel's default.
fn tunnel(vxlan: &Vxlan, parent: Option<u32>) -> Vec<InfoVxlan> {
    let mut data = vec![InfoVxlan::Id(vxlan.id), InfoVxlan::Learning(vxlan.learning)];
    data.extend(parent.map(InfoVxlan::Link));
    data.extend(vxlan.local.map(local));
    data.extend(vxlan.port.map(InfoVxlan::Port));
    if vxlan.gbp {
        data.push(InfoVxlan::Gbp);
    }
    if vxlan.proxy {
        data.push(InfoVxlan::Proxy(true));
    }
    data
}

fn local(ip: IpAddr) -> InfoVxlan {
    match ip {
        IpAddr::V4(ip) => InfoVxlan::Local(ip),
        IpAddr::V6(ip) => InfoVxlan::Local6(ip),
    }
}

fn vlan_entries(range: &VlanRange) -> Vec<BridgeVlanInfo> {
    let mut flags = BridgeVlanInfoFlags::empty();
    flags.set(BridgeVlanInfoFlags::Untagged, range.untagged);
    if range.first == range.last {
        flags.set(BridgeVlanInfoFlags::Pvid, range.pvid);
        return vec![BridgeVlanInfo { flags, vid: range.first }];
    }
    vec![
        BridgeVlanInfo { flags: flags | BridgeVlanInfoFlags::RangeBegin, vid: range.first },
        BridgeVlanInfo { flags: flags | BridgeVlanInfoFlags::RangeEnd, vid: range.last },
    ]
}
