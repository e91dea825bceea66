use netstate::nft::{
    Chain, ChainKind, DataType, Element, Family, Hook, HookPoint, Set, SetId, Table, TableId, Value,
};
use netstate::{Datapath, Mode, Ns, Op, Plan, Scope};

use super::{applied, changed, failure, plan};
use crate::testing::{in_new_host, sh};
use crate::{Kernel, Kind};

fn id() -> TableId {
    TableId::new(Family::Inet, "t")
}

fn table(comment: &str) -> Table {
    let hook = Hook { kind: ChainKind::Filter, point: HookPoint::Forward, priority: 0 };
    Table {
        id: id(),
        comment: comment.to_owned(),
        sets: vec![Set {
            name: "ports".to_owned(),
            key: vec![DataType::InetService],
            data: vec![DataType::Ipv4Addr, DataType::InetService],
        }],
        networks: vec![],
        chains: vec![Chain { name: "through".to_owned(), hook: Some(hook), rules: vec![] }],
    }
}

fn ports() -> SetId {
    SetId::new(&id(), "ports")
}

fn element(port: u16, last: u8, comment: &str) -> Element {
    Element {
        key: vec![Value::Port(port)],
        data: vec![Value::Ipv4([10, 0, 0, last].into()), Value::Port(80)],
        comment: comment.to_owned(),
    }
}

fn add(mode: Mode, element: Element) -> (Ns, Mode, Op) {
    (Ns::Host, mode, Op::AddElement { set: ports(), element: element.into() })
}

fn del(element: Element) -> (Ns, Mode, Op) {
    (Ns::Host, Mode::Fresh, Op::DelElement { set: ports(), element: element.into() })
}

fn ensure_table(comment: &str) -> (Ns, Mode, Op) {
    (Ns::Host, Mode::Ensure, Op::AddTable(table(comment)))
}

fn holder(kernel: &mut Kernel, port: u16) -> Option<String> {
    let found = kernel.element(&Ns::Host, &ports(), &[Value::Port(port)]).unwrap();
    found.map(|element| element.comment)
}

#[test]
fn a_table_is_made_once_and_its_elements_with_it() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let steps = |last| {
            plan([
                ensure_table("v1"),
                add(Mode::Fresh, element(8000 + u16::from(last), last, "me")),
            ])
        };
        assert_eq!(changed(&applied(&mut kernel, &steps(2))), [true, true]);
        assert_eq!(changed(&applied(&mut Kernel::open(None), &steps(3))), [false, true]);
        let text = sh("nft list ruleset");
        assert!(text.contains("8002 comment \"me\" : 10.0.0.2 . 80"), "{text}");
        assert!(text.contains("8003 comment \"me\" : 10.0.0.3 . 80"), "{text}");
        let mut scope = Scope::default();
        scope.tables.insert((Ns::Host, id()));
        scope.tables.insert((Ns::Host, TableId::new(Family::Bridge, "t")));
        for last in 2..5 {
            scope.elements.insert((Ns::Host, ports(), element(8000 + last, 9, "").into()));
        }
        let seen = kernel.observe(&scope).unwrap();
        let seen = seen.0.ns(&Ns::Host).unwrap();
        assert_eq!(seen.tables.values().map(|t| t.comment.as_str()).collect::<Vec<_>>(), ["v1"]);
        let elements: Vec<&Element> = seen.elements[&ports()].iter().map(AsRef::as_ref).collect();
        assert_eq!(elements, [&element(8002, 2, "me"), &element(8003, 3, "me")]);
    });
}

#[test]
fn a_table_of_another_schema_is_an_error_that_names_it() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        applied(&mut kernel, &plan([ensure_table("v2")]));
        let error = failure(kernel.apply(&plan([ensure_table("v1")])));
        assert_eq!(error.kind(), Kind::Exists);
        assert!(error.to_string().ends_with("there is already one with the comment \"v2\""));
    });
}

#[test]
fn an_upgrade_keeps_the_elements_in_one_transaction() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let old = element(80, 2, "me");
        applied(&mut kernel, &plan([ensure_table("v1"), add(Mode::Fresh, old.clone())]));
        let generation = kernel.generation(&Ns::Host).unwrap();
        let elements = kernel.elements(&Ns::Host, &ports()).unwrap();
        assert_eq!(elements, std::slice::from_ref(&old));
        let removal = (Ns::Host, Mode::Fresh, Op::DelTable(id()));
        let steps = [removal, ensure_table("v2"), add(Mode::Ensure, old)];
        applied(&mut kernel, &plan(steps));
        assert_eq!(kernel.generation(&Ns::Host).unwrap(), generation + 1);
        assert_eq!(holder(&mut kernel, 80).as_deref(), Some("me"));
        let comment = kernel.table_comment(&Ns::Host, &id()).unwrap();
        assert_eq!(comment.as_deref(), Some("v2"));
    });
}

