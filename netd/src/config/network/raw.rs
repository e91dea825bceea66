//! The configuration as it was written.

use cni::json::{self, Object, Value};
use serde::Deserialize;

use super::{BackendConf, InvalidConfig};

/// All keys that flannel knows, each as written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Raw {
    pub(super) network: Option<String>,
    pub(super) subnet_min: Option<String>,
    pub(super) subnet_max: Option<String>,
    pub(super) subnet_len: Option<u32>,
    #[serde(rename = "EnableIPv4")]
    pub(super) enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    pub(super) enable_ipv6: Option<bool>,
    #[serde(rename = "EnableNFTables")]
    pub(super) enable_nftables: Option<bool>,
    #[serde(rename = "IPv6Network")]
    pub(super) ipv6_network: Option<String>,
    #[serde(rename = "IPv6SubnetMin")]
    pub(super) ipv6_subnet_min: Option<String>,
    #[serde(rename = "IPv6SubnetMax")]
    pub(super) ipv6_subnet_max: Option<String>,
    #[serde(rename = "IPv6SubnetLen")]
    pub(super) ipv6_subnet_len: Option<u32>,
    backend: Option<Value>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Raw, InvalidConfig> {
    let wrong = |error: cni::Error| {
        InvalidConfig::new(format_args!(
            "the network configuration is wrong: {}; write it as in {{\"Network\": \"10.5.0.0/16\", \
             \"Backend\": {{\"Type\": \"vxlan\"}}}}",
            error.msg
        ))
    };
    let value = json::parse(bytes).map_err(wrong)?;
    json::decode(&value).map_err(wrong)
}

impl Raw {
    pub(super) fn backend(self) -> Result<BackendConf, InvalidConfig> {
        // flannel's documentation says vxlan; its code says udp.
        let Some(options) = self.backend else {
            return Ok(BackendConf { kind: "udp".to_owned(), options: Object::new().into() });
        };
        if options.as_object().is_none() {
            let remedy = "write it as in {\"Type\": \"vxlan\"}";
            return Err(InvalidConfig::of("Backend", options, "it is no object", remedy));
        }
        let kind: Option<String> =
            json::decode_field("Backend", &options, "Type").map_err(|error| {
                InvalidConfig::new(format_args!("{}; write it as in \"vxlan\"", error.msg))
            })?;
        Ok(BackendConf { kind: kind.unwrap_or_default().to_lowercase(), options })
    }
}
