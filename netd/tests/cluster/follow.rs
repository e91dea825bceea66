//! Where etcd is reached, and what is done when it is not.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use netd::store::{Fault, Followed, Txn, follow};

use super::etcd::{Etcd, free_port};
use super::setup::until;

#[tokio::test]
async fn an_endpoint_that_is_down_is_passed_over() {
    let etcd = Etcd::start();
    let dead = free_port();
    let endpoints = format!("http://127.0.0.1:{dead}, {},", etcd.url());
    let store = etcd.store_with(|options| options.endpoints = endpoints);
    let started = Instant::now();
    for _ in 0..20 {
        store.list("/").await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn one_that_does_not_answer_is_told_with_its_url_within_seconds() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let etcd = Etcd::start();
    let url = format!("http://127.0.0.1:{port}");
    let store = etcd.store_with(|options| options.endpoints.clone_from(&url));
    let started = Instant::now();
    let error = store.get("/a").await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(error.is_transient(), "{error:?}");
    let text = error.fault.to_string();
    assert!(text.contains(&url), "{text}");
}

#[tokio::test]
async fn the_same_client_works_again_when_etcd_is_back() {
    let mut etcd = Etcd::start();
    let store = etcd.store();
    store.list("/").await.unwrap();
    etcd.kill();
    let error = store.list("/").await.unwrap_err();
    assert!(matches!(&error.fault, Fault::Unreachable(_)), "{error:?}");
    etcd.run();
    until("an answer", async || store.list("/").await.is_ok()).await;
}

#[tokio::test]
async fn endpoints_that_are_no_urls_are_refused_with_the_remedy() {
    let etcd = Etcd::start();
    for (endpoints, part) in [
        ("", "names none"),
        (" , ", "names none"),
        ("ftp://127.0.0.1:2379", "ftp://127.0.0.1:2379"),
        ("http://127.0.0.1:2379/path", "no URL of etcd"),
        ("http://:2379", "no URL of etcd"),
        ("http://127.0.0.1:99999", "no URL of etcd"),
        ("http://127.0.0.1", "no URL of etcd"),
        ("unix:///run/etcd", "no URL of etcd"),
    ] {
        let options =
            netd::store::etcd::Options { endpoints: endpoints.into(), ..Default::default() };
        let error = netd::store::etcd::Etcd::new(&options).unwrap_err();
        assert!(matches!(&error.fault, Fault::Invalid(text) if text.contains(part)), "{error:?}");
        assert!(error.fault.to_string().contains("http://127.0.0.1:2379"), "{error:?}");
    }
    // A bare address is flannel's, too.
    let bare = etcd.url().strip_prefix("http://").unwrap().to_owned();
    etcd.store_with(|options| options.endpoints = bare).list("/").await.unwrap();
}

#[tokio::test]
async fn a_member_that_stands_still_is_noticed_by_those_who_watch() {
    let etcd = Etcd::start();
    let store = etcd.store();
    let revision = store.list("/").await.unwrap().revision;
    let mut watch = store.watch("/", revision.into());
    watch.next().await.unwrap().unwrap();
    etcd.signal("STOP");
    // Pings go every 10 s and wait 5 s.
    let noticed = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
    etcd.signal("CONT");
    let error = noticed.unwrap().unwrap().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    until("an answer", async || store.list("/").await.is_ok()).await;
}

#[tokio::test]
async fn a_watch_that_is_idle_for_long_is_not_cut_for_its_pings() {
    let etcd = Etcd::start();
    let store = etcd.store();
    let revision = store.list("/").await.unwrap().revision;
    let mut watch = store.watch("/", revision.into());
    watch.next().await.unwrap().unwrap();
    // etcd forgives two pings too many.
    let cut = tokio::time::timeout(Duration::from_secs(45), watch.next()).await;
    assert!(cut.is_err(), "{cut:?}");
}

#[tokio::test]
async fn who_follows_hears_that_the_store_is_there_again() {
    let mut etcd = Etcd::start();
    let store = etcd.store();
    store.txn(Txn::new().put("/a/b", "c", None)).await.unwrap();
    let (to, mut news) = tokio::sync::mpsc::channel(1);
    tokio::spawn(follow(store, "/a/".to_owned(), to));
    let listed = news.recv().await.unwrap();
    assert!(matches!(&listed, Followed::Listed(all) if all.entries.len() == 1), "{listed:?}");
    etcd.kill();
    etcd.run();
    let back = tokio::time::timeout(Duration::from_secs(20), news.recv()).await.unwrap().unwrap();
    assert_eq!(back, Followed::Changed(Vec::new()));
}