#[test]
fn a_key_that_is_taken_is_an_error_that_names_its_holder_and_nothing_is_added() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        applied(&mut kernel, &plan([ensure_table("v1"), add(Mode::Fresh, element(80, 2, "they"))]));
        let mine = [
            add(Mode::Fresh, element(81, 3, "me")),
            add(Mode::Fresh, element(80, 3, "me")),
            add(Mode::Fresh, element(82, 3, "me")),
        ];
        let report = kernel.apply(&plan(mine));
        assert!(report.done.is_empty());
        let (step, error) = report.failed.unwrap();
        assert_eq!(step.op, add(Mode::Fresh, element(80, 3, "me")).2);
        assert_eq!(error.kind(), Kind::Exists);
        let text = error.to_string();
        assert!(text.ends_with("there is already 80 comment \"they\" : 10.0.0.2 . 80"), "{text}");
        assert_eq!(kernel.elements(&Ns::Host, &ports()).unwrap().len(), 1);
    });
}

#[test]
fn a_shared_element_is_added_once_and_must_be_equal() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let shared = plan([ensure_table("v1"), add(Mode::Ensure, element(80, 2, "us"))]);
        assert_eq!(changed(&applied(&mut kernel, &shared)), [true, true]);
        let again = applied(&mut kernel, &shared);
        assert_eq!(changed(&again), [false, false]);
        assert!(again.undo().is_empty());
        for other in [element(80, 3, "us"), element(80, 2, "they")] {
            let error = failure(kernel.apply(&plan([add(Mode::Ensure, other)])));
            assert_eq!(error.kind(), Kind::Exists);
        }
    });
}

#[test]
fn removing_takes_only_what_is_ones_own() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let steps = [80, 81, 82].map(|port| add(Mode::Fresh, element(port, 2, "me")));
        applied(&mut kernel, &plan([ensure_table("v1")]));
        applied(&mut kernel, &plan(steps));
        sh("nft delete element inet t ports '{ 81 }'");
        let removals = [
            del(element(80, 2, "me")),
            del(element(81, 2, "me")),
            del(element(82, 2, "they")), // the key is another's by now
            (Ns::Host, Mode::Fresh, Op::DelTable(TableId::new(Family::Ip, "none"))),
        ];
        let report = applied(&mut kernel, &plan(removals.clone()));
        let by_step: Vec<_> = removals
            .iter()
            .map(|(.., op)| report.done.iter().any(|d| d.step.op == *op && d.changed))
            .collect();
        assert_eq!(by_step, [true, false, false, false]);
        assert_eq!(holder(&mut kernel, 82).as_deref(), Some("me"));
        sh("nft flush ruleset");
        let gone = applied(&mut kernel, &plan(removals));
        assert!(gone.done.iter().all(|d| !d.changed) && gone.done.len() == 4);
    });
}

#[test]
fn a_claim_under_an_old_generation_is_refused() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        applied(&mut kernel, &plan([ensure_table("v1")]));
        let claim = plan([add(Mode::Fresh, element(80, 2, "me"))]);
        let generation = kernel.generation(&Ns::Host).unwrap();
        sh("nft add table ip other");
        let error = failure(kernel.apply_at(&claim, generation));
        assert_eq!(error.kind(), Kind::Interrupted);
        assert_eq!(holder(&mut kernel, 80), None);
        let generation = kernel.generation(&Ns::Host).unwrap();
        assert!(kernel.apply_at(&claim, generation).failed.is_none());
        assert_eq!(holder(&mut kernel, 80).as_deref(), Some("me"));
    });
}

#[test]
fn a_transaction_larger_than_a_sockets_buffer_goes_through() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let steps = (1..5000).map(|port| add(Mode::Fresh, element(port, 2, &"x".repeat(100))));
        let all: Plan = plan(std::iter::once(ensure_table("v1")).chain(steps));
        let report = applied(&mut kernel, &all);
        assert_eq!(report.done.len(), 5000);
        assert_eq!(kernel.elements(&Ns::Host, &ports()).unwrap().len(), 4999);
        applied(&mut kernel, &plan((1..5000).map(|p| del(element(p, 2, &"x".repeat(100))))));
        assert!(kernel.elements(&Ns::Host, &ports()).unwrap().is_empty());
    });
}
