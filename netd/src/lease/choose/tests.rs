mod left;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::lease::claims::{Record, encode};
use crate::lease::{Keyspace, LeaseValue};
use crate::store::Entry;

const US: &str = "192.168.0.1";
const ANOTHER: &str = "192.168.0.2";

/// A cluster as it is in the store.
#[derive(Default)]
struct Cluster {
    leases: Vec<Entry>,
    hosts: Vec<Entry>,
    missing: BTreeSet<SubnetKey>,
    /// Whether containers have addresses of the previous subnet.
    used: bool,
}

fn keys() -> Keyspace {
    Keyspace::new("/coreos.com/network", "/netd/v1").unwrap()
}

fn host() -> Host {
    Host { machine_id: "us".into(), boot_id: "boot".into(), name: "name".into() }
}

fn key(text: &str) -> SubnetKey {
    text.parse().unwrap()
}

fn entry(key: String, value: Vec<u8>, revision: i64, session: i64) -> Entry {
    let session = Some(Session(session)).filter(|session| session.0 != 0);
    Entry { key, value, create_revision: revision, mod_revision: revision, session }
}

impl Cluster {
    /// A lease with a session of its number, counted from 1.
    fn leased(mut self, subnet: &str, ip: &str) -> Self {
        let revision = i64::try_from(self.leases.len()).unwrap() + 1;
        let value = LeaseValue::new(ip.parse().unwrap()).encode();
        self.leases.push(entry(keys().subnet(&key(subnet)), value, revision, revision));
        self
    }

    fn record(mut self, machine_id: &str, subnet: &str, session: i64) -> Self {
        let record = Record::new(&key(subnet), Some(Session(session)), "name");
        self.hosts.push(entry(keys().record(machine_id), encode(&record), 1, 0));
        self
    }

    fn alive(mut self, machine_id: &str, boot_id: &str) -> Self {
        let life = SignOfLife {
            boot_id: boot_id.into(),
            host: "name".into(),
            public_ip: ANOTHER.parse().unwrap(),
        };
        self.hosts.push(entry(keys().live(machine_id), encode(&life), 1, 0));
        self
    }

    fn wanted(&self, previous: Option<&str>) -> Wanted {
        Wanted {
            value: LeaseValue::new(US.parse().unwrap()),
            previous: previous.map(key),
            is_used: self.used,
            missing: self.missing.clone(),
            time_to_live: crate::lease::TIME_TO_LIVE,
            is_kept: true,
        }
    }

    /// What is chosen: `keep SUBNET`, `create SUBNET`, `create SUBNET instead of SUBNET`, `none`.
    fn choice(&self, config: &str, previous: Option<&str>, random: u128) -> String {
        let leased = Leased::read(&keys(), self.leases.clone());
        let claims = Claims::read(&keys(), &self.hosts);
        let config = NetworkConfig::parse(config.as_bytes()).unwrap();
        let (host, wanted) = (host(), self.wanted(previous));
        let asking = Asking { host: &host, wanted: &wanted, session: None };
        match choose(&leased, &claims, &config, &asking, || random) {
            Choice::Keep(lease) => format!("keep {}", lease.subnet),
            Choice::Create { subnet, instead_of: None } => format!("create {subnet}"),
            Choice::Create { subnet, instead_of: Some(old) } => {
                format!("create {subnet} instead of {}", old.subnet)
            }
            Choice::Exhausted(..) => "none".to_owned(),
        }
    }
}

const CONFIG: &str = r#"{"Network":"10.5.0.0/16"}"#;
const DUAL: &str = r#"{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd00:5::/48"}"#;

#[test]
fn a_host_keeps_the_lease_with_its_address() {
    let cluster = Cluster::default().leased("10.5.2.0-24", ANOTHER).leased("10.5.7.0-24", US);
    assert_eq!(cluster.choice(CONFIG, None, 0), "keep 10.5.7.0-24");
    assert_eq!(cluster.choice(CONFIG, Some("10.5.9.0-24"), 0), "keep 10.5.7.0-24");
}

#[test]
fn a_subnet_of_a_host_that_is_missing_is_nobodys_but_its_own() {
    let missing = ["10.5.1.0-24", "10.5.2.0-24"].map(key).into();
    let cluster = Cluster { missing, ..Cluster::default() };
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.3.0-24");
    assert_eq!(cluster.choice(CONFIG, Some("10.5.2.0-24"), 0), "create 10.5.2.0-24");
}

