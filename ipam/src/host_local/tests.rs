use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::{RangeSpec, parse_cidr, range_sets};

mod faults;
mod index;
mod legacy;
mod requests;

/// A data directory of its own, and the store of network `net` in it.
struct Fixture {
    data: TempDir,
    store: HostLocal,
}

impl Fixture {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = HostLocal::open(data.path(), "net").unwrap();
        Self { data, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data.path().join("net").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.data.path().join("net")).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// The names in the directory, without those that stay for ever.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.data.path().join("net"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lock" && name != index::NAME && !name.starts_with("last_"))
            .collect();
        names.sort();
        names
    }

    fn add(&mut self, sets: &[RangeSet], container: &str) -> Result<Vec<String>, String> {
        self.add_requested(sets, container, &[])
    }

    fn add_requested(
        &mut self,
        sets: &[RangeSet],
        container: &str,
        requested: &[&str],
    ) -> Result<Vec<String>, String> {
        let requested: Vec<IpAddr> = requested.iter().map(|text| ip(text)).collect();
        self.store
            .allocate(sets, &owner(container), &requested)
            .map(|given| given.iter().map(|one| one.address.to_string()).collect())
            .map_err(|error| error.to_string())
    }

    fn release(&mut self, container: &str) -> Vec<IpAddr> {
        self.store.release(&owner(container)).unwrap()
    }

    /// Whether the index is valid: the next operation will not read all files.
    fn indexed(&self) -> bool {
        let dir = self.data.path().join("net");
        let dir = super::directory::Directory::open(&dir, DEFAULT_LOCK_TIMEOUT).unwrap().unwrap();
        super::index::load(&dir).is_some()
    }
}

fn owner(container: &str) -> Owner {
    Owner::new(container, "eth0")
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

/// One set of one whole subnet each.
fn sets(subnets: &[&str]) -> Vec<RangeSet> {
    let spec = |subnet: &&str| vec![RangeSpec::of(parse_cidr(subnet).unwrap())];
    range_sets(&subnets.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_address_of_each_set_is_reserved_in_the_files_of_the_reference() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "2001:db8:1::/64"]);
    let given = net.store.allocate(&sets, &owner("dummy"), &[]).unwrap();
    assert_eq!(
        given,
        [
            Allocation {
                address: parse_cidr("10.1.2.2/24").unwrap(),
                gateway: ip("10.1.2.1"),
                range_set: 0
            },
            Allocation {
                address: parse_cidr("2001:db8:1::2/64").unwrap(),
                gateway: ip("2001:db8:1::1"),
                range_set: 1
            },
        ]
    );
    assert_eq!(net.read("10.1.2.2"), "dummy\r\neth0");
    assert_eq!(net.read("2001:db8:1::2"), "dummy\r\neth0");
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.2");
    assert_eq!(net.read("last_reserved_ip.1"), "2001:db8:1::2");
    assert_eq!(mode(net.path("10.1.2.2")), 0o600);
    assert_eq!(mode(net.path(".")), 0o755);
    assert_eq!(net.store.holds(&owner("dummy")).unwrap(), ips(&["10.1.2.2", "2001:db8:1::2"]));
    assert_eq!(net.release("dummy"), ips(&["10.1.2.2", "2001:db8:1::2"]));
    assert_eq!(net.names(), [""; 0]);
    assert_eq!(net.add(&sets, "dummy").unwrap(), ["10.1.2.3/24", "2001:db8:1::3/64"]);
    assert_eq!(net.store.take_warnings(), []);
}

#[test]
fn one_container_may_have_several_interfaces_and_releases_them_one_by_one() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    net.add(&sets, "dummy").unwrap();
    let second = Owner::new("dummy", "eth1");
    net.store.allocate(&sets, &second, &[]).unwrap();
    assert_eq!(net.release("dummy"), ips(&["10.1.2.2"]));
    assert_eq!(net.names(), ["10.1.2.3"]);
    assert_eq!(net.store.holds(&second).unwrap(), ips(&["10.1.2.3"]));
}

#[test]
fn a_repeated_allocation_is_refused_and_changes_nothing() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "fd00::/64"]);
    net.add(&sets, "dummy").unwrap();
    let before = net.names();
    let duplicate = "failed to allocate for range 0: 10.1.2.2 has been allocated to dummy, \
                     duplicate allocation is not allowed (interface eth0)";
    assert_eq!(net.add(&sets, "dummy").unwrap_err(), duplicate);
    assert_eq!(net.add_requested(&sets, "dummy", &["10.1.2.9"]).unwrap_err(), duplicate);
    assert_eq!(net.names(), before);
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.2");
}

