//! HTTP: `/healthz` and `/readyz` as flanneld serves them, where `/readyz` says the truth and the
//! reason; `/metrics`; and, on the socket of the run directory, what only root may ask.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::insight::Insight;
use super::{AgentError, metrics};
use crate::api::{attach, status};

/// How long a client may take, and get to wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clients of one listener at once; more wait for their turn.
const CLIENTS: usize = 32;
/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the health port, where there is one, and the socket, until dropped.
pub(super) async fn serve(
    health: Option<SocketAddr>,
    run_dir: &Path,
    insight: &Insight,
) -> Result<JoinSet<Infallible>, AgentError> {
    let mut tasks = JoinSet::new();
    if let Some(at) = health {
        let failed = |source| AgentError::Health { at, source };
        let listener = TcpListener::bind(at).await.map_err(failed)?;
        tasks.spawn(accept(listener, for_all(insight)));
    }
    let path = run_dir.join(status::SOCKET);
    let listener = attach::listen(&path).map_err(|source| AgentError::Socket { path, source })?;
    tasks.spawn(accept(listener, for_root(insight)));
    Ok(tasks)
}

/// What lets clients in.
trait Door: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Door for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

async fn accept(door: impl Door, router: Router) -> Infallible {
    let turns = Arc::new(Semaphore::new(CLIENTS));
    loop {
        // The semaphore is never closed.
        let turn = Arc::clone(&turns).acquire_owned().await;
        match door.next().await {
            Ok(stream) => {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    // One request each; a client that does not ask, or does not listen, is
                    // nobody's loss.
                    let mut http = http1::Builder::new();
                    http.keep_alive(false).max_buf_size(8 << 10);
                    let answer = http.serve_connection(TokioIo::new(stream), service);
                    let _ = timeout(PATIENCE, answer).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "http: accept a client");
                sleep(PAUSE).await;
            }
        }
    }
}

fn for_all(insight: &Insight) -> Router {
    Router::new()
        .route("/healthz", get(async || "flanneld is running"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(measured))
        .fallback(async || (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics"))
        .method_not_allowed_fallback(not_allowed)
        .with_state(insight.clone())
}

fn for_root(insight: &Insight) -> Router {
    let own = Router::new().route("/v1/status", get(report)).route("/v1/plan", get(plan));
    own.with_state(insight.clone()).merge(for_all(insight))
}

async fn readyz(State(insight): State<Insight>) -> Response {
    let standing = insight.standing.borrow();
    match standing.not_ready() {
        None => {
            let remark = standing.remark().map(|remark| format!("; {remark}")).unwrap_or_default();
            format!("flanneld is ready{remark}").into_response()
        }
        Some(why) => not_now(&format!("flanneld is not ready yet: {why}")),
    }
}

async fn measured(State(insight): State<Insight>) -> Response {
    match metrics::text(insight.report()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => not_now(&error.to_string()),
    }
}

async fn report(State(insight): State<Insight>) -> Response {
    match serde_json::to_string(&insight.report()) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => not_now(&error.to_string()),
    }
}

async fn plan(State(insight): State<Insight>) -> Response {
    match insight.plan().await {
        Ok(commands) => {
            commands.iter().map(|line| format!("{line}\n")).collect::<String>().into_response()
        }
        Err(why) => not_now(&why),
    }
}

fn not_now(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()).into_response()
}

async fn not_allowed(method: Method) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, format!("only GET is served, not {method}")).into_response()
}

#[cfg(test)]
mod tests;
