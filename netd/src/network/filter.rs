//! Which networks a filter means: values of one key are alternatives, keys must all hold.

use std::collections::BTreeMap;

use regex::Regex;

use super::{Moment, Network, NetworkError};

/// Filters as a client gives them: values by key.
type Given = BTreeMap<String, Vec<String>>;

/// A filter for listing networks.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    drivers: Vec<String>,
    scopes: Vec<String>,
    names: Vec<Pattern>,
    ids: Vec<Pattern>,
    labels: Vec<String>,
    custom: Vec<bool>,
    dangling: Option<bool>,
}

/// A filter for removing networks.
#[derive(Debug, Clone, Default)]
pub struct PruneFilter {
    until: Option<Moment>,
    labels: Vec<String>,
    not_labels: Vec<String>,
}

/// A regular expression, or where it is none a text.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    regex: Option<Regex>,
}

impl ListFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// A key that there is not, or a value that makes no sense for its key.
    pub fn read(given: &Given) -> Result<Self, NetworkError> {
        let mut filter = Self::default();
        for (key, values) in given {
            let patterns = || values.iter().map(|text| Pattern::new(text)).collect();
            match key.as_str() {
                "driver" => filter.drivers.clone_from(values),
                "scope" => filter.scopes.clone_from(values),
                "label" => filter.labels.clone_from(values),
                "name" => filter.names = patterns(),
                "id" => filter.ids = patterns(),
                "type" => {
                    for value in values {
                        filter.custom.push(is_custom(value)?);
                    }
                }
                "dangling" => filter.dangling = dangling(values)?,
                other => return Err(NetworkError::Filter(other.to_owned())),
            }
        }
        Ok(filter)
    }

    /// Whether a network is meant, on which so many containers are.
    #[must_use]
    pub fn is_met(&self, network: &Network, containers: usize) -> bool {
        let is_custom = !network.is_predefined();
        let is_dangling = is_custom && containers == 0;
        any(&self.drivers, |driver| driver == network.driver.name())
            && any(&self.scopes, |scope| scope == network.scope.word())
            && any(&self.names, |name| name.is_met(&network.name))
            && any(&self.ids, |id| id.is_met(network.id.as_str()))
            && self.labels.iter().all(|label| has(network, label))
            && any(&self.custom, |custom| *custom == is_custom)
            && self.dangling.is_none_or(|dangling| dangling == is_dangling)
    }
}

impl PruneFilter {
    /// Reads a filter; durations are before `now`.
    ///
    /// # Errors
    /// As [`ListFilter::read`].
    pub fn read(given: &Given, now: Moment) -> Result<Self, NetworkError> {
        let mut filter = Self::default();
        for (key, values) in given {
            match key.as_str() {
                "label" => filter.labels.clone_from(values),
                "label!" => filter.not_labels.clone_from(values),
                "until" => filter.until = Some(until(values, now)?),
                other => return Err(NetworkError::Filter(other.to_owned())),
            }
        }
        Ok(filter)
    }

    /// Whether a network is meant.
    #[must_use]
    pub fn is_met(&self, network: &Network) -> bool {
        self.until.is_none_or(|until| network.created < until)
            && self.labels.iter().all(|label| has(network, label))
            && !self.not_labels.iter().any(|label| has(network, label))
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), regex: Regex::new(text).ok() }
    }

    fn is_met(&self, text: &str) -> bool {
        self.text == text || self.regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

fn any<T>(values: &[T], is_met: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(is_met)
}

/// `key`, or `key=value`.
fn has(network: &Network, label: &str) -> bool {
    match label.split_once('=') {
        None => network.labels.contains_key(label),
        Some((key, value)) => network.labels.get(key).is_some_and(|there| there == value),
    }
}

fn is_custom(value: &str) -> Result<bool, NetworkError> {
    match value {
        "custom" => Ok(true),
        "builtin" => Ok(false),
        other => {
            let text = format!("invalid filter: 'type'='{other}': it is custom or builtin");
            Err(NetworkError::FilterValue(text))
        }
    }
}

fn dangling(values: &[String]) -> Result<Option<bool>, NetworkError> {
    let wrong = "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \
                 \"0\")";
    match values {
        [] => Ok(None),
        [one] if matches!(one.as_str(), "true" | "1") => Ok(Some(true)),
        [one] if matches!(one.as_str(), "false" | "0") => Ok(Some(false)),
        _ => Err(NetworkError::FilterValue(wrong.to_owned())),
    }
}

fn until(values: &[String], now: Moment) -> Result<Moment, NetworkError> {
    let [text] = values else {
        let text = "more than one until filter specified: give one".to_owned();
        return Err(NetworkError::FilterValue(text));
    };
    Moment::read(text, now).ok_or_else(|| {
        let text = format!("failed to parse value as time or duration: {text:?}");
        NetworkError::FilterValue(text)
    })
}
