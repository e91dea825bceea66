use std::collections::BTreeMap;

use crate::network::*;

fn networks() -> Vec<Network> {
    let mut all = of_new_host(Moment::now(), &Pools::new(None), &[], &[]);
    let mut own = all[0].clone();
    own.name = "web".into();
    own.labels = [("k".to_owned(), "v".to_owned())].into();
    own.id = Id::parse(&format!("abc{}", "0".repeat(61))).unwrap();
    let mut other = own.clone();
    other.name = "abc".into();
    other.id = Id::parse(&format!("abd{}", "0".repeat(61))).unwrap();
    all.extend([own, other]);
    all
}

#[test]
fn a_word_is_an_id_a_name_or_the_beginning_of_an_id() {
    let all = networks();
    let find = |word: &str| find(all.iter(), word).map(|network| network.name.as_str());
    assert_eq!(find(&format!("abc{}", "0".repeat(61))), Ok("web"));
    assert_eq!(find("abc"), Ok("abc"), "a name comes before an id's beginning");
    assert_eq!(find("abc0"), Ok("web"));
    assert_eq!(find("bridge"), Ok("bridge"));
    let told = |word| find(word).unwrap_err().to_string();
    assert_eq!(told("ab"), "network ab is ambiguous (2 matches found based on ID prefix)");
    assert_eq!(told("nope"), "network nope not found");
    assert_eq!(
        told(""),
        "a network is meant by nothing: write its name, its id, or the beginning of its id"
    );
}

fn listed(filters: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in filters {
        given.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    let filter = ListFilter::read(&given).map_err(|error| error.to_string())?;
    let all = networks();
    Ok(all.iter().filter(|n| filter.is_met(n, 0)).map(|n| n.name.clone()).collect())
}

#[test]
fn values_of_a_filter_are_alternatives_and_all_filters_hold() {
    let names = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(listed(&[("driver", "host"), ("driver", "null")]), names(&["host", "none"]));
    assert_eq!(listed(&[("name", "^w.b$")]), names(&["web"]));
    assert_eq!(listed(&[("name", "b")]), names(&["bridge", "web", "abc"]));
    assert_eq!(listed(&[("id", "^abd")]), names(&["abc"]));
    assert_eq!(listed(&[("type", "custom"), ("label", "k=v")]), names(&["web", "abc"]));
    assert_eq!(listed(&[("label", "k=x")]), names(&[]));
    assert_eq!(listed(&[("dangling", "true")]), names(&["web", "abc"]));
    assert_eq!(listed(&[("dangling", "0"), ("driver", "bridge")]), names(&["bridge"]));
    assert_eq!(listed(&[("scope", "swarm")]), names(&[]));
    assert_eq!(listed(&[("foo", "bar")]), Err("Invalid filter 'foo'".into()));
    assert!(listed(&[("type", "x")]).unwrap_err().starts_with("invalid filter: 'type'='x'"));
    assert!(listed(&[("dangling", "x")]).unwrap_err().starts_with("invalid value for filter"));
    assert_eq!(listed(&[("name", "(")]), names(&[]), "no regular expression is a text");
}

#[test]
fn what_is_older_or_labelled_is_pruned() {
    let all = networks();
    let now = Moment::now();
    let met = |key: &str, value: &str| {
        let given = [(key.to_owned(), vec![value.to_owned()])].into();
        PruneFilter::read(&given, now).map(|filter| filter.is_met(&all[3]))
    };
    assert_eq!(met("until", "1h"), Ok(false));
    assert_eq!(met("until", "-1h"), Ok(true));
    assert_eq!(met("label", "k"), Ok(true));
    assert_eq!(met("label!", "k=v"), Ok(false));
    let told = met("until", "x").unwrap_err().to_string();
    assert_eq!(told, "failed to parse value as time or duration: \"x\"");
    assert_eq!(met("foo", "x").unwrap_err().to_string(), "Invalid filter 'foo'");
}
