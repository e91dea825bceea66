//! Options of the drivers whose containers are on a parent directly: `macvlan` and `ipvlan`.

use netstate::{IpVlanFlag, IpVlanMode, LinkName, MacVlanMode};

use super::{Given, Reader};
use crate::network::{Driver, NetworkError};

/// netd's own: the host reaches the containers.
const HOST_ACCESS: &str = "host_access";

/// Options of drivers `macvlan` and `ipvlan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectOptions {
    /// The interface below.
    pub parent: Option<LinkName>,
    /// How siblings reach each other.
    pub mode: DirectMode,
    /// In bytes.
    pub mtu: Option<u32>,
    /// The host reaches the containers.
    pub host_access: bool,
}

/// How containers share the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectMode {
    /// Each has a link-layer address.
    MacVlan(MacVlanMode),
    /// All have the parent's.
    IpVlan(IpVlanMode, IpVlanFlag),
}

impl DirectOptions {
    /// Reads those of a driver, which is one of the two.
    ///
    /// # Errors
    /// [`NetworkError::Option`] at the first value that makes no sense.
    pub fn read(driver: Driver, given: &Given) -> Result<Self, NetworkError> {
        Self::from(driver, &mut Reader { given, known: Vec::new() })
    }

    pub(super) fn from(driver: Driver, read: &mut Reader<'_>) -> Result<Self, NetworkError> {
        let parent = read.parent()?;
        let mode = match driver {
            Driver::Ipvlan => ipvlan(read)?,
            Driver::Macvlan | Driver::Bridge | Driver::Overlay | Driver::Null | Driver::Host => {
                macvlan(read)?
            }
        };
        let mtu = read.mtu()?;
        let host_access = read.boolean(HOST_ACCESS)?.unwrap_or(false);
        if let Some(apart) = mode.keeps_apart().filter(|_| host_access) {
            let why =
                format!("cannot be with {apart}: the host's interface is one among the others");
            return Err(NetworkError::Option {
                key: HOST_ACCESS.to_owned(),
                value: "true".to_owned(),
                why: format!("{why}; leave one of them out"),
            });
        }
        Ok(Self { parent, mode, mtu, host_access })
    }
}

impl DirectMode {
    /// Whether one container has the parent to itself, with the parent's link-layer address.
    #[must_use]
    pub fn takes_over(self) -> bool {
        self == Self::MacVlan(MacVlanMode::Passthru)
    }

    /// Whether each container has a link-layer address of its own.
    #[must_use]
    pub fn has_mac(self) -> bool {
        matches!(self, Self::MacVlan(_)) && !self.takes_over()
    }

    /// Whether containers are routed to, with no gateway between.
    #[must_use]
    pub fn is_routed(self) -> bool {
        matches!(self, Self::IpVlan(IpVlanMode::L3 | IpVlanMode::L3s, _))
    }

    /// The option by which no other interface on the parent reaches a container.
    fn keeps_apart(self) -> Option<&'static str> {
        match self {
            Self::MacVlan(MacVlanMode::Private) => Some("macvlan_mode private"),
            Self::MacVlan(MacVlanMode::Passthru) => Some("macvlan_mode passthru"),
            Self::IpVlan(_, IpVlanFlag::Private) => Some("ipvlan_flag private"),
            Self::MacVlan(MacVlanMode::Bridge | MacVlanMode::Vepa)
            | Self::IpVlan(_, IpVlanFlag::Bridge | IpVlanFlag::Vepa) => None,
        }
    }
}

fn macvlan(read: &mut Reader<'_>) -> Result<DirectMode, NetworkError> {
    const MODES: [(&str, MacVlanMode); 4] = [
        ("bridge", MacVlanMode::Bridge),
        ("private", MacVlanMode::Private),
        ("vepa", MacVlanMode::Vepa),
        ("passthru", MacVlanMode::Passthru),
    ];
    let mode = read.one_of("macvlan_mode", &MODES)?;
    Ok(DirectMode::MacVlan(mode.unwrap_or(MacVlanMode::Bridge)))
}

fn ipvlan(read: &mut Reader<'_>) -> Result<DirectMode, NetworkError> {
    let modes = [IpVlanMode::L2, IpVlanMode::L3, IpVlanMode::L3s].map(|mode| (mode.word(), mode));
    let flags = [IpVlanFlag::Bridge, IpVlanFlag::Private, IpVlanFlag::Vepa];
    let flags = flags.map(|flag| (flag.word(), flag));
    let mode = read.one_of("ipvlan_mode", &modes)?.unwrap_or(IpVlanMode::L2);
    let flag = read.one_of("ipvlan_flag", &flags)?.unwrap_or(IpVlanFlag::Bridge);
    Ok(DirectMode::IpVlan(mode, flag))
}
