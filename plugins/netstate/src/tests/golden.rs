//! The texts, as files under `tests/golden`; `UPDATE_GOLDEN=1` rewrites them.

use std::path::Path;

use super::{samples, scenes};
use crate::{LinkKind, NsNames, Observed, Plan, Scope};

#[test]
fn operations_print_as_commands() {
    let names = NsNames { container: "/run/netns/box".to_owned(), ..NsNames::default() };
    let mut text = String::new();
    for sample in samples::all() {
        text.push_str(&format!("{}\n", sample.step.command(&names)));
    }
    golden("operations.txt", &text);
}

#[test]
fn operations_print_without_a_namespace() {
    let lines = samples::all().into_iter().map(|sample| format!("{}\n", sample.step.op));
    golden("without-namespace.txt", &lines.collect::<String>());
}

#[test]
fn operations_print_with_the_path_or_variable_of_a_namespace() {
    let mut text = String::new();
    for container in ["/proc/4242/ns/net", "/run/with space", ""] {
        let names = NsNames { container: container.to_owned(), ..NsNames::default() };
        let lines = samples::all().into_iter().map(|sample| sample.step.command(&names));
        let lines = lines.filter(|line| !line.contains('\n'));
        text.push_str(&format!("# {container:?}\n{}\n", lines.collect::<Vec<_>>().join("\n")));
    }
    golden("namespaces.txt", &text);
}

#[test]
fn a_bridge_attachment_is_planned() {
    let (shared, own) = scenes::bridge();
    let text = format!(
        "# shared\n{}\n# create\n{}\n# remove\n{}\n# missing, after someone was at it\n{}",
        Plan::ensure(&shared),
        Plan::create(&own),
        Plan::remove(&own),
        Plan::missing(&Observed(scenes::spoilt(own.0.clone())), &own),
    );
    golden("bridge.txt", &text);
}

#[test]
fn a_macvlan_attachment_is_planned() {
    let own = scenes::macvlan();
    let text = format!("# create\n{}\n# remove\n{}", Plan::create(&own), Plan::remove(&own));
    golden("macvlan.txt", &text);
}

#[test]
fn a_link_made_anew_gets_back_what_died_with_it() {
    let want = scenes::overlay(LinkKind::Vxlan(scenes::tunnel()));
    let there = Observed(scenes::overlay(LinkKind::Other("dummy".to_owned())).0);
    let text = format!("{}", Plan::between(&there, &want, &Scope::of(&want)));
    golden("made-anew.txt", &text);
}

#[test]
fn a_bridge_that_is_down_is_put_right_with_its_routes() {
    let want = scenes::routed_bridge(true);
    let there = Observed(scenes::routed_bridge(false).0);
    let scope = Scope::of(&want);
    let up = Plan::between(&there, &want, &scope);
    let down = Plan::between(&Observed(want.0), &scenes::routed_bridge(false), &scope);
    golden("down-and-up.txt", &format!("# up\n{up}\n# down\n{down}"));
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} differs; UPDATE_GOLDEN=1 rewrites it");
}
