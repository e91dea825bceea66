//! Which addresses an endpoint gets.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::EndpointError;
use super::taken::Taken;
use crate::network::{Network, Span, Subnet, is_host, number};

/// The addresses of a network: which are free.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// As errors name the network: `<name> (<id>)`.
    network: String,
    is_predefined: bool,
    subnets: Vec<Part>,
    /// What this host may give out, where it is not everything.
    blocks: Option<Vec<Span>>,
}

/// A subnet.
#[derive(Debug, Clone)]
struct Part {
    net: IpNetwork,
    range: Span,
    taken: Taken,
}

impl Addresses {
    /// All of a network, but for those that no container gets: of the network itself, of gateways
    /// and of others that are named.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        Self {
            network: format!("{} ({})", network.name, network.id.short()),
            is_predefined: network.is_predefined(),
            subnets: network.subnets.iter().map(Part::of).collect(),
            blocks: None,
        }
    }

    /// From now on no other addresses are given out than those of these blocks, in this order.
    pub fn limit(&mut self, blocks: &[IpNetwork]) {
        self.blocks = Some(blocks.iter().map(|block| Span::of(*block)).collect());
    }

    /// Takes an address of each family: those asked for, else the lowest that are free.
    ///
    /// # Errors
    /// [`EndpointError`] at the first that cannot be had; then none is taken.
    pub fn take(&mut self, wanted: &[IpNetwork]) -> Result<Vec<IpNetwork>, EndpointError> {
        if let (true, Some(ip)) = (self.is_predefined, wanted.first()) {
            return Err(EndpointError::NoChoice(ip.ip()));
        }
        for ip in wanted {
            self.fits(*ip)?;
        }
        let mut chosen: Vec<(usize, u128)> = Vec::new();
        for v6 in [false, true] {
            let mut parts = self.subnets.iter().enumerate().filter(|(_, p)| p.range.v6 == v6);
            if let Some(ip) = wanted.iter().find(|ip| ip.is_ipv6() == v6) {
                let host = number(ip.ip());
                chosen.extend(parts.find(|(_, p)| p.has(ip.ip())).map(|(at, _)| (at, host)));
                continue;
            }
            let mut parts = parts.peekable();
            if parts.peek().is_none() {
                continue;
            }
            let free = |(at, part): (usize, &Part)| Some((at, self.lowest_free(part)?));
            chosen.push(parts.find_map(free).ok_or_else(|| self.exhausted(v6))?);
        }
        let mut addresses = Vec::new();
        for (at, number) in chosen {
            let Some(part) = self.subnets.get_mut(at) else { continue };
            part.taken.insert(number);
            let ip = part.range.address(number);
            addresses.extend(ip.and_then(|ip| IpNetwork::new(ip, part.net.prefix()).ok()));
        }
        Ok(addresses)
    }

    /// Whether an address of each family is left.
    ///
    /// # Errors
    /// [`EndpointError::Exhausted`].
    pub fn has_room(&self) -> Result<(), EndpointError> {
        for v6 in [false, true] {
            let mut parts = self.subnets.iter().filter(|part| part.range.v6 == v6).peekable();
            if parts.peek().is_some() && !parts.any(|part| self.lowest_free(part).is_some()) {
                return Err(self.exhausted(v6));
            }
        }
        Ok(())
    }

    /// Takes an address that an endpoint has.
    pub fn occupy(&mut self, address: IpNetwork) {
        self.change(address.ip(), Taken::insert);
    }

    /// Gives an address back.
    pub fn give_back(&mut self, address: IpNetwork) {
        self.change(address.ip(), Taken::remove);
    }

    fn change(&mut self, ip: IpAddr, change: impl FnOnce(&mut Taken, u128)) {
        if let Some(part) = self.subnets.iter_mut().find(|part| part.has(ip)) {
            change(&mut part.taken, number(ip));
        }
    }

    /// Whether an address that is asked for can be had.
    fn fits(&self, wanted: IpNetwork) -> Result<(), EndpointError> {
        let ip = wanted.ip();
        let part = self.subnets.iter().find(|part| part.has(ip));
        let Some(part) = part else {
            return Err(EndpointError::NotOfNetwork { ip, network: self.network.clone() });
        };
        let is_single = wanted.prefix() == IpNetwork::from(ip).prefix();
        if !is_single && wanted.prefix() != part.net.prefix() {
            return Err(EndpointError::Prefix { wanted, subnet: part.net });
        }
        if !is_host(part.net, ip) || part.taken.has(number(ip)) {
            return Err(EndpointError::InUse(ip));
        }
        match &self.blocks {
            Some(blocks) if !blocks.iter().any(|block| block.has(ip)) => {
                Err(EndpointError::NotOfHost { ip, network: self.network.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Of a network of the cluster blocks are given out, which are part of the range themselves.
    fn lowest_free(&self, part: &Part) -> Option<u128> {
        let Some(blocks) = &self.blocks else {
            return part.taken.lowest_free(part.range.first, part.range.last);
        };
        let within = |block: &&Span| Span::of(part.net).overlaps(**block);
        blocks.iter().filter(within).find_map(|block| {
            let (first, last) =
                (block.first.max(part.range.first), block.last.min(part.range.last));
            part.taken.lowest_free(first, last)
        })
    }

    fn exhausted(&self, v6: bool) -> EndpointError {
        let family = if v6 { "IPv6" } else { "IPv4" };
        EndpointError::Exhausted { family, network: self.network.clone() }
    }
}

impl Part {
    fn of(subnet: &Subnet) -> Self {
        let mut taken = Taken::default();
        let named = subnet.aux.values().copied().chain(subnet.gateway);
        let edges = [subnet.net.network(), subnet.net.broadcast()];
        let edges = edges.into_iter().filter(|ip| !is_host(subnet.net, *ip));
        for ip in named.chain(edges) {
            taken.insert(number(ip));
        }
        let range = Span::of(subnet.ip_range.unwrap_or(subnet.net));
        Self { net: subnet.net, range, taken }
    }

    fn has(&self, ip: IpAddr) -> bool {
        Span::of(self.net).has(ip)
    }
}
