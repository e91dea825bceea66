//! A container with nothing but its loopback interface.

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Request, Version};
use kernel::Kernel;
use netstate::Ns;

use crate::attachment::{self, kernel_error};
use crate::loopback;

/// The plugin.
pub(crate) struct None;

impl Plugin for None {
    fn info(&self) -> Info {
        Info {
            name: "none",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        only_loopback(&mut kernel)?;
        loopback::up(&mut kernel, request)
    }

    /// The loopback interface belongs to the namespace and goes with it.
    fn del(&self, _request: &Request) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        let (netns, _) = attachment::netns(request)?;
        let mut kernel = attachment::kernel(Some(&netns));
        only_loopback(&mut kernel)?;
        loopback::check_up(&mut kernel)
    }
}

/// A closed container must be closed: an interface of another network is an error.
fn only_loopback(kernel: &mut Kernel) -> Result<(), Error> {
    let links = kernel.link_names(&Ns::Container).map_err(|e| kernel_error(&e))?;
    let other = links.iter().find(|name| name.as_str() != "lo");
    match other {
        Option::None => Ok(()),
        Some(name) => Err(Error::internal(format!(
            "network type \"none\" is for a namespace with only \"lo\", this one has {:?}: DEL it \
             from the other network first",
            name.as_str()
        ))),
    }
}
