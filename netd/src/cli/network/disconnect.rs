//! `netd network disconnect`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use netd_api::attach::{self, Detach};

use crate::cli::agent::Agent;
use crate::cli::containers;
use crate::container::{self, ContainerError, Word};
use crate::endpoint::ListedContainer;
use crate::network::{Inspect, ShownContainer};

/// Arguments of `netd network disconnect`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Take away also what is left of a container that no runtime knows, and what a host has that is down
    #[arg(short, long)]
    force: bool,
    /// The network's name, id, or the beginning of its id
    network: String,
    /// The container's id, the beginning of it, its name, pid:N, or netns:PATH; with -f also an address of a host
    /// that is down
    container: String,
    #[command(flatten)]
    agent: Agent,
}

/// Prints nothing, as Docker.
///
/// # Errors
/// The container is not on the network, or not all of it could be taken away.
pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let word = Word::read(&args.container)?;
    let (id, network) = super::ask(&args.agent, async |client| {
        let network: Inspect = serde_json::from_str(&client.inspect(&args.network).await?)?;
        let known = client.containers(&BTreeMap::new()).await?;
        match elsewhere(&network, &args.container) {
            Some(there) if !args.force && !there.host.is_empty() => anyhow::bail!(
                "container {} is on host {}: disconnect it there, or with -f if that host is dead",
                args.container,
                there.host
            ),
            Some(there) if args.force => {
                client.free(&network.id, &there.what).await?;
                return Ok((None, network));
            }
            Some(_) | None => {}
        }
        Ok((Some(meant(&known, &word, args.force)?), network))
    })?;
    let Some(id) = id else { return Ok(ExitCode::SUCCESS) };
    if !network.containers.contains_key(&id) {
        anyhow::bail!("container {id} is not connected to network {}", network.name);
    }
    let detach = Detach { network: network.id, container: id, ifname: None };
    attach::detach(&args.agent.attach_socket()?, detach).map_err(super::of_attach)?;
    Ok(ExitCode::SUCCESS)
}

/// What another host has.
struct Elsewhere {
    /// An endpoint's id, or an address.
    what: String,
    /// Whose it is, where that is shown.
    host: String,
}

/// What a word means of other hosts' containers, by id, name or address; an address that no container is shown
/// with may be one's all the same.
fn elsewhere(network: &Inspect, word: &str) -> Option<Elsewhere> {
    let is_at = |net: &str| net.split('/').next() == Some(word);
    let is_meant = |(id, there): &(&String, &ShownContainer)| {
        *id == word
            || there.name == word
            || is_at(&there.ipv4_address)
            || is_at(&there.ipv6_address)
    };
    // One of this host comes first.
    let mut meant: Vec<_> = network.containers.iter().filter(is_meant).collect();
    meant.sort_by_key(|(_, there)| !there.host.is_empty());
    match meant.first() {
        Some((_, there)) if there.host.is_empty() => None,
        Some((_, there)) => {
            Some(Elsewhere { what: there.endpoint_id.clone(), host: there.host.clone() })
        }
        None => {
            let address = word.parse::<IpAddr>().ok();
            address.map(|ip| Elsewhere { what: ip.to_string(), host: String::new() })
        }
    }
}

/// The id by which netd knows the container, if it does. One that has ended is known as long as its
/// place is there; to say who somebody is whom netd does not know, runtimes are asked.
fn meant(known: &[ListedContainer], word: &Word, force: bool) -> Result<String, ContainerError> {
    if let Word::Named(text) = word {
        match container::find(&containers::of_netd(known), text) {
            Ok(one) => return Ok(one.id.clone()),
            Err(ContainerError::Absent(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let all = containers::all(known);
    match (container::open(&all, word), word) {
        (Ok(found), _) => Ok(found.container.id),
        (Err(ContainerError::NotRunning(_)), Word::Named(text)) => {
            container::find(&all, text).map(|one| one.id.clone())
        }
        // Docker's force takes the word for the name of an endpoint.
        (Err(ContainerError::Absent(text)), _) if force => Ok(text),
        (Err(error), _) => Err(error),
    }
}
