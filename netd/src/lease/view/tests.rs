use super::*;
use crate::store::{Followed, Session};

const VALUE: &str = r#"{"PublicIP":"1.2.3.4","PublicIPv6":null,"BackendType":"vxlan"}"#;
const OTHER: &str = r#"{"PublicIP":"1.2.3.5","PublicIPv6":null,"BackendType":"vxlan"}"#;

fn view() -> View {
    let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
    View::new(keys, "10.5.1.0-24".parse().unwrap(), Known::default())
}

impl View {
    fn take(&mut self, news: Followed) -> Vec<ClusterEvent> {
        match news {
            Followed::Listed(listing) => self.reset(listing, false),
            Followed::Anew(listing) => self.reset(listing, true),
            Followed::Changed(changes) => self.changed(changes),
        }
    }

    /// A listing of a store that was built anew.
    fn anew(&mut self, entries: &[(&str, &str)]) -> Vec<ClusterEvent> {
        let Followed::Listed(listing) = listed(entries) else { panic!() };
        self.take(Followed::Anew(listing))
    }
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
    Peer { subnet: name.parse().unwrap(), value, revision: 1, session: None }
}

fn reset(peers: &[(&str, &str)]) -> ClusterEvent {
    all(&peers.iter().map(|(name, value)| peer(name, value)).collect::<Vec<_>>())
}

