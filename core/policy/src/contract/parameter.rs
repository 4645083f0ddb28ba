//! Names of call arguments.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Names under this prefix stand for what the agent or an upstream says about itself: provenance `asserted`.
const SAID: &str = "said.";

/// The name of one argument of a call, as the upstream's definition spells it: 1 to 63 of `A-Z a-z 0-9 . _ -`.
/// A nested argument is written with dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Parameter(Arc<str>);

/// Why a text is not a [`Parameter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Empty or longer than 63 bytes, the limit of every name here.
    #[error("an argument name has 1 to 63 characters")]
    Length,
    /// Outside `[A-Za-z0-9._-]`.
    #[error("an argument name holds only letters, digits, '.', '_' and '-'; found {0:?}")]
    Character(char),
}

impl Parameter {
    /// The name of no argument.
    pub(super) fn none() -> Self {
        Self("".into())
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether this names a statement (`said.…`) instead of an argument that is seen on the wire.
    pub fn is_said(&self) -> bool {
        self.0.starts_with(SAID)
    }
}

impl FromStr for Parameter {
    type Err = ParameterError;
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        if text.is_empty() || text.len() > 63 {
            return Err(ParameterError::Length);
        }
        match text
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-'))
        {
            Some(odd) => Err(ParameterError::Character(odd)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> Cow<'static, str> {
        "Parameter".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a call argument; dots reach into nested ones.",
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]{1,63}$",
        })
    }
}
