use super::*;

#[test]
fn a_requested_address_is_given_with_the_prefix_of_its_subnet() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "2001:db8:1::/64"]);
    let given = net.add_requested(&sets, "dummy", &["2001:db8:1::99", "10.1.2.88"]).unwrap();
    assert_eq!(given, ["10.1.2.88/24", "2001:db8:1::99/64"]);
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.88", "as the reference does");
    assert_eq!(net.add(&sets, "other").unwrap(), ["10.1.2.89/24", "2001:db8:1::9a/64"]);
}

#[test]
fn a_set_without_a_request_gives_the_next_address() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "2001:db8:1::/64"]);
    let given = net.add_requested(&sets, "dummy", &["2001:db8:1::99"]).unwrap();
    assert_eq!(given, ["10.1.2.2/24", "2001:db8:1::99/64"]);
}

#[test]
fn a_taken_address_names_its_holder_and_nothing_stays_reserved() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "2001:db8:1::/64"]);
    net.add_requested(&sets[1..], "other", &["2001:db8:1::99"]).unwrap();
    let error = net
        .store
        .allocate(&sets, &owner("dummy"), &ips(&["10.1.2.88", "2001:db8:1::99"]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to allocate for range 1: requested IP address 2001:db8:1::99 is not available in \
         range set 2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff: held by container other, \
         interface eth0"
    );
    assert!(
        matches!(error, Error::RequestedTaken { holder: Holder::Owner(holder), .. } if holder == owner("other"))
    );
    assert_eq!(net.names(), ["2001:db8:1::99"]);
    assert!(net.indexed(), "a refusal does not cost a scan");
}

#[test]
fn addresses_without_a_place_are_refused_before_anything_is_touched() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    let outside = net.store.allocate(&sets, &owner("dummy"), &ips(&["10.1.2.88", "10.1.3.4"]));
    let error = outside.unwrap_err();
    assert!(
        matches!(&error, Error::RequestedOutside { ips: left, .. } if *left == ips(&["10.1.3.4"]))
    );
    assert!(error.to_string().starts_with("failed to allocate all requested IPs: [10.1.3.4]"));
    let gateway = net.store.allocate(&sets, &owner("dummy"), &ips(&["10.1.2.1"])).unwrap_err();
    assert!(matches!(gateway, Error::RequestedIsGateway { range_set: 0, .. }));
    assert_eq!(
        gateway.to_string(),
        "failed to allocate for range 0: requested ip 10.1.2.1 is subnet's gateway"
    );
    assert!(!net.data.path().join("net").exists());
}

#[test]
fn a_name_in_use_that_is_no_reservation_has_an_unknown_holder_and_is_skipped_otherwise() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    fs::create_dir_all(net.path("10.1.2.2")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", net.path("10.1.2.3")).unwrap();
    let error = net.store.allocate(&sets, &owner("dummy"), &ips(&["10.1.2.2"])).unwrap_err();
    assert!(matches!(error, Error::RequestedTaken { holder: Holder::Unknown, .. }), "{error}");
    assert_eq!(net.add(&sets, "dummy").unwrap(), ["10.1.2.4/24"]);
}