#[test]
fn a_full_set_is_an_error_that_leaves_earlier_sets_as_they_were() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24", "10.9.9.0/30"]);
    net.add(&sets, "one").unwrap();
    assert!(!net.store.has_free(&sets).unwrap());
    assert!(net.store.has_free(&sets[..1]).unwrap());
    let error = net.add(&sets, "two").unwrap_err();
    assert_eq!(
        error,
        "failed to allocate for range 1: no IP addresses available in range set: 10.9.9.1-10.9.9.2"
    );
    assert_eq!(net.names(), ["10.1.2.2", "10.9.9.2"]);
    assert_eq!(net.read("last_reserved_ip.0"), "10.1.2.2", "round robin has not moved");
    net.release("one");
    assert!(net.store.has_free(&sets).unwrap());
    assert_eq!(net.add(&sets, "two").unwrap(), ["10.1.2.3/24", "10.9.9.2/30"]);
}

#[test]
fn what_the_owner_had_before_survives_a_failed_allocation() {
    let mut net = Fixture::new();
    net.add(&sets(&["10.1.2.0/24"]), "dummy").unwrap();
    let others = sets(&["10.5.0.0/24", "10.9.9.0/30"]);
    net.add(&others[1..], "other").unwrap();
    assert!(net.add(&others, "dummy").unwrap_err().contains("no IP addresses available"));
    assert_eq!(net.names(), ["10.1.2.2", "10.9.9.2"]);
}

#[test]
fn nothing_is_created_for_a_network_without_directory_unless_it_allocates() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    assert_eq!(net.release("dummy"), ips(&[]));
    assert_eq!(net.store.holds(&owner("dummy")).unwrap(), ips(&[]));
    assert_eq!(net.store.gc(&BTreeSet::new()).unwrap(), []);
    assert!(net.store.has_free(&sets).unwrap());
    assert!(!net.data.path().join("net").exists());
}

#[test]
fn gc_releases_what_no_valid_attachment_owns_and_keeps_the_rest() {
    let mut net = Fixture::new();
    let sets = sets(&["10.1.2.0/24"]);
    for container in ["one", "two", "three"] {
        net.add(&sets, container).unwrap();
    }
    net.store.allocate(&sets, &Owner::new("two", "eth1"), &[]).unwrap();
    net.write("10.1.2.20", "legacy-kept\n");
    net.write("10.1.2.21", "legacy-gone");
    net.write("10.1.2.22", "");
    let valid = BTreeSet::from([owner("two"), Owner::new("legacy-kept", "eth7")]);
    let released = net.store.gc(&valid).unwrap();
    let released: Vec<String> =
        released.iter().map(|(ip, holder)| format!("{ip} {holder}")).collect();
    let mut sorted = released.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "10.1.2.2 held by container one, interface eth0",
            "10.1.2.21 held by container legacy-gone",
            "10.1.2.4 held by container three, interface eth0",
            "10.1.2.5 held by container two, interface eth1",
        ]
    );
    assert_eq!(net.names(), ["10.1.2.20", "10.1.2.3"]);
    assert!(net.indexed());
    net.store.gc(&BTreeSet::new()).unwrap();
    assert_eq!(net.names(), [""; 0]);
    assert_eq!(net.add(&sets, "one").unwrap(), ["10.1.2.6/24"], "the marker stays");
}

#[test]
fn names_that_cannot_be_directories_and_owners_that_cannot_own_are_refused() {
    for network in ["", ".", "..", "a/b", "a\0b"] {
        let error = HostLocal::open("/nonexistent", network).unwrap_err();
        assert!(matches!(error, Error::NetworkName { .. }), "{error}");
    }
    let mut net = Fixture::new();
    for (container, ifname) in
        [("", "eth0"), (" ", "eth0"), ("a", ""), ("a\r\nb", "eth0"), ("a", "b\nc")]
    {
        let owner = Owner::new(container, ifname);
        let refused = |error: Error| assert!(matches!(error, Error::OwnerName { .. }), "{error}");
        refused(net.store.allocate(&sets(&["10.1.2.0/24"]), &owner, &[]).unwrap_err());
        refused(net.store.release(&owner).unwrap_err());
        refused(net.store.holds(&owner).unwrap_err());
        refused(net.store.gc(&BTreeSet::from([owner])).unwrap_err());
    }
}
