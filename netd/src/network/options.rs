//! The options of drivers, by Docker's keys.

mod announcements;
mod direct;
mod overlay;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netstate::LinkName;

use super::{Driver, NetworkError, PUBLISH};
use crate::config::options::boolean;

pub use announcements::Announcements;
pub use direct::{DirectMode, DirectOptions};
pub use overlay::OverlayOptions;

/// What all options are called that Docker has made.
const BRIDGE: &str = "com.docker.network.bridge.";
/// The MTU of all drivers, in bytes.
pub(super) const MTU: &str = "com.docker.network.driver.mtu";

/// The options of a driver, given by key.
type Given = BTreeMap<String, String>;

/// How containers of a bridge are reached and reach others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GatewayMode {
    /// Masqueraded, reached by published ports.
    #[default]
    Nat,
    /// The same, and reached by their own addresses on all ports.
    NatUnprotected,
    /// With their own addresses, on published ports.
    Routed,
    /// Not at all: the host has no address on the bridge.
    Isolated,
}

/// Options of driver `bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeOptions {
    /// The device, where it is not `br-` and the id.
    pub name: Option<LinkName>,
    /// Masquerade what leaves.
    pub masquerade: bool,
    /// Containers reach each other.
    pub icc: bool,
    /// IPv4 gateway mode.
    pub gateway_v4: GatewayMode,
    /// IPv6 gateway mode.
    pub gateway_v6: GatewayMode,
    /// The host has no IPv4 address on the bridge: another router has it.
    pub inhibit_v4: bool,
    /// Where ports are published that name no address.
    pub host_binding: Option<IpAddr>,
    /// Interfaces that reach containers by their own addresses.
    pub trusted: Vec<LinkName>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// What names of interfaces in containers begin with.
    pub prefix: Option<String>,
    /// The source of what leaves, in the place of masquerading.
    pub host_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub host_v6: Option<Ipv6Addr>,
}

/// Checks the options of a driver; gives the keys that it does not know.
///
/// # Errors
/// [`NetworkError::Option`] at the first value that makes no sense.
pub(super) fn check(driver: Driver, given: &Given) -> Result<Vec<String>, NetworkError> {
    let mut read = Reader { given, known: Vec::new() };
    read.boolean(PUBLISH)?;
    Announcements::from(&mut read)?;
    match driver {
        Driver::Bridge => drop(BridgeOptions::from(&mut read)?),
        Driver::Macvlan | Driver::Ipvlan => DirectOptions::from(driver, &mut read).map(|_| ())?,
        Driver::Overlay => drop(OverlayOptions::from(&mut read)?),
        Driver::Null | Driver::Host => {}
    }
    let unknown = |key: &&String| !read.known.iter().any(|known| known == *key);
    Ok(given.keys().filter(unknown).cloned().collect())
}

/// The MTU of any driver.
pub(super) fn mtu(given: &Given) -> Result<Option<u32>, NetworkError> {
    Reader { given, known: Vec::new() }.mtu()
}

impl BridgeOptions {
    /// Reads them.
    ///
    /// # Errors
    /// [`NetworkError::Option`] at the first value that makes no sense.
    pub fn read(given: &Given) -> Result<Self, NetworkError> {
        Self::from(&mut Reader { given, known: Vec::new() })
    }

    fn from(read: &mut Reader<'_>) -> Result<Self, NetworkError> {
        let of = |key: &str| format!("{BRIDGE}{key}");
        // Docker's mark of its own; known, so that what it shows can be given back.
        read.boolean(&of("default_bridge"))?;
        Ok(Self {
            name: read.link(&of("name"))?,
            masquerade: read.boolean(&of("enable_ip_masquerade"))?.unwrap_or(true),
            icc: read.boolean(&of("enable_icc"))?.unwrap_or(true),
            gateway_v4: read.gateway_mode(&of("gateway_mode_ipv4"))?,
            gateway_v6: read.gateway_mode(&of("gateway_mode_ipv6"))?,
            inhibit_v4: read.boolean(&of("inhibit_ipv4"))?.unwrap_or(false),
            host_binding: read.parsed(&of("host_binding_ipv4"), "is no address")?,
            trusted: read.links(&of("trusted_host_interfaces"))?,
            mtu: read.mtu()?,
            prefix: read.prefix("com.docker.network.container_iface_prefix")?,
            host_v4: read.parsed("com.docker.network.host_ipv4", "is no IPv4 address")?,
            host_v6: read.parsed("com.docker.network.host_ipv6", "is no IPv6 address")?,
        })
    }
}

