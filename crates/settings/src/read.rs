//! From a tree whose leaves may be text to typed settings, remembering where each value stands.

use crate::SettingsError;
use serde::{
    de,
    de::{DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, Visitor},
    forward_to_deserialize_any,
};
use serde_json::Value;
use std::fmt;

pub(crate) fn from_tree<T: DeserializeOwned>(tree: Value) -> Result<T, SettingsError> {
    T::deserialize(Reader { value: tree, key: String::new() })
        .map_err(|error| SettingsError::one(&error.key.unwrap_or_default(), error.text))
}

/// Which key, once a container has told.
#[derive(Debug)]
struct ReadError {
    key: Option<String>,
    text: String,
    missing: Option<&'static str>,
}

impl ReadError {
    fn new(text: impl fmt::Display) -> Self {
        Self { key: None, text: text.to_string(), missing: None }
    }

    fn at(mut self, key: &str) -> Self {
        if self.key.is_none() {
            self.key = Some(self.missing.map_or_else(|| key.to_owned(), |field| join(key, field)));
        }
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text)
    }

    // The stock texts of the next two quote the value, which may be a secret in the wrong place.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format_args!("expected {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new("is not set") }
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(format_args!("no such setting; there are: {}", known.join(", ")))
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(format_args!("expected one of: {}", known.join(", ")))
    }
}

fn join(key: &str, field: &str) -> String {
    if key.is_empty() { field.to_owned() } else { format!("{key}.{field}") }
}

struct Reader {
    value: Value,
    key: String,
}

impl Reader {
    fn expected<'de>(&self, visitor: &impl Visitor<'de>) -> ReadError {
        ReadError::new(format_args!("expected {}", visitor as &dyn Expected)).at(&self.key)
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let error = self.expected(&visitor);
            match self.value {
                Value::String(text) => match text.trim().parse::<$number>() {
                    Ok(number) => visitor.$visit(number).map_err(|error: ReadError| error.at(&self.key)),
                    Err(_) => Err(error),
                },
                Value::Number(number) => number.$method(visitor).map_err(|_| error),
                _ => Err(error),
            }
        }
    )+};
}

impl<'de> de::Deserializer<'de> for Reader {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let key = self.key;
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(yes),
            Value::Number(number) => number.deserialize_any(visitor).map_err(ReadError::new),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter(), key: key.clone(), index: 0 }),
            Value::Object(fields) => {
                visitor.visit_map(Fields { fields: fields.into_iter(), key: key.clone(), next: None })
            }
        }
        .map_err(|error: ReadError| error.at(&key))
    }

    numbers! {
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16; deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64; deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32; deserialize_u64 visit_u64 u64; deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value.as_str().map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            Some("true" | "yes" | "on" | "1") => visitor.visit_bool(true),
            Some("false" | "no" | "off" | "0") => visitor.visit_bool(false),
            Some(_) => Err(ReadError::new("expected true or false").at(&self.key)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // A container file can set a variable to nothing more easily than unset it.
        match &self.value {
            Value::Null => visitor.visit_none(),
            Value::String(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::String(text) = self.value else {
            return self.deserialize_any(visitor);
        };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = items.map(|item| Value::String(item.to_owned())).collect();
        Self { value, key: self.key }.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            other => other.deserialize_enum(name, variants, visitor).map_err(ReadError::new),
        }
        .map_err(|error: ReadError| error.at(&self.key))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct map struct tuple_struct identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    key: String,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some(value) = self.items.next() else {
            return Ok(None);
        };
        let key = format!("{}[{}]", self.key, self.index);
        self.index += 1;
        seed.deserialize(Reader { value, key: key.clone() }).map(Some).map_err(|error| error.at(&key))
    }
}

struct Fields {
    fields: serde_json::map::IntoIter,
    key: String,
    next: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some((field, value)) = self.fields.next() else {
            return Ok(None);
        };
        let key = join(&self.key, &field);
        self.next = Some((key.clone(), value));
        let field: de::value::StringDeserializer<ReadError> = field.into_deserializer();
        seed.deserialize(field).map(Some).map_err(|error| error.at(&key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let (key, value) = self.next.take().ok_or_else(|| ReadError::new("a value without a key"))?;
        // A newtype's own check (`TryFrom`, `FromStr`) fails outside of the reader.
        seed.deserialize(Reader { value, key: key.clone() }).map_err(|error| error.at(&key))
    }
}
