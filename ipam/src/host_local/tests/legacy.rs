use super::*;

#[test]
fn a_reservation_of_the_container_alone_is_released_and_checked() {
    let mut net = Fixture::new();
    net.write("10.1.2.7", "dummy");
    assert_eq!(net.store.holds(&owner("dummy")).unwrap(), ips(&["10.1.2.7"]));
    assert_eq!(net.release("dummy"), ips(&["10.1.2.7"]));
    assert_eq!(net.names(), [""; 0]);
}

#[test]
fn it_is_kept_as_long_as_the_interface_has_a_reservation_of_its_own() {
    let mut net = Fixture::new();
    net.write("10.1.2.7", "dummy");
    net.write("10.1.2.8", "dummy\r\neth0");
    assert_eq!(net.release("dummy"), ips(&["10.1.2.8"]));
    assert_eq!(net.names(), ["10.1.2.7"]);
}

#[test]
fn it_counts_as_a_duplicate_for_every_interface() {
    let mut net = Fixture::new();
    net.write("10.1.2.7", "dummy");
    let error = net.add(&sets(&["10.1.2.0/24"]), "dummy").unwrap_err();
    assert!(error.contains("10.1.2.7 has been allocated to dummy"), "{error}");
    assert_eq!(net.add(&sets(&["10.2.0.0/24"]), "dummy").unwrap(), ["10.2.0.2/24"]);
}

#[test]
fn white_space_around_content_and_container_id_does_not_count() {
    let mut net = Fixture::new();
    net.write("10.1.2.7", "   dummy\r\neth0 \n");
    net.write("10.1.2.8", "   other\n ");
    assert_eq!(net.store.holds(&owner(" dummy ")).unwrap(), ips(&["10.1.2.7"]));
    assert_eq!(net.release("   other\n "), ips(&["10.1.2.8"]));
    assert_eq!(net.release("dummy"), ips(&["10.1.2.7"]));
}

#[test]
fn an_unknown_owner_releases_nothing() {
    let mut net = Fixture::new();
    net.write("10.1.2.7", "dummy\r\neth1");
    net.write("10.1.2.8", "dummy-2\r\neth0");
    net.write("notes", "dummy\r\neth0");
    assert_eq!(net.release("dummy"), ips(&[]));
    assert_eq!(net.names(), ["10.1.2.7", "10.1.2.8", "notes"]);
}

#[test]
fn addresses_outside_of_the_present_ranges_are_released_as_well() {
    let mut net = Fixture::new();
    net.write("192.0.2.1", "dummy\r\neth0");
    net.write("10.1.2.8", "dummy\r\neth0");
    assert_eq!(net.release("dummy").len(), 2);
    assert_eq!(net.names(), [""; 0]);
}

#[test]
fn a_reservation_survives_any_input() {
    corpus::survive("reservation", |content| {
        if let Some(trimmed) = owner::trim(content) {
            let (id, rest) = owner::split(trimmed);
            assert_eq!(id.len() + rest.len(), trimmed.len());
            let _ = owner::holder(trimmed);
        }
    });
}
