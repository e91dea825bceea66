//! What systemd is told (sd_notify(3)); without `NOTIFY_SOCKET` nothing is.

use sd_notify::NotifyState;
use tokio::task::JoinSet;

use super::insights::Insights;

/// Tells of every change of how the agent stands, until dropped.
pub(super) fn status(insights: &Insights) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for mut standing in insights.iter().map(|one| one.standing.clone()) {
        let insights = insights.clone();
        tasks.spawn(async move {
            let mut told = String::new();
            loop {
                standing.mark_unchanged();
                let line = insights.line();
                if line != told {
                    tell(&[NotifyState::Status(&line)]);
                    told = line;
                }
                if standing.changed().await.is_err() {
                    return;
                }
            }
        });
    }
    tasks
}

/// The agent does what it is there for.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The agent is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Shows signs of life, if systemd wants them (`WatchdogSec=`), as long as both the runtime and
/// what does the agent's work answer.
pub(super) fn watchdog<A>(answers: impl Fn() -> A + Send + 'static) -> JoinSet<()>
where
    A: Future<Output = bool> + Send,
{
    let mut task = JoinSet::new();
    if let Some(limit) = sd_notify::watchdog_enabled() {
        task.spawn(async move {
            loop {
                if answers().await {
                    tell(&[NotifyState::Watchdog]);
                }
                tokio::time::sleep(limit / 3).await;
            }
        });
    }
    task
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
