//! Single values of what is known, each under its name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Memory;
use crate::agent::AgentError;
use crate::store::{Error, Txn};

/// What the disk did not take yet, by name.
pub(super) type Unwritten = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl Memory {
    pub(super) async fn text(&self, name: &str) -> Result<Option<String>, AgentError> {
        let bytes = self.read(name).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AgentError> {
        self.get(name).await.map_err(AgentError::Local)
    }

    /// Writes all of these or none, and nothing where they are kept already. What cannot be written is
    /// remembered for [`Self::write_again`].
    pub(super) async fn write(&self, values: &[(&str, &[u8])]) -> Result<(), AgentError> {
        let written = self.try_write(values).await;
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, bytes) in values {
            match &written {
                Ok(()) => drop(unwritten.remove(*name)),
                Err(_) => drop(unwritten.insert((*name).to_owned(), (*bytes).to_owned())),
            }
        }
        drop(unwritten);
        written.map_err(AgentError::Local)
    }

    /// Whether something could not be written.
    pub(in crate::agent) fn has_unwritten(&self) -> bool {
        !self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes what could not be written before.
    ///
    /// # Errors
    /// When it cannot be written now.
    pub(in crate::agent) async fn write_again(&self) -> Result<(), AgentError> {
        let unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let values = unwritten.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        self.write(&values.collect::<Vec<_>>()).await
    }

    async fn try_write(&self, values: &[(&str, &[u8])]) -> Result<(), Error> {
        let mut txn = Txn::new();
        for (name, bytes) in values {
            if self.get(name).await?.as_deref() != Some(*bytes) {
                txn = txn.put(format!("{}{name}", self.at), *bytes, None);
            }
        }
        if txn.writes.is_empty() { Ok(()) } else { self.local.txn(txn).await.map(drop) }
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let entry = self.local.get(&format!("{}{name}", self.at)).await?;
        Ok(entry.map(|entry| entry.value))
    }
}
