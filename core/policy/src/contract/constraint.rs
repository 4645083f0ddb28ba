//! What a grant asks of one argument.
//!
//! Values are compared whole: there is no prefix, wildcard or pattern form, because each of those is an invitation
//! to widen a grant by accident.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Largest number in a contract: what every JSON reader can hold exactly (RFC 8785 section 3.2.2.3).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// What one argument has to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Constraint {
    /// One of these texts; each element of a list argument has to be.
    Texts(BTreeSet<String>),
    /// One of these numbers; each element of a list argument has to be.
    Integers(BTreeSet<i64>),
    /// One of these; usually only `true` or only `false`.
    Bools(BTreeSet<bool>),
    /// A whole number, both ends included.
    Range {
        /// The smallest allowed number.
        min: Option<i64>,
        /// The largest allowed number.
        max: Option<i64>,
    },
}

impl Constraint {
    /// What kind of argument fits.
    pub const fn kind(&self) -> ArgKind {
        match self {
            Self::Texts(_) => ArgKind::Texts,
            Self::Integers(_) => ArgKind::Integers,
            Self::Bools(_) => ArgKind::Bools,
            Self::Range { .. } => ArgKind::Number,
        }
    }
}

/// The shape in which an argument reaches the policy. The same argument may be wanted in two shapes by two grants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ArgKind {
    /// A set of texts (a single text is a set of one).
    Texts,
    /// A set of whole numbers.
    Integers,
    /// A set of booleans.
    Bools,
    /// One whole number.
    Number,
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &BTreeSet<T>) -> fmt::Result {
            f.write_str("one of ")?;
            for (place, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
            }
            Ok(())
        }
        match self {
            Self::Texts(texts) => list(f, texts),
            Self::Integers(numbers) => list(f, numbers),
            Self::Bools(bools) => list(f, bools),
            Self::Range {
                min: Some(min),
                max: Some(max),
            } => write!(f, "{min} to {max}"),
            Self::Range {
                min: Some(min),
                max: None,
            } => write!(f, "at least {min}"),
            Self::Range {
                min: None,
                max: Some(max),
            } => write!(f, "at most {max}"),
            Self::Range { min: None, max: None } => f.write_str("any whole number"),
        }
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Texts(texts) => texts.serialize(to),
            Self::Integers(numbers) => numbers.serialize(to),
            Self::Bools(bools) => bools.serialize(to),
            Self::Range { min, max } => {
                let mut map = to.serialize_map(None)?;
                if let Some(max) = max {
                    map.serialize_entry("max", max)?;
                }
                if let Some(min) = min {
                    map.serialize_entry("min", min)?;
                }
                map.end()
            }
        }
    }
}

impl JsonSchema for Constraint {
    fn schema_name() -> Cow<'static, str> {
        "Constraint".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = serde_json::json!({"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX});
        let list = |items: serde_json::Value| serde_json::json!({"type": "array", "items": items, "minItems": 1, "uniqueItems": true});
        json_schema!({
            "description": "What the argument has to be: a list of allowed values of one type, or a range.",
            "oneOf": [
                list(serde_json::json!({"type": "string", "minLength": 1, "maxLength": 255})),
                list(number.clone()),
                list(serde_json::json!({"type": "boolean"})),
                {
                    "type": "object",
                    "properties": {"min": number, "max": number},
                    "additionalProperties": false,
                    "minProperties": 1,
                },
            ],
        })
    }
}
