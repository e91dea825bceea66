use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};

use super::super::insight::Insight;
use super::super::reach::Reach;
use super::super::standing::Standing;
use super::*;
use crate::reconcile::Health;
use netd_api::SubnetEnv;

/// Streams that a test has connected.
struct Streams(tokio::sync::Mutex<mpsc::Receiver<DuplexStream>>);

impl Door for Streams {
    type Stream = DuplexStream;
    const LONGEST: usize = <TcpListener as Door>::LONGEST;

    async fn next(&self) -> io::Result<DuplexStream> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// The whole answer to a request, of an agent that waits for something.
fn answer(router: fn(&Insights) -> Router, request: &str) -> String {
    answer_of(Standing { waiting: "no network".into(), ..Standing::default() }, router, request)
}

fn answer_of(standing: Standing, router: fn(&Insights) -> Router, request: &str) -> String {
    answer_beside(&[], standing, router, request)
}

/// The same while others have asked for a part of something.
fn answer_beside(
    half_open: &[&str],
    standing: Standing,
    router: fn(&Insights) -> Router,
    request: &str,
) -> String {
    let whole = format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n");
    answer_to(&whole, half_open, standing, router)
}

/// The answer to a whole request.
fn answer_to(
    whole: &str,
    half_open: &[&str],
    standing: Standing,
    router: fn(&Insights) -> Router,
) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let insight = Insight {
            network: None,
            endpoints: "http://192.0.2.1:2379".into(),
            standing: watch::channel(standing).1,
            store: watch::channel(Reach::default()).1,
            running: Arc::default(),
        };
        let (connect, streams) = mpsc::channel(1);
        let insights = Insights::new(std::iter::once(insight));
        tokio::spawn(accept(Streams(streams.into()), router(&insights), PATIENCE));
        let mut halves = Vec::new();
        for half in half_open {
            let (mut ours, theirs) = duplex(64 << 10);
            connect.send(theirs).await.unwrap();
            ours.write_all(half.as_bytes()).await.unwrap();
            halves.push(ours);
        }
        let (mut ours, theirs) = duplex(64 << 10);
        connect.send(theirs).await.unwrap();
        ours.write_all(whole.as_bytes()).await.unwrap();
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
fn clients_that_ask_by_halves_do_not_keep_others_waiting() {
    let start = std::time::Instant::now();
    let half = "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
    let halves = [["", "GET /", half]; CLIENTS].concat();
    let healthy = answer_beside(&halves, Standing::default(), for_all, "GET /healthz");
    assert!(healthy.starts_with("HTTP/1.1 200 OK"), "{healthy}");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

#[test]
fn who_may_be_anybody_gets_little_memory_for_a_request() {
    let post = |length: usize| {
        let head = format!("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        answer_to(&(head + &"x".repeat(length)), &[], Standing::default(), for_all)
    };
    let most = 4 << 10;
    assert!(post(most).starts_with("HTTP/1.1 405 "));
    let refused = post(most + 1);
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(refused.ends_with("length limit exceeded"), "{refused}");
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
