//! What is done for containers by itself, for as long as the registry is there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Inner, Registry};

/// How often it is looked for containers that are gone, beside what events tell of: some may be lost.
const LOOK: Duration = Duration::from_secs(10);

/// Looks for containers that are gone, and to it that ports are held and addresses announced, until the registry is
/// gone.
pub(super) fn tend(inner: &Arc<Inner>) {
    let (watch, suspected) = (inner.endpoints.watch_ports(), inner.endpoints.suspected());
    let announcer = inner.endpoints.announcer();
    let inner = Arc::downgrade(inner);
    let of_ports: Weak<Inner> = Weak::clone(&inner);
    let of_suspects: Weak<Inner> = Weak::clone(&inner);
    let of_announcer: Weak<Inner> = Weak::clone(&inner);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(inner) = inner.upgrade() else { return };
            let registry = Registry(inner);
            registry.collect_dead(None).await;
            registry.write_again().await;
        }
    });
    tokio::spawn(async move {
        loop {
            suspected.notified().await;
            let Some(inner) = of_suspects.upgrade() else { return };
            Registry(inner).collect_suspects().await;
        }
    });
    tokio::spawn(async move {
        loop {
            announcer.due().await;
            let Some(inner) = of_announcer.upgrade() else { return };
            Registry(inner).announce_due().await;
        }
    });
    tokio::spawn(async move {
        loop {
            watch.ended().await;
            let Some(inner) = of_ports.upgrade() else { return };
            Registry(inner).hold_ports().await;
        }
    });
}
