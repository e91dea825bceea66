//! The thread that keeps what an overlay has on this host, from outside.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use drivers::overlay::{Overlay, Remote, Underlay};

use super::work::{Order, Place, Work};
use crate::reconcile::Entrance;
use crate::registry::keeper::{Members, THREADS};

/// The thread. Dropping it ends the thread; what it has made stays.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Entrance<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it. It is in the calling thread's network namespace, and listens in the network's.
    pub(super) fn start(
        at: Place,
        spec: Overlay,
        members: Members,
        resync: Duration,
        underlay: Option<Underlay>,
        remotes: Option<Vec<Remote>>,
    ) -> Result<Self, String> {
        let name = thread(&at.name);
        let (orders, mut inbox, mut work) = Work::new(at, spec, members, resync, &name)?;
        work.know(underlay, remotes);
        let thread = std::thread::Builder::new().name(name).spawn(move || work.run(&mut inbox));
        let thread = thread.map_err(|error| format!("start a thread: {error}"))?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Where it takes orders.
    pub(super) fn door(&self) -> Entrance<Order> {
        self.orders.clone()
    }

    /// Looks at everything, and puts it right.
    ///
    /// # Errors
    /// Why it is not as it should be; it is tried again.
    pub(super) fn settle(&self) -> Result<(), String> {
        self.ask(Order::Settle)
    }

    /// Ends it with all that it has made.
    ///
    /// # Errors
    /// What is left.
    pub(super) fn end(mut self) -> Result<(), String> {
        let ended = self.ask(Order::End);
        self.join();
        ended
    }

    fn ask(
        &self,
        order: impl FnOnce(mpsc::Sender<Result<(), String>>) -> Order,
    ) -> Result<(), String> {
        let (answer, answered) = mpsc::channel();
        self.orders.send(order(answer)).map_err(|ended| ended.to_string())?;
        answered.recv().unwrap_or_else(|_| Err("the thread that keeps it has ended".to_owned()))
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A thread that has ended takes no more orders.
        let _ = self.orders.send(Order::Leave);
        self.join();
    }
}

/// The name of an overlay's thread.
fn thread(overlay: &str) -> String {
    format!("{THREADS}-{}", overlay.get(..6).unwrap_or(overlay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_overlays_thread_changes_is_known_as_the_networks_own() {
        let name = thread("0123456789ab");
        assert_eq!(name, "netd-net-012345");
        assert!(name.starts_with(THREADS) && name.len() <= 15, "the kernel cuts {name}");
    }
}
