//! The keys of flannel.

use std::path::PathBuf;
use std::time::Duration;

use cni::json::{self, Object};
use cni::{Error, Request};
use serde::Deserialize;

use crate::subnet::{self, Settings, Source};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    subnet_file: PathBuf,
    data_dir: PathBuf,
    socket: PathBuf,
    delegate: Object,
    subnet_wait: u32,
}

/// What flannel is to do.
///
/// # Errors
/// Code 6. `delegate` is validated when it is used: DEL does not need it.
pub(super) fn of(request: &Request) -> Result<Settings, Error> {
    let wire: Wire = json::decode(&request.conf.raw)?;
    Ok(Settings {
        plugin: "flannel",
        delegate: wire.delegate,
        force_address: false,
        data_dir: subnet::path(wire.data_dir, "/var/lib/cni/flannel"),
        source: Source::File {
            file: subnet::path(wire.subnet_file, netd_api::subnet_env::PATH),
            socket: subnet::path(wire.socket, netd_api::attach::SOCKET),
        },
        wait: Duration::from_secs(wire.subnet_wait.into()),
    })
}