/// Reads values, and notes which keys there are.
struct Reader<'a> {
    given: &'a Given,
    known: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, key: &str) -> Option<&str> {
        self.known.push(key.to_owned());
        self.given.get(key).map(String::as_str)
    }

    fn by<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, NetworkError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let wrong = |why| NetworkError::Option { key: key.to_owned(), value: text.to_owned(), why };
        read(text).map(Some).map_err(wrong)
    }

    /// Go's words for a boolean (`strconv.ParseBool`).
    fn boolean(&mut self, key: &str) -> Result<Option<bool>, NetworkError> {
        self.by(key, |text| boolean(text).ok_or_else(|| "is neither true nor false".to_owned()))
    }

    fn number(&mut self, key: &str, least: u32, most: u32) -> Result<Option<u32>, NetworkError> {
        self.by(key, |text| {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("is no number from {least} to {most}"))
        })
    }

    /// 0 is none, as with Docker; 68 is the least of IPv4 (RFC 791).
    fn mtu(&mut self) -> Result<Option<u32>, NetworkError> {
        let read = |text: &str| {
            let number = text.parse().ok();
            let fine = number.filter(|mtu| *mtu == 0 || (68..=65_535).contains(mtu));
            fine.ok_or_else(|| "is no MTU: write bytes from 68 to 65535, or 0".to_owned())
        };
        Ok(self.by(MTU, read)?.filter(|mtu| *mtu != 0))
    }

    fn parsed<T: std::str::FromStr>(
        &mut self,
        key: &str,
        why: &str,
    ) -> Result<Option<T>, NetworkError> {
        self.by(key, |text| text.parse().map_err(|_| why.to_owned()))
    }

    fn link(&mut self, key: &str) -> Result<Option<LinkName>, NetworkError> {
        self.parsed(key, NO_LINK)
    }

    fn links(&mut self, key: &str) -> Result<Vec<LinkName>, NetworkError> {
        let read = |text: &str| {
            let names = text.split(':').filter(|name| !name.is_empty()).map(LinkName::new);
            names.collect::<Result<Vec<_>, _>>().map_err(|_| "has a name that is none".to_owned())
        };
        Ok(self.by(key, read)?.unwrap_or_default())
    }

    fn parent(&mut self) -> Result<Option<LinkName>, NetworkError> {
        self.by("parent", |text| match LinkName::new(text) {
            Ok(name) if name == LinkName::lo() => {
                Err("cannot be a parent: the loopback interface has no network behind it"
                    .to_owned())
            }
            Ok(name) => Ok(name),
            Err(_) => Err(NO_LINK.to_owned()),
        })
    }

    /// A number follows, so three bytes are left of fifteen.
    fn prefix(&mut self, key: &str) -> Result<Option<String>, NetworkError> {
        self.by(key, |text| match LinkName::new(text) {
            Ok(_) if text.len() <= 12 => Ok(text.to_owned()),
            Ok(_) | Err(_) => Err("does not begin a name: use 1 to 12 bytes of one".to_owned()),
        })
    }

    fn gateway_mode(&mut self, key: &str) -> Result<GatewayMode, NetworkError> {
        const MODES: [(&str, GatewayMode); 4] = [
            ("nat", GatewayMode::Nat),
            ("nat-unprotected", GatewayMode::NatUnprotected),
            ("routed", GatewayMode::Routed),
            ("isolated", GatewayMode::Isolated),
        ];
        Ok(self.one_of(key, &MODES)?.unwrap_or_default())
    }

    fn one_of<T: Copy>(&mut self, key: &str, all: &[(&str, T)]) -> Result<Option<T>, NetworkError> {
        self.by(key, |text| {
            let found = all.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
            found.ok_or_else(|| format!("is not one of {}", words.join(", ")))
        })
    }
}

const NO_LINK: &str =
    "is no name of an interface: use 1 to 15 bytes, without '/', ':', '%' and spaces";
