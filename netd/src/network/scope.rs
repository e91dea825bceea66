//! Who has a network.

use serde::{Deserialize, Serialize};

use super::create::driver;
use super::{CreateRequest, Driver, NetworkError};

/// Who has a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This host.
    #[default]
    Local,
    /// All hosts of the cluster: it is in etcd.
    Global,
}

impl Scope {
    /// The word for it. Docker's for the second one is `swarm`, or `global`, as it was before Swarm.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Global => "global",
        }
    }
}

/// Who is to have the network that is asked for: where nothing is said, whoever has those of its driver.
///
/// # Errors
/// Where there is no such driver or scope, or the driver has no networks of it.
pub fn scope_of(request: &CreateRequest) -> Result<Scope, NetworkError> {
    let driver = driver(request)?;
    let word = request.scope.as_str();
    let refuse = |what: String, remedy| Err(NetworkError::Unsupported { what, remedy });
    let of_driver = || format!("scope {word:?} of driver {}", driver.name());
    match (word, driver) {
        ("", _) => Ok(driver.scope()),
        ("local", Driver::Overlay) => refuse(
            of_driver(),
            "an overlay is there on every host: leave --scope out, or take driver bridge",
        ),
        ("local", _) => Ok(Scope::Local),
        // Docker's word is swarm.
        ("global" | "swarm", Driver::Overlay | Driver::Macvlan | Driver::Ipvlan) => {
            Ok(Scope::Global)
        }
        ("global" | "swarm", Driver::Bridge | Driver::Null | Driver::Host) => refuse(
            of_driver(),
            "a bridge is one host's, and nothing leads from it to those of other hosts: take driver \
             overlay, or macvlan where the hosts are on one wire",
        ),
        _ => refuse(format!("scope {word:?}"), "write local or global, or leave it out"),
    }
}
