//! The keys of overlay.

use std::path::PathBuf;
use std::time::Duration;

use cni::json::{self, Object};
use cni::{Error, Request};
use serde::Deserialize;

use crate::subnet::{self, Settings, Source};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    data_dir: PathBuf,
    delegate: Object,
    network: String,
    subnet_wait: u32,
}

/// What overlay is to do.
///
/// # Errors
/// Code 6; 7 where `network` is no name. `delegate` is validated when it is used: DEL does not need it.
pub(super) fn of(request: &Request) -> Result<Settings, Error> {
    let wire: Wire = json::decode(&request.conf.raw)?;
    if wire.network.starts_with('.') || wire.network.contains('/') {
        return Err(Error::config(format!(
            "network: {:?} is no name of a network: write one of netd's --networks",
            wire.network
        )));
    }
    let network = (!wire.network.is_empty()).then_some(wire.network);
    Ok(Settings {
        plugin: "overlay",
        delegate: wire.delegate,
        // A bridge that still has the address of the subnet before is netd's own doing.
        force_address: true,
        data_dir: subnet::path(wire.data_dir, "/var/lib/cni/overlay"),
        source: Source::netd(network),
        wait: Duration::from_secs(wire.subnet_wait.into()),
    })
}
