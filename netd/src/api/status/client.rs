//! One request to the agent.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The agent answers from memory, or looks at the kernel once.
const PATIENCE: Duration = Duration::from_secs(10);

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("netd does not run: nobody listens on {}", socket.display())]
    Absent {
        /// Where.
        socket: PathBuf,
        /// As the system says it.
        #[source]
        source: io::Error,
    },
    /// As for all but root.
    #[error("connect to {}", socket.display())]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It broke off.
    #[error("ask netd for {path}")]
    Broken {
        /// What for.
        path: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// It takes too long.
    #[error("netd has not answered {0} in time")]
    Slow(String),
    /// It says why not.
    #[error("{0}")]
    Refused(String),
}

/// Asks the agent that listens on `socket`; gives the body of its answer. Needs a tokio runtime.
///
/// # Errors
/// [`AskError::Absent`] where no agent runs; the others where one does.
pub async fn ask(socket: &Path, path: &str) -> Result<String, AskError> {
    let (status, text) = request(socket, Method::GET, path, String::new(), PATIENCE).await?;
    if status == StatusCode::OK { Ok(text) } else { Err(AskError::Refused(text)) }
}

/// Sends the agent that listens on `socket` a request; gives status and body of its answer, which may
/// take so long. Needs a tokio runtime.
///
/// # Errors
/// As [`ask`], where there is no answer.
pub async fn request(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
    patience: Duration,
) -> Result<(StatusCode, String), AskError> {
    let answer = timeout(patience, converse(socket, method, path, body)).await;
    answer.unwrap_or_else(|_| Err(AskError::Slow(path.to_owned())))
}

async fn converse(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, String), AskError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| {
        let socket = socket.to_owned();
        if netd_api::is_absent(&source) {
            return AskError::Absent { socket, source };
        }
        AskError::Connect { socket, source }
    })?;
    let broken = |source| AskError::Broken { path: path.to_owned(), source };
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let host = hyper::header::HeaderValue::from_static("netd");
    request.headers_mut().insert(hyper::header::HOST, host);
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
