//! SIGTERM and SIGINT: the end, in order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals; SIGHUP is ignored, as a terminal that closes is no reason to end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    _hangup: Signal,
}

impl Signals {
    /// From now on they do not kill.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them. Safe to be dropped and called again: none is lost.
    pub(super) async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    }
}
