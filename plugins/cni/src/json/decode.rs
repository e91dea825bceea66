//! The serde deserializer behind [`super::decode()`].

use super::fault::Fault;
use super::inside::{Elements, Members, Variant};
use super::object::Object;
use super::value::Value;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Where a value stands in its document.
pub(super) enum Path<'p> {
    /// The value given to `decode`, found here.
    Root(&'p str),
    /// A member of an object, as it is spelled there.
    Key(&'p Path<'p>, &'p str),
    /// An element of a list.
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(path) => f.write_str(path),
            Self::Key(Path::Root(""), key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'de, 'p> {
    value: &'de Value,
    path: &'p Path<'p>,
}

impl<'de, 'p> Decoder<'de, 'p> {
    pub(super) fn new(value: &'de Value, path: &'p Path<'p>) -> Self {
        Self { value, path }
    }

    pub(super) fn value(self) -> &'de Value {
        self.value
    }

    pub(super) fn path(self) -> &'p Path<'p> {
        self.path
    }

    fn object(self, what: &str) -> Result<&'de Object, Fault> {
        self.value.as_object().ok_or_else(|| Fault::expected(what, self.value))
    }

    fn unsigned<T: TryFrom<u64>>(self, max: u64) -> Result<T, Fault> {
        let number = self.value.as_u64().and_then(|number| T::try_from(number).ok());
        let what = || format!("an integer from 0 to {max}");
        number.ok_or_else(|| Fault::expected(what(), self.value))
    }

    fn signed<T: TryFrom<i64>>(self, min: i64, max: i64) -> Result<T, Fault> {
        let number = if let Value::Number(number) = self.value { number.as_i64() } else { None };
        let what = || format!("an integer from {min} to {max}");
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| Fault::expected(what(), self.value))
    }
}

/// Every integer type: its reader and its bounds.
macro_rules! integers {
    ($reader:ident: $($method:ident $visit:ident $type:ty [$($bound:expr),+];)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.$reader::<$type>($($bound),+)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'de, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Elements::new(items, self.path)),
            Value::Object(object) => visitor.visit_map(Members::of_map(object, self.path, false)),
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = self.value.as_bool();
        visitor.visit_bool(value.ok_or_else(|| Fault::expected("true or false", self.value))?)
    }

    integers! { unsigned:
        deserialize_u8 visit_u8 u8 [u8::MAX.into()];
        deserialize_u16 visit_u16 u16 [u16::MAX.into()];
        deserialize_u32 visit_u32 u32 [u32::MAX.into()];
        deserialize_u64 visit_u64 u64 [u64::MAX];
    }

    integers! { signed:
        deserialize_i8 visit_i8 i8 [i8::MIN.into(), i8::MAX.into()];
        deserialize_i16 visit_i16 i16 [i16::MIN.into(), i16::MAX.into()];
        deserialize_i32 visit_i32 i32 [i32::MIN.into(), i32::MAX.into()];
        deserialize_i64 visit_i64 i64 [i64::MIN, i64::MAX];
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = if let Value::Number(number) = self.value { number.as_f64() } else { None };
        visitor.visit_f64(number.ok_or_else(|| Fault::expected("a number", self.value))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                let what: &dyn serde::de::Expected = &visitor;
                Err(Fault::expected(what, self.value))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let items = self.value.as_array();
        let items = items.ok_or_else(|| Fault::expected("a list", self.value))?;
        visitor.visit_seq(Elements::new(items, self.path))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Members::of_map(self.object("an object")?, self.path, true))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_map(Members::of_struct(self.object("an object")?, self.path, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(text) = self.value.as_str() {
            return visitor.visit_enum(BorrowedStrDeserializer::new(text));
        }
        let what = "a string or an object with one key";
        let mut members = self.object(what)?.iter();
        match (members.next(), members.next()) {
            (Some((variant, content)), None) => {
                let path = Path::Key(self.path, variant);
                let content = Decoder::new(content, &path);
                visitor.visit_enum(Variant { variant, content })
            }
            _ => Err(Fault::expected(what, self.value)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct identifier }
}
