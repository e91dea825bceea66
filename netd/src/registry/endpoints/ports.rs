//! Host ports of endpoints: held by `netd proxy`, so that nobody else has them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Endpoints;
use super::held::{Asked, Watch};
use crate::endpoint::{Dynamic, Endpoint, EndpointError, Published, forwards};
use crate::network::Network;
use crate::proxy::{self, Forward, Protocol, Refused};

impl Endpoints {
    /// Asks for the ports of an endpoint that is being made: opening hundreds takes as long as all else
    /// that is done before they have to be there. Where one is left to us to choose, all are held when
    /// this returns.
    ///
    /// # Errors
    /// As [`Self::hold_ports`].
    pub(super) fn ask_for_ports(
        &self,
        endpoint: &mut Endpoint,
        network: &Network,
        is_strict: bool,
        dynamic: &Dynamic,
    ) -> Result<Option<Asked<'_>>, EndpointError> {
        if endpoint.ports.iter().any(Published::is_open) {
            return self.hold_ports(endpoint, network, is_strict, dynamic).map(|()| None);
        }
        let wanted = self.forwards(endpoint, network, &BTreeSet::new())?;
        match wanted.is_empty() {
            true => Ok(None),
            false => Ok(Some(self.ports.ask(&endpoint.owner().path(), &wanted)?)),
        }
    }

    /// Waits until the ports are held that were asked for.
    ///
    /// # Errors
    /// As [`Self::hold_ports`], which is asked what can be done where one is not.
    pub(super) fn have_ports(
        &self,
        asked: Option<Asked<'_>>,
        endpoint: &Endpoint,
        network: &Network,
        is_strict: bool,
    ) -> Result<(), EndpointError> {
        match asked.map_or(Ok(true), Asked::are_held)? {
            true => Ok(()),
            false => {
                self.hold_ports(&mut endpoint.clone(), network, is_strict, &Dynamic::default())
            }
        }
    }

    /// Holds the ports of an endpoint that is being made, and chooses those that are left to us, of `dynamic`. What
    /// another program listens on is an error where `is_strict`; else a warning, as that program may be
    /// the runtime, which holds its ports itself, and rules come before sockets.
    ///
    /// # Errors
    /// A port that another container has; none that is free. None is held then.
    pub(super) fn hold_ports(
        &self,
        endpoint: &mut Endpoint,
        network: &Network,
        is_strict: bool,
        dynamic: &Dynamic,
    ) -> Result<(), EndpointError> {
        let mut choices = choose(&mut endpoint.ports, dynamic)?;
        let (owner, mut foreign) = (endpoint.owner().path(), BTreeSet::new());
        loop {
            let wanted = self.forwards(endpoint, network, &foreign)?;
            if wanted.is_empty() {
                return Ok(());
            }
            let refused = match self.ports.set(&owner, &wanted) {
                Ok(_) => return Ok(()),
                Err(proxy::Error::Refused(refused)) => refused,
                Err(error) => return Err(error.into()),
            };
            // One that can be another is the one to go on with.
            let is_it = |port: &Published| port.is(&refused.forward);
            let mut free = endpoint.ports.iter().zip(&choices);
            let free = free.position(|(port, choice)| choice.is_some() && is_it(port));
            let at = free.or_else(|| endpoint.ports.iter().position(is_it));
            let port = at.and_then(|at| endpoint.ports.get_mut(at).zip(choices.get_mut(at)));
            match port {
                Some((port, Some(choice))) => match choice.next() {
                    Some(next) => port.host_port = next,
                    None => return Err(none_left(port)),
                },
                _ if is_strict || refused.holder.is_some() => {
                    return Err(proxy::Error::Refused(refused).into());
                }
                _ => {
                    tracing::warn!(endpoint = owner, %refused, "only the kernel's rules lead there");
                    foreign.insert(key(&refused));
                }
            }
        }
    }

    /// Gives the ports of an endpoint back.
    pub(super) fn give_ports_back(&self, endpoint: &Endpoint) {
        if !endpoint.ports.is_empty() {
            self.ports.give_back(&endpoint.owner().path());
        }
    }

    /// Tells when the ports have to be held again.
    pub(in crate::registry) fn watch_ports(&self) -> Watch {
        self.ports.watch()
    }

    /// Holds the ports of all endpoints, and no others: at the start, and when the proxy was killed.
    pub(in crate::registry) fn hold_all_ports(&self, networks: &super::Networks) {
        let all = self.index().all();
        let with_ports = all.iter().filter(|endpoint| !endpoint.ports.is_empty());
        let with_ports: Vec<&Arc<Endpoint>> = with_ports.collect();
        let known: BTreeSet<String> = with_ports.iter().map(|e| e.owner().path()).collect();
        match self.ports.owners() {
            Ok(owners) => owners
                .iter()
                .filter(|owner| !known.contains(*owner))
                .for_each(|owner| self.ports.give_back(owner)),
            Err(error) => tracing::warn!(error = %cni::ErrorChain(&error), "netd proxy"),
        }
        with_ports.into_iter().for_each(|endpoint| self.hold_carried(endpoint, networks));
    }

    /// Holds the ports of an endpoint that stands, and leads what comes there to where they belong by now.
    pub(super) fn hold_carried(&self, endpoint: &Endpoint, networks: &super::Networks) {
        if endpoint.ports.is_empty() {
            return;
        }
        let there = self.index().in_sandbox(endpoint.sandbox());
        let of = |one: &Arc<Endpoint>| {
            let network = networks.get(&one.network)?;
            forwards(&endpoint.ports, one, network, self.has_ipv6).ok()
        };
        let mut wanted: Vec<Forward> = there.iter().filter_map(of).flatten().collect();
        wanted.retain(|forward| !endpoint.leaves(forward));
        let owner = endpoint.owner().path();
        loop {
            match self.ports.set(&owner, &wanted) {
                Ok(_) => return,
                Err(proxy::Error::Refused(refused)) if refused.holder.is_none() => {
                    tracing::warn!(endpoint = owner, %refused, "only the kernel's rules lead there");
                    wanted.retain(|forward| *forward != refused.forward);
                }
                Err(error) => {
                    let error = cni::ErrorChain(&error);
                    tracing::error!(endpoint = owner, %error, "host ports are not held");
                    return;
                }
            }
        }
    }

    fn forwards(
        &self,
        endpoint: &Endpoint,
        network: &Network,
        without: &BTreeSet<(Protocol, SocketAddr)>,
    ) -> Result<Vec<Forward>, EndpointError> {
        let mut all = forwards(&endpoint.ports, endpoint, network, self.has_ipv6)?;
        all.retain(|forward| {
            !endpoint.leaves(forward) && !without.contains(&(forward.protocol, forward.listen))
        });
        Ok(all)
    }
}

