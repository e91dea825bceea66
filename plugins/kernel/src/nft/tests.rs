mod scene;

use netstate::nft::{ChainId, Family, Field, Rule, Stmt, TableId, Value, nft_element, nft_table};
use netstate::{Datapath, Ns, Op, Plan, Step};
use scene::{cmp, elements, name, tables};
use serde_json::Value as Json;

use crate::testing::{in_new_host, sh};
use crate::{Kernel, Policy};

fn make() -> Plan {
    let tables = tables().into_iter().map(Op::AddTable);
    let elements = elements()
        .into_iter()
        .map(|(set, element)| Op::AddElement { set, element: element.into() });
    Plan { steps: tables.chain(elements).map(|op| Step::fresh(Ns::Host, op)).collect() }
}

/// The ruleset without handles, which count up differently.
fn ruleset() -> Json {
    let mut json: Json = serde_json::from_str(&sh("nft -j list ruleset")).unwrap();
    for object in json["nftables"].as_array_mut().unwrap() {
        for content in object.as_object_mut().unwrap().values_mut() {
            if let Some(content) = content.as_object_mut() {
                content.remove("handle");
            }
        }
    }
    json
}

fn apply(plan: &Plan) {
    let report = Kernel::open(None).apply(plan);
    if let Some((step, error)) = report.failed {
        panic!("{step}: {error} {:?}", error.errno());
    }
}

#[test]
fn bytes_and_text_of_a_ruleset_mean_the_same() {
    let by_bytes = in_new_host(|| {
        apply(&make());
        (sh("nft list ruleset"), ruleset())
    });
    let by_text = in_new_host(|| {
        let mut text: String = tables().iter().map(nft_table).collect();
        for (set, element) in elements() {
            text.push_str(&format!("add element {set} {{ {} }}\n", nft_element(&element)));
        }
        std::fs::write("/run/rules", text).unwrap();
        sh("nft -f /run/rules");
        (sh("nft list ruleset"), ruleset())
    });
    assert_eq!(by_bytes.0, by_text.0);
    assert_eq!(by_bytes.1, by_text.1);
}

#[test]
fn what_is_read_back_is_what_was_written() {
    in_new_host(|| {
        apply(&make());
        let mut kernel = Kernel::open(None);
        for (set, element) in elements() {
            assert_eq!(
                kernel.element(&Ns::Host, &set, &element.key).unwrap(),
                Some(element.clone())
            );
            assert_eq!(kernel.elements(&Ns::Host, &set).unwrap(), vec![element]);
        }
        let id = TableId::new(Family::Inet, "t");
        let comment = kernel.table_comment(&Ns::Host, &id).unwrap();
        assert_eq!(comment.as_deref(), Some("netd schema 1"));
        let bare = TableId::new(Family::Bridge, "t");
        assert_eq!(kernel.table_comment(&Ns::Host, &bare).unwrap().as_deref(), Some(""));
        let none = TableId::new(Family::Inet, "none");
        assert_eq!(kernel.table_comment(&Ns::Host, &none).unwrap(), None);
        let policy = kernel.chain_policy(&Ns::Host, &id, "through").unwrap();
        assert_eq!(policy, Some(Policy::Accept));
        assert_eq!(kernel.chain_policy(&Ns::Host, &id, "user").unwrap(), None);
    });
}

#[test]
fn every_rule_is_found_again_by_its_expressions() {
    in_new_host(|| {
        apply(&make());
        let mut kernel = Kernel::open(None);
        for table in tables() {
            for chain in table.chains {
                let id = ChainId { table: table.id.clone(), name: chain.name };
                let there = kernel.raw_rules(&Ns::Host, &id).unwrap();
                assert_eq!(there.len(), chain.rules.len());
                for (at, rule) in chain.rules.iter().enumerate() {
                    let same = |r: &super::RawRule| super::same_rule(&id, rule, &r.expressions);
                    assert_eq!(there.iter().position(same), Some(at), "{rule:?}");
                }
            }
        }
    });
}

/// The expressions of a chain, one a line; the first line, with handles, left out.
fn expressions(chain: &str) -> Vec<String> {
    let text = sh(&format!("nft --debug=netlink list chain {chain}"));
    text.lines().filter(|l| l.starts_with("  [")).map(str::to_owned).collect()
}

#[test]
fn rules_in_iptables_chains_are_byte_equal_to_those_of_iptables() {
    let chain = ChainId { table: TableId::new(Family::Ip, "filter"), name: "DOCKER-USER".into() };
    for bridge in ["cni0", "br-0123456789ab"] {
        let rule = |field| {
            let name = Value::Ifname(name(bridge));
            Rule(vec![cmp(field, false, name), Stmt::Counter, Stmt::Accept])
        };
        let theirs = in_new_host(|| {
            sh(&format!(
                "iptables -N DOCKER-USER; iptables -A DOCKER-USER -i {bridge} -j ACCEPT; \
                 iptables -A DOCKER-USER -o {bridge} -j ACCEPT"
            ));
            (sh("iptables -S"), expressions("ip filter DOCKER-USER"))
        });
        let ours = in_new_host(|| {
            sh("iptables -N DOCKER-USER");
            let op = |field| Op::InsertRule { chain: chain.clone(), rule: rule(field) };
            let steps = [Field::Oifname, Field::Iifname].map(|f| Step::ensure(Ns::Host, op(f)));
            let plan = Plan { steps: steps.to_vec() };
            apply(&plan);
            apply(&plan); // there already: not twice
            let made = (sh("iptables -S"), expressions("ip filter DOCKER-USER"));
            let saved =
                sh("iptables-save > /run/saved && iptables-restore /run/saved; iptables -S");
            assert_eq!(saved, made.0);
            sh("iptables -I DOCKER-USER -i eth9 -j DROP");
            let remove = |field| Op::DelRuleOf { chain: chain.clone(), rule: rule(field) };
            let steps = [Field::Iifname, Field::Oifname].map(|f| Step::fresh(Ns::Host, remove(f)));
            apply(&Plan { steps: steps.to_vec() });
            assert!(
                sh("iptables -S").ends_with("-N DOCKER-USER\n-A DOCKER-USER -i eth9 -j DROP\n")
            );
            made
        });
        assert_eq!(ours, theirs);
    }
}
