//! Strict JSON for bytes that carry authority: no duplicate member anywhere, bounded depth (RFC 8725 section 2.4,
//! RFC 8259 section 4). Two readers that disagree about a repeated member are how tokens get confused.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Deepest nesting in any token of ours: eight actors, or a detail's constraint's amount, each with two to spare.
pub const JSON_DEPTH_MAX: usize = 12;

/// Latest NumericDate accepted: the last second of the year 9999. Larger ones are how arithmetic overflows.
const SECONDS_MAX: u64 = 253_402_300_799;

/// Why JSON was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or a member twice.
    #[error("not JSON, or a member stands twice, near byte {0}")]
    Malformed(usize),
    /// Deeper than it may: [`JSON_DEPTH_MAX`], where nothing else is said.
    #[error("JSON nests too deep")]
    TooDeep,
}

impl From<serde_json::Error> for JsonError {
    /// Keeps only the place: serde's texts quote the input.
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(error.column())
    }
}

/// Reads any JSON value, refusing duplicate members and deep nesting.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_within(bytes, JSON_DEPTH_MAX)
}

/// The same for JSON that may nest `depth_max` levels deep, which a recursive reader has to bear.
pub fn parse_within(bytes: &[u8], depth_max: usize) -> Result<Value, JsonError> {
    check_depth_within(bytes, depth_max)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Refuses what nests deeper than [`JSON_DEPTH_MAX`], before any recursive reader sees it.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), JsonError> {
    check_depth_within(bytes, JSON_DEPTH_MAX)
}

fn check_depth_within(bytes: &[u8], depth_max: usize) -> Result<(), JsonError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > depth_max {
            return Err(JsonError::TooDeep);
        }
    }
    Ok(())
}

/// Refuses a member that stands twice, at any level, without keeping the values.
pub(crate) fn check_duplicates(bytes: &[u8]) -> Result<(), JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Unique.deserialize(&mut deserializer)?;
    Ok(deserializer.end()?)
}

/// Reads one JSON object into `T`; see [`Object`].
pub fn from_object<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Object(value)| value)
}

/// A value that is a JSON object and nothing else. serde also reads a struct from an array of its members' values,
/// which nobody who writes the standard's form ever sends, and which other readers would refuse.
#[derive(Serialize, PartialEq, Debug)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(ObjectOnly(from)).map(Self)
    }
}

struct ObjectOnly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Whether `secs` may stand in a NumericDate.
pub(crate) const fn is_date(secs: u64) -> bool {
    secs <= SECONDS_MAX
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Self)?;
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(map))
    }
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = std::collections::BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(de::Error::custom("duplicate member"));
            }
            members.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_refused_at_every_level_and_through_escapes() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"b":1,"b":2}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(
                matches!(parse_strict(text.as_bytes()), Err(JsonError::Malformed(_))),
                "{text}"
            );
            assert!(check_duplicates(text.as_bytes()).is_err(), "{text}");
        }
        assert!(check_duplicates(br#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_strict(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            parse_strict(nested(JSON_DEPTH_MAX + 1).as_bytes()),
            Err(JsonError::TooDeep)
        );
        assert_eq!(
            parse_strict("[".repeat(1 << 20).as_bytes()),
            Err(JsonError::TooDeep)
        );
        assert!(parse_strict(format!(r#"["\"{}"]"#, "[".repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn an_array_is_never_read_as_an_object() {
        #[derive(Deserialize, PartialEq, Debug)]
        struct Outer {
            a: Object<Inner>,
        }
        #[derive(Deserialize, PartialEq, Debug)]
        struct Inner {
            b: u8,
        }
        assert_eq!(from_object::<Outer>(br#"{"a":{"b":1}}"#).unwrap().a.0.b, 1);
        for bad in [r#"[{"b":1}]"#, r#"{"a":[1]}"#, "[[1]]", "1", "null"] {
            assert!(from_object::<Outer>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert!(parse_strict(b"{} {}").is_err());
        assert!(parse_strict(b"{}\n").is_ok());
    }
}
