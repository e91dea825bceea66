//! An object that keeps the order of its keys.

use super::value::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// The members of an object in the order they were written. No key is there twice, but keys may
/// differ in case only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The member `key`, matched exactly; null counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The member `key`, matched without regard to case; the last match that is not null wins.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Value> {
        let matches =
            |(name, value): &&(String, Value)| name.eq_ignore_ascii_case(key) && !value.is_null();
        self.0.iter().rfind(matches).map(|(_, value)| value)
    }

    /// Sets the member of exactly this key. A new member comes last.
    pub fn insert(&mut self, key: &str, value: impl Into<Value>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key.to_owned(), value.into())),
        }
    }

    /// Sets the member `key` and removes every other spelling of it. A new member comes last.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.retain(|(name, _)| name == key || !name.eq_ignore_ascii_case(key));
        self.insert(key, value);
    }

    /// Removes the member `key` in every spelling.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
    }

    /// The members, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same members sorted by key, in every object below too.
    #[must_use]
    pub fn sorted(self) -> Self {
        let mut members = self.0;
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(members.into_iter().map(|(key, value)| (key, sorted(value))).collect())
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<(String, Value)> for Object {
    /// Of several members with one key the last wins.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let mut members: Vec<(String, Value)> = members.into_iter().collect();
        let keys: BTreeSet<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
        if keys.len() < members.len() {
            let mut seen = BTreeSet::new();
            members.reverse();
            members.retain(|(key, _)| seen.insert(key.clone()));
            members.reverse();
        }
        Self(members)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyObject)
    }
}

/// Reads the members of an object.
pub(super) struct AnyObject;

impl<'de> Visitor<'de> for AnyObject {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry::<String, Value>()? {
            members.push(member);
        }
        Ok(members.into_iter().collect())
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(object.sorted()),
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
