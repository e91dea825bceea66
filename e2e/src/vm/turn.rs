//! Machines run by turns.

use std::sync::{Condvar, Mutex};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};

/// How many machines of this program run.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The right to run a machine: there are no more of them than processors, as what an emulated machine is asked to
/// do in time it does only with a processor of its own.
pub(super) struct Turn(());

impl Turn {
    /// Waits for those that run; each has its bound.
    pub(super) fn wait() -> Result<Self> {
        let most = available_parallelism().context("count processors")?.get();
        let running = RUNNING.lock().ok().context("a machine's thread panicked")?;
        let mut running = ENDED
            .wait_while(running, |running| *running >= most)
            .ok()
            .context("a machine's thread panicked")?;
        *running += 1;
        Ok(Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Ok(mut running) = RUNNING.lock() {
            *running -= 1;
        }
        ENDED.notify_one();
    }
}
