use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};

use super::super::reach::Reach;
use super::super::standing::Standing;
use super::*;
use crate::reconcile::Health;
use netd_api::SubnetEnv;

/// Streams that a test has connected.
struct Streams(tokio::sync::Mutex<mpsc::Receiver<DuplexStream>>);

impl Door for Streams {
    type Stream = DuplexStream;

    async fn next(&self) -> io::Result<DuplexStream> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// The whole answer to a request, of an agent that waits for something.
fn answer(router: fn(&Insight) -> Router, request: &str) -> String {
    answer_of(Standing { waiting: "no network".into(), ..Standing::default() }, router, request)
}

fn answer_of(standing: Standing, router: fn(&Insight) -> Router, request: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let insight = Insight {
            endpoints: "http://192.0.2.1:2379".into(),
            standing: watch::channel(standing).1,
            store: watch::channel(Reach::default()).1,
            running: Arc::default(),
        };
        let (connect, streams) = mpsc::channel(1);
        tokio::spawn(accept(Streams(streams.into()), router(&insight)));
        let (mut ours, theirs) = duplex(64 << 10);
        connect.send(theirs).await.unwrap();
        ours.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        text
    })
}

#[test]
fn the_answers_are_flannels_and_a_refusal_says_why() {
    let healthy = answer(for_all, "GET /healthz");
    assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");
    assert!(healthy.ends_with("\r\n\r\nflanneld is running"), "{healthy}");
    let not = answer(for_all, "GET /readyz?a");
    assert!(not.starts_with("HTTP/1.1 503 "), "{not}");
    assert!(not.ends_with("\r\n\r\nflanneld is not ready yet: no network"), "{not}");
    assert!(answer(for_all, "GET /").starts_with("HTTP/1.1 404 "));
    assert!(answer(for_all, "POST /readyz").starts_with("HTTP/1.1 405 "));
    let head = answer(for_all, "HEAD /healthz").to_lowercase();
    assert!(head.ends_with("\r\n\r\n") && head.contains("content-length: 19\r\n"), "{head}");
}

#[test]
fn one_that_is_ready_without_the_store_says_so() {
    let there = Standing {
        health: Health { synced: true, ..Health::default() },
        env: Some(SubnetEnv::default()),
        announced: true,
        ..Standing::default()
    };
    let ready = answer_of(there.clone(), for_all, "GET /readyz");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(ready.ends_with("\r\n\r\nflanneld is ready"), "{ready}");
    let away = Standing { away: Some("no etcd answers".into()), ..there };
    let ready = answer_of(away, for_all, "GET /readyz");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(ready.contains("\r\nflanneld is ready; the store is away, "), "{ready}");
    assert!(ready.ends_with(": no etcd answers"), "{ready}");
}

#[test]
fn only_the_socket_tells_status_and_plan() {
    for path in ["/v1/status", "/v1/plan"] {
        assert!(answer(for_all, &format!("GET {path}")).starts_with("HTTP/1.1 404 "));
    }
    let status = answer(for_root, "GET /v1/status");
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let report: status::Report = serde_json::from_str(body).unwrap();
    assert!(!report.ready && report.reason.as_deref() == Some("no network"), "{body}");
    assert_eq!(report.store.endpoints, "http://192.0.2.1:2379");
    let plan = answer(for_root, "GET /v1/plan");
    assert!(plan.starts_with("HTTP/1.1 503 ") && plan.ends_with("no network"), "{plan}");
    assert!(answer(for_root, "GET /healthz").starts_with("HTTP/1.1 200 "));
}
