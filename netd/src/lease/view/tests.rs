use super::*;

const VALUE: &str = r#"{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"vxlan"}"#;
const OTHER: &str = r#"{"PublicIP":"1.2.3.5","PublicIPv6":null,"BackendType":"vxlan"}"#;

fn view() -> View {
    let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
    View::new(keys, "10.5.1.0-24".parse().unwrap())
}

fn key(name: &str) -> String {
    format!("/coreos.com/network/subnets/{name}")
}

fn entry(name: &str, value: &str) -> Entry {
    Entry {
        key: key(name),
        value: value.into(),
        create_revision: 1,
        mod_revision: 1,
        session: None,
    }
}

fn listed(entries: &[(&str, &str)]) -> Followed {
    let entries = entries.iter().map(|(name, value)| entry(name, value)).collect();
    Followed::Listed(Listing { revision: 1, history: 1, entries })
}

fn put(name: &str, value: &str) -> Followed {
    Followed::Changed(vec![Change::Put(entry(name, value))])
}

fn deleted(name: &str) -> Followed {
    Followed::Changed(vec![Change::Deleted { key: key(name), revision: 2 }])
}

fn peer(name: &str, value: &str) -> Peer {
    let value = LeaseValue::decode(value.as_bytes()).unwrap();
    Peer { subnet: name.parse().unwrap(), value, revision: 1 }
}

fn reset(peers: &[(&str, &str)]) -> ClusterEvent {
    let peers = peers.iter().map(|(name, value)| peer(name, value));
    let peers = peers.map(|peer| (peer.subnet, peer)).collect();
    ClusterEvent::Reset(ClusterView { peers })
}

fn is_malformed(events: &[ClusterEvent], name: &str) -> bool {
    matches!(events, [ClusterEvent::Malformed { key: found, .. }] if *found == key(name))
}

#[test]
fn a_listing_is_all_peers_but_this_host() {
    let events = view().take(listed(&[("10.5.1.0-24", VALUE), ("10.5.2.0-24", OTHER)]));
    assert_eq!(events, [reset(&[("10.5.2.0-24", OTHER)])]);
}

#[test]
fn nothing_is_told_of_this_host() {
    let mut view = view();
    assert_eq!(view.take(put("10.5.1.0-24", VALUE)), []);
    assert_eq!(view.take(put("10.5.1.0-24", "junk")), []);
    assert_eq!(view.take(deleted("10.5.1.0-24")), []);
}

#[test]
fn a_renewal_that_changes_nothing_is_told_once() {
    let mut view = view();
    assert_eq!(
        view.take(put("10.5.2.0-24", VALUE)),
        [ClusterEvent::Put(peer("10.5.2.0-24", VALUE))]
    );
    assert_eq!(view.take(put("10.5.2.0-24", VALUE)), []);
    assert_eq!(
        view.take(put("10.5.2.0-24", OTHER)),
        [ClusterEvent::Put(peer("10.5.2.0-24", OTHER))]
    );
    let gone = ClusterEvent::Deleted("10.5.2.0-24".parse().unwrap());
    assert_eq!(view.take(deleted("10.5.2.0-24")), [gone]);
    assert_eq!(view.take(deleted("10.5.2.0-24")), []);
}

#[test]
fn what_cannot_be_read_hurts_nobody_else() {
    let mut view = view();
    let events = view.take(listed(&[
        ("10.5.2.0-24", VALUE),
        ("10.5.3.0-24", "{"),
        ("foo", VALUE),
        ("10.5.4.0-24", OTHER),
    ]));
    assert_eq!(events[0], reset(&[("10.5.2.0-24", VALUE), ("10.5.4.0-24", OTHER)]));
    assert!(is_malformed(&events[1..2], "10.5.3.0-24"), "{events:?}");
    assert!(is_malformed(&events[2..], "foo"), "{events:?}");
    assert!(is_malformed(&view.take(put("bar", VALUE)), "bar"));
    assert_eq!(view.take(deleted("bar")), []);
}

#[test]
fn a_peer_whose_value_breaks_stays_as_it_was_until_it_is_deleted() {
    let mut view = view();
    view.take(listed(&[("10.5.2.0-24", VALUE)]));
    assert!(is_malformed(&view.take(put("10.5.2.0-24", "{}")), "10.5.2.0-24"));
    let events = view.take(listed(&[("10.5.2.0-24", "{}")]));
    assert_eq!(events[0], reset(&[("10.5.2.0-24", VALUE)]));
    assert!(is_malformed(&events[1..], "10.5.2.0-24"));
    // The same value as before the fault is no news.
    assert_eq!(view.take(put("10.5.2.0-24", VALUE)), []);
    assert_eq!(view.take(listed(&[])), [reset(&[])]);
}

#[test]
fn with_ipv6_a_host_is_both_of_its_subnets() {
    let mut view = view();
    let dual = "10.5.1.0-24&fd00:5:0:1::-64";
    assert_eq!(view.take(put(dual, VALUE)), [ClusterEvent::Put(peer(dual, VALUE))]);
    assert_eq!(view.take(deleted("10.5.1.0-24")), []);
}

#[test]
fn a_peer_is_as_old_as_what_it_publishes() {
    let mut view = view();
    let written = |value: &str, revision| {
        let entry = Entry { mod_revision: revision, ..entry("10.5.2.0-24", value) };
        Followed::Changed(vec![Change::Put(entry)])
    };
    let of = |events: Vec<ClusterEvent>| match events.as_slice() {
        [ClusterEvent::Put(peer)] => peer.revision,
        other => panic!("{other:?}"),
    };
    assert_eq!(of(view.take(written(VALUE, 4))), 4);
    assert_eq!(view.take(written(VALUE, 7)), [], "a renewal");
    assert_eq!(of(view.take(written(OTHER, 9))), 9);
}