fn all(peers: &[Peer]) -> ClusterEvent {
    let peers = peers.iter().map(|peer| (peer.subnet, peer.clone())).collect();
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
fn a_lease_that_takes_the_place_of_another_is_one_event() {
    let mut view = view();
    view.take(put("10.5.2.0-24", VALUE));
    let dual = "10.5.2.0-24&fd00:5:0:2::-64";
    let (Followed::Changed(mut gone), Followed::Changed(come)) =
        (deleted("10.5.2.0-24"), put(dual, VALUE))
    else {
        panic!()
    };
    gone.extend(come);
    let old = "10.5.2.0-24".parse().unwrap();
    let replaced = ClusterEvent::Replaced { old, new: peer(dual, VALUE) };
    assert_eq!(view.take(Followed::Changed(gone)), [replaced]);
}

#[test]
fn hosts_that_a_store_which_was_built_anew_does_not_know_stay_until_they_are_there_or_given_up() {
    let mut view = view();
    view.take(listed(&[("10.5.2.0-24", VALUE), ("10.5.3.0-24", VALUE), ("10.5.4.0-24", VALUE)]));
    let events = view.anew(&[("10.5.2.0-24", VALUE)]);
    let all = [("10.5.2.0-24", VALUE), ("10.5.3.0-24", VALUE), ("10.5.4.0-24", VALUE)];
    assert_eq!(events, [reset(&all)]);
    assert_eq!(
        *view.missing(),
        ["10.5.3.0-24", "10.5.4.0-24"].map(|key| key.parse().unwrap()).into()
    );
    // The same as before: it was never gone.
    assert_eq!(view.take(put("10.5.3.0-24", VALUE)), []);
    assert_eq!(view.missing().len(), 1);
    assert_eq!(view.give_up(), [ClusterEvent::Deleted("10.5.4.0-24".parse().unwrap())]);
    assert_eq!(view.anew(&[]), [reset(&all[..2])]);
    assert_eq!(view.take(listed(&[])), [reset(&[])]);
}

/// A host whose lease lives by a session.
fn living(name: &str, value: &str) -> Peer {
    Peer { session: Some(Session(7)), ..peer(name, value) }
}

/// A lease that lives by a session.
fn leased(name: &str, value: &str) -> Followed {
    let entry = Entry { session: Some(Session(7)), ..entry(name, value) };
    Followed::Changed(vec![Change::Put(entry)])
}

#[test]
fn a_host_whose_lease_has_ended_counts_as_there_for_a_time_or_until_its_subnet_is_anothers() {
    let (mut view, until) = (view(), Duration::from_secs(60));
    let subnet = "10.5.2.0-24".parse().unwrap();
    view.take(put("10.5.2.0-24", VALUE));
    assert_eq!(view.session(&key("10.5.2.0-24")), None, "a reservation ends by no session");
    let renewed = [ClusterEvent::Renewed(living("10.5.2.0-24", VALUE))];
    assert_eq!(view.take(leased("10.5.2.0-24", VALUE)), renewed);
    assert_eq!(view.session(&key("10.5.2.0-24")), Some((subnet, Session(7))));
    view.lapse(subnet, until);
    assert_eq!(view.take(deleted("10.5.2.0-24")), []);
    assert_eq!(view.take(listed(&[])), [all(&[living("10.5.2.0-24", VALUE)])]);
    assert_eq!((view.lapsed(), view.next_end()), ([(subnet, until)].into(), Some(until)));
    assert_eq!(view.expire(Duration::from_secs(59)), []);
    assert_eq!(view.take(leased("10.5.2.0-24", VALUE)), [], "it is back");
    assert!(view.lapsed().is_empty());
    view.lapse(subnet, until);
    assert_eq!(view.take(deleted("10.5.2.0-24")), []);
    assert_eq!(view.expire(until), [ClusterEvent::Deleted(subnet)]);
}

#[test]
fn a_host_that_is_gone_from_a_listing_counts_as_there_if_its_lease_ended_by_itself() {
    let until = Duration::from_secs(60);
    let names = ["10.5.2.0-24", "10.5.3.0-24", "10.5.4.0-24", "10.5.5.0-24"];
    let [here, ended, given_back, moved] = names.map(|name| name.parse().unwrap());
    let mut peers = names.map(|name| (name.parse().unwrap(), living(name, VALUE)));
    peers[3].1.value.public_ip = [1, 2, 3, 9].into();
    let known = || Known { view: ClusterView { peers: peers.clone().into() }, ..Known::default() };
    let keys = Keyspace::new("/coreos.com/network", "/netd/v1").unwrap();
    let mut view = View::new(keys.clone(), "10.5.1.0-24".parse().unwrap(), known());
    let anew = r#"{"PublicIP":"1.2.3.9","PublicIPv6":null,"BackendType":"vxlan"}"#;
    let listing = || match listed(&[("10.5.2.0-24", OTHER), ("10.5.6.0-24", anew)]) {
        Followed::Listed(listing) => listing,
        Followed::Anew(_) | Followed::Changed(_) => panic!(),
    };
    let asked = view.vanished(&listing());
    assert_eq!(asked, [ended, given_back, moved].map(|subnet| (subnet, Session(7))));
    [ended, moved].into_iter().for_each(|subnet| view.lapse(subnet, until));
    let events = view.reset(listing(), false);
    let now = [peer("10.5.2.0-24", OTHER), living("10.5.3.0-24", VALUE), peer("10.5.6.0-24", anew)];
    assert_eq!(events, [all(&now)], "{here} is there, {moved} has another lease");
    assert_eq!(view.lapsed(), [(ended, until)].into());
    assert_eq!(view.vanished(&listing()), [], "its time is known");
    // It is not begun anew by an agent that starts again.
    let store = StoreState { lapsed: view.lapsed(), ..StoreState::default() };
    let mut view = View::new(keys, "10.5.1.0-24".parse().unwrap(), Known { store, ..known() });
    assert_eq!(view.expire(until), [ClusterEvent::Deleted(ended)]);
}

#[test]
fn a_host_that_has_another_lease_is_not_cut_off() {
    let (mut view, until) = (view(), Duration::from_secs(60));
    let subnet = "10.5.2.0-24".parse().unwrap();
    view.take(leased("10.5.2.0-24", VALUE));
    assert!(!view.has_another(subnet));
    view.lapse(subnet, until);
    assert_eq!(view.take(deleted("10.5.2.0-24")), []);
    let moved = [ClusterEvent::Deleted(subnet), ClusterEvent::Put(living("10.5.3.0-24", VALUE))];
    assert_eq!(view.take(leased("10.5.3.0-24", VALUE)), moved);
    view.take(leased("10.5.2.0-24", VALUE));
    assert!(view.has_another(subnet));
}

#[test]
fn a_host_that_is_missing_gives_way_to_one_that_has_addresses_of_its() {
    let mut view = view();
    view.take(listed(&[("10.5.2.0-24", VALUE), ("10.5.3.0-24", VALUE)]));
    view.anew(&[("10.5.2.0-25", OTHER)]);
    assert_eq!(view.missing().len(), 1);
    let old = "10.5.3.0-24".parse().unwrap();
    let replaced = ClusterEvent::Replaced { old, new: peer("10.5.3.0-25", OTHER) };
    assert_eq!(view.take(put("10.5.3.0-25", OTHER)), [replaced]);
    assert!(view.missing().is_empty());
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
