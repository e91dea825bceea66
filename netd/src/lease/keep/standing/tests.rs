use std::time::Duration;

use super::*;
use crate::store::{Entry, Session};

fn held() -> Held {
    Held {
        subnet: "10.5.1.0-24".parse().unwrap(),
        value: LeaseValue::new("1.2.3.4".parse().unwrap()),
        session: Some(Session(7)),
        time_to_live: Duration::from_secs(60),
        created: 0,
        revision: 5,
        recorded: true,
    }
}

fn put(value: &str, session: Option<i64>) -> Standing {
    let entry = Entry {
        key: "/n/subnets/10.5.1.0-24".to_owned(),
        value: value.into(),
        create_revision: 5,
        mod_revision: 6,
        session: session.map(Session),
    };
    Standing::of(&held(), &Change::Put(entry))
}

const OURS: &str = r#"{"PublicIP":"1.2.3.4"}"#;
const ANOTHERS: &str = r#"{"PublicIP":"1.2.3.5"}"#;

#[test]
fn what_was_written_with_our_session_is_ours() {
    assert_eq!(put(OURS, Some(7)), Standing::Ours);
    // Whatever an administrator made of the value; it is written again.
    assert_eq!(put("junk", Some(7)), Standing::Ours);
}

#[test]
fn a_lease_that_is_made_a_reservation_stays_ours() {
    assert_eq!(put(OURS, None), Standing::Ours);
}

#[test]
fn what_others_wrote_is_not_ours() {
    let says = |standing: Standing, text: &str| {
        assert!(matches!(&standing, Standing::Other(why) if why.contains(text)), "{standing:?}");
    };
    says(put(ANOTHERS, Some(8)), "the host at 1.2.3.5 has it");
    says(put(ANOTHERS, None), "the host at 1.2.3.5 has it");
    says(put(OURS, Some(8)), "another agent with this host's address 1.2.3.4");
    says(put("junk", None), "overwritten");
}

#[test]
fn a_deleted_key_is_absent() {
    let change = Change::Deleted { key: "/n/subnets/10.5.1.0-24".to_owned(), revision: 6 };
    assert_eq!(Standing::of(&held(), &change), Standing::Absent);
}
