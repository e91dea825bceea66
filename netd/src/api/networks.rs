//! Networks, on `netd.sock`: HTTP/1.1 with JSON, root only.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/networks?filters=F` | a list of networks ([`crate::network::Inspect`]), in order of their names |
//! | `GET /v1/networks?view=brief&filters=F` | the same with the keys of a list ([`Brief`]) |
//! | `POST /v1/networks` with a [`CreateRequest`] | 201 and [`Made`] |
//! | `GET /v1/networks/WORD` | the network ([`crate::network::Inspect`]) |
//! | `DELETE /v1/networks/WORD` | 204 |
//! | `DELETE /v1/networks/WORD/elsewhere/WHAT` | 204: an endpoint's id, or an address, of a host that is down is freed |
//! | `POST /v1/networks/prune?filters=F` | [`Pruned`] |
//!
//! `WORD` is an id, a name, or the beginning of an id. `F` is JSON, `{"driver": ["bridge"]}` or, as
//! Docker's clients write it, `{"driver": {"bridge": true}}`. In a path and in `filters` bytes are
//! percent-encoded. A failure is a [`Failure`] with status 400, 403, 404, 409 or 500.
//!
//! Keys are Docker's. Within `v1` keys are added and never renamed or removed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::status::{AskError, request};
use crate::network::{Brief, CreateRequest, NetworkError};

/// Where all requests go.
pub const PATH: &str = "/v1/networks";

/// In the query of a list: only the keys of [`Brief`].
pub const BRIEF: &str = "view=brief";
/// How long a change may take. The kernel removes some 25 bridges a second (`br_multicast_dev_del()`,
/// net/bridge/br_multicast.c, waits for each), so a thousand take a while.
const PATIENCE: Duration = Duration::from_secs(600);

/// Filters: values by key.
pub type Filters = BTreeMap<String, Vec<String>>;

/// A new network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Made {
    /// Its id.
    pub id: String,
    /// What its user is to be told, one sentence per line.
    pub warning: String,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pruned {
    /// The names.
    pub networks_deleted: Vec<String>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A sentence.
    pub message: String,
}

/// There is no such answer as was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none at all.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The agent says why not.
    #[error("{message}")]
    Refused {
        /// There is no such network.
        absent: bool,
        /// Why not.
        message: String,
    },
    /// It is not understood.
    #[error("read the answer of netd, which may be of another version than this program")]
    Answer(#[source] serde_json::Error),
}

/// The agent that listens on a socket, asked about networks. Needs a tokio runtime.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The socket.
    pub socket: &'a Path,
}

impl Client<'_> {
    /// Lists networks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list(self, filters: &Filters) -> Result<Vec<Brief>, ClientError> {
        let path = with(&format!("{PATH}?{BRIEF}"), filters);
        read(&self.send(Method::GET, &path, String::new()).await?)
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create(self, request: &CreateRequest) -> Result<Made, ClientError> {
        let body = serde_json::to_string(request).map_err(ClientError::Answer)?;
        read(&self.send(Method::POST, PATH, body).await?)
    }

    /// Shows a network; gives the answer as it came.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn inspect(self, word: &str) -> Result<String, ClientError> {
        self.send(Method::GET, &of(word), String::new()).await
    }

    /// Removes a network.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(self, word: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &of(word), String::new()).await.map(drop)
    }

    /// Frees what a host has that is down: an endpoint by its id, or an address.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn free(self, word: &str, what: &str) -> Result<(), ClientError> {
        let path =
            format!("{}/elsewhere/{}", of(word), utf8_percent_encode(what, NON_ALPHANUMERIC));
        self.send(Method::DELETE, &path, String::new()).await.map(drop)
    }

    /// Removes the networks that nobody uses.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn prune(self, filters: &Filters) -> Result<Pruned, ClientError> {
        let path = with(&format!("{PATH}/prune"), filters);
        read(&self.send(Method::POST, &path, String::new()).await?)
    }

    pub(super) async fn send(
        self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<String, ClientError> {
        let (status, text) = request(self.socket, method, path, body, PATIENCE).await?;
        if status.is_success() {
            return Ok(text);
        }
        let failure: Result<Failure, _> = serde_json::from_str(&text);
        let message = failure.map_or(text, |failure| failure.message);
        Err(ClientError::Refused { absent: status == StatusCode::NOT_FOUND, message })
    }
}

/// Reads the filters of a query.
///
/// # Errors
/// [`NetworkError::Request`] where they are no such JSON.
pub fn filters(query: Option<&str>) -> Result<Filters, NetworkError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        List(Vec<String>),
        Set(BTreeMap<String, bool>),
    }
    let given = query.into_iter().flat_map(|query| query.split('&'));
    let Some(text) = given.filter_map(|pair| pair.strip_prefix("filters=")).next_back() else {
        return Ok(Filters::new());
    };
    let text = percent_decode_str(text).decode_utf8_lossy();
    let wrong = |error: serde_json::Error| NetworkError::Request(format!("filters: {error}"));
    let all: BTreeMap<String, Values> = serde_json::from_str(&text).map_err(wrong)?;
    let values = |values| match values {
        Values::List(list) => list,
        Values::Set(set) => set.into_keys().collect(),
    };
    Ok(all.into_iter().map(|(key, of)| (key, values(of))).collect())
}

/// The path of one network.
fn of(word: &str) -> String {
    format!("{PATH}/{}", utf8_percent_encode(word, NON_ALPHANUMERIC))
}

pub(super) fn with(path: &str, filters: &Filters) -> String {
    if filters.is_empty() {
        return path.to_owned();
    }
    let json = serde_json::to_string(filters).unwrap_or_default();
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}filters={}", utf8_percent_encode(&json, NON_ALPHANUMERIC))
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ClientError> {
    serde_json::from_str(text).map_err(ClientError::Answer)
}
