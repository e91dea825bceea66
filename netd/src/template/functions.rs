//! The functions: Docker's (`json`, `split`, `join`, `title`, `lower`, `upper`, `pad`, `truncate`) and
//! of Go's own `index`, `slice`, `len`, `print`, `println`, `printf`, `and`, `or`, `not`, `eq`, `ne`, `lt`,
//! `le`, `gt`, `ge`.

use std::cmp::Ordering;

use cni::json::Value;

use super::eval::is_true;
use super::printf::printf;
use super::show::show;
use super::{TemplateError, wrong};

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let text = |text: String| Ok(Value::String(text));
    match (name, arguments) {
        // Go's encoder makes text safe for HTML; Docker turns that off.
        ("json", [value]) => text(value.to_string()),
        ("lower", [value]) => text(show(value).to_lowercase()),
        ("upper", [value]) => text(show(value).to_uppercase()),
        ("title", [value]) => text(title(&show(value))),
        ("split", [value, by]) => {
            let (whole, by) = (show(value), show(by));
            let parts = whole.split(&by).map(|part| Value::String(part.to_owned()));
            Ok(Value::Array(parts.collect()))
        }
        ("join", [Value::Array(items), by]) => {
            text(items.iter().map(show).collect::<Vec<_>>().join(&show(by)))
        }
        ("pad", [value, before, after]) => {
            let value = show(value);
            if value.is_empty() {
                return text(value);
            }
            text(format!("{}{value}{}", spaces(before)?, spaces(after)?))
        }
        ("truncate", [value, length]) => {
            let length = count(length)?;
            text(show(value).chars().take(length).collect())
        }
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => {
            keys.iter().try_fold(value.clone(), |at, key| index(&at, key))
        }
        ("slice", [value, bounds @ ..]) if bounds.len() <= 2 => slice(value, bounds),
        ("print", all) => text(all.iter().map(show).collect()),
        ("println", all) => {
            text(format!("{}\n", all.iter().map(show).collect::<Vec<_>>().join(" ")))
        }
        ("printf", [Value::String(format), all @ ..]) => text(printf(format, all)?),
        ("not", [value]) => Ok(Value::Bool(!is_true(value))),
        ("and", [all @ .., last]) => Ok(all.iter().find(|v| !is_true(v)).unwrap_or(last).clone()),
        ("or", [all @ .., last]) => Ok(all.iter().find(|v| is_true(v)).unwrap_or(last).clone()),
        ("eq", [one, others @ ..]) if !others.is_empty() => {
            Ok(Value::Bool(others.iter().any(|other| other == one)))
        }
        ("ne", [one, other]) => Ok(Value::Bool(one != other)),
        ("lt", [one, other]) => Ok(Value::Bool(order(one, other)? == Ordering::Less)),
        ("le", [one, other]) => Ok(Value::Bool(order(one, other)? != Ordering::Greater)),
        ("gt", [one, other]) => Ok(Value::Bool(order(one, other)? == Ordering::Greater)),
        ("ge", [one, other]) => Ok(Value::Bool(order(one, other)? != Ordering::Less)),
        _ if KNOWN.contains(&name) => {
            wrong(format!(":1: wrong number or kind of args for {name}: got {}", arguments.len()))
        }
        _ => wrong(format!(":1: function {name:?} not defined")),
    }
}

const KNOWN: [&str; 23] = [
    "json", "lower", "upper", "title", "split", "join", "pad", "truncate", "len", "index", "slice",
    "print", "println", "printf", "not", "and", "or", "eq", "ne", "lt", "le", "gt", "ge",
];

fn title(text: &str) -> String {
    let mut begins = true;
    let sign = |sign: char| {
        let upper = if begins { sign.to_uppercase().to_string() } else { sign.to_string() };
        begins = sign.is_whitespace();
        upper
    };
    text.chars().map(sign).collect()
}

fn count(value: &Value) -> Result<usize, TemplateError> {
    // Nobody reads lines that are longer.
    let number = value.as_u64().filter(|number| *number <= 4096);
    match number.and_then(|number| usize::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => wrong(format!(":1: {} is no number from 0 to 4096", show(value))),
    }
}

fn spaces(value: &Value) -> Result<String, TemplateError> {
    count(value).map(|count| " ".repeat(count))
}

fn length(value: &Value) -> Result<Value, TemplateError> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(object) => object.iter().count(),
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => {
            return wrong(format!(":1: error calling len: {} has no length", show(value)));
        }
    };
    Ok(Value::Number(length.into()))
}

/// A key that is not there is the empty text, as of Go's maps of text.
fn index(value: &Value, key: &Value) -> Result<Value, TemplateError> {
    match (value, key) {
        (Value::Object(object), Value::String(key)) => {
            Ok(object.get(key).cloned().unwrap_or_else(|| Value::String(String::new())))
        }
        (Value::Array(items), Value::Number(_)) => {
            let at = key.as_u64().and_then(|at| usize::try_from(at).ok());
            let found = at.and_then(|at| items.get(at));
            found.cloned().map_or_else(
                || wrong(format!(":1: error calling index: index out of range: {}", show(key))),
                Ok,
            )
        }
        (Value::Null, _) => wrong(":1: error calling index: index of untyped nil"),
        _ => wrong(format!(":1: error calling index: can't index item with {}", show(key))),
    }
}

/// Of a text bytes, as in Go; here only whole characters.
fn slice(value: &Value, bounds: &[Value]) -> Result<Value, TemplateError> {
    let at = |bound: &Value| bound.as_u64().and_then(|at| usize::try_from(at).ok());
    let end = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return wrong(format!(":1: error calling slice: can't slice item {}", show(value)));
        }
    };
    let mut range = [Some(0), Some(end)];
    range.iter_mut().zip(bounds).for_each(|(bound, given)| *bound = at(given));
    let part = match (value, range) {
        (Value::String(text), [Some(from), Some(to)]) => {
            text.get(from..to).map(|part| Value::String(part.to_owned()))
        }
        (Value::Array(items), [Some(from), Some(to)]) => {
            items.get(from..to).map(|part| Value::Array(part.to_vec()))
        }
        _ => None,
    };
    let shown: Vec<String> = bounds.iter().map(show).collect();
    let out_of_range =
        || wrong(format!(":1: error calling slice: index out of range: {}", shown.join(" ")));
    part.map_or_else(out_of_range, Ok)
}

fn order(one: &Value, other: &Value) -> Result<Ordering, TemplateError> {
    let order = match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other))
        }
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    };
    order.map_or_else(|| wrong(":1: incompatible types for comparison"), Ok)
}
