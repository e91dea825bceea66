//! When there is a table, and what is in its sets.

use netstate::Op;

use super::{Traffic, plan, table};

#[test]
fn there_is_no_table_where_there_is_nothing_to_translate() {
    assert!(table(&Traffic { masquerade: false, ..traffic() }).is_none());
    assert!(table(&Traffic { networks: vec![], ..traffic() }).is_none());
    assert!(plan(None, &Traffic { masquerade: false, ..traffic() }).is_empty());
}

#[test]
fn networks_that_are_part_of_others_are_left_out_of_the_sets() {
    let networks = ["10.5.7.0/24", "10.5.0.0/16", "10.5.0.0/16", "10.6.0.9/16", "fd05::/48"];
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    let table = table(&Traffic { networks, ..traffic() }).unwrap();
    let text = |n: usize| {
        let set = &table.networks[n];
        let nets: Vec<String> = set.networks.iter().map(ToString::to_string).collect();
        format!("{}: {}", set.name, nets.join(" "))
    };
    assert_eq!(text(0), "cluster4: 10.5.0.0/16 10.6.0.0/16");
    assert_eq!(text(1), "here4: 10.5.1.0/24");
    assert_eq!(text(2), "cluster6: fd05::/48");
    assert_eq!(table.networks.len(), 3);
}

#[test]
fn a_family_without_a_subnet_of_this_host_has_no_rules_about_it() {
    let table = table(&Traffic { subnets: vec![], ..traffic() }).unwrap();
    // The mark, to outside, and from outside.
    assert_eq!(table.chains[0].rules.len(), 3);
}

#[test]
fn the_comment_tells_whether_anything_has_to_be_done() {
    let comment = table(&traffic()).unwrap().comment;
    assert!(plan(Some(&comment), &traffic()).is_empty());
    let other = Traffic { fully_random: true, ..traffic() };
    assert_ne!(table(&other).unwrap().comment, comment);
    let ops: Vec<Op> = plan(Some(&comment), &other).steps.into_iter().map(|s| s.op).collect();
    assert!(matches!(ops.as_slice(), [Op::DelTable(_), Op::AddTable(_)]), "{ops:?}");
    let gone = plan(Some("of somebody"), &Traffic::default());
    assert!(matches!(gone.steps.as_slice(), [step] if step.op.is_removal()));
}

fn traffic() -> Traffic {
    Traffic {
        networks: vec!["10.5.0.0/16".parse().unwrap()],
        subnets: vec!["10.5.1.0/24".parse().unwrap()],
        masquerade: true,
        fully_random: false,
    }
}
