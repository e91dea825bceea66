//! Values of leases: where a host is reached, and what its backend needs.

use std::net::{Ipv4Addr, Ipv6Addr};

use cni::json::{self, Value};

/// What a host publishes with its subnet.
///
/// Source: flannel `pkg/lease/lease.go`, `LeaseAttrs`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseValue {
    /// The address its peers send to.
    pub public_ip: Ipv4Addr,
    /// The same for IPv6.
    pub public_ipv6: Option<Ipv6Addr>,
    /// `vxlan`, `host-gw`, ...; empty where the backend has nothing to say (alloc, udp).
    pub backend_type: String,
    /// What the backend needs to know for IPv4, `{"VNI":1,"VtepMAC":"..."}`; its keys match in any
    /// case: read it with [`cni::json::decode`].
    pub backend_data: Option<Value>,
    /// The same for IPv6.
    pub backend_v6_data: Option<Value>,
}

/// A value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(String);

impl LeaseValue {
    /// The value of a host without a backend.
    #[must_use]
    pub fn new(public_ip: Ipv4Addr) -> Self {
        Self {
            public_ip,
            public_ipv6: None,
            backend_type: String::new(),
            backend_data: None,
            backend_v6_data: None,
        }
    }

    /// The bytes that flannel writes: its order of keys, no spaces, `PublicIPv6` always there.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!(r#"{{"PublicIP":"{}""#, self.public_ip);
        match self.public_ipv6 {
            Some(address) => text.push_str(&format!(r#","PublicIPv6":"{address}""#)),
            None => text.push_str(r#","PublicIPv6":null"#),
        }
        if !self.backend_type.is_empty() {
            let kind = Value::from(self.backend_type.as_str());
            text.push_str(&format!(r#","BackendType":{kind}"#));
        }
        for (key, data) in
            [("BackendData", &self.backend_data), ("BackendV6Data", &self.backend_v6_data)]
        {
            if let Some(data) = data {
                text.push_str(&format!(r#","{key}":{data}"#));
            }
        }
        text.push('}');
        escape_as_go(&text).into_bytes()
    }

    /// Reads a value as flannel does: keys in any case, unknown ones ignored.
    ///
    /// Stricter than flannel in one thing: without `PublicIP` nobody can be reached.
    ///
    /// # Errors
    /// Names the key and its value.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidValue> {
        let value = json::parse(bytes).map_err(|error| InvalidValue(error.msg))?;
        if value.as_object().is_none() {
            return Err(InvalidValue(format!("expected an object, got {value}")));
        }
        let text = |key: &str| -> Result<Option<String>, InvalidValue> {
            json::decode_field("", &value, key).map_err(|error| InvalidValue(error.msg))
        };
        let public_ip =
            text("PublicIP")?.ok_or_else(|| InvalidValue("PublicIP: missing".into()))?;
        let public_ipv6 = text("PublicIPv6")?.filter(|text| !text.is_empty());
        Ok(Self {
            public_ip: address("PublicIP", &public_ip)?,
            public_ipv6: public_ipv6.map(|ip| address("PublicIPv6", &ip)).transpose()?,
            backend_type: text("BackendType")?.unwrap_or_default(),
            backend_data: value.field("BackendData").cloned(),
            backend_v6_data: value.field("BackendV6Data").cloned(),
        })
    }
}

fn address<A: std::str::FromStr>(key: &str, text: &str) -> Result<A, InvalidValue> {
    text.parse()
        .map_err(|_| InvalidValue(format!("{key}: {text:?} is no IP address of its family")))
}

/// `encoding/json` escapes what HTML would trip over, in raw messages too. In JSON these
/// characters stand in strings only.
fn escape_as_go(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests;
