use rustix::fs::{Mode, OFlags, open};

use super::*;

fn due(key: &str) -> Due {
    let place = (Id::random(), key.to_owned());
    let announcements = Announcements::default();
    Due { place, id: Id::random(), announcements, patience: Instant::now() }
}

fn socket() -> OwnedFd {
    open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

#[tokio::test]
async fn each_is_due_in_its_time_and_those_of_one_moment_in_their_order() {
    let announcer = Announcer::default();
    let now = Instant::now();
    let later = now + Duration::from_secs(3600);
    let all = [due("later"), due("first"), due("second")];
    for (at, one) in [later, now, now].into_iter().zip(&all) {
        announcer.put(at, one.clone());
    }
    announcer.due().await;
    let key = |due: Due| due.place.1;
    assert_eq!(announcer.next_due(now).map(key).as_deref(), Some("first"));
    assert_eq!(announcer.next_due(now).map(key).as_deref(), Some("second"));
    assert_eq!(announcer.next_due(now), None);
    assert_eq!(announcer.next_due(later).map(key).as_deref(), Some("later"));
}

#[tokio::test]
async fn nothing_is_announced_while_too_many_sockets_are_open() {
    let announcer = Announcer::default();
    let now = Instant::now();
    announcer.put(now, due("one"));
    (0..OPEN + 1).for_each(|_| announcer.spend(socket()));
    assert_eq!(announcer.next_due(now), None);
    // They are to be closed; then it goes on.
    announcer.due().await;
    assert_eq!(announcer.take_spent().len(), OPEN);
    assert!(announcer.next_due(now).is_some());
    assert!(announcer.take_spent().is_empty());
}