#[test]
fn a_host_keeps_the_lease_that_its_record_proves_whatever_its_address_has_become() {
    let cluster = Cluster::default()
        .leased("10.5.2.0-24", ANOTHER)
        .leased("10.5.7.0-24", US)
        .record("us", "10.5.2.0-24", 1);
    assert_eq!(cluster.choice(CONFIG, None, 0), "keep 10.5.2.0-24");
}

#[test]
fn a_record_of_a_lease_that_has_ended_proves_nothing() {
    let cluster = Cluster::default().leased("10.5.2.0-24", ANOTHER).record("us", "10.5.2.0-24", 99);
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.1.0-24");
}

#[test]
fn of_two_hosts_with_one_address_each_has_its_own_lease() {
    let cluster = Cluster::default()
        .leased("10.5.2.0-24", US)
        .record("another", "10.5.2.0-24", 1)
        .alive("another", "boot of another");
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.1.0-24");
    // One that is gone was this host before it was installed anew.
    let cluster = Cluster::default().leased("10.5.2.0-24", US).record("another", "10.5.2.0-24", 1);
    assert_eq!(cluster.choice(CONFIG, None, 0), "keep 10.5.2.0-24");
}

#[test]
fn another_running_host_with_the_same_machine_id_is_found() {
    let claims = |cluster: Cluster| Claims::read(&keys(), &cluster.hosts);
    let alive = |boot: &str| claims(Cluster::default().alive("us", boot));
    let (here, there) = (US.parse().unwrap(), ANOTHER.parse().unwrap());
    assert!(twin(&alive("another boot"), &host(), here).is_some());
    assert!(twin(&alive("boot"), &host(), here).is_none());
    assert!(twin(&claims(Cluster::default()), &host(), here).is_none());
    // At our address by our name: this host, of before it was booted.
    assert!(twin(&alive("another boot"), &host(), there).is_none());
    let renamed = Host { name: "renamed".into(), ..host() };
    assert!(twin(&alive("another boot"), &renamed, there).is_some());
}

#[test]
fn the_previous_subnet_is_taken_if_it_is_fit_and_free() {
    let cluster = Cluster::default().leased("10.5.6.0-24", ANOTHER).leased("10.5.8.0-21", ANOTHER);
    let previous = |subnet| cluster.choice(CONFIG, Some(subnet), 0);
    assert_eq!(previous("10.5.7.0-24"), "create 10.5.7.0-24");
    for unfit in ["10.5.6.0-24", "10.5.9.0-24", "10.4.1.0-24", "10.5.7.0-25", "10.5.0.0-24"] {
        assert_eq!(previous(unfit), "create 10.5.1.0-24", "{unfit}");
    }
}

#[test]
fn a_lease_that_the_configuration_does_not_give_out_is_given_up() {
    let cluster = Cluster::default().leased("10.3.7.0-24", US);
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.1.0-24 instead of 10.3.7.0-24");
}

#[test]
fn a_change_to_ipv6_and_back_keeps_the_ipv4_subnet() {
    let cluster = Cluster::default().leased("10.5.7.0-24", US);
    assert_eq!(
        cluster.choice(DUAL, None, 0),
        "create 10.5.7.0-24&fd00:5:0:1::-64 instead of 10.5.7.0-24"
    );
    let cluster = Cluster::default().leased("10.5.7.0-24&fd00:5:0:9::-64", US);
    assert_eq!(
        cluster.choice(CONFIG, None, 0),
        "create 10.5.7.0-24 instead of 10.5.7.0-24&fd00:5:0:9::-64"
    );
    assert_eq!(cluster.choice(DUAL, None, 0), "keep 10.5.7.0-24&fd00:5:0:9::-64");
}

#[test]
fn of_two_leases_that_overlap_the_older_stays() {
    let cluster = Cluster::default().leased("10.5.0.0-20", ANOTHER).leased("10.5.7.0-24", US);
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.16.0-24 instead of 10.5.7.0-24");
    let cluster = Cluster::default().leased("10.5.7.0-24", US).leased("10.5.0.0-20", ANOTHER);
    assert_eq!(cluster.choice(CONFIG, None, 0), "keep 10.5.7.0-24");
}

#[test]
fn a_lease_whose_value_cannot_be_read_is_taken_all_the_same() {
    let mut cluster = Cluster::default();
    cluster.leases.push(entry(keys().subnet(&key("10.5.1.0-24")), b"junk".to_vec(), 1, 1));
    assert_eq!(cluster.choice(CONFIG, None, 0), "create 10.5.2.0-24");
}

