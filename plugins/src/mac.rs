//! Link-layer addresses: of our own choice, and such as are asked for.

use cni::{Error, Request};
use netstate::Mac;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::Deserialize;

use crate::convert;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ArgsCni {
    mac: String,
}

/// What is asked for by runtimeConfig, before args.cni, before CNI_ARGS, whose value of `MAC` is given.
pub(crate) fn asked_for(request: &Request, of_args: Option<&str>) -> Result<Option<Mac>, Error> {
    if let Some(mac) = request.conf.mac()? {
        return convert::mac("runtimeConfig.mac", &mac).map(Some);
    }
    let cni: Option<ArgsCni> = request.conf.args_cni()?;
    match (cni.unwrap_or_default().mac.as_str(), of_args) {
        ("", None | Some("")) => Ok(None),
        ("", Some(mac)) => convert::mac("CNI_ARGS MAC", mac).map(Some),
        (mac, _) => convert::mac("args.cni.mac", mac).map(Some),
    }
}

/// A random, locally administered unicast address (IEEE 802-2014, section 8.4.4.1).
pub(crate) fn random() -> Result<Mac, Error> {
    let mut bytes = [0u8; 6];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|e| Error::io(format!("cannot get random bytes for a MAC address: {e}")))?;
    Ok(Mac::local(bytes))
}
