//! What is inside a list, an object, or an enum with content, for serde.

use super::decode::{Decoder, Path};
use super::fault::Fault;
use super::object::Object;
use super::value::Value;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::collections::BTreeMap;

/// The elements of a list, one after the other.
pub(super) struct Elements<'de, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    path: &'p Path<'p>,
}

impl<'de, 'p> Elements<'de, 'p> {
    pub(super) fn new(items: &'de [Value], path: &'p Path<'p>) -> Self {
        Self { items: items.iter().enumerate(), path }
    }
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        let path = Path::Index(self.path, index);
        let element = seed.deserialize(Decoder::new(item, &path));
        element.map(Some).map_err(|fault| fault.at(&path, item))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// One member: the name serde is told, the name in the document, the value.
type Member<'de> = (&'de str, &'de str, &'de Value);

/// The members of an object, one after the other.
pub(super) struct Members<'de, 'p> {
    members: std::vec::IntoIter<Member<'de>>,
    value: Option<(&'de str, &'de Value)>,
    path: &'p Path<'p>,
}

impl<'de, 'p> Members<'de, 'p> {
    /// Every member by its own name.
    pub(super) fn of_map(object: &'de Object, path: &'p Path<'p>, skip_null: bool) -> Self {
        let members = object.iter().filter(|(_, value)| !(skip_null && value.is_null()));
        let members: Vec<_> = members.map(|(key, value)| (key, key, value)).collect();
        Self { members: members.into_iter(), value: None, path }
    }

    /// The members that are fields of a struct, by the field's name.
    pub(super) fn of_struct(
        object: &'de Object,
        path: &'p Path<'p>,
        fields: &[&'static str],
    ) -> Self {
        let mut last: BTreeMap<&'static str, Member<'de>> = BTreeMap::new();
        for (key, value) in object.iter() {
            if let Some(field) = field_of(key, fields).filter(|_| !value.is_null()) {
                last.insert(field, (field, key, value));
            }
        }
        let members: Vec<_> = last.into_values().collect();
        Self { members: members.into_iter(), value: None, path }
    }
}

/// The field a key means: the one of exactly that name, or else one that differs in case.
fn field_of(key: &str, fields: &[&'static str]) -> Option<&'static str> {
    let exact = fields.iter().find(|field| **field == key);
    exact.or_else(|| fields.iter().find(|field| field.eq_ignore_ascii_case(key))).copied()
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((name, key, value)) = self.members.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, value) = self.value.take().unwrap_or(("", &Value::Null));
        let path = Path::Key(self.path, key);
        seed.deserialize(Decoder::new(value, &path)).map_err(|fault| fault.at(&path, value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// An enum written as an object with one key.
pub(super) struct Variant<'de, 'p> {
    pub(super) variant: &'de str,
    pub(super) content: Decoder<'de, 'p>,
}

impl<'de, 'p> EnumAccess<'de> for Variant<'de, 'p> {
    type Error = Fault;
    type Variant = Content<'de, 'p>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Fault> {
        let variant = seed.deserialize(StrDeserializer::<Fault>::new(self.variant))?;
        Ok((variant, Content(self.content)))
    }
}

/// What stands below that key.
pub(super) struct Content<'de, 'p>(Decoder<'de, 'p>);

impl<'de> VariantAccess<'de> for Content<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.0.value().is_null() { Ok(()) } else { Err(Fault::expected("null", self.0.value())) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.0).map_err(|fault| fault.at(self.0.path(), self.0.value()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
