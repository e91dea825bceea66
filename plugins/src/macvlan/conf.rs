//! The keys of macvlan.

use cni::{Args, Error, Request, json};
use netstate::{LinkName, Mac, MacVlanMode, Ns};
use serde::Deserialize;

use crate::convert;

/// What macvlan is to do, validated.
#[derive(Debug)]
pub(super) struct Conf {
    /// The parent; that of the default route otherwise.
    pub(super) master: Option<LinkName>,
    /// Where the parent is.
    pub(super) master_ns: Ns,
    pub(super) mode: MacVlanMode,
    pub(super) mtu: Option<u32>,
    pub(super) mac: Option<Mac>,
    pub(super) bc_queue_len: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    master: String,
    mode: String,
    mtu: i64,
    mac: String,
    #[serde(rename = "linkInContainer")]
    link_in_container: bool,
    bcqueuelen: u32,
}

impl Conf {
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        let master = match wire.master.as_str() {
            "" => None,
            name => Some(convert::link_name("master", name)?),
        };
        Ok(Self {
            master,
            master_ns: if wire.link_in_container { Ns::Container } else { Ns::Host },
            mode: mode(&wire.mode)?,
            mtu: convert::mtu("mtu", wire.mtu)?,
            mac: mac(request, &wire.mac)?,
            bc_queue_len: Some(wire.bcqueuelen).filter(|n| *n > 0),
        })
    }
}

fn mode(text: &str) -> Result<MacVlanMode, Error> {
    Ok(match text {
        "" | "bridge" => MacVlanMode::Bridge,
        "private" => MacVlanMode::Private,
        "vepa" => MacVlanMode::Vepa,
        "passthru" => MacVlanMode::Passthru,
        other => {
            return Err(Error::config(format!(
                "unknown macvlan mode: {other:?}: use \"bridge\", \"private\", \"vepa\" or \"passthru\""
            )));
        }
    })
}

/// runtimeConfig before CNI_ARGS before the configuration.
fn mac(request: &Request, configured: &str) -> Result<Option<Mac>, Error> {
    let args = Args::parse(&request.args)?;
    let known = args.take_known(&["MAC"])?;
    if let Some(mac) = request.conf.mac()? {
        return convert::mac("runtimeConfig.mac", &mac).map(Some);
    }
    match known.get("MAC") {
        None | Some(&"") => {}
        Some(mac) => return convert::mac("CNI_ARGS MAC", mac).map(Some),
    }
    match configured {
        "" => Ok(None),
        mac => convert::mac("mac", mac).map(Some),
    }
}
