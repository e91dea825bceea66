//! Why a value does not fit a type, and where in the document it stands.

use super::decode::Path;
use super::value::Value;
use serde::de;
use std::fmt;

/// The longest piece of a document an error repeats, in characters.
const LONGEST_VALUE: usize = 80;

/// A value that does not fit. The innermost decoder that sees it pass adds the place.
#[derive(Debug)]
pub(super) struct Fault {
    text: String,
    placed: bool,
}

impl Fault {
    /// "expected WHAT, got VALUE".
    pub(super) fn expected(what: impl fmt::Display, got: &Value) -> Self {
        Self { text: format!("expected {what}, got {}", Shown(got)), placed: false }
    }

    /// The same with its place in front, unless it has one.
    pub(super) fn at(mut self, path: &Path<'_>, value: &Value) -> Self {
        if self.placed {
            return self;
        }
        self.placed = true;
        let shown = Shown(value).to_string();
        if !self.text.contains(&shown) && value.as_object().is_none() {
            self.text = format!("{}, got {shown}", self.text);
        }
        let path = path.to_string();
        if !path.is_empty() {
            self.text = format!("{path}: {}", self.text);
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self { text: text.to_string(), placed: false }
    }

    // The value itself is added by `at`, as it stands in the document.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }
}

/// A value as an error shows it: whole when short.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Object(_) => f.write_str("an object"),
            Value::Array(_) => f.write_str("a list"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let text = self.0.to_string();
                let mut chars = text.chars();
                chars
                    .by_ref()
                    .take(LONGEST_VALUE)
                    .try_for_each(|c| fmt::Write::write_char(f, c))?;
                if chars.next().is_some() { f.write_str("...") } else { Ok(()) }
            }
        }
    }
}
