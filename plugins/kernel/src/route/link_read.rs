//! Links as the kernel tells them.

use std::net::IpAddr;

use netlink_packet_core::{Emitable, NlasIterator, ParseableParametrized};
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoIpTunnel, InfoMacVlan, InfoPortData, InfoVlan,
    InfoVxlan, LinkAttribute, LinkFlags, LinkHeader, LinkInfo, State,
};
use netstate::{BridgePort, IpVlanFlag, IpVlanMode, Ipip, Mac, MacVlanMode, Vxlan};

use super::modes;

/// `IFLA_ADDRESS`, `IFNAME`, `MTU`, `LINK`, `MASTER`, `OPERSTATE`, `LINKINFO`, `IFALIAS` and
/// `LINK_NETNSID` (`include/uapi/linux/if_link.h`).
const WANTED: [u16; 9] = [1, 3, 4, 5, 10, 16, 18, 20, 37];

/// A link with indexes where the model has names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RawLink {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The kernel's word; empty for a physical device and for `lo`.
    pub(crate) kind: String,
    pub(crate) loopback: bool,
    pub(crate) up: bool,
    pub(crate) promisc: bool,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<Mac>,
    pub(crate) master: Option<u32>,
    /// Far end of a veth, parent of a macvlan or a tunnel end: index, and the id of its namespace if another.
    pub(crate) lower: Option<u32>,
    pub(crate) lower_nsid: Option<i32>,
    pub(crate) alias: Option<String>,
    /// `IF_OPER_*` as a word.
    pub(crate) operstate: String,
    pub(crate) port: Option<BridgePort>,
    pub(crate) vlan_filtering: Option<bool>,
    pub(crate) macvlan_mode: Option<MacVlanMode>,
    pub(crate) bc_queue_len: Option<u32>,
    pub(crate) ipvlan: Option<(IpVlanMode, IpVlanFlag)>,
    pub(crate) vlan_id: Option<u16>,
    /// Without its parent.
    pub(crate) vxlan: Option<Vxlan>,
    pub(crate) ipip: Option<Ipip>,
}

impl RawLink {
    /// From the body of `RTM_NEWLINK`; `None` if it is not one. Of its fifty attributes only those
    /// that are asked for are decoded.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(body).ok()?;
        let flags = header.flags;
        let mut link = Self {
            index: header.index,
            loopback: flags.contains(LinkFlags::Loopback),
            up: flags.contains(LinkFlags::Up),
            promisc: flags.contains(LinkFlags::Promisc),
            ..Self::default()
        };
        for attribute in NlasIterator::new(body.get(header.buffer_len()..)?) {
            let attribute = attribute.ok()?;
            if WANTED.contains(&attribute.kind()) {
                let family = header.interface_family;
                link.take(LinkAttribute::parse_with_param(&attribute, family).ok()?);
            }
        }
        Some(link)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
    fn take(&mut self, attribute: LinkAttribute) {
        match attribute {
            LinkAttribute::IfName(name) => self.name = name,
            LinkAttribute::Mtu(mtu) => self.mtu = mtu,
            LinkAttribute::Address(bytes) => {
                self.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac);
            }
            LinkAttribute::Controller(index) => self.master = Some(index),
            // Of a tunnel end whose parent is in another namespace it is the tunnel end's own
            // (`dev_get_iflink()`); its kind says which the parent is.
            LinkAttribute::Link(index) if self.vxlan.is_none() => self.lower = Some(index),
            LinkAttribute::LinkNetNsId(id) => self.lower_nsid = Some(id),
            LinkAttribute::IfAlias(alias) => self.alias = Some(alias),
            LinkAttribute::OperState(state) => self.operstate = operstate(state).to_owned(),
            LinkAttribute::LinkInfo(info) => info.into_iter().for_each(|i| self.take_info(i)),
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
    fn take_info(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = kind.to_string(),
            LinkInfo::Data(InfoData::Bridge(data)) => {
                self.vlan_filtering = data.iter().find_map(|i| match i {
                    InfoBridge::VlanFiltering(on) => Some(*on),
                    _ => None,
                });
            }
            LinkInfo::Data(InfoData::MacVlan(data)) => {
                for item in data {
                    match item {
                        InfoMacVlan::Mode(mode) => self.macvlan_mode = modes::read_macvlan(mode),
                        InfoMacVlan::BcQueueLen(length) => self.bc_queue_len = Some(length),
                        _ => {}
                    }
                }
            }
            LinkInfo::Data(InfoData::IpVlan(data)) => self.ipvlan = modes::read_ipvlan(&data),
            LinkInfo::Data(InfoData::Vlan(data)) => {
                self.vlan_id = data.iter().find_map(|item| match item {
                    InfoVlan::Id(id) => Some(*id),
                    _ => None,
                });
            }
            LinkInfo::Data(InfoData::Vxlan(data)) => self.take_vxlan(&data),
            LinkInfo::Data(InfoData::IpTunnel(data)) => self.ipip = Some(ipip(&data)),
            LinkInfo::PortData(InfoPortData::BridgePort(data)) => self.port = Some(port(&data)),
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
    fn take_vxlan(&mut self, data: &[InfoVxlan]) {
        self.lower = None;
        let mut vxlan = Vxlan {
            id: 0,
            port: None,
            parent: None,
            local: None,
            learning: false,
            gbp: false,
            proxy: false,
            // Told by ethtool's protocol only.
            tx_checksum: None,
        };
        for item in data {
            match item {
                InfoVxlan::Id(id) => vxlan.id = *id,
                InfoVxlan::Port(port) => vxlan.port = Some(*port),
                InfoVxlan::Local(ip) => vxlan.local = Some((*ip).into()),
                InfoVxlan::Local6(ip) => vxlan.local = Some((*ip).into()),
                InfoVxlan::Learning(on) => vxlan.learning = *on,
                InfoVxlan::Gbp => vxlan.gbp = true,
                InfoVxlan::Proxy(on) => vxlan.proxy = *on,
                InfoVxlan::Link(index) => self.lower = Some(*index),
                _ => {}
            }
        }
        self.vxlan = Some(vxlan);
    }
}

/// The unspecified address stands for any.
#[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
fn ipip(data: &[InfoIpTunnel]) -> Ipip {
    let mut ipip = Ipip { local: None, remote: None };
    for item in data {
        match item {
            InfoIpTunnel::Local(IpAddr::V4(ip)) if !ip.is_unspecified() => ipip.local = Some(*ip),
            InfoIpTunnel::Remote(IpAddr::V4(ip)) if !ip.is_unspecified() => ipip.remote = Some(*ip),
            _ => {}
        }
    }
    ipip
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
fn port(data: &[InfoBridgePort]) -> BridgePort {
    let mut port = BridgePort::default();
    for item in data {
        match item {
            InfoBridgePort::HairpinMode(on) => port.hairpin = Some(*on),
            InfoBridgePort::Isolated(on) => port.isolated = Some(*on),
            _ => {}
        }
    }
    port
}

/// As `ip` writes it, in lower case.
#[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
fn operstate(state: State) -> &'static str {
    match state {
        State::NotPresent => "notpresent",
        State::Down => "down",
        State::LowerLayerDown => "lowerlayerdown",
        State::Testing => "testing",
        State::Dormant => "dormant",
        State::Up => "up",
        _ => "unknown",
    }
}
