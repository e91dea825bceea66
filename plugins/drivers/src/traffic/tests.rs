//! When there is a table, and what is in its sets.

use netstate::Op;

use super::{Traffic, plan, table};

#[test]
fn there_is_no_table_where_there_is_nothing_to_translate() {
    assert!(table(&[&Traffic { masquerade: false, ..traffic() }]).is_none());
    assert!(table(&[&Traffic { networks: vec![], ..traffic() }]).is_none());
    assert!(plan(None, &[&Traffic { masquerade: false, ..traffic() }]).is_empty());
}

#[test]
fn networks_that_are_part_of_others_are_left_out_of_the_sets() {
    let networks = ["10.5.7.0/24", "10.5.0.0/16", "10.5.0.0/16", "10.6.0.9/16", "fd05::/48"];
    let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
    let table = table(&[&Traffic { networks, ..traffic() }]).unwrap();
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
    let table = table(&[&Traffic { subnets: vec![], ..traffic() }]).unwrap();
    // The mark, to outside, and from outside.
    assert_eq!(table.chains[0].rules.len(), 3);
}

#[test]
fn networks_set_apart_have_rules_in_their_family_alone() {
    let apart = vec!["192.0.2.0/24".parse().unwrap(), "192.0.2.7/32".parse().unwrap()];
    let table = table(&[&Traffic { apart, ..traffic() }]).unwrap();
    assert_eq!(table.networks[2].name, "apart4");
    assert_eq!(table.networks[2].networks, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!((table.networks.len(), table.chains[0].rules.len()), (3, 8));
}

#[test]
fn the_comment_tells_whether_anything_has_to_be_done() {
    let comment = table(&[&traffic()]).unwrap().comment;
    assert!(plan(Some(&comment), &[&traffic()]).is_empty());
    let other = Traffic { fully_random: true, ..traffic() };
    assert_ne!(table(&[&other]).unwrap().comment, comment);
    let ops: Vec<Op> = plan(Some(&comment), &[&other]).steps.into_iter().map(|s| s.op).collect();
    assert!(matches!(ops.as_slice(), [Op::DelTable(_), Op::AddTable(_)]), "{ops:?}");
    let gone = plan(Some("of somebody"), &[]);
    assert!(matches!(gone.steps.as_slice(), [step] if step.op.is_removal()));
}

#[test]
fn networks_of_several_names_have_rules_and_sets_of_their_own() {
    let blue = Traffic { name: "blue".into(), ..traffic() };
    let green = Traffic {
        name: "green".into(),
        networks: vec!["10.6.0.0/16".parse().unwrap()],
        subnets: vec!["10.6.2.0/24".parse().unwrap()],
        ..traffic()
    };
    let both = table(&[&blue, &green]).unwrap();
    let sets: Vec<&str> = both.networks.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(sets, ["cluster4-blue", "here4-blue", "cluster4-green", "here4-green"]);
    // The mark once, and five of each.
    assert_eq!(both.chains[0].rules.len(), 11);
    let one = table(&[&traffic()]).unwrap();
    let sets: Vec<&str> = one.networks.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(sets, ["cluster4", "here4"], "the only network has no name");
}

fn traffic() -> Traffic {
    Traffic {
        name: String::new(),
        networks: vec!["10.5.0.0/16".parse().unwrap()],
        subnets: vec!["10.5.1.0/24".parse().unwrap()],
        masquerade: true,
        apart: vec![],
        fully_random: false,
    }
}
