use super::*;
use crate::lease::LeaseValue;
use crate::store::{Entry, Write};

fn keys() -> Keyspace {
    Keyspace::new("/n", "/netd/v1").unwrap()
}

fn lease(subnet: &str) -> Lease {
    let entry = Entry {
        key: format!("/n/subnets/{subnet}"),
        value: LeaseValue::new([1, 2, 3, 4].into()).encode(),
        create_revision: 7,
        mod_revision: 9,
        session: None,
    };
    Leased::read(&keys(), vec![entry]).leases.remove(0)
}

/// Conditions and writes, as text.
fn shown(subnet: &str, instead_of: Option<&str>) -> (Vec<String>, Vec<String>) {
    let old = instead_of.map(lease);
    let txn = creation(&keys(), &subnet.parse().unwrap(), old.as_ref(), Vec::new(), None);
    let condition = |condition: &Condition| {
        let target = match &condition.target {
            Target::Key(key) => key.clone(),
            Target::Prefix(prefix) => format!("{prefix}*"),
        };
        match condition.expected {
            Expected::Absent => format!("no {target}"),
            Expected::ChangedBy(revision) => format!("{target} of {revision}"),
        }
    };
    let write = |write: &Write| match write {
        Write::Put { key, .. } => format!("put {key}"),
        Write::Delete(key) => format!("delete {key}"),
    };
    assert_eq!(txn.list.as_deref(), Some("/n/subnets/"));
    let conditions = txn.conditions.iter().map(condition).collect();
    (conditions, txn.writes.iter().map(write).collect())
}

#[test]
fn a_subnet_is_created_where_neither_form_of_its_key_is() {
    let absent = vec!["no /n/subnets/10.5.1.0-24", "no /n/subnets/10.5.1.0-24&*"];
    let (conditions, writes) = shown("10.5.1.0-24", None);
    assert_eq!(conditions, absent);
    assert_eq!(writes, ["put /n/subnets/10.5.1.0-24"]);
    let (conditions, writes) = shown("10.5.1.0-24&fd00::-64", None);
    assert_eq!(conditions, absent);
    assert_eq!(writes, ["put /n/subnets/10.5.1.0-24&fd00::-64"]);
}

#[test]
fn the_old_lease_goes_with_the_creation_of_the_new_one_if_nobody_changed_it() {
    let (conditions, writes) = shown("10.5.1.0-24", Some("10.3.7.0-24"));
    assert_eq!(
        conditions,
        ["no /n/subnets/10.5.1.0-24", "no /n/subnets/10.5.1.0-24&*", "/n/subnets/10.3.7.0-24 of 9"]
    );
    assert_eq!(writes, ["delete /n/subnets/10.3.7.0-24", "put /n/subnets/10.5.1.0-24"]);
}

#[test]
fn one_form_of_a_key_takes_the_place_of_the_other() {
    let dual = "10.5.1.0-24&fd00::-64";
    let (conditions, _) = shown(dual, Some("10.5.1.0-24"));
    assert_eq!(conditions, ["no /n/subnets/10.5.1.0-24&*", "/n/subnets/10.5.1.0-24 of 9"]);
    let (conditions, _) = shown("10.5.1.0-24", Some(dual));
    assert_eq!(
        conditions,
        [
            "no /n/subnets/10.5.1.0-24".to_owned(),
            "/n/subnets/10.5.1.0-24&* of 9".to_owned(),
            format!("/n/subnets/{dual} of 9")
        ]
    );
}
