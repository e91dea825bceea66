//! Where the cluster's store is: flannel's options for etcd, with flannel's names and defaults.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::lease::{InvalidPrefix, Keyspace};
use crate::store::etcd::{Etcd, Options, Tls};
use crate::store::{Error, Fault, Store};

/// flannel's default of `--etcd-endpoints`.
pub const ENDPOINTS: &str = "http://127.0.0.1:4001,http://127.0.0.1:2379";
/// flannel's default of `--etcd-prefix`.
pub const PREFIX: &str = "/coreos.com/network";
/// Where netd keeps what is its own.
pub const OWN_PREFIX: &str = "/netd/v1";

/// How long the name of an endpoint may take to be looked up.
const NAME_WITHIN: Duration = Duration::from_secs(2);

/// How the store is reached, and where in it everything is.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// URLs of etcd, separated by commas.
    pub etcd_endpoints: String,
    /// Prefix of flannel's keys in etcd.
    pub etcd_prefix: String,
    /// Prefix of netd's own keys in etcd.
    pub etcd_own_prefix: String,
    /// Certificates (PEM) of the authorities that etcd's certificate may be signed by; without
    /// it the system's.
    pub etcd_cafile: Option<PathBuf>,
    /// Certificate (PEM) to show to etcd.
    pub etcd_certfile: Option<PathBuf>,
    /// Key (PEM) of that certificate.
    pub etcd_keyfile: Option<PathBuf>,
    /// User of etcd.
    pub etcd_username: Option<String>,
    /// Password of that user.
    pub etcd_password: Option<String>,
}

impl StoreOptions {
    /// The store these name. Nothing is connected yet; files are read.
    ///
    /// # Errors
    /// [`crate::store::Fault::Invalid`] with the option, its value and the remedy.
    pub fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let user = match (&self.etcd_username, &self.etcd_password) {
            (Some(name), Some(password)) if !name.is_empty() => {
                Some((name.clone(), password.clone()))
            }
            (Some(name), None) if !name.is_empty() => {
                let text = format!("--etcd-username {name:?} is given without --etcd-password");
                return Err(Error::new("reach etcd", Fault::Invalid(text)));
            }
            (None, Some(password)) if !password.is_empty() => {
                let text = "--etcd-password is given without --etcd-username".to_owned();
                return Err(Error::new("reach etcd", Fault::Invalid(text)));
            }
            _ => None,
        };
        let given =
            |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let options = Options {
            endpoints: self.etcd_endpoints.clone(),
            tls: Tls {
                authorities: given(&self.etcd_cafile),
                certificate: given(&self.etcd_certfile),
                key: given(&self.etcd_keyfile),
            },
            user,
        };
        let etcd = Arc::new(Etcd::new(&options)?);
        #[cfg(feature = "inject")]
        let etcd = Arc::new(crate::store::inject::Injected(etcd));
        Ok(etcd)
    }

    /// The addresses of its endpoints. One whose name is not known now is left out, with a word
    /// in the log; what the names stand for later is not asked.
    pub async fn addresses(&self) -> BTreeSet<IpAddr> {
        let mut addresses = BTreeSet::new();
        for url in self.etcd_endpoints.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
            let asked = lookup_host(authority.trim_end_matches('/').to_owned());
            match timeout(NAME_WITHIN, asked).await.map_err(std::io::Error::from).flatten() {
                Ok(found) => addresses.extend(found.map(|at| at.ip().to_canonical())),
                Err(error) => {
                    tracing::warn!(endpoint = url, %error, "the endpoint's address is not known; \
                        a lease that takes it in is not refused");
                }
            }
        }
        addresses
    }

    /// Where in it everything is.
    ///
    /// # Errors
    /// When a prefix is empty or they overlap.
    pub fn keyspace(&self) -> Result<Keyspace, InvalidPrefix> {
        Keyspace::new(&self.etcd_prefix, &self.etcd_own_prefix)
    }
}

impl fmt::Debug for StoreOptions {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("etcd_endpoints", &self.etcd_endpoints)
            .field("etcd_prefix", &self.etcd_prefix)
            .field("etcd_own_prefix", &self.etcd_own_prefix)
            .field("etcd_cafile", &self.etcd_cafile)
            .field("etcd_certfile", &self.etcd_certfile)
            .field("etcd_keyfile", &self.etcd_keyfile)
            .field("etcd_username", &self.etcd_username)
            .field("etcd_password", &self.etcd_password.as_ref().map(|_| "..."))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_all_endpoints_are_known_with_and_without_a_name() {
        let options = StoreOptions {
            etcd_endpoints: "http://192.0.2.1:2379, 192.0.2.2:2379/,https://[fd00::1]:2379,\
                             http://localhost:4001,http://no-port"
                .to_owned(),
            etcd_prefix: PREFIX.to_owned(),
            etcd_own_prefix: OWN_PREFIX.to_owned(),
            etcd_cafile: None,
            etcd_certfile: None,
            etcd_keyfile: None,
            etcd_username: None,
            etcd_password: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let addresses = runtime.block_on(options.addresses());
        for ip in ["192.0.2.1", "192.0.2.2", "fd00::1", "127.0.0.1"] {
            assert!(addresses.contains(&ip.parse().unwrap()), "{ip}: {addresses:?}");
        }
    }
}
