use super::*;
use crate::lease::StoreState;

fn known() -> Known {
    let store = StoreState { name: Some("first".to_owned()), ..StoreState::default() };
    Known { store, ..Known::default() }
}

fn reset() -> ClusterEvent {
    ClusterEvent::Reset(ClusterView::default())
}

fn remembered(patience: Duration) -> Option<Remembered> {
    Some(Remembered { view: ClusterView::default(), patience })
}

/// What the store says goes in at one end, and what was passed on comes out at the other: whether it is of
/// the store.
fn passing(
    remembered: Option<Remembered>,
) -> (mpsc::Sender<ClusterEvent>, mpsc::UnboundedReceiver<bool>) {
    let (to, events) = mpsc::channel(8);
    let (passed, seen) = mpsc::unbounded_channel();
    tokio::spawn(pass_on(events, remembered, move |_, of_store| passed.send(of_store).is_ok()));
    (to, seen)
}

#[tokio::test]
async fn what_is_remembered_counts_where_the_store_does_not_tell_who_there_is() {
    let (to, mut passed) = passing(remembered(Duration::from_millis(20)));
    // That is no answer to it.
    to.send(ClusterEvent::Store(StoreState::default())).await.unwrap();
    assert_eq!(passed.recv().await, Some(true));
    assert_eq!(passed.recv().await, Some(false), "while the store is silent");
    to.send(reset()).await.unwrap();
    assert_eq!(passed.recv().await, Some(true));
    drop(to);
    assert_eq!(passed.recv().await, None, "once");
}

#[tokio::test]
async fn it_never_counts_once_the_store_has_told() {
    let (to, mut passed) = passing(remembered(Duration::from_millis(20)));
    to.send(reset()).await.unwrap();
    assert_eq!(passed.recv().await, Some(true));
    let late = tokio::time::timeout(Duration::from_millis(100), passed.recv()).await;
    assert!(late.is_err(), "{late:?}");
}

#[test]
fn it_counts_at_once_where_the_store_is_away_and_a_host_that_remembers_nothing_waits() {
    let patience = |known: &Known, alone| Remembered::of(known, alone).map(|it| it.patience);
    assert_eq!(patience(&known(), true), Some(Duration::ZERO));
    assert_eq!(patience(&Known::default(), true), Some(Duration::ZERO));
    assert_eq!(patience(&known(), false), Some(PATIENCE));
    assert_eq!(patience(&Known::default(), false), None);
}
