//! RFC 8785 canonical JSON, as far as an event needs it: sorted keys, exact integers, no fractions.
//!
//! Strings need nothing from us: serde_json escapes exactly as RFC 8785 section 3.2.2.2 asks. Numbers are
//! restricted to the integers that every IEEE 754 reader gets exactly (section 3.2.2.3), so the number format of
//! ECMAScript is never needed.

use memchr::memchr2;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Deepest nesting of objects and arrays. An event needs 4; readers are allowed to stop at 32.
pub(super) const DEPTH_MAX: usize = 32;
/// 2^53 - 1 as text: the largest integer that every JSON reader gets exactly (RFC 7493 section 2.2).
const INTEGER_MAX: &[u8] = b"9007199254740991";

/// The canonical bytes of `value`. Fractions are written as serde_json does: an event refuses them afterwards.
pub fn canonical_json(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Sorted(value))
}

/// Serialises a value with its keys in the order of their UTF-16 code units (RFC 8785 section 3.2.3).
pub(super) fn sorted_value<S: Serializer>(value: &Value, to: S) -> Result<S::Ok, S::Error> {
    Sorted(value).serialize(to)
}

/// The same for a map of values.
pub(super) fn sorted_map<S: Serializer>(map: &BTreeMap<String, Value>, to: S) -> Result<S::Ok, S::Error> {
    sorted(map.iter(), to)
}

struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => sorted(Map::iter(map), to),
            Value::Array(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Sorted(item))?;
                }
                list.end()
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain.serialize(to)
            }
        }
    }
}

fn sorted<'a, S: Serializer>(
    entries: impl Iterator<Item = (&'a String, &'a Value)>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let mut map = to.serialize_map(Some(entries.len()))?;
    for (key, value) in entries {
        map.serialize_entry(key, &Sorted(value))?;
    }
    map.end()
}

/// What JSON text holds that an event must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    /// A fraction, an exponent, or an integer beyond 2^53 - 1.
    Number,
    /// More than [`DEPTH_MAX`] levels.
    Depth,
}

/// Looks for a [`Flaw`] in JSON text that is otherwise well formed, in one pass.
pub(super) fn flaw(json: &[u8]) -> Option<Flaw> {
    let (mut depth, mut rest) = (0_usize, json);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'"' => rest = after_string(tail),
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Some(Flaw::Depth);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => {
                let more = tail.iter().take_while(|it| it.is_ascii_digit()).count();
                let (digits, after) = (json_at(json, rest.len() + 1, more + 1), tail.get(more..));
                let exact = digits.len() < INTEGER_MAX.len()
                    || digits.len() == INTEGER_MAX.len() && digits <= INTEGER_MAX;
                rest = after.unwrap_or_default();
                if !exact || matches!(rest.first(), Some(b'.' | b'e' | b'E')) {
                    return Some(Flaw::Number);
                }
            }
            _ => {}
        }
    }
    None
}

/// `len` bytes of `json`, beginning `from_end` bytes before its end.
fn json_at(json: &[u8], from_end: usize, len: usize) -> &[u8] {
    let start = json.len().saturating_sub(from_end);
    json.get(start..start.saturating_add(len)).unwrap_or_default()
}

/// What follows the string whose opening quote has just been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        match rest.get(at..) {
            Some([b'"', after @ ..]) => return after,
            Some([_, _, after @ ..]) => rest = after,
            Some(_) | None => break,
        }
    }
    &[]
}
