//! YAML as a tree in which every value knows its place, so that an author sees all mistakes at once.
//!
//! Plain YAML only: no anchors, aliases, merge keys, tags or duplicate keys; `true` and `false` are the only booleans.

use super::ManifestError;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Largest manifest in bytes: [`super::super::route::ROUTES_MAX`] long routes fit.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting: an argument of a route is 4 levels down.
const DEPTH_MAX: usize = 12;
/// Most values and keys: bounds what the reader allocates.
const NODES_MAX: usize = 20_000;

/// One-based line and column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: narrow(location.line()),
            column: narrow(location.column()),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a manifest can be made of.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Position, String, Node)>),
}

impl Node {
    /// What kind of value this is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of keys",
        }
    }
}

/// Reads `bytes` as one YAML document.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Node, Box<ManifestError>> {
    let refuse = |at: Position, what: String, fix: &str| {
        Box::new(ManifestError {
        file: file.to_owned(),
        line: at.line.max(1),
        column: at.column.max(1),
        path: String::new(),
        what,
        why: "a manifest is plain UTF-8 YAML of at most 262144 bytes, without anchors, aliases or duplicate keys".into(),
        fix: fix.to_owned(),
    })
    };
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(refuse(
            Position::default(),
            format!("the manifest has {} bytes", bytes.len()),
            "shorten it, or declare several upstreams",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        refuse(
            Position::default(),
            "the file is not UTF-8".into(),
            "save it as UTF-8",
        )
    })?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 1,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
        .map(Node::from)
        .map_err(|error| {
            let at = error.location().map(Position::from).unwrap_or_default();
            let text = error.without_snippet().to_string();
            let first = text.lines().next().unwrap_or_default();
            let cut = first.rfind(" at line ").unwrap_or(first.len());
            let what = first
                .get(..cut)
                .unwrap_or(first)
                .trim_end_matches([':', '.', ' ']);
            refuse(at, what.to_owned(), "correct the text at this place")
        })
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            at: spanned.referenced.into(),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list or keys with values")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Integer)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Integer)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Integer)
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Spanned<Value>>()?;
            map.push((key.referenced.into(), key.value, value.into()));
        }
        Ok(Value::Map(map))
    }
}
