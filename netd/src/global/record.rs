//! What hosts write, as JSON.

use std::net::IpAddr;

use drivers::encryption::Peer;
use ipnetwork::IpNetwork;
use netstate::{Mac, PublicKey};
use serde::{Deserialize, Serialize};

use crate::network::text;

/// A host: until its session of 24 h ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its name, for people.
    pub host: String,
    /// Where others send frames to; none where it has no interface that can be used.
    pub vtep: Option<IpAddr>,
    /// netd's.
    pub version: String,
    /// By which it encrypts; none where it cannot, or is older than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<Encrypts>,
}

/// A host's end of encrypted overlays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encrypts {
    /// Its public key.
    #[serde(with = "text")]
    pub key: PublicKey,
    /// The UDP port that it listens on, at [`Member::vtep`].
    pub port: u16,
}

/// That a host's agent runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Two hosts with one machine id differ in it.
    pub boot_id: String,
    /// The host's name, for people.
    pub host: String,
}

/// That addresses are a host's to give out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The host's machine id.
    pub machine: String,
    /// Addresses of a block that other hosts have claimed, and that this host gives to nobody any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<IpAddr>,
}

/// That an administrator has freed an address of a host that was down: it gives the address to nobody any more,
/// and takes off who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freed {
    /// The machine id of the host that was down.
    pub machine: String,
    /// The name of the host on which it was freed, for people.
    pub by: String,
}

/// A container's place on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRecord {
    /// The machine id of the host that it is on.
    pub machine: String,
    /// The container's id.
    pub container: String,
    /// The interface in the container.
    pub interface: String,
    /// What it is called on the network; the first is shown.
    pub names: Vec<String>,
    /// At most one of a family, with the subnet's prefix length.
    #[serde(with = "text::list")]
    pub addresses: Vec<IpNetwork>,
    /// Of the container's interface.
    #[serde(with = "text")]
    pub mac: Mac,
}

impl EndpointRecord {
    /// What is shown of it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.container)
    }

    /// Whether an address is its own.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.ip() == ip)
    }
}

impl Member {
    /// Who encrypts there, and where that is reached.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        let Encrypts { key, port } = self.wireguard?;
        Some(Peer { key, endpoint: (self.vtep?, port).into() })
    }
}

/// The bytes of one of them.
pub(super) fn encode(record: &impl Serialize) -> Vec<u8> {
    // Writing to memory cannot fail, and all keys are text.
    serde_json::to_vec(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_tells_its_key_and_one_without_or_of_an_older_netd_has_none() {
        let mut member = Member {
            host: "h1".to_owned(),
            vtep: Some([192, 0, 2, 1].into()),
            version: "1".to_owned(),
            wireguard: None,
        };
        let older = br#"{"host":"h1","vtep":"192.0.2.1","version":"1"}"#;
        assert_eq!(encode(&member), older);
        assert_eq!(serde_json::from_slice::<Member>(older).unwrap(), member);
        assert_eq!(member.peer(), None);
        member.wireguard = Some(Encrypts { key: PublicKey([1; 32]), port: 51822 });
        let text = String::from_utf8(encode(&member)).unwrap();
        let key =
            r#""wireguard":{"key":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","port":51822}}"#;
        assert!(text.ends_with(key), "{text}");
        assert_eq!(serde_json::from_str::<Member>(&text).unwrap(), member);
        assert_eq!(member.peer().unwrap().endpoint.to_string(), "192.0.2.1:51822");
    }
}
