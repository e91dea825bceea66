//! CNI_ARGS: `KEY=VALUE;KEY=VALUE`.

use crate::error::Error;
use std::collections::BTreeMap;

/// The pairs of CNI_ARGS, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// Reads the variable's value; the empty text has no pairs. A value has no `=` in it.
    ///
    /// # Errors
    /// Code 4: `ARGS: invalid pair "x"`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let pair = |item: &str| match item.split_once('=') {
            Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Error::environment(format!("ARGS: invalid pair {item:?}"))),
        };
        text.split(';').map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The pairs, in order.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The values of the keys a plugin knows; keys match exactly, and of several the last wins.
    ///
    /// # Errors
    /// Code 4 when there is any other key and `IgnoreUnknown` is not `1` or `true`, or when that
    /// has another value than 0, 1, true or false.
    pub fn take_known(&self, known: &[&str]) -> Result<BTreeMap<&str, &str>, Error> {
        let mut values = BTreeMap::new();
        let mut unknown = Vec::new();
        let mut ignore_unknown = false;
        for (key, value) in &self.0 {
            if key == "IgnoreUnknown" {
                ignore_unknown = boolean(value)?;
            } else if known.contains(&key.as_str()) {
                values.insert(key.as_str(), value.as_str());
            } else {
                unknown.push(format!("{:?}", format!("{key}={value}")));
            }
        }
        if !unknown.is_empty() && !ignore_unknown {
            return Err(Error::environment(format!("ARGS: unknown args [{}]", unknown.join(" "))));
        }
        Ok(values)
    }
}

fn boolean(value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::environment(format!(
            "ARGS: error parsing value of pair \"IgnoreUnknown={value}\": expected 0, 1, true or false"
        ))),
    }
}