#[test]
fn every_subnet_of_the_range_is_given_out_and_then_none() {
    let config = r#"{"Network":"10.5.0.0/16","SubnetMin":"10.5.10.0","SubnetMax":"10.5.12.0"}"#;
    let mut cluster = Cluster::default();
    for random in [2, 7, 0] {
        let chosen = cluster.choice(config, None, random);
        cluster = cluster.leased(chosen.strip_prefix("create ").unwrap(), ANOTHER);
    }
    let taken: BTreeSet<&str> = cluster.leases.iter().map(|lease| lease.key.as_str()).collect();
    let all = ["10", "11", "12"].map(|n| format!("/coreos.com/network/subnets/10.5.{n}.0-24"));
    assert_eq!(taken.into_iter().collect::<Vec<_>>(), all);
    assert_eq!(cluster.choice(config, None, 0), "none");
}

#[test]
fn a_lease_as_large_as_the_network_is_named_where_nothing_is_free() {
    let config = NetworkConfig::parse(CONFIG.as_bytes()).unwrap();
    let said = |cluster: Cluster| {
        let (host, wanted) = (host(), cluster.wanted(None));
        let leased = Leased::read(&keys(), cluster.leases);
        let asking = Asking { host: &host, wanted: &wanted, session: None };
        let choice = choose(&leased, &Claims::default(), &config, &asking, || 0);
        let Choice::Exhausted(why) = choice else { panic!("{choice:?}") };
        crate::lease::AcquireError::exhausted(&why).to_string()
    };
    let wide = said(
        Cluster::default().leased("10.5.0.0-16", ANOTHER).leased("10.5.3.0-24", "192.168.0.3"),
    );
    assert!(
        wide.starts_with(
            "all 255 subnets of 10.5.0.0/16 are taken, 255 by the lease 10.5.0.0-16: "
        ),
        "{wide}"
    );
    let eighths = (0..8).map(|eighth| format!("10.5.{}.0-19", eighth * 32));
    let many = said(eighths.fold(Cluster::default(), |all, net| all.leased(&net, ANOTHER)));
    assert!(
        many.contains("taken, 32 by the lease 10.5.32.0-19, 32 by the lease 10.5.64.0-19"),
        "{many}"
    );
    assert!(many.contains("more by 5 others: release"), "{many}");
    let single = (1..=255).map(|third| format!("10.5.{third}.0-24"));
    let single = said(single.fold(Cluster::default(), |all, net| all.leased(&net, ANOTHER)));
    assert!(single.starts_with("all 255 subnets of 10.5.0.0/16 are leased: release"), "{single}");
}

#[test]
fn a_free_subnet_is_chosen_from_the_whole_range() {
    let last = Cluster::default().choice(r#"{"Network":"10.0.0.0/8"}"#, None, 65534);
    assert_eq!(last, "create 10.255.255.0-24");
    let v6 = Cluster::default().choice(DUAL, None, u128::MAX);
    assert!(v6.starts_with("create 10.5."), "{v6}");
}

proptest! {
    #[test]
    fn what_is_created_is_fit_and_free(
        taken in proptest::collection::vec((0_u8..=255, 16_u8..=30), 0..40),
        random: u128,
        length in 18_u8..=26,
    ) {
        let mut cluster = Cluster::default();
        for (third, length) in taken {
            let network = ipnetwork::Ipv4Network::new([10, 5, third, 0].into(), length).unwrap();
            cluster = cluster.leased(&SubnetKey::new(network, None).to_string(), ANOTHER);
        }
        let config = format!(r#"{{"Network":"10.5.0.0/16","SubnetLen":{length}}}"#);
        let parsed = NetworkConfig::parse(config.as_bytes()).unwrap();
        let leased = Leased::read(&keys(), cluster.leases.clone());
        let free = |subnet: &SubnetKey| leased.leases.iter().all(|l| !l.subnet.overlaps(subnet));
        match cluster.choice(&config, None, random).strip_prefix("create ") {
            Some(chosen) => {
                prop_assert!(parsed.gives_out(&key(chosen)));
                prop_assert!(free(&key(chosen)));
            }
            // Nothing else was free either.
            None => for index in 0..parsed.subnets.count() {
                let Some(IpNetwork::V4(v4)) = parsed.subnets.nth(index) else { unreachable!() };
                prop_assert!(!free(&SubnetKey::new(v4, None)), "{v4} is free");
            },
        }
    }
}
