//! Leases with this host's address that it does not have.

use super::{ANOTHER, CONFIG, Cluster, US};

#[test]
fn a_lease_that_another_left_at_the_address_is_not_taken_for_a_subnet_that_containers_use() {
    let (used, before) = (Some("10.5.9.0-24"), "10.5.7.0-24");
    let left = || Cluster { used: true, ..Cluster::default().leased(before, US) };
    assert_eq!(left().choice(CONFIG, used, 0), "create 10.5.9.0-24", "it is free");
    // Another host took the subnet after the other lease was made, or before.
    assert_eq!(left().leased("10.5.9.0-24", ANOTHER).choice(CONFIG, used, 0), "create 10.5.1.0-24");
    let taken = || Cluster { used: true, ..Cluster::default().leased("10.5.9.0-24", ANOTHER) };
    assert_eq!(taken().leased(before, US).choice(CONFIG, used, 0), "keep 10.5.7.0-24");
    // A record says whose it is whenever it was made, and so does a network without the subnet.
    assert_eq!(left().record("us", before, 1).choice(CONFIG, used, 0), "keep 10.5.7.0-24");
    assert_eq!(left().choice(CONFIG, Some("10.6.9.0-24"), 0), "keep 10.5.7.0-24");
}

#[test]
fn of_several_leases_with_its_address_a_host_keeps_that_of_before_or_the_latest() {
    let cluster = || {
        let all = ["10.5.2.0-24", "10.5.7.0-24", "10.5.4.0-24"];
        all.iter().fold(Cluster::default(), |cluster, subnet| cluster.leased(subnet, US))
    };
    assert_eq!(cluster().choice(CONFIG, None, 0), "keep 10.5.4.0-24");
    assert_eq!(cluster().choice(CONFIG, Some("10.5.7.0-24"), 0), "keep 10.5.7.0-24");
    let used = Cluster { used: true, ..cluster() };
    assert_eq!(used.choice(CONFIG, Some("10.5.7.0-24"), 0), "keep 10.5.7.0-24");
}
