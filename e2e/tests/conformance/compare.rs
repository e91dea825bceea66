//! Where two documents differ, less what may differ.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::allowed::ALLOWED;
use crate::cases::Case;

/// The differences that are not allowed, and what is wrong with errors.
pub(crate) fn compare(case: &Case, theirs: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let (mut theirs, mut ours) = (theirs.clone(), ours.clone());
    let texts = [take_error(&mut theirs), take_error(&mut ours)];
    for (whose, text) in ["the reference", "ours"].iter().zip(&texts) {
        match text {
            Some(text) if case.error.is_empty() && !allowed(case.name, "error") => {
                found.push(format!("ADD of {whose} failed: {text}"));
            }
            Some(text) if !text.contains(case.error) => {
                found.push(format!("the error of {whose} lacks {:?}: {text}", case.error));
            }
            None if !case.error.is_empty() => found.push(format!("ADD of {whose} succeeded")),
            _ => {}
        }
    }
    let mut paths = Vec::new();
    walk("", &theirs, &ours, &mut paths);
    found.extend(
        paths
            .into_iter()
            .filter(|(path, ..)| !allowed(case.name, path))
            .map(|(path, theirs, ours)| format!("{path}: reference {theirs}, ours {ours}")),
    );
    found
}

/// Whether a line of the list covers the path.
fn allowed(case: &str, path: &str) -> bool {
    ALLOWED.iter().any(|entry| {
        matches(entry.case, case) && matches(entry.path, path) && !entry.reason.is_empty()
    })
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

/// Takes the text and code of ADD's error out of a document: texts are compared by their words.
fn take_error(document: &mut Value) -> Option<String> {
    let answers = document.get_mut("ADD")?.as_array_mut()?;
    let answer = answers.last_mut()?.as_object_mut()?;
    answer.remove("error").map(|text| text.as_str().unwrap_or_default().to_owned())
}

fn walk(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<(String, String, String)>) {
    if let (Some(one), Some(other)) = (theirs.as_object(), ours.as_object()) {
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for key in keys {
            let at =
                |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            walk(&format!("{path}/{key}"), &at(one), &at(other), found);
        }
    } else if let (Some(one), Some(other)) = (theirs.as_array(), ours.as_array()) {
        for index in 0..one.len().max(other.len()) {
            let at = |list: &Vec<Value>| list.get(index).cloned().unwrap_or_default();
            walk(&format!("{path}/{index}"), &at(one), &at(other), found);
        }
    } else if theirs != ours {
        found.push((path.to_owned(), theirs.to_string(), ours.to_string()));
    }
}
