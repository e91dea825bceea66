//! IPAM with addresses written in the configuration or given by the runtime; no state.

mod conf;

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, IpConfig, Request, Version};

use crate::convert::ip_net;
use conf::Conf;

/// The plugin.
pub(crate) struct Static;

impl Plugin for Static {
    fn info(&self) -> Info {
        Info {
            name: "static",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let conf = Conf::of(request)?;
        let ips = conf.addresses.iter().map(|a| {
            let mut ip = IpConfig::new(ip_net(a.address));
            ip.gateway = a.gateway;
            ip
        });
        Ok(AddResult {
            ips: ips.collect(),
            routes: conf.routes,
            dns: conf.dns,
            ..AddResult::default()
        })
    }

    fn del(&self, _request: &Request) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let conf = Conf::of(request)?;
        let given: Vec<&IpConfig> = request.prev_result.iter().flat_map(|r| &r.ips).collect();
        for want in &conf.addresses {
            let address = ip_net(want.address);
            let found = given.iter().find(|ip| ip.address == address);
            // Without a gateway of its own the address may have got one by the plugin that asked.
            let other = |ip: &&IpConfig| want.gateway.is_some() && ip.gateway != want.gateway;
            if found.is_none_or(other) {
                return Err(Error::internal(format!(
                    "static: Failed to match addr {address} on interface {}",
                    request.ifname
                )));
            }
        }
        Ok(())
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        Conf::of(request).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
