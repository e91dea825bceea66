//! Link-layer addresses of our own choice.

use cni::Error;
use netstate::Mac;
use rustix::rand::{GetRandomFlags, getrandom};

/// A random, locally administered unicast address (IEEE 802-2014, section 8.4.4.1).
pub(crate) fn random() -> Result<Mac, Error> {
    let mut bytes = [0u8; 6];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|e| Error::io(format!("cannot get random bytes for a MAC address: {e}")))?;
    bytes[0] = (bytes[0] & 0xfc) | 0x02;
    Ok(Mac(bytes))
}
