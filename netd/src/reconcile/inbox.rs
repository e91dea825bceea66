//! What the loop waits for: inputs of other threads and events of the kernel, in one place, so that
//! an event wakes nobody else, and the echo of the loop's own changes nobody at all.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kernel::events::{Events, Notice};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

/// The loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the loop has ended")]
pub struct Ended;

/// Where to send inputs. Clones lead to the same loop.
#[derive(Debug)]
pub struct Entrance<T> {
    queue: mpsc::Sender<T>,
    bell: Arc<OwnedFd>,
}

impl<T> Clone for Entrance<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Entrance<T> {
    /// Queues an input and wakes the loop; never waits.
    ///
    /// # Errors
    /// When nobody will ever take it.
    pub fn send(&self, input: T) -> Result<(), Ended> {
        self.queue.send(input).map_err(|_| Ended)?;
        // Refused only where so many rings wait that one more makes no difference.
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }
}

/// The loop's end.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    queue: mpsc::Receiver<T>,
    bell: Arc<OwnedFd>,
    /// None of a host that tells of no changes.
    events: Option<Events>,
}

impl<T> Inbox<T> {
    pub(crate) fn new(events: Option<Events>) -> io::Result<(Entrance<T>, Self)> {
        let (sender, queue) = mpsc::channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Entrance { queue: sender, bell: Arc::clone(&bell) }, Self { queue, bell, events }))
    }

    /// Waits for inputs or events, at most so long.
    pub(crate) fn wait(&mut self, pause: Duration) {
        let rung = match &mut self.events {
            Some(events) => events.wait(self.bell.as_fd(), pause),
            None => kernel::events::ready(self.bell.as_fd(), pause),
        };
        if rung {
            // Silenced before inputs are taken: what comes later rings again.
            let _ = read(&*self.bell, &mut [0; 8]);
        }
    }

    /// The inputs that are there.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = T> {
        self.queue.try_iter()
    }

    /// What the kernel has told by now.
    pub(crate) fn notices(&mut self) -> Vec<Notice> {
        self.events.as_mut().map(Events::notices).unwrap_or_default()
    }
}