/// The first choice of each port whose number is still to be chosen; gives the others to go on with.
fn choose(
    ports: &mut [Published],
    dynamic: &Dynamic,
) -> Result<Vec<Option<impl Iterator<Item = u16> + use<>>>, EndpointError> {
    let mut choices: Vec<_> = ports.iter().map(|port| port.choice(dynamic)).collect();
    for (port, choice) in ports.iter_mut().zip(&mut choices) {
        if let Some(choice) = choice {
            port.host_port = choice.next().ok_or_else(|| none_left(port))?;
        }
    }
    Ok(choices)
}

/// What the kernel gives out in the namespace of this thread, the host's, where a port of it is asked for. What
/// cannot be read is not said.
pub(in crate::registry) fn dynamic(is_asked_for: bool) -> Dynamic {
    if !is_asked_for {
        return Dynamic::default();
    }
    let text = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default()
    };
    Dynamic::of(&text("ip_local_port_range"), &text("ip_local_reserved_ports"))
}

fn key(refused: &Refused) -> (Protocol, SocketAddr) {
    (refused.forward.protocol, refused.forward.listen)
}

fn none_left(port: &Published) -> EndpointError {
    EndpointError::NoPort {
        range: port.range.map(|(from, to)| format!("{from}-{to}")).unwrap_or_default(),
        protocol: port.protocol.clone(),
        container_port: port.container_port,
    }
}
