use super::*;
use crate::{RangeSpec, parse_cidr, range_sets};

fn sets(subnets: &[&str]) -> Vec<RangeSet> {
    let specs: Vec<_> =
        subnets.iter().map(|s| vec![RangeSpec::of(parse_cidr(s).unwrap())]).collect();
    range_sets(&specs).unwrap()
}

fn addresses(allocations: &[Allocation]) -> Vec<String> {
    allocations.iter().map(|allocation| allocation.address.to_string()).collect()
}

#[test]
fn an_address_of_each_set_is_reserved_in_the_files_of_the_reference() {
    let data = tempfile::tempdir().unwrap();
    let mut store = HostLocal::open(data.path(), "net").unwrap();
    let sets = sets(&["10.1.2.0/24", "2001:db8:1::/64"]);
    let owner = Owner::new("dummy", "eth0");
    let given = store.allocate(&sets, &owner, &[]).unwrap();
    assert_eq!(addresses(&given), ["10.1.2.2/24", "2001:db8:1::2/64"]);
    let read = |name: &str| std::fs::read_to_string(data.path().join("net").join(name)).unwrap();
    assert_eq!(read("10.1.2.2"), "dummy\r\neth0");
    assert_eq!(read("2001:db8:1::2"), "dummy\r\neth0");
    assert_eq!(read("last_reserved_ip.0"), "10.1.2.2");
    assert_eq!(read("last_reserved_ip.1"), "2001:db8:1::2");
    assert_eq!(store.release(&owner).unwrap().len(), 2);
    assert_eq!(store.holds(&owner).unwrap(), Vec::<IpAddr>::new());
    assert_eq!(
        addresses(&store.allocate(&sets, &owner, &[]).unwrap()),
        ["10.1.2.3/24", "2001:db8:1::3/64"]
    );
}
