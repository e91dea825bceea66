//! A network of this host that netd keeps: netd is asked for everything, and does it.
//!
//! Only DEL works without netd: what it has made is in a record, as that of any other plugin.

mod conf;
mod endpoint;

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Code, Error, Request, Version};
use netd_api::attach::{self, Check, Detach, Gc, Kept, SOCKET, Status};

use crate::attachment;

/// The plugin's name, and that of netd's records.
pub(crate) const NAME: &str = "netd";

/// The plugin.
pub(crate) struct Netd;

/// Whether Podman runs this plugin: when the network stands it opens a socket for each published port itself
/// (`bindPorts()` of `libpod/oci_util.go`), and fails where somebody else has one. No key of CNI says so.
fn is_called_by_podman() -> bool {
    let parent = std::os::unix::process::parent_id();
    let called = std::fs::read_to_string(format!("/proc/{parent}/comm"));
    called.is_ok_and(|name| name.trim_end() == "podman")
}

impl Plugin for Netd {
    fn info(&self) -> Info {
        Info {
            name: NAME,
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let mut wanted = conf::wanted(request)?;
        let (netns, namespace) = attachment::netns(request)?;
        wanted.netns = namespace.path;
        wanted.ports_held = !wanted.ports.is_empty() && is_called_by_podman();
        let attached = attach::attach(Path::new(SOCKET), wanted, netns.as_fd());
        let mut result = attached.map_err(|e| refused(&e, Code::TryAgainLater))?;
        attachment::override_dns(request, &mut result)?;
        Ok(result)
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let network = conf::network(request)?;
        let detach = Detach {
            network: network.clone(),
            container: request.container_id.clone(),
            ifname: Some(request.ifname.clone()),
        };
        match attach::detach(Path::new(SOCKET), detach) {
            Err(attach::Error::Absent { .. }) => endpoint::undo(request, &network),
            detached => detached.map_err(|e| refused(&e, Code::TryAgainLater)),
        }
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let (netns, _) = attachment::netns(request)?;
        let check = Check {
            network: conf::wanted(request)?.network,
            container: request.container_id.clone(),
            ifname: request.ifname.clone(),
        };
        let missing = attach::check(Path::new(SOCKET), check, netns.as_fd());
        let missing = missing.map_err(|e| refused(&e, Code::TryAgainLater))?;
        attachment::nothing_missing(&missing)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        let kept = |valid: &cni::Attachment| Kept {
            container: valid.container_id.clone(),
            ifname: valid.ifname.clone(),
        };
        let keep = request.conf.valid_attachments.iter().map(kept).collect();
        let gc = Gc { network: conf::network(request)?, keep };
        let collected = attach::gc(Path::new(SOCKET), gc);
        let collected = collected.map_err(|e| refused(&e, Code::TryAgainLater))?;
        for one in collected.kept {
            let _ = writeln!(std::io::stderr(), "netd: not removed: {one}");
        }
        Ok(())
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        let status = Status { network: conf::wanted(request)?.network };
        let served = attach::status(Path::new(SOCKET), status);
        served.map_err(|e| refused(&e, Code::NotAvailable))
    }
}

/// An answer of netd's, or none, as the specification has it; without netd with this code.
fn refused(error: &attach::Error, absent: Code) -> Error {
    match error {
        attach::Error::Refused { text, code } => Error::new(*code, text.clone()),
        attach::Error::Absent { .. } => Error::caused_by(absent, error).context(
            "netd does not run, and attaches containers to its networks: start it (netd run \
             --standalone, or netd run on a host of a cluster)",
        ),
        attach::Error::RequestTooLong(_) => Error::caused_by(Code::InvalidConfig, error),
        attach::Error::Socket { .. } | attach::Error::TooLong(_) | attach::Error::Reply(_) => {
            Error::caused_by(Code::TryAgainLater, error)
        }
    }
}

#[cfg(test)]
mod tests;
