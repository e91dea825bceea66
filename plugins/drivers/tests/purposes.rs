//! Which sets of the tables are ours.

use drivers::ports::{self, Class};
use drivers::ruleset::{self, Ip, Purpose};
use drivers::{conditions, ruleset::inet_id};
use netstate::nft::{Family, SetId, TableId};

#[test]
fn every_set_of_the_table_but_those_of_networks_has_a_purpose() {
    let table = ruleset::inet_table().unwrap();
    let has_none = |name: &&str| ruleset::purpose(&SetId::new(&table.id, name)).is_none();
    let names = table.sets.iter().map(|set| set.name.as_str());
    let once = ["bridges", "internal", "inside", "closed_vnis", "sealed_vnis", "vteps4", "vteps6"];
    assert_eq!(names.filter(has_none).collect::<Vec<_>>(), once);
}

#[test]
fn the_maps_of_a_class_of_conditions_are_ports() {
    let conditions = conditions::parse(Ip::V4, "ip saddr 192.0.2.0/24").unwrap();
    let class = Class { ip: Ip::V4, conditions }.name();
    for purpose in [Purpose::DnatHost, Purpose::DnatAny] {
        assert_eq!(ruleset::purpose(&ruleset::class_set(purpose, Ip::V4, &class)), Some(purpose));
        assert!(ports::is_of_ports(purpose));
    }
    let other = ruleset::class_set(Purpose::Guarded, Ip::V4, &class);
    assert_eq!(ruleset::purpose(&other), None);
}

#[test]
fn sets_of_the_administrator_have_none() {
    for name in ["own_hosts", "masq", "masq46", "guarded4_mine", "dnat_any4_0123456789ag", "x"] {
        assert_eq!(ruleset::purpose(&SetId::new(&inet_id(), name)), None, "{name}");
    }
    let elsewhere = SetId::new(&TableId::new(Family::Inet, "mine"), "masq4");
    assert_eq!(ruleset::purpose(&elsewhere), None);
}
