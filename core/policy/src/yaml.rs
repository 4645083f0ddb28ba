//! YAML as people write it for us, strictly: what a reviewer reads is what counts.
//!
//! YAML's sharp edges are off: no anchors, aliases or merge keys, no duplicate keys, no floats in a tree, `true` and `false`
//! are the only booleans. A [`Node`] knows its place, so that a reader above it can report every mistake of a text with
//! its line, where a derived parser stops at the first.

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// How much of it is read.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Largest text, in bytes.
    pub bytes_max: usize,
    /// Deepest nesting.
    pub depth_max: usize,
    /// Most values and keys: bounds what the reader allocates.
    pub nodes_max: usize,
}

/// Why a text is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It has so many bytes.
    TooLarge(usize),
    /// It is not UTF-8.
    NotText,
    /// It is not YAML of this kind.
    NotYaml {
        /// Where.
        at: Position,
        /// What is wrong there, on one line.
        what: String,
    },
}

/// Where a value stands in the text: one-based, in characters; 0 where nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
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
pub struct Node {
    /// Its place.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// What a text can be made of.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order of the text.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its place.
    pub at: Position,
    /// What it is called.
    pub name: String,
}

impl Node {
    /// What kind of value this is, for messages.
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of keys",
        }
    }
}

/// Reads `bytes` as one document, as a tree.
pub fn tree(bytes: &[u8], bounds: Bounds) -> Result<Node, Unreadable> {
    read::<Spanned<Value>>(bytes, bounds).map(Node::from)
}

/// Reads `bytes` as one document of a known form.
pub fn read<T: DeserializeOwned>(bytes: &[u8], bounds: Bounds) -> Result<T, Unreadable> {
    if bytes.len() > bounds.bytes_max {
        return Err(Unreadable::TooLarge(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: bounds.depth_max,
            max_nodes: bounds.nodes_max,
            max_documents: 1,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        // What a reviewer reads is what counts, not what it decodes to.
        ignore_binary_tag_for_string: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| Unreadable::NotYaml {
        at: error.location().map(Position::from).unwrap_or_default(),
        what: plain(&error),
    })
}

/// The parser's message on one line, without the place.
fn plain(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    let cut = first.rfind(" at line ").unwrap_or(first.len());
    first
        .get(..cut)
        .unwrap_or(first)
        .trim_end_matches([':', '.', ' '])
        .to_owned()
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
        f.write_str("text, a whole number, true, false, a list or keys with values")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Integer)
            .map_err(|_| E::custom("a whole number larger than 9223372036854775807"))
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
            let key = Key {
                at: key.referenced.into(),
                name: key.value,
            };
            map.push((key, value.into()));
        }
        Ok(Value::Map(map))
    }
}
