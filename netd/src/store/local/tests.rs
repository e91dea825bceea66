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
async fn a_file_that_a_killed_process_had_half_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let draft = dir.path().join(".store.new");
    std::fs::write(&draft, "redb").unwrap();
    let (store, damaged) = Local::open_or_anew(&path).unwrap();
    assert_eq!(damaged, None);
    put(&store, "/a", None).await;
    assert!(path.exists() && !draft.exists());
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

/// A store of several pages, as of a host that remembers some peers.
async fn filled(path: &Path) -> Vec<u8> {
    let store = Local::open(path).unwrap();
    for number in 0..200 {
        store.txn(Txn::new().put(format!("/{number}"), [7; 200], None)).await.unwrap();
    }
    drop(store);
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_next_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let whole = filled(&path).await;
    let half = whole[..whole.len() / 2].to_vec();
    for damage in [b"junk".to_vec(), vec![0xa5; 1 << 20], half] {
        std::fs::write(&path, &damage).unwrap();
        let error = cni::ErrorChain(&Local::open(&path).unwrap_err()).to_string();
        assert!(error.contains("damaged: `netd run` sets it aside"), "{error}");
        let (store, damaged) = Local::open_or_anew(&path).unwrap();
        assert!(store.list("/").await.unwrap().entries.is_empty());
        put(&store, "/a", None).await;
        drop(store);
        let damaged = damaged.unwrap();
        assert_eq!(damaged.aside, dir.path().join("store.damaged"));
        assert!(!damaged.reason.is_empty());
        let (store, damaged) = Local::open_or_anew(&path).unwrap();
        assert_eq!(damaged, None, "the new one is fine");
        assert!(store.get("/a").await.unwrap().is_some());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "one generation");
}

#[tokio::test]
async fn whichever_page_is_overwritten_the_store_opens_whole_or_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let whole = filled(&path).await;
    let mut anew = 0;
    for at in (0..whole.len()).step_by(4096) {
        for junk in [0, 0xa5] {
            let mut bytes = whole.clone();
            let end = whole.len().min(at + 4096);
            bytes[at..end].fill(junk);
            std::fs::write(&path, &bytes).unwrap();
            let (store, damaged) = Local::open_or_anew(&path).unwrap();
            let entries = store.list("/").await.unwrap().entries.len();
            match damaged {
                Some(_) => assert_eq!(entries, 0),
                None => assert!(entries >= 199, "page at {at}: {entries} entries"),
            }
            anew += usize::from(damaged.is_some());
            put(&store, "/a", None).await;
        }
    }
    assert!(anew > 0, "some pages held what was stored");
}

#[tokio::test]
async fn a_file_that_another_process_has_is_not_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let _store = Local::open(&path).unwrap();
    assert!(Local::open_or_anew(&path).is_err());
    assert!(!aside(&path).exists());
}

#[tokio::test]
async fn what_was_set_aside_before_stays_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut all = Vec::new();
    for text in ["one", "two", "three"] {
        std::fs::write(&path, text).unwrap();
        let (_, damaged) = Local::open_or_anew_beside_others(&path).unwrap();
        all.push((text, damaged.unwrap().aside));
    }
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = all.iter().map(|(_, aside)| name(aside)).collect();
    assert_eq!(names, ["store.damaged", "store.damaged.1", "store.damaged.2"]);
    for (text, aside) in &all {
        assert_eq!(std::fs::read_to_string(aside).unwrap(), *text);
    }
}
