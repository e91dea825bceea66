//! What a backend does beside the kernel's state: runs commands, carries packets.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::start::Started;
use super::{Agent, AgentError, identity};
use crate::backend::Backend;
use crate::lease::ClusterEvent;
use crate::udp::Path;

/// It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Whom to tell of other hosts.
    pub(super) tell: Option<mpsc::UnboundedSender<ClusterEvent>>,
    tasks: JoinSet<()>,
    path: Option<Path>,
}

/// Begins.
///
/// # Errors
/// Where it cannot: a command fails, a device or a port is another's.
pub(super) async fn start(agent: &Agent, started: &Started) -> Result<Beside, AgentError> {
    let mut beside = Beside::default();
    let (tell, events) = mpsc::unbounded_channel();
    if started.alone {
        let _ = tell.send(ClusterEvent::Reset(started.known.view.clone()));
    }
    if let Some(hooks) = identity::hooks(agent, started.force.overlay.backend()) {
        hooks.after(started).await?;
        beside.tasks.spawn(hooks.follow(started.force.overlay.clone(), events));
    } else if let Backend::Udp(conf) = started.force.overlay.backend() {
        let ends = conf.ends(started.force.overlay.underlay(), &started.force.held.subnet);
        let path = Path::start(ends).map_err(AgentError::Path)?;
        beside.tasks.spawn(Path::follow(path.ways(), events));
        beside.path = Some(path);
    } else {
        return Ok(beside);
    }
    beside.tell = Some(tell);
    Ok(beside)
}
