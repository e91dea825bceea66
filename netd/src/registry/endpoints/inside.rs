//! What there is in a container.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{LinkName, Ns};

use crate::endpoint::{EndpointError, Wanted};
use crate::network::{Network, Span};

/// What there is in the container.
pub(super) struct Inside {
    pub(super) links: Vec<LinkName>,
    addresses: Vec<(LinkName, IpNetwork)>,
}

impl Inside {
    /// A container that is being made has nothing yet, and who makes it knows its interfaces.
    pub(super) fn look(inside: &mut Kernel, wanted: &Wanted) -> Result<Self, EndpointError> {
        let links = match wanted.ifname {
            None => inside.link_names(&Ns::Container)?,
            Some(_) => Vec::new(),
        };
        let addresses = match wanted.live {
            true => inside.addresses_by_link(&Ns::Container)?,
            false => BTreeMap::new(),
        };
        let each = |(link, nets): (LinkName, Vec<IpNetwork>)| {
            nets.into_iter().map(move |net| (link.clone(), net))
        };
        Ok(Self { links, addresses: addresses.into_iter().flat_map(each).collect() })
    }

    /// Two networks of a container have no address in common: it could reach one of them only.
    pub(super) fn apart(&self, network: &Network, wanted: &Wanted) -> Result<(), EndpointError> {
        for subnet in &network.subnets {
            let own = Span::of(subnet.net);
            let mut there = self.addresses.iter().filter(|(link, _)| *link != LinkName::lo());
            if let Some((link, net)) = there.find(|(_, net)| Span::of(*net).overlaps(own)) {
                let is_same = wanted.ifname.as_ref() == Some(link);
                if !is_same {
                    return Err(EndpointError::Overlap {
                        network: network.name.clone(),
                        subnet: subnet.net,
                        there: *net,
                        link: link.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}
