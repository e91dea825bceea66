//! The host's own network: nothing is made, the host's interfaces are reported.

use std::io::Write;

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Interface, IpConfig, IpNet, Request, Version};
use kernel::Netns;
use netstate::Ns;

use crate::attachment::{self, kernel_error};

/// The plugin.
pub(crate) struct Host;

impl Plugin for Host {
    fn info(&self) -> Info {
        Info {
            name: "host",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::HostAllowed,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        is_host(request)?;
        if !request.conf.port_mappings()?.is_empty() {
            let _ = writeln!(
                std::io::stderr(),
                "host: portMappings of container {} are discarded: on the host's network a \
                 container's ports are the host's",
                request.container_id
            );
        }
        interfaces()
    }

    fn del(&self, _request: &Request) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        is_host(request)
    }
}

/// CNI_NETNS is empty, or names the namespace this program runs in.
fn is_host(request: &Request) -> Result<(), Error> {
    if request.netns.is_none() {
        return Ok(());
    }
    let (netns, namespace) = attachment::netns(request)?;
    let own = Netns::current().map_err(|e| Error::netns(cni::ErrorChain(&e).to_string()))?;
    if netns.is_same(&own).map_err(|e| Error::netns(cni::ErrorChain(&e).to_string()))? {
        return Ok(());
    }
    Err(Error::netns(format!(
        "CNI_NETNS {:?} is not the host's network namespace: network type \"host\" is for \
         containers without one of their own",
        namespace.path
    )))
}

/// The links that have addresses, with them. Ports of bridges have none, so the answer does not
/// grow with the number of containers.
fn interfaces() -> Result<AddResult, Error> {
    let mut kernel = attachment::kernel(Option::None);
    let mut result = AddResult::default();
    for (name, nets) in kernel.addresses_by_link(&Ns::Host).map_err(|e| kernel_error(&e))? {
        let state = kernel.link_by_name(&Ns::Host, &name).map_err(|e| kernel_error(&e))?;
        let index = result.interfaces.len();
        result.interfaces.push(Interface {
            name: name.to_string(),
            mac: state.and_then(|s| s.link.mac).map(|m| m.to_string()).unwrap_or_default(),
            ..Interface::default()
        });
        result.ips.extend(nets.iter().map(|net| {
            let mut ip = IpConfig::new(IpNet { addr: net.ip(), prefix: net.prefix() });
            ip.interface = Some(index);
            ip
        }));
    }
    Ok(result)
}
