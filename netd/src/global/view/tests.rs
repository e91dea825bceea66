use super::*;
use crate::global::tests::hosts;
use crate::store::Listing;

const A: &str = "machine-a";
const B: &str = "machine-b";

fn keys() -> Keys {
    Keys::below("/netd/v1")
}

fn id() -> Id {
    Id::parse(&"7".repeat(64)).unwrap()
}

fn entry(key: String, value: impl serde::Serialize, created: Revision, changed: Revision) -> Entry {
    let value = serde_json::to_vec(&value).unwrap();
    Entry { key, value, create_revision: created, mod_revision: changed, session: None }
}

fn network(revision: Revision) -> Entry {
    let network: Network = serde_json::from_value(serde_json::json!({
        "id": id(), "name": "n", "scope": "global", "created": 0,
        "driver": "overlay", "ipv4": true, "ipv6": false, "internal": false, "attachable": false,
        "subnets": [{"net": "10.0.0.0/24", "ipRange": null, "gateway": "10.0.0.1", "aux": {}, "vni": 9}],
        "options": {}, "labels": {}, "ipamOptions": {}, "adopted": false,
    }))
    .unwrap();
    entry(keys().network(&id()), network, revision, revision)
}

fn endpoint(name: &str, machine: &str, address: &str, created: Revision) -> Entry {
    let record = hosts::endpoint(machine, name, address);
    entry(keys().endpoint(&id(), name), record, created, created)
}

fn member(machine: &str, vtep: &str, revision: Revision) -> Entry {
    let (host, version) = (format!("host of {machine}"), "1".to_owned());
    let member = Member { host, vtep: Some(vtep.parse().unwrap()), version, wireguard: None };
    entry(keys().member(machine), member, revision, revision)
}

fn live(machine: &str, revision: Revision) -> Entry {
    let live = Live { boot_id: "b".to_owned(), host: machine.to_owned() };
    entry(keys().live(machine), live, revision, revision)
}

fn listed(revision: Revision, entries: Vec<Entry>) -> Followed {
    Followed::Listed(Listing { revision, history: 1, entries })
}

fn put(entry: Entry) -> Followed {
    Followed::Changed(vec![Change::Put(entry)])
}

fn deleted(key: String, revision: Revision) -> Followed {
    Followed::Changed(vec![Change::Deleted { key, revision }])
}

/// Two hosts, and a container on the first.
fn first() -> Vec<Entry> {
    vec![
        network(2),
        member(A, "192.0.2.1", 3),
        member(B, "192.0.2.2", 4),
        live(A, 5),
        live(B, 6),
        endpoint("a", A, "10.0.0.2/24", 7),
    ]
}

/// Two hosts, one container on each.
fn cluster() -> View {
    let mut view = View::default();
    let all = [first(), vec![endpoint("b", B, "10.0.0.18/24", 8)]].concat();
    assert_eq!(view.take(&keys(), &listed(8, all)), [id()].into());
    view
}

/// Addresses, way and state of what host A sees elsewhere.
fn seen(view: &View) -> Vec<(String, Option<String>, bool)> {
    let all = view.elsewhere(&id(), A);
    all.iter()
        .map(|it| {
            let addresses: Vec<String> = it.addresses.iter().map(ToString::to_string).collect();
            (addresses.join(" "), it.vtep.map(|ip| ip.to_string()), it.live)
        })
        .collect()
}

fn way(address: &str, vtep: &str, live: bool) -> Vec<(String, Option<String>, bool)> {
    vec![(address.to_owned(), Some(vtep.to_owned()), live)]
}

#[test]
fn endpoints_of_other_hosts_are_reached_by_their_hosts() {
    assert_eq!(seen(&cluster()), way("10.0.0.18", "192.0.2.2", true));
}

#[test]
fn a_host_without_a_sign_of_life_is_down_and_reached_until_its_session_ends() {
    let mut view = cluster();
    assert_eq!(view.take(&keys(), &deleted(keys().live(B), 9)), [id()].into());
    assert_eq!(seen(&view), way("10.0.0.18", "192.0.2.2", false));
    view.take(&keys(), &put(live(B, 10)));
    assert_eq!(seen(&view), way("10.0.0.18", "192.0.2.2", true));
    view.take(&keys(), &deleted(keys().endpoint(&id(), "b"), 11));
    assert_eq!(seen(&view), []);
}

#[test]
fn of_two_endpoints_with_one_address_the_newer_has_it() {
    let mut view = cluster();
    // It came up here before its end there was heard of, and that may come at any time.
    view.take(&keys(), &put(endpoint("moved", A, "10.0.0.18/24", 9)));
    assert_eq!(seen(&view), way("", "192.0.2.2", true));
    // Another name of the old one makes it no newer.
    let renamed = Entry { mod_revision: 10, ..endpoint("b", B, "10.0.0.18/24", 8) };
    view.take(&keys(), &put(renamed));
    assert_eq!(seen(&view), way("", "192.0.2.2", true));
    view.take(&keys(), &put(endpoint("back", B, "10.0.0.18/24", 12)));
    let addresses: Vec<String> = seen(&view).into_iter().map(|it| it.0).collect();
    assert_eq!(addresses, ["", "10.0.0.18"]);
}

#[test]
fn what_is_older_than_what_is_known_changes_nothing() {
    let mut view = cluster();
    view.take(&keys(), &put(endpoint("new", B, "10.0.0.19/24", 12)));
    let before = view.clone();
    view.take(&keys(), &deleted(keys().endpoint(&id(), "new"), 11));
    assert_eq!(view, before);
    // Listed before this host wrote.
    view.take(&keys(), &listed(9, first()));
    assert_eq!(seen(&view), way("10.0.0.19", "192.0.2.2", true));
    view.take(&keys(), &listed(13, first()));
    assert_eq!(seen(&view), []);
}

#[test]
fn a_store_that_was_built_anew_is_all_that_is_known() {
    let mut view = cluster();
    let anew = Followed::Anew(Listing { revision: 1, history: 2, entries: vec![] });
    assert_eq!(view.take(&keys(), &anew), [id()].into());
    assert_eq!(view, View::default());
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let mut view = cluster();
    view.take(&keys(), &put(entry(keys().endpoint(&id(), "b"), "no endpoint", 8, 9)));
    view.take(&keys(), &put(entry(keys().network(&Id::random()), 7, 10, 10)));
    view.take(&keys(), &put(entry("/netd/v1/hosts/x/lease".to_owned(), 7, 11, 11)));
    assert_eq!(seen(&view), []);
    assert_eq!(view.networks().count(), 1);
}
