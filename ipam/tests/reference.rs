//! The reference's own host-local (Debian's build) and ours, in one directory.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, clippy::panic, reason = "a test program")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use ipam::{Error, HostLocal, Owner, RangeSet, RangeSpec, parse_cidr, range_sets};

const REFERENCE: &str = "/usr/lib/cni/host-local";
const REMEDY: &str = "the remedy is: apt-get install containernetworking-plugins";

/// One address of each set.
const SUBNETS: &[&str] = &["10.0.0.0/27", "fd00::/64"];

/// Runs the reference; the addresses it gave, or its error.
fn reference(data: &Path, command: &str, container: &str, ip: &str) -> Result<Vec<IpAddr>, String> {
    let ranges: Vec<String> =
        SUBNETS.iter().map(|subnet| format!(r#"[{{"subnet":"{subnet}"}}]"#)).collect();
    let config = format!(
        r#"{{"cniVersion":"1.0.0","name":"net","ipam":{{"type":"host-local","dataDir":"{}","ranges":[{}]}}}}"#,
        data.display(),
        ranges.join(",")
    );
    let mut child = Command::new(REFERENCE)
        .env_clear()
        .env("CNI_COMMAND", command)
        .env("CNI_CONTAINERID", container)
        .env("CNI_NETNS", "/dev/null")
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/usr/lib/cni")
        .env("CNI_ARGS", ip)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("run {REFERENCE}: {error}; {REMEDY}"));
    child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => Ok(text.split("\"address\": \"").skip(1).map(address).collect()),
        false => Err(text),
    }
}

/// The address at the start of `ADDRESS/LENGTH"...`.
fn address(text: &str) -> IpAddr {
    text.split('/').next().unwrap().parse().unwrap()
}

fn ours(data: &Path, container: &str, requested: &[IpAddr]) -> Result<Vec<IpAddr>, Error> {
    let given = store(data).allocate(&sets(), &owner(container), requested)?;
    Ok(given.iter().map(|one| one.address.ip()).collect())
}

fn store(data: &Path) -> HostLocal {
    HostLocal::open(data, "net").unwrap()
}

fn owner(container: &str) -> Owner {
    Owner::new(container, "eth0")
}

fn sets() -> Vec<RangeSet> {
    let spec = |subnet: &&str| vec![RangeSpec::of(parse_cidr(subnet).unwrap())];
    range_sets(&SUBNETS.iter().map(spec).collect::<Vec<_>>()).unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_goes_on_where_the_other_stopped() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    assert_eq!(reference(data, "ADD", "a", "").unwrap(), ips(&["10.0.0.2", "fd00::2"]));
    assert_eq!(ours(data, "b", &[]).unwrap(), ips(&["10.0.0.3", "fd00::3"]));
    assert_eq!(reference(data, "ADD", "c", "").unwrap(), ips(&["10.0.0.4", "fd00::4"]));
    // Each releases what the other gave.
    assert_eq!(store(data).release(&owner("a")).unwrap(), ips(&["10.0.0.2", "fd00::2"]));
    reference(data, "DEL", "b", "").unwrap();
    assert_eq!(store(data).holds(&owner("b")).unwrap(), ips(&[]));
    assert_eq!(store(data).holds(&owner("c")).unwrap(), ips(&["10.0.0.4", "fd00::4"]));
    assert_eq!(ours(data, "d", &[]).unwrap(), ips(&["10.0.0.5", "fd00::5"]));
}

#[test]
fn each_refuses_what_the_other_gave() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    reference(data, "ADD", "a", "").unwrap();
    ours(data, "b", &[]).unwrap();
    let refused = reference(data, "ADD", "b", "").unwrap_err();
    assert!(refused.contains("10.0.0.3 has been allocated to b, duplicate"), "{refused}");
    let refused = ours(data, "a", &[]).unwrap_err().to_string();
    assert!(refused.contains("10.0.0.2 has been allocated to a, duplicate"), "{refused}");
    let refused = reference(data, "ADD", "c", "IP=10.0.0.3").unwrap_err();
    assert!(refused.contains("requested IP address 10.0.0.3 is not available"), "{refused}");
    let refused = ours(data, "c", &ips(&["10.0.0.2"])).unwrap_err();
    assert!(matches!(refused, Error::RequestedTaken { .. }), "{refused}");
    // The reference has released the second address of `c` by itself.
    assert_eq!(store(data).holds(&owner("c")).unwrap(), ips(&[]));
}

#[test]
fn an_empty_file_the_reference_left_behind_does_not_cost_the_address() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    reference(data, "ADD", "a", "").unwrap();
    std::fs::write(data.join("net/10.0.0.3"), "").unwrap();
    assert_eq!(ours(data, "b", &[]).unwrap(), ips(&["10.0.0.3", "fd00::3"]));
}

#[test]
fn taking_turns_at_random_both_see_one_state() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let mut held: BTreeMap<u64, Vec<IpAddr>> = BTreeMap::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut ours_done = 0;
    for _ in 0..300 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let container = random % 40;
        let name = format!("c{container}");
        let by_reference = (random >> 20).is_multiple_of(3);
        let expected = held.get(&container).cloned().unwrap_or_default();
        if (random >> 30) % 5 < 3 {
            let given = match by_reference {
                true => reference(data, "ADD", &name, ""),
                false => ours(data, &name, &[]).map_err(|error| error.to_string()),
            };
            match given {
                Ok(given) => {
                    assert!(expected.is_empty(), "{name} has {expected:?} and got {given:?}");
                    let taken: BTreeSet<&IpAddr> = held.values().flatten().collect();
                    assert!(given.iter().all(|address| !taken.contains(address)));
                    assert_eq!(given.len(), SUBNETS.len());
                    held.insert(container, given);
                }
                Err(error) if expected.is_empty() => {
                    assert!(error.contains("no IP addresses available"), "{error}");
                    assert_eq!(held.len(), 29, "a /27 has 29 addresses and a gateway");
                }
                Err(error) => assert!(error.contains("duplicate"), "{error}"),
            }
        } else if by_reference {
            reference(data, "DEL", &name, "").unwrap();
            held.remove(&container);
        } else {
            assert_eq!(store(data).release(&owner(&name)).unwrap(), expected);
            held.remove(&container);
        }
        ours_done += u32::from(!by_reference);
    }
    assert!(ours_done > 100);
    for container in 0..40 {
        let expected = held.get(&container).cloned().unwrap_or_default();
        let name = format!("c{container}");
        assert_eq!(store(data).holds(&owner(&name)).unwrap(), expected, "{name}");
    }
}

#[test]
fn at_the_same_time_they_never_give_one_address_twice() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let held: Mutex<BTreeSet<IpAddr>> = Mutex::default();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let held = &held;
            scope.spawn(move || {
                let by_reference = thread % 2 == 0;
                for round in 0..if by_reference { 40 } else { 400 } {
                    let name = format!("t{thread}-{round}");
                    let given = match by_reference {
                        true => reference(data, "ADD", &name, "").unwrap(),
                        false => ours(data, &name, &[]).unwrap(),
                    };
                    for address in &given {
                        assert!(held.lock().unwrap().insert(*address), "{address} given twice");
                    }
                    for address in &given {
                        held.lock().unwrap().remove(address);
                    }
                    match by_reference {
                        true => drop(reference(data, "DEL", &name, "").unwrap()),
                        false => assert_eq!(store(data).release(&owner(&name)).unwrap(), given),
                    }
                }
            });
        }
    });
    let released = store(data).gc(&BTreeSet::new()).unwrap();
    assert_eq!(released, [], "nothing is left");
}
