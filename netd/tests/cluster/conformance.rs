//! What every store keeps to, whatever it is made of.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use netd::store::local::Local;
use netd::store::{Change, Entry, Error, Event, Fault, Position, Revision, Session, Store, Txn};
use tokio::time::timeout;

use super::etcd::Etcd;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(20);

macro_rules! for_all_stores {
    ($($case:ident)*) => {
        mod etcd {
            $(#[tokio::test]
            async fn $case() {
                let etcd = super::Etcd::start();
                super::$case(etcd.store()).await;
            })*
        }
        mod local {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().unwrap();
                let store = super::Local::open(&dir.path().join("store")).unwrap();
                super::$case(std::sync::Arc::new(store)).await;
            })*
        }
    };
}

for_all_stores! {
    a_listing_has_the_keys_of_its_prefix_in_order_and_the_revision_of_the_last_change
    a_transaction_whose_condition_fails_changes_nothing_and_lists_what_is
    a_condition_on_a_prefix_holds_for_all_its_keys
    a_transaction_has_one_revision
    of_two_transactions_that_create_a_key_one_wins
    a_watch_tells_every_change_after_its_revision_once_and_in_order
    a_watch_from_a_revision_that_never_was_asks_to_list_anew
    a_watch_from_another_history_asks_to_list_anew
    keys_end_with_their_session
    a_session_lives_as_long_as_it_is_kept_alive
    a_key_that_is_put_without_its_session_outlives_it
    a_session_that_has_ended_cannot_be_kept_or_used
    followed_changes_begin_with_a_listing
}

async fn put(store: &dyn Store, key: &str, value: &str, session: Option<Session>) -> Revision {
    let outcome = store.txn(Txn::new().put(key, value, session)).await.unwrap();
    assert!(outcome.committed);
    outcome.revision
}

async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix).await.unwrap().entries.into_iter().map(|entry| entry.key).collect()
}

async fn next(watch: &mut BoxStream<'static, Result<Event, Error>>) -> Event {
    timeout(SOON, watch.next()).await.expect("an event comes").expect("the watch goes on").unwrap()
}

/// The next changes, as (key, value).
async fn changes(
    watch: &mut BoxStream<'static, Result<Event, Error>>,
    count: usize,
) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    while all.len() < count {
        match next(watch).await {
            Event::Changes { changes, .. } => all.extend(changes.into_iter().map(shown)),
            Event::Resync(reason) | Event::Anew(reason) => panic!("{reason}"),
        }
    }
    all
}

fn shown(change: Change) -> (String, Option<String>) {
    match change {
        Change::Put(entry) => (entry.key, Some(String::from_utf8(entry.value).unwrap())),
        Change::Deleted { key, .. } => (key, None),
    }
}

async fn a_listing_has_the_keys_of_its_prefix_in_order_and_the_revision_of_the_last_change(
    store: Arc<dyn Store>,
) {
    for key in ["/a/2", "/a/1", "/b", "/a"] {
        put(&*store, key, "x", None).await;
    }
    let last = put(&*store, "/a/1", "y", None).await;
    let listing = store.list("/a/").await.unwrap();
    assert_eq!(listing.revision, last);
    let entry = |key: &str, value: &str, create_revision, mod_revision| Entry {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        create_revision,
        mod_revision,
        session: None,
    };
    assert_eq!(
        listing.entries,
        [entry("/a/1", "y", last - 3, last), entry("/a/2", "x", last - 4, last - 4)]
    );
    assert_eq!(store.get("/a/1").await.unwrap(), Some(entry("/a/1", "y", last - 3, last)));
    assert_eq!(store.get("/a/3").await.unwrap(), None);
}

