//! What a backend does beside the kernel's state: runs commands, carries packets.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::force::InForce;
use super::start::Started;
use super::{Agent, AgentError, identity};
use crate::backend::Backend;
use crate::lease::ClusterEvent;
use crate::udp::{Path, Ways};

/// What it is told.
#[derive(Debug)]
pub(super) enum News {
    /// Something happened to another host.
    Cluster(ClusterEvent),
    /// Something else is in force.
    Force(Box<InForce>),
}

/// It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Whom to tell.
    pub(super) tell: Option<mpsc::UnboundedSender<News>>,
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
    if let Some(hooks) = identity::hooks(agent, started.force.overlay.backend()) {
        hooks.after(&started.force).await?;
        beside.tasks.spawn(hooks.follow(started.force.overlay.clone(), events).in_current_span());
    } else if let Backend::Udp(conf) = started.force.overlay.backend() {
        let ends = conf.ends(started.force.overlay.underlay(), &started.force.held.subnet);
        let path = Path::start(ends).map_err(AgentError::Path)?;
        beside.tasks.spawn(follow(path.ways(), events).in_current_span());
        beside.path = Some(path);
    } else {
        return Ok(beside);
    }
    beside.tell = Some(tell);
    Ok(beside)
}

impl Beside {
    /// Something else is to be in force.
    ///
    /// # Errors
    /// Where it cannot follow; it goes on as before then.
    pub(super) fn change(&mut self, force: &InForce) -> Result<(), AgentError> {
        if let Some(path) = &mut self.path {
            path.rebind(force.overlay.underlay().v4).map_err(AgentError::Path)?;
        }
        if let Some(tell) = &self.tell {
            // The task ends with this only.
            let _ = tell.send(News::Force(Box::new(force.clone())));
        }
        Ok(())
    }
}

/// Follows the cluster: where which subnet is.
async fn follow(ways: Arc<RwLock<Ways>>, mut events: mpsc::UnboundedReceiver<News>) {
    while let Some(news) = events.recv().await {
        if let News::Cluster(event) = news {
            ways.write().unwrap_or_else(PoisonError::into_inner).take(&event);
        }
    }
}
