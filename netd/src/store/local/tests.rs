use super::*;

async fn put(store: &Local, key: &str, session: Option<Session>) -> Revision {
    store.txn(Txn::new().put(key, "x", session)).await.unwrap().revision
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_revisions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Local::open(&path).unwrap();
    let session = store.grant(Duration::from_secs(3600)).await.unwrap();
    let revision = put(&store, "/a", Some(session)).await;
    drop(store);
    let store = Local::open(&path).unwrap();
    let listing = store.list("/").await.unwrap();
    assert_eq!(listing.revision, revision);
    assert_eq!(listing.entries[0].session, Some(session));
    assert_eq!(put(&store, "/b", None).await, revision + 1);
    assert_ne!(store.grant(Duration::from_secs(1)).await.unwrap(), session);
    store.revoke(session).await.unwrap();
    assert_eq!(store.get("/a").await.unwrap(), None);
}

#[tokio::test]
async fn a_session_that_ended_while_nobody_ran_is_gone_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Local::open(&path).unwrap();
    let session = store.grant(Duration::ZERO).await.unwrap();
    // Written as by a process that stopped before the session's end.
    store
        .0
        .write(|writing| {
            writing.apply(&[crate::store::Write::Put {
                key: "/a".to_owned(),
                value: Vec::new(),
                session: Some(session),
            }])?;
            Ok(())
        })
        .map_err(|_| ())
        .unwrap();
    drop(store);
    let store = Local::open(&path).unwrap();
    assert!(store.list("/").await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn of_changes_before_the_start_a_watch_knows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Local::open(&path).unwrap();
    let first = put(&store, "/a", None).await;
    put(&store, "/a", None).await;
    drop(store);
    let store = Local::open(&path).unwrap();
    let event = store.watch("/", first.into()).next().await.unwrap().unwrap();
    assert!(matches!(event, Event::Resync(_)), "{event:?}");
}

#[tokio::test]
async fn a_file_that_is_in_use_or_no_store_is_told_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let _store = Local::open(&path).unwrap();
    let error = cni::ErrorChain(&Local::open(&path).unwrap_err()).to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    let junk = dir.path().join("junk");
    std::fs::write(&junk, "junk").unwrap();
    let error = cni::ErrorChain(&Local::open(&junk).unwrap_err()).to_string();
    assert!(error.contains(junk.to_str().unwrap()), "{error}");
    assert_eq!(std::fs::read(&junk).unwrap(), b"junk", "it is as it was");
}