async fn a_transaction_whose_condition_fails_changes_nothing_and_lists_what_is(
    store: Arc<dyn Store>,
) {
    let first = put(&*store, "/a", "1", None).await;
    let outdated = [
        Txn::new().if_absent("/a"),
        Txn::new().if_unchanged("/a", first - 1),
        Txn::new().if_unchanged("/b", first),
        Txn::new().if_absent("/b").if_absent("/a"),
    ];
    for txn in outdated {
        let txn = txn.put("/a", "2", None).put("/c", "2", None).list("/");
        let outcome = store.txn(txn).await.unwrap();
        assert!(!outcome.committed);
        assert_eq!(outcome.revision, first);
        assert_eq!(outcome.listed, store.list("/").await.unwrap().entries);
    }
    assert_eq!(keys(&*store, "/").await, ["/a"]);
    let txn = Txn::new().if_unchanged("/a", first).delete("/a").delete("/never").list("/");
    let outcome = store.txn(txn).await.unwrap();
    assert_eq!((outcome.committed, outcome.listed), (true, Vec::new()));
}

async fn a_condition_on_a_prefix_holds_for_all_its_keys(store: Arc<dyn Store>) {
    put(&*store, "/a&1", "x", None).await;
    put(&*store, "/a-", "x", None).await;
    let commits = async |txn: Txn| store.txn(txn.put("/new", "x", None)).await.unwrap().committed;
    assert!(!commits(Txn::new().if_none_below("/a&")).await);
    assert!(!commits(Txn::new().if_none_below("/a")).await);
    assert!(commits(Txn::new().if_none_below("/a/")).await);
}

async fn a_transaction_has_one_revision(store: Arc<dyn Store>) {
    let before = put(&*store, "/old", "x", None).await;
    let txn = Txn::new().put("/a", "1", None).put("/b", "2", None).delete("/old").list("/");
    let outcome = store.txn(txn).await.unwrap();
    assert_eq!(outcome.revision, before + 1);
    let revisions = outcome.listed.iter().map(|entry| (entry.key.as_str(), entry.mod_revision));
    assert_eq!(revisions.collect::<Vec<_>>(), [("/a", before + 1), ("/b", before + 1)]);
}

async fn of_two_transactions_that_create_a_key_one_wins(store: Arc<dyn Store>) {
    let create = async |value: &str| {
        let txn = Txn::new().if_absent("/a").put("/a", value, None);
        store.txn(txn).await.unwrap().committed
    };
    let (one, two) = tokio::join!(create("one"), create("two"));
    assert!(one ^ two, "{one} {two}");
}

async fn a_watch_tells_every_change_after_its_revision_once_and_in_order(store: Arc<dyn Store>) {
    put(&*store, "/a/0", "before", None).await;
    let from = store.list("/a/").await.unwrap().revision;
    put(&*store, "/a/1", "1", None).await;
    put(&*store, "/b", "another prefix", None).await;
    let mut watch = store.watch("/a/", from.into());
    let told = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    assert_eq!(changes(&mut watch, 1).await, [told("/a/1", Some("1"))]);
    put(&*store, "/a/1", "2", None).await;
    store.txn(Txn::new().delete("/a/0").put("/a/2", "3", None)).await.unwrap();
    put(&*store, "/a/3", "4", None).await;
    let mut all = changes(&mut watch, 4).await;
    // Within one revision any order is right.
    all[1..3].sort();
    assert_eq!(
        all,
        [
            told("/a/1", Some("2")),
            told("/a/0", None),
            told("/a/2", Some("3")),
            told("/a/3", Some("4")),
        ]
    );
}

async fn a_watch_from_a_revision_that_never_was_asks_to_list_anew(store: Arc<dyn Store>) {
    let revision = put(&*store, "/a", "x", None).await;
    let mut watch = store.watch("/", (revision + 100).into());
    assert!(matches!(next(&mut watch).await, Event::Anew(_)));
    assert!(watch.next().await.is_none());
}

