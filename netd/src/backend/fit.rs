//! Whether a network's devices can be made.

use super::{Backend, InvalidBackend};
use crate::config::network::NetworkConfig;

/// Largest of a link, in bytes (Linux `ETH_MAX_MTU`).
const MTU_MAX: u32 = 65_535;

impl Backend {
    /// Reads the backend of a network, and checks that its devices can be made.
    ///
    /// # Errors
    /// As [`Self::parse`], and where a key does not fit the network's families.
    pub fn of(config: &NetworkConfig) -> Result<Self, InvalidBackend> {
        let (backend, dual) = (Self::parse(&config.backend)?, config.ipv6.is_some());
        backend.devices(dual)?;
        match &backend {
            Self::Vxlan(conf) => conf.fits(dual)?,
            Self::WireGuard(conf) => conf.fits(dual)?,
            Self::HostGw | Self::Ipip(_) | Self::Udp(_) | Self::Extension(_) | Self::Alloc => {}
        }
        Ok(backend)
    }
}

/// Whether devices can have an MTU: of IPv4 at least 68 bytes (RFC 791, section 3.2), of IPv6 1280 (RFC
/// 8200, section 5).
pub(super) fn check_mtu(mtu: Option<u32>, overhead: u32, dual: bool) -> Result<(), InvalidBackend> {
    let least = overhead + if dual { 1280 } else { 68 };
    match mtu {
        Some(mtu) if !(least..=MTU_MAX).contains(&mtu) => {
            Err(InvalidBackend::Mtu { mtu, least, overhead, dual })
        }
        Some(_) | None => Ok(()),
    }
}
