//! HTTP: `/healthz` and `/readyz` as flanneld serves them, where `/readyz` says the truth and the
//! reason; `/metrics`; and, on the socket of the run directory, what only root may ask.

mod containers;
mod networks;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::insights::Insights;
use super::{AgentError, metrics};
use crate::api::{socket, status};
use crate::registry::Opened;

/// How long a client may take, and get to wait; and how long root may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long root gets to wait, who may ask for the removal of a thousand networks.
const PATIENCE_WITH_ROOT: Duration = Duration::from_secs(600);
/// Requests of one listener that are answered at once; more wait for their turn.
const CLIENTS: usize = 32;
/// How many clients may be connected, with those that have not asked yet.
const CONNECTED: usize = 1024;
/// Before the next try when nobody can be let in, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the health port, where there is one, and the socket, until dropped.
pub(super) async fn serve(
    health: Option<SocketAddr>,
    run_dir: &Path,
    insights: &Insights,
    opened: &Opened,
) -> Result<JoinSet<Infallible>, AgentError> {
    let mut tasks = JoinSet::new();
    if let Some(at) = health {
        let failed = |source| AgentError::Health { at, source };
        let listener = TcpListener::bind(at).await.map_err(failed)?;
        tasks.spawn(accept(listener, for_all(insights), PATIENCE));
    }
    let path = run_dir.join(status::SOCKET);
    let listener = socket::listen(&path).map_err(|source| AgentError::Socket { path, source })?;
    let networks = networks::routes(opened.clone()).merge(containers::routes(opened.clone()));
    tasks.spawn(accept(listener, for_root(insights).merge(networks), PATIENCE_WITH_ROOT));
    Ok(tasks)
}

/// What lets clients in.
trait Door: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The longest body of a request, in bytes: that much is kept for each client who is connected.
    const LONGEST: usize;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Why a client is not served.
    fn refuses(_client: &Self::Stream) -> Option<String> {
        None
    }
}

impl Door for TcpListener {
    type Stream = tokio::net::TcpStream;
    /// Anybody may ask, and nothing that is served has a body.
    const LONGEST: usize = 4 << 10;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Door for UnixListener {
    type Stream = tokio::net::UnixStream;
    const LONGEST: usize = 2 << 20;

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await.map(|(stream, _)| stream)
    }

    /// Whatever the file's mode has become.
    fn refuses(client: &Self::Stream) -> Option<String> {
        let unknown =
            |error| Some(format!("only root may ask, and who does is not known: {error}"));
        socket::refusal(client).unwrap_or_else(unknown)
    }
}

async fn accept<D: Door>(door: D, router: Router, patience: Duration) -> Infallible {
    let (turns, places) = (Arc::new(Semaphore::new(CLIENTS)), Arc::new(Semaphore::new(CONNECTED)));
    let router = router.layer(middleware::from_fn_with_state(turns, in_turn::<D>));
    loop {
        // The semaphores are never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        match door.next().await {
            Ok(stream) => {
                let router = D::refuses(&stream).map_or_else(|| router.clone(), refusing);
                let service = TowerToHyperService::new(router);
                tokio::spawn(async move {
                    // One request each; a client that does not ask, or does not listen, is
                    // nobody's loss.
                    let mut http = http1::Builder::new();
                    http.keep_alive(false).max_buf_size(8 << 10);
                    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                    let answer = http.serve_connection(TokioIo::new(stream), service);
                    let _ = timeout(patience, answer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "http: accept a client");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers a request in its turn, which it has when all of it is there: who asks by halves keeps nobody waiting.
async fn in_turn<D: Door>(
    State(turns): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match timeout(PATIENCE, to_bytes(body, D::LONGEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        Err(_) => {
            let why = format!("the rest of the request did not come within {PATIENCE:?}");
            return (StatusCode::REQUEST_TIMEOUT, why).into_response();
        }
    };
    let _turn = turns.acquire().await;
    next.run(Request::from_parts(head, body.into())).await
}

fn refusing(why: String) -> Router {
    Router::new().fallback(async move || (StatusCode::FORBIDDEN, why))
}

fn for_all(insights: &Insights) -> Router {
    Router::new()
        .route("/healthz", get(async || "flanneld is running"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(measured))
        .fallback(async || (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics"))
        .method_not_allowed_fallback(not_allowed)
        .with_state(insights.clone())
}

fn for_root(insights: &Insights) -> Router {
    let own = Router::new().route("/v1/status", get(report)).route("/v1/plan", get(plan));
    own.with_state(insights.clone()).merge(for_all(insights))
}

async fn readyz(State(insights): State<Insights>) -> Response {
    match insights.not_ready() {
        None => {
            let remark = insights.remark().map(|remark| format!("; {remark}")).unwrap_or_default();
            format!("flanneld is ready{remark}").into_response()
        }
        Some(why) => not_now(&format!("flanneld is not ready yet: {why}")),
    }
}

async fn measured(State(insights): State<Insights>) -> Response {
    match metrics::text(insights.report()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => not_now(&error.to_string()),
    }
}

async fn report(State(insights): State<Insights>) -> Response {
    match serde_json::to_string(&insights.report()) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => not_now(&error.to_string()),
    }
}

async fn plan(State(insights): State<Insights>) -> Response {
    match insights.plan().await {
        Ok(commands) => commands.into_response(),
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
