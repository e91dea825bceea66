//! The keys of firewall.

use std::io::Write;

use cni::{Error, Request, json};
use drivers::firewall::IngressPolicy;
use serde::Deserialize;

/// What firewall is to do, validated.
#[derive(Debug)]
pub(super) struct Conf {
    pub(super) backend: Backend,
    pub(super) policy: IngressPolicy,
    /// Chain of iptables' filter table that has the first word over container traffic.
    pub(super) admin_chain: String,
    /// Zone of firewalld that containers are put in.
    pub(super) zone: String,
}

/// Who lets container traffic through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// firewalld where it runs, else as `Tables`.
    Auto,
    /// Accepts in iptables' FORWARD where that drops; nothing elsewhere.
    Tables,
    /// A zone of firewalld.
    Firewalld,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    backend: String,
    iptables_admin_chain_name: String,
    firewalld_zone: String,
    ingress_policy: String,
}

impl Conf {
    pub(super) fn of(request: &Request) -> Result<Self, Error> {
        let wire: Wire = json::decode(&request.conf.raw)?;
        let or = |text: String, default: &str| {
            if text.is_empty() { default.to_owned() } else { text }
        };
        Ok(Self {
            backend: backend(&wire.backend),
            policy: policy(&wire.ingress_policy)?,
            admin_chain: admin_chain(or(wire.iptables_admin_chain_name, "CNI-ADMIN"))?,
            zone: or(wire.firewalld_zone, "trusted"),
        })
    }
}

/// An unknown word means "choose", as it does in the reference; it is said, not passed over.
fn backend(text: &str) -> Backend {
    match text {
        "" => Backend::Auto,
        "iptables" | "nftables" => Backend::Tables,
        "firewalld" => Backend::Firewalld,
        other => {
            let _ = writeln!(
                std::io::stderr(),
                "firewall: backend {other:?} is not known and taken as \"\": use \"iptables\", \
                 \"nftables\" or \"firewalld\""
            );
            Backend::Auto
        }
    }
}

fn policy(text: &str) -> Result<IngressPolicy, Error> {
    Ok(match text {
        "" | "open" => IngressPolicy::Open,
        "same-bridge" => IngressPolicy::SameBridge,
        "isolated" => IngressPolicy::Isolated,
        other => {
            return Err(Error::config(format!(
                "unknown ingress policy: {other:?}: ingressPolicy is \"open\", \"same-bridge\" or \
                 \"isolated\""
            )));
        }
    })
}

/// iptables' names of chains have at most 28 bytes (`XT_EXTENSION_MAXNAMELEN` - 1).
fn admin_chain(name: String) -> Result<String, Error> {
    let fine = |b: u8| b.is_ascii_graphic() && b != b'"';
    if name.len() <= 28 && !name.starts_with('-') && name.bytes().all(fine) {
        return Ok(name);
    }
    Err(Error::config(format!(
        "iptablesAdminChainName: {name:?} is not a chain name: use at most 28 letters, digits, '-' \
         and '_'"
    )))
}
