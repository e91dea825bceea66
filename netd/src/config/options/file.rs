//! The file of options: TOML, one key per option, named as the flag.

use std::path::Path;

use toml::Value;

use super::draft::Draft;
use super::{OptionsError, table};

pub(super) fn apply(draft: &mut Draft, path: &Path) -> Result<(), OptionsError> {
    let at = path.display();
    let wrong = |what: String| OptionsError::Config(format!("{at}: {what}"));
    let text = std::fs::read_to_string(path)
        .map_err(|e| OptionsError::Config(format!("read the file of --config {at}: {e}")))?;
    let keys: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text.get(..span.start).unwrap_or("").lines().count());
        wrong(format!("line {}: {}", line.max(1), e.message()))
    })?;
    draft.next_place();
    for (key, value) in &keys {
        let row = table::find(key).ok_or_else(|| {
            wrong(format!("there is no option {key}; `netd run --help` lists the options"))
        })?;
        draft.begin(row.name);
        for text in texts(value, row.value).map_err(|what| wrong(format!("{key}: {what}")))? {
            draft.set(row.name, &text, &format!("{at}: {key}")).map_err(OptionsError::Config)?;
        }
    }
    Ok(())
}

/// The values as the command line would have them: a list is one value per element where the
/// option may be repeated, and joined by commas where it is a list.
fn texts(value: &Value, kind: table::Value) -> Result<Vec<String>, String> {
    match (value, kind) {
        (Value::Array(values), table::Value::Many(_)) => values.iter().map(text).collect(),
        (Value::Array(values), table::Value::List(_)) => {
            let all: Result<Vec<_>, _> = values.iter().map(text).collect();
            Ok(vec![all?.join(",")])
        }
        (value, _) => text(value).map(|text| vec![text]),
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(on) => Ok(on.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            Err(format!("a {} makes no sense here; write a string", value.type_str()))
        }
    }
}