async fn a_watch_from_another_history_asks_to_list_anew(store: Arc<dyn Store>) {
    put(&*store, "/a", "x", None).await;
    let listing = store.list("/").await.unwrap();
    assert_ne!(listing.history, 0);
    let another = Position { history: listing.history ^ 1, ..listing.revision.into() };
    assert!(matches!(next(&mut store.watch("/", another)).await, Event::Anew(_)));
}

async fn keys_end_with_their_session(store: Arc<dyn Store>) {
    let session = store.grant(Duration::from_secs(2)).await.unwrap();
    put(&*store, "/short", "x", Some(session)).await;
    let from = put(&*store, "/long", "x", None).await;
    assert_eq!(store.get("/short").await.unwrap().unwrap().session, Some(session));
    let mut watch = store.watch("/", from.into());
    assert_eq!(changes(&mut watch, 1).await, [("/short".to_owned(), None)]);
    assert_eq!(keys(&*store, "/").await, ["/long"]);

    let session = store.grant(Duration::from_secs(3600)).await.unwrap();
    put(&*store, "/short", "x", Some(session)).await;
    store.revoke(session).await.unwrap();
    assert_eq!(keys(&*store, "/").await, ["/long"]);
    store.revoke(session).await.unwrap();
}

async fn a_session_lives_as_long_as_it_is_kept_alive(store: Arc<dyn Store>) {
    let session = store.grant(Duration::from_secs(100)).await.unwrap();
    let life = store.time_to_live(session).await.unwrap().unwrap();
    assert_eq!(life.granted, Duration::from_secs(100));
    assert!(life.remaining <= life.granted && life.remaining > Duration::from_secs(90), "{life:?}");
    store.keep_alive(session).await.unwrap();
    let life = store.time_to_live(session).await.unwrap().unwrap();
    assert!(life.remaining > Duration::from_secs(90), "{life:?}");
}

async fn a_key_that_is_put_without_its_session_outlives_it(store: Arc<dyn Store>) {
    let session = store.grant(Duration::from_secs(3600)).await.unwrap();
    put(&*store, "/a", "x", Some(session)).await;
    put(&*store, "/a", "x", None).await;
    store.revoke(session).await.unwrap();
    let entry = store.get("/a").await.unwrap().unwrap();
    assert_eq!(entry.session, None);
}

async fn a_session_that_has_ended_cannot_be_kept_or_used(store: Arc<dyn Store>) {
    let session = store.grant(Duration::from_secs(3600)).await.unwrap();
    store.revoke(session).await.unwrap();
    assert_eq!(store.time_to_live(session).await.unwrap(), None);
    let error = store.keep_alive(session).await.unwrap_err();
    assert!(matches!(error.fault, Fault::SessionGone(gone) if gone == session), "{error:?}");
    let error = store.txn(Txn::new().put("/a", "x", Some(session))).await.unwrap_err();
    assert!(matches!(error.fault, Fault::SessionGone(_)), "{error:?}");
    assert_eq!(store.get("/a").await.unwrap(), None);
}

async fn followed_changes_begin_with_a_listing(store: Arc<dyn Store>) {
    use netd::store::{Followed, follow};
    put(&*store, "/a/1", "x", None).await;
    let (to, mut followed) = tokio::sync::mpsc::channel(8);
    let task = tokio::spawn(follow(Arc::clone(&store), "/a/".to_owned(), to));
    let Some(Followed::Listed(listing)) = timeout(SOON, followed.recv()).await.unwrap() else {
        panic!("no listing");
    };
    assert_eq!(listing.entries.len(), 1);
    put(&*store, "/a/2", "y", None).await;
    let Some(Followed::Changed(changes)) = timeout(SOON, followed.recv()).await.unwrap() else {
        panic!("no change");
    };
    let changes: Vec<_> = changes.into_iter().map(shown).collect();
    assert_eq!(changes, [("/a/2".to_owned(), Some("y".to_owned()))]);
    drop(followed);
    timeout(SOON, task).await.expect("it ends with its receiver").unwrap();
}
