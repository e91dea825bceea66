//! What a host may not take of a store that was built anew.

use std::collections::BTreeSet;

use cni::ErrorChain;

use super::Agent;
use super::start::{CONFIG_PAUSE, wait};
use crate::lease::{Known, Missing, SubnetKey};
use crate::store;

/// Subnets that are not to be taken though the store knows nobody who has them, since it was built
/// anew. A host without a memory waits until the others are there, or an administrator knows better;
/// `None` where it is to look again.
///
/// # Errors
/// Why the store does not answer.
pub(super) async fn missing(
    agent: &Agent,
    known: &Known,
    is_new: bool,
) -> Result<Option<BTreeSet<SubnetKey>>, String> {
    let chain = |error: store::Error| ErrorChain(&error).to_string();
    let mut waited = false;
    let mut missing = loop {
        let said = agent.leases.missing().await.map_err(chain)?;
        let missing: BTreeSet<SubnetKey> = said.iter().flat_map(Missing::subnets).collect();
        let waits = is_new && !agent.options.confirm_restored;
        let Some(by) = said.first().filter(|_| waits) else { break missing };
        wait(
            agent,
            &format!(
                "the store was built anew, and {} misses {} of its hosts: see that their agents \
                 run, or, if they will not come back, start this one with --confirm-restored",
                by.host,
                missing.len()
            ),
        );
        tokio::time::sleep(CONFIG_PAUSE).await;
        waited = true;
    };
    if waited {
        return Ok(None);
    }
    let name = match agent.leases.store_name().await {
        Err(error) if error.is_permission_denied() => known.store.name.clone(),
        other => other.map_err(chain)?,
    };
    let renamed = known.store.name.is_some() && known.store.name != name;
    if renamed || known.store.until.is_some() {
        missing.extend(known.view.peers.keys());
    }
    Ok(Some(missing))
}
