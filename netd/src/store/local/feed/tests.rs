use super::*;

fn changed(key: &str, revision: Revision) -> Vec<Change> {
    vec![Change::Deleted { key: key.to_owned(), revision }]
}

#[test]
fn changes_are_told_by_prefix_and_revision() {
    let mut feed = Feed::new(7, 10, None);
    feed.push(11, None, changed("/a", 11));
    feed.push(12, None, changed("/b", 12));
    let told = |after: Revision, prefix| match feed.since(&after.into(), prefix) {
        Since::Changes { revision, changes } => format!("{} at {revision}", changes.len()),
        Since::Nothing { .. } => "nothing".to_owned(),
        Since::Ended(Event::Anew(_)) => "anew".to_owned(),
        Since::Ended(_) => "resync".to_owned(),
    };
    assert_eq!(told(10, "/"), "2 at 12");
    assert_eq!(told(11, "/"), "1 at 12");
    assert_eq!(told(10, "/a"), "1 at 12");
    assert_eq!(told(11, "/a"), "nothing");
    assert_eq!(told(12, "/"), "nothing");
    assert_eq!(told(9, "/"), "resync");
    assert_eq!(told(13, "/"), "anew");
    let another = Position { history: 8, ..12.into() };
    assert!(matches!(feed.since(&another, "/"), Since::Ended(Event::Anew(_))));
}

#[test]
fn who_is_too_far_behind_is_told_to_list_anew() {
    let mut feed = Feed::new(7, 0, None);
    let last = Revision::try_from(REMEMBERED).unwrap() + 5;
    for revision in 1..=last {
        feed.push(revision, None, changed("/a", revision));
    }
    assert!(matches!(feed.since(&4.into(), "/"), Since::Ended(Event::Resync(_))));
    assert!(
        matches!(feed.since(&5.into(), "/"), Since::Changes { revision, .. } if revision == last)
    );
}
