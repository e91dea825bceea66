//! The proxy that holds host ports, as far as endpoints need it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::proxy::{self, Client, Forward, Question};

/// The proxy.
#[derive(Debug)]
pub(super) struct Ports {
    client: Mutex<Client>,
    watch: Watch,
}

/// Ports that the proxy has been asked for. Until this is dropped nobody else asks it: what comes after is
/// done after.
#[derive(Debug)]
pub(super) struct Asked<'p> {
    client: MutexGuard<'p, Client>,
    question: Option<Question>,
}

/// Whether the proxy that holds ports is there.
#[derive(Debug, Clone)]
pub(in crate::registry) struct Watch {
    run_dir: PathBuf,
    /// Told when there may be one that was not there before.
    asked: Arc<Notify>,
}

impl Ports {
    /// Those of the proxy in a run directory.
    pub(super) fn new(run_dir: &Path) -> Self {
        let watch = Watch { run_dir: run_dir.to_owned(), asked: Arc::default() };
        Self { client: Mutex::new(Client::new(run_dir)), watch }
    }

    /// These ports are the owner's, and no others.
    pub(super) fn set(
        &self,
        owner: &str,
        forwards: &[Forward],
    ) -> Result<Vec<Forward>, proxy::Error> {
        let done = self.client().set(owner, forwards);
        self.watch.asked.notify_one();
        done
    }

    /// Asks for the same, and does not wait for it.
    pub(super) fn ask(&self, owner: &str, forwards: &[Forward]) -> Result<Asked<'_>, proxy::Error> {
        let mut client = self.client();
        let question = client.ask_to_set(owner, forwards);
        self.watch.asked.notify_one();
        Ok(Asked { client, question: Some(question?) })
    }

    /// Whose ports are held.
    pub(super) fn owners(&self) -> Result<Vec<String>, proxy::Error> {
        self.client().owners()
    }

    /// None of an owner's are held from now on.
    pub(super) fn give_back(&self, owner: &str) {
        if let Err(error) = self.set(owner, &[]) {
            let error = cni::ErrorChain(&error);
            tracing::warn!(owner, %error, "host ports of a container that is gone stay held for now");
        }
    }

    /// Tells when ports have to be held again.
    pub(super) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    fn client(&self) -> MutexGuard<'_, Client> {
        // Who panicked has left a connection at worst, whose answers are read as nonsense.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked<'_> {
    /// Waits until they are held; false where one is not.
    ///
    /// # Errors
    /// [`proxy::Error::Silent`].
    pub(super) fn are_held(mut self) -> Result<bool, proxy::Error> {
        let question = self.question.take();
        question.map_or(Ok(false), |question| self.client.are_set(question))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(question) = self.question.take() {
            // Nobody wants to know any more.
            let _ = self.client.are_set(question);
        }
    }
}

impl Watch {
    /// Waits until a proxy that holds ports has ended.
    pub(in crate::registry) async fn ended(&self) {
        loop {
            let asked = self.asked.notified();
            if proxy::ended(&self.run_dir).await {
                return;
            }
            asked.await;
        }
    }
}
