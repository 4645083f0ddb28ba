//! YAML as a tree in which every value knows its line: the form in which a contract is first read.
//!
//! The reader above it can then report every mistake with its place, where a derived parser stops at the first.
//! YAML's sharp edges are off: no anchors, aliases or merge keys, no duplicate keys, no floats, `true` and `false`
//! are the only booleans.

use super::error::{ContractError, ErrorCode};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Largest contract in bytes: a hundred times a long one, and small enough to parse in a few milliseconds.
pub const BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting: the deepest key of a contract is 6 levels down; the rest is slack for later sections.
pub const DEPTH_MAX: usize = 16;
/// Most values and keys of one contract: bounds what the reader allocates.
pub const NODES_MAX: usize = 20_000;

/// Where a value stands in the text: one-based, in characters.
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

/// What a contract can be made of.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

impl Node {
    /// What kind of value this is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
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

/// Reads `bytes` as one YAML document.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Node, Box<ContractError>> {
    let refuse = |code, at: Position, what: String, why: &str, fix: &str| {
        Box::new(ContractError {
            code,
            file: file.to_owned(),
            line: at.line.max(1),
            column: at.column.max(1),
            path: String::new(),
            what,
            why: why.to_owned(),
            fix: fix.to_owned(),
        })
    };
    if bytes.len() > BYTES_MAX {
        return Err(refuse(
            ErrorCode::TooLarge,
            Position::default(),
            format!("the contract has {} bytes", bytes.len()),
            "a contract has at most 262144 bytes",
            "split the work over several agents, or shorten lists",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        refuse(
            ErrorCode::NotReadable,
            Position::default(),
            "the contract is not UTF-8 text".to_owned(),
            "a contract is read by people",
            "save the file as UTF-8",
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
        // What a reviewer reads is what counts, not what it decodes to.
        ignore_binary_tag_for_string: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options)
        .map(Node::from)
        .map_err(|error| {
            let at = error.location().map(Position::from).unwrap_or_default();
            refuse(
                ErrorCode::NotReadable,
                at,
                plain(&error),
                "a contract is plain YAML without anchors, aliases, merge keys, duplicate keys or fractions, at most 16 levels deep",
                "correct the text at this place",
            )
        })
}

/// The parser's message on one line, without the place (which we print ourselves).
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
