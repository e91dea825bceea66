//! A network on the subnet that netd has leased for this host: as `flannel`, with nothing to name.

mod conf;

use cni::skel::{Info, NetnsRule, Plugin};
use cni::{AddResult, Error, Request, Version};

use crate::subnet;

/// The plugin.
pub(crate) struct Overlay;

impl Plugin for Overlay {
    fn info(&self) -> Info {
        Info {
            name: "overlay",
            build: env!("CARGO_PKG_VERSION"),
            versions: Version::ALL,
            netns: NetnsRule::Container,
        }
    }

    fn add(&self, request: &Request) -> Result<AddResult, Error> {
        subnet::add(&conf::of(request)?, request)
    }

    fn del(&self, request: &Request) -> Result<(), Error> {
        subnet::del(&conf::of(request)?, request)
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        subnet::check(&conf::of(request)?, request)
    }

    fn gc(&self, request: &Request) -> Result<(), Error> {
        subnet::gc(&conf::of(request)?, request)
    }

    fn status(&self, request: &Request) -> Result<(), Error> {
        subnet::status(&conf::of(request)?, request)
    }
}

#[cfg(test)]
mod tests;
