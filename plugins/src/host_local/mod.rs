//! IPAM from ranges in the configuration, with reservations as files on this host.
//!
//! The files are the reference's (crate `ipam`), so both can share a directory.

mod conf;

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Code, Error, IpConfig, Request, Version};
use ipam::Owner;

use crate::convert::ip_net;
use conf::Conf;

/// The plugin.
pub(crate) struct HostLocal;

impl Plugin for HostLocal {
    fn info(&self) -> Info {
        Info {
            name: "host-local",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let conf = Conf::for_add(request)?;
        let mut store = open(&conf, request)?;
        let allocations = store
            .allocate(&conf.sets, &owner(request), &conf.requested)
            .map_err(|e| ipam_error(&e))?;
        warn(&mut store);
        let ips = allocations.iter().map(|a| {
            let mut ip = IpConfig::new(ip_net(a.address));
            ip.gateway = Some(a.gateway);
            ip
        });
        Ok(AddResult {
            ips: ips.collect(),
            routes: conf.routes,
            dns: conf.dns,
            ..AddResult::default()
        })
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::for_del(request);
        let mut store = open(&conf, request)?;
        store.release(&owner(request)).map_err(|e| ipam_error(&e))?;
        warn(&mut store);
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::for_del(request);
        let mut store = open(&conf, request)?;
        let held = store.holds(&owner(request)).map_err(|e| ipam_error(&e))?;
        let id = &request.container_id;
        if held.is_empty() {
            return Err(Error::internal(format!(
                "host-local: Failed to find address added by container {id}"
            )));
        }
        let given = request.prev_result.iter().flat_map(|r| &r.ips);
        let is_given = |ip: &&IpAddr| given.clone().any(|g| g.address.addr == **ip);
        match held.iter().find(|ip| !is_given(ip)) {
            None => Ok(()),
            Some(ip) => Err(Error::internal(format!(
                "host-local: {ip} is reserved for container {id} but not in prevResult"
            ))),
        }
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::for_del(request);
        let mut store = open(&conf, request)?;
        let valid: BTreeSet<Owner> = request
            .conf
            .valid_attachments
            .iter()
            .map(|a| Owner::new(a.container_id.clone(), a.ifname.clone()))
            .collect();
        store.gc(&valid).map_err(|e| ipam_error(&e))?;
        warn(&mut store);
        Ok(())
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::for_add(request)?;
        let mut store = open(&conf, request)?;
        if store.has_free(&conf.sets).map_err(|e| ipam_error(&e))? {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAvailable,
            format!("network {:?}: no address is free in ipam.ranges", request.conf.name),
        ))
    }
}

fn open(conf: &Conf, request: &Request) -> Result<ipam::HostLocal, Error> {
    ipam::HostLocal::open(&conf.data_dir, &request.conf.name).map_err(|e| ipam_error(&e))
}

fn owner(request: &Request) -> Owner {
    Owner::new(request.container_id.clone(), request.ifname.clone())
}

/// stderr is the plugin's to use freely (CNI spec, "Execution Protocol"); runtimes log it.
fn warn(store: &mut ipam::HostLocal) {
    use std::io::Write;
    for warning in store.take_warnings() {
        let _ = writeln!(std::io::stderr(), "host-local: {warning}");
    }
}

fn ipam_error(error: &ipam::Error) -> Error {
    use ipam::Error as E;
    let code = match error {
        E::Full { .. } | E::LockTimeout { .. } => Code::TryAgainLater,
        E::RequestedOutside { .. } | E::RequestedIsGateway { .. } | E::RequestedTaken { .. } => {
            Code::InvalidConfig
        }
        E::Duplicate { .. } => Code::InvalidEnvironment,
        E::Io { .. } => Code::Io,
        E::NetworkName { .. } | E::OwnerName { .. } => Code::Internal,
    };
    Error::caused_by(code, error)
}

#[cfg(test)]
mod tests;
