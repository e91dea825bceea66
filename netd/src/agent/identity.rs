//! What makes this host's backend its own, and which devices it has made: kept for the next start.

use kernel::Kernel;

use crate::backend::Backend;
use crate::store::{Store, Txn};

use super::extension::Hooks;
use super::{Agent, AgentError, secret};

/// The backend as it is to be published.
pub(super) async fn complete(
    agent: &Agent,
    backend: Backend,
    dual: bool,
) -> Result<Backend, AgentError> {
    if dual && !backend.has_ipv6() {
        tracing::warn!(
            backend = backend.kind(),
            "this backend connects IPv4 subnets only; IPv6 subnets are leased and not connected"
        );
    }
    let tunnels = backend.tunnels(dual);
    let backend = if let Backend::WireGuard(conf) = backend {
        let options = &agent.options;
        let copy = options.state_dir.join(secret::COPY);
        let file = &options.wireguard_key_file;
        let key = secret::choose(&mut Kernel::open(None), file, &copy, &tunnels)?;
        Backend::WireGuard(conf.with_key(key))
    } else if let Some(hooks) = hooks(agent, &backend) {
        let said = hooks.before().await?;
        Backend::Extension(hooks.conf.with_said(said))
    } else {
        backend
    };
    for name in tunnels {
        let key = format!("/devices/{name}/kind");
        note(agent.local.as_ref(), key, backend.kind().as_bytes()).await?;
    }
    Ok(backend)
}

/// The commands, where the backend consists of some.
pub(super) fn hooks(agent: &Agent, backend: &Backend) -> Option<Hooks> {
    let Backend::Extension(conf) = backend else { return None };
    Some(Hooks {
        conf: conf.clone(),
        shell: agent.options.extension_shell,
        limit: agent.options.extension_timeout,
        standing: Some(agent.standing.clone()),
    })
}

/// Writes what `netd cleanup` is to know.
async fn note(local: &dyn Store, key: String, value: &[u8]) -> Result<(), AgentError> {
    let there = local.get(&key).await.map_err(AgentError::Local)?;
    if there.is_some_and(|entry| entry.value == value) {
        return Ok(());
    }
    local.txn(Txn::new().put(key, value.to_vec(), None)).await.map_err(AgentError::Local)?;
    Ok(())
}
