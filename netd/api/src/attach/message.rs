//! Requests and replies as values, and as JSON.

use cni::json::{self, Value};
use cni::{AddResult, Code, Version};
use serde::{Deserialize, Serialize};

use super::endpoint::{Attach, Check, Collected, Detach, Gc, Status};
use super::{Error, Lease, Subnet, VERSION};
use crate::SubnetEnv;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The host's subnet, and how it stands with its lease.
    Subnet {
        /// Of which network, where the host is in several.
        network: Option<String>,
    },
    /// See [`Attach`].
    Attach(Attach),
    /// See [`Detach`].
    Detach(Detach),
    /// See [`Check`].
    Check(Check),
    /// See [`Status`].
    Status(Status),
    /// See [`Gc`].
    Gc(Gc),
}

/// What netd answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Request::Subnet`].
    Subnet(Subnet),
    /// To [`Request::Attach`]: what was made, as a CNI result.
    Attached(Box<AddResult>),
    /// To [`Request::Detach`] and [`Request::Status`].
    Done,
    /// To [`Request::Check`]: the commands that would repair what differs.
    Missing(Vec<String>),
    /// To [`Request::Gc`].
    Collected(Collected),
    /// The request was not understood, the client may not ask, or it cannot be done.
    Error {
        /// One sentence.
        text: String,
        /// Of the CNI specification.
        code: Code,
    },
}

/// The code of an error that comes without one.
const USUAL: Code = Code::TryAgainLater;

/// Words for requests.
const REQUESTS: [&str; 6] = ["subnet", "attach", "detach", "check", "status", "gc"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    version: u32,
    request: String,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct SubnetRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
}

#[derive(Serialize)]
struct RequestWire<'a, T> {
    version: u32,
    request: &'a str,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct ReplyWire {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<SubnetWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collected: Option<Collected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
}

/// `{}`.
#[derive(Deserialize, Serialize, Default)]
struct Nothing {}

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
        match self {
            Self::Subnet { network } => request("subnet", SubnetRequest { network }),
            Self::Attach(body) => request("attach", body),
            Self::Detach(body) => request("detach", body),
            Self::Check(body) => request("check", body),
            Self::Status(body) => request("status", body),
            Self::Gc(body) => request("gc", body),
        }
    }

    /// Reads a frame without its length.
    ///
    /// # Errors
    /// The text for [`Reply::Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value = json::parse(bytes).map_err(|error| error.to_string())?;
        let head: Head = decode(&value)?;
        if head.version > VERSION {
            return Err(format!(
                "this netd speaks version {VERSION}, not {}: upgrade netd before its plugins",
                head.version
            ));
        }
        Ok(match head.request.as_str() {
            "subnet" => {
                let SubnetRequest { network } = decode(&value)?;
                Self::Subnet { network }
            }
            "attach" => Self::Attach(decode(&value)?),
            "detach" => Self::Detach(decode(&value)?),
            "check" => Self::Check(decode(&value)?),
            "status" => Self::Status(decode(&value)?),
            "gc" => Self::Gc(decode(&value)?),
            other => {
                return Err(format!("request: expected one of {REQUESTS:?}, got {other:?}"));
            }
        })
    }
}

impl Reply {
    /// An error that another try may not meet.
    #[must_use]
    pub fn refusal(text: impl Into<String>) -> Self {
        Self::Error { text: text.into(), code: USUAL }
    }

    /// The reply as a frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut wire = ReplyWire { version: VERSION, ..ReplyWire::default() };
        match self {
            Self::Error { text, code } => {
                wire.error = Some(text.clone());
                wire.code = (*code != USUAL).then(|| code.number());
            }
            Self::Subnet(Subnet { lease, ready, env, reason }) => {
                wire.subnet = Some(SubnetWire {
                    lease: *lease,
                    ready: *ready,
                    env: env.as_ref().map(ToString::to_string),
                    reason: reason.clone(),
                });
            }
            // Only versions without interfaces have no form for some results.
            Self::Attached(result) => wire.attached = result.to_value(Version::NEWEST).ok(),
            Self::Done => wire.done = Some(Nothing {}),
            Self::Missing(commands) => wire.missing = Some(commands.clone()),
            Self::Collected(collected) => wire.collected = Some(collected.clone()),
        }
        frame(&wire)
    }

    /// Reads a frame without its length.
    ///
    /// # Errors
    /// [`Error::Reply`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = json::parse(bytes).map_err(|error| Error::Reply(error.to_string()))?;
        let wire: ReplyWire = decode(&value).map_err(Error::Reply)?;
        if let Some(text) = wire.error {
            return Ok(Self::Error { text, code: wire.code.map_or(USUAL, Code::from_number) });
        }
        if let Some(SubnetWire { lease, ready, env, reason }) = wire.subnet {
            let env = env.map(|text| SubnetEnv::parse(&text)).transpose();
            let env = env.map_err(|fault| Error::Reply(format!("subnet.env {fault}")))?;
            return Ok(Self::Subnet(Subnet { lease, ready, env, reason }));
        }
        if let Some(attached) = wire.attached {
            let result = AddResult::decode(&attached, Version::NEWEST);
            let result = result.map_err(|fault| Error::Reply(format!("attached: {fault}")))?;
            return Ok(Self::Attached(Box::new(result)));
        }
        if let Some(commands) = wire.missing {
            return Ok(Self::Missing(commands));
        }
        if let Some(collected) = wire.collected {
            return Ok(Self::Collected(collected));
        }
        match wire.done {
            Some(Nothing {}) => Ok(Self::Done),
            None => {
                let text = format!("neither an answer nor an error, in version {}", wire.version);
                Err(Error::Reply(text))
            }
        }
    }
}

fn request(request: &str, body: impl Serialize) -> Vec<u8> {
    frame(&RequestWire { version: VERSION, request, body })
}

fn frame(wire: &impl Serialize) -> Vec<u8> {
    let text = json::compact(wire);
    // What is sent is far shorter than 4 GiB.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), text.as_slice()].concat()
}

fn decode<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    json::decode(value).map_err(|error| error.to_string())
}
