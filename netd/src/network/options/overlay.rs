//! Options of driver `overlay`.

use super::{Given, Reader};
use crate::network::{Driver, Network, NetworkError, Vni};

/// Docker's option that encrypts, whatever its value.
const ENCRYPTED: &str = "encrypted";

/// Options of driver `overlay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayOptions {
    /// In bytes; else what the interface below leaves.
    pub mtu: Option<u32>,
    /// The numbers of its subnets, in their order; none where netd chooses.
    pub vnis: Vec<Vni>,
    /// Whether frames between hosts are encrypted.
    pub encrypted: bool,
}

impl OverlayOptions {
    /// The option that names numbers.
    pub const VNIS: &str = "com.docker.network.driver.overlay.vxlanid_list";

    /// Reads them.
    ///
    /// # Errors
    /// [`NetworkError::Option`] at the first value that makes no sense.
    pub fn read(given: &Given) -> Result<Self, NetworkError> {
        Self::from(&mut Reader { given, known: Vec::new() })
    }

    pub(super) fn from(read: &mut Reader<'_>) -> Result<Self, NetworkError> {
        let encrypted = read.text(ENCRYPTED).is_some();
        let vnis = read.by(Self::VNIS, vnis)?.unwrap_or_default();
        Ok(Self { mtu: read.mtu()?, vnis, encrypted })
    }
}

impl Network {
    /// Whether it is an overlay whose frames between hosts are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.driver == Driver::Overlay && self.options.contains_key(ENCRYPTED)
    }
}

fn vnis(text: &str) -> Result<Vec<Vni>, String> {
    let mut all: Vec<Vni> = Vec::new();
    for number in text.split(',') {
        let vni = number.trim().parse().map_err(|()| {
            "is no list of VNIs: write numbers from 1 to 16777215, with commas between".to_owned()
        })?;
        if all.contains(&vni) {
            return Err(format!("names {vni} twice: each subnet has its own"));
        }
        all.push(vni);
    }
    Ok(all)
}
