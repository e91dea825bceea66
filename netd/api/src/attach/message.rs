//! Requests and replies as values, and as JSON.

use cni::json;
use serde::{Deserialize, Serialize};

use super::{Error, VERSION};
use crate::SubnetEnv;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The host's subnet, and how it stands with its lease.
    Subnet,
}

/// What netd answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::Subnet`].
    Subnet(Subnet),
    /// The request was not understood, or the client may not ask.
    Error(String),
}

/// The host's subnet as netd has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// How it stands with the lease.
    pub lease: Lease,
    /// Whether a container could be attached now: the lease is held, and its network is up.
    pub ready: bool,
    /// The subnet, once it is known; it may be known and not ready.
    pub env: Option<SubnetEnv>,
    /// Why it is not ready, as a sentence for people; empty if it is.
    pub reason: String,
}

/// How it stands with a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lease {
    /// There is none yet.
    #[default]
    None,
    /// It is this host's.
    Held,
    /// It was this host's: attached containers may not reach others.
    Lost,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct RequestWire {
    version: u32,
    request: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct ReplyWire {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<SubnetWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct SubnetWire {
    lease: Lease,
    ready: bool,
    env: Option<String>,
    reason: String,
}

impl Request {
    /// The request as a frame.
    #[must_use]
    pub fn frame(self) -> Vec<u8> {
        let request = match self {
            Self::Subnet => "subnet".to_owned(),
        };
        frame(&RequestWire { version: VERSION, request })
    }

    /// Reads a frame without its length.
    ///
    /// # Errors
    /// The text for [`Reply::Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wire: RequestWire = decode(bytes)?;
        if wire.version > VERSION {
            return Err(format!(
                "this netd speaks version {VERSION}, not {}: upgrade netd before its plugins",
                wire.version
            ));
        }
        match wire.request.as_str() {
            "subnet" => Ok(Self::Subnet),
            other => Err(format!("request: expected \"subnet\", got {other:?}")),
        }
    }
}

impl Reply {
    /// The reply as a frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut wire = ReplyWire { version: VERSION, ..ReplyWire::default() };
        match self {
            Self::Error(reason) => wire.error = Some(reason.clone()),
            Self::Subnet(Subnet { lease, ready, env, reason }) => {
                wire.subnet = Some(SubnetWire {
                    lease: *lease,
                    ready: *ready,
                    env: env.as_ref().map(ToString::to_string),
                    reason: reason.clone(),
                });
            }
        }
        frame(&wire)
    }

    /// Reads a frame without its length.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wire: ReplyWire = decode(bytes).map_err(Error::Reply)?;
        if let Some(reason) = wire.error {
            return Ok(Self::Error(reason));
        }
        let Some(SubnetWire { lease, ready, env, reason }) = wire.subnet else {
            let text = format!("neither a subnet nor an error, in version {}", wire.version);
            return Err(Error::Reply(text));
        };
        let env = env.map(|text| SubnetEnv::parse(&text)).transpose();
        let env = env.map_err(|fault| Error::Reply(format!("subnet.env {fault}")))?;
        Ok(Self::Subnet(Subnet { lease, ready, env, reason }))
    }
}

fn frame(wire: &impl Serialize) -> Vec<u8> {
    let text = json::pretty(wire);
    // What is sent is far shorter than 4 GiB.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    json::parse(bytes).and_then(|value| json::decode(&value)).map_err(|error| error.to_string())
}
