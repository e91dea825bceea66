//! Where two documents differ, less what may differ.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::allowed::{ALLOWED, Allowed, Group};
use crate::cases::Case;

/// The comparison of a group of cases: what differed, and which lines of the list were needed.
pub(crate) struct Comparison {
    group: Group,
    differences: Vec<String>,
    used: BTreeSet<usize>,
}

impl Comparison {
    pub(crate) fn new(group: Group) -> Self {
        Self { group, differences: Vec::new(), used: BTreeSet::new() }
    }

    /// Compares what a case left with both sets of plugins.
    pub(crate) fn add(&mut self, case: &Case, version: &str, theirs: &Value, ours: &Value) {
        let (mut theirs, mut ours) = (theirs.clone(), ours.clone());
        for (whose, document) in [("the reference", &mut theirs), ("ours", &mut ours)] {
            let fault = match take_error(document) {
                Some(text) if case.error.is_empty() => format!("ADD of {whose} failed: {text}"),
                Some(text) if !text.contains(case.error) => {
                    format!("the error of {whose} lacks {:?}: {text}", case.error)
                }
                None if !case.error.is_empty() => format!("ADD of {whose} succeeded"),
                _ => continue,
            };
            self.differences.push(format!("{} {version} {fault}", case.name));
        }
        self.documents(case.name, version, &theirs, &ours);
    }

    /// Compares two documents of a case.
    pub(crate) fn documents(&mut self, case: &str, version: &str, theirs: &Value, ours: &Value) {
        for (path, theirs, ours) in differences(theirs, ours) {
            let lines = self.lines_for(case, &path);
            if lines.is_empty() {
                let text = format!("{case} {version} {path}: reference {theirs}, ours {ours}");
                self.differences.push(text);
            }
            self.used.extend(lines);
        }
    }

    /// Whether nothing differs that may not.
    pub(crate) fn fits(&self, case: &str, theirs: &Value, ours: &Value) -> bool {
        differences(theirs, ours).iter().all(|(path, ..)| !self.lines_for(case, path).is_empty())
    }

    /// The lines of the list that cover the path.
    fn lines_for(&self, case: &str, path: &str) -> Vec<usize> {
        let covers = |entry: &Allowed| {
            entry.groups.contains(&self.group)
                && matches(entry.case, case)
                && matches(entry.path, path)
        };
        (0..).zip(ALLOWED).filter(|(_, entry)| covers(entry)).map(|(number, _)| number).collect()
    }

    /// Nothing differed that may not, and every line of the list was needed.
    pub(crate) fn judge(self) -> Result<()> {
        let Self { group, mut differences, used } = self;
        for (number, entry) in (0..).zip(ALLOWED) {
            if entry.groups.contains(&group) && !used.contains(&number) {
                let Allowed { case, path, why, .. } = entry;
                differences.push(format!("not needed for {group:?}: {case} {path} {why:?}"));
            }
        }
        ensure!(differences.is_empty(), "differences:\n{}", differences.join("\n"));
        Ok(())
    }
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

/// Takes the text of ADD's error out of a document: texts are compared by their words.
fn take_error(document: &mut Value) -> Option<String> {
    let answers = document.get_mut("ADD")?.as_array_mut()?;
    let answer = answers.last_mut()?.as_object_mut()?;
    answer.remove("error").map(|text| text.as_str().unwrap_or_default().to_owned())
}

/// Where the documents differ: path, theirs, ours.
fn differences(theirs: &Value, ours: &Value) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    walk("", theirs, ours, &mut found);
    found
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
