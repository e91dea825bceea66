//! A subnet that another host has, while containers here have addresses of it.

use cni::ErrorChain;
use kernel::Kernel;

use super::{Agent, AgentError};
use crate::lease::{Held, LeaseValue, SubnetKey};

/// What this host goes on with, though the lease is another host's: what leads to other hosts and to
/// its containers stays, and no more are attached.
pub(super) async fn held(
    agent: &Agent,
    subnet: SubnetKey,
    value: LeaseValue,
) -> Result<Held, AgentError> {
    let kept = agent.memory.lease().await?.filter(|held| held.subnet == subnet);
    let unknown = || Held::unknown(subnet, value.clone(), agent.options.subnet_ttl);
    let mut held = kept.unwrap_or_else(unknown);
    held.value = value.clone();
    Ok(held)
}

/// Whether containers have addresses of a subnet, whoever attached them: the kernel knows. Records of
/// plugins do not: other programs attach by subnet.env, too. Where the kernel does not say, they may.
pub(super) fn is_used(subnet: &SubnetKey) -> bool {
    let mut kernel = Kernel::open(None);
    subnet.networks().any(|net| match kernel.users_of(net) {
        Ok(links) => !links.is_empty(),
        Err(error) => {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(error, "whether containers have addresses of {net} is not known");
            true
        }
    })
}
