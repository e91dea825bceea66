//! What the loop waits for: inputs of other threads and events of the kernel, in one place, so that
//! an event wakes nobody else, and the echo of the loop's own changes nobody at all.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kernel::events::{Events, Notice};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use super::Input;

/// The loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reconcile loop has ended")]
pub struct Ended;

/// Where to send inputs. Clones lead to the same loop.
#[derive(Debug, Clone)]
pub struct Inputs {
    queue: mpsc::Sender<Input>,
    bell: Arc<OwnedFd>,
}

impl Inputs {
    /// Queues an input and wakes the loop; never waits.
    ///
    /// # Errors
    /// When nobody will ever take it.
    pub fn send(&self, input: Input) -> Result<(), Ended> {
        self.queue.send(input).map_err(|_| Ended)?;
        // Refused only where so many rings wait that one more makes no difference.
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }
}

/// The loop's end.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: mpsc::Receiver<Input>,
    bell: Arc<OwnedFd>,
    events: Events,
}

impl Inbox {
    pub(super) fn new(events: Events) -> io::Result<(Inputs, Self)> {
        let (sender, queue) = mpsc::channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Inputs { queue: sender, bell: Arc::clone(&bell) }, Self { queue, bell, events }))
    }

    /// Waits for inputs or events, at most so long.
    pub(super) fn wait(&mut self, pause: Duration) {
        if self.events.wait(self.bell.as_fd(), pause) {
            // Silenced before inputs are taken: what comes later rings again.
            let _ = read(&*self.bell, &mut [0; 8]);
        }
    }

    /// The inputs that are there.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input> {
        self.queue.try_iter()
    }

    /// What the kernel has told by now.
    pub(super) fn notices(&mut self) -> Vec<Notice> {
        self.events.notices()
    }
}
