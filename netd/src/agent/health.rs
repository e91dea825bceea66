//! `/healthz` and `/readyz`, as flanneld serves them; `/readyz` says the truth and the reason.
//!
//! Two fixed answers need no HTTP library: HTTP/1.1 with one request per connection
//! (RFC 9112, section 9.6: "close").

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::AgentError;
use super::standing::Standing;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Clients at once.
const CLIENTS: usize = 32;
/// The longest head of a request that is read, in bytes.
const LONGEST: usize = 4096;

/// Serves until dropped.
pub(super) async fn serve(
    at: SocketAddr,
    standing: watch::Receiver<Standing>,
) -> Result<JoinSet<()>, AgentError> {
    let listener =
        TcpListener::bind(at).await.map_err(|source| AgentError::Health { at, source })?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let turns = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let turn = Arc::clone(&turns).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let standing = standing.clone();
                    tokio::spawn(async move {
                        // A client that does not ask, or does not listen, is nobody's loss.
                        let _ = timeout(PATIENCE, answer(stream, &standing)).await;
                        drop(turn);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "health: accept a client");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(task)
}

async fn answer(mut stream: TcpStream, standing: &watch::Receiver<Standing>) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let (not_ready, remark) = {
        let standing = standing.borrow();
        (standing.not_ready(), standing.remark())
    };
    let reply = reply(&head, not_ready, remark);
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// The request up to the empty line.
async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") && bytes.len() < LONGEST {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn reply(head: &str, not_ready: Option<String>, remark: Option<String>) -> String {
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/healthz") => ("200 OK", "flanneld is running".to_owned()),
        ("GET" | "HEAD", "/readyz") => match not_ready {
            None => {
                let remark = remark.map(|remark| format!("; {remark}")).unwrap_or_default();
                ("200 OK", format!("flanneld is ready{remark}"))
            }
            Some(why) => ("503 Service Unavailable", format!("flanneld is not ready yet: {why}")),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "there are /healthz and /readyz".to_owned()),
        _ => ("405 Method Not Allowed", "only GET is served".to_owned()),
    };
    let length = body.len();
    let body = if method == "HEAD" { String::new() } else { body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_flannels_and_a_refusal_says_why() {
        let healthy = reply("GET /healthz HTTP/1.1\r\n\r\n", Some("x".into()), None);
        assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");
        assert!(healthy.ends_with("\r\n\r\nflanneld is running"), "{healthy}");
        assert!(reply("GET /readyz?a HTTP/1.1\r\n", None, None).ends_with("\r\nflanneld is ready"));
        let away = reply("GET /readyz HTTP/1.1\r\n", None, Some("the store is away".into()));
        assert!(away.starts_with("HTTP/1.1 200 "), "{away}");
        assert!(away.ends_with("\r\nflanneld is ready; the store is away"), "{away}");
        let not = reply("GET /readyz HTTP/1.1\r\n", Some("no lease".into()), None);
        assert!(not.starts_with("HTTP/1.1 503 "), "{not}");
        assert!(not.ends_with("flanneld is not ready yet: no lease"), "{not}");
        assert!(reply("GET / HTTP/1.1\r\n", None, None).starts_with("HTTP/1.1 404 "));
        assert!(reply("POST /readyz HTTP/1.1\r\n", None, None).starts_with("HTTP/1.1 405 "));
        let head = reply("HEAD /healthz HTTP/1.1\r\n", None, None);
        assert!(head.ends_with("\r\n\r\n") && head.contains("Content-Length: 19\r\n"), "{head}");
    }
}
