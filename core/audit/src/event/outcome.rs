//! How a permitted action ended, and its place in a trace.

use super::Extra;
use identity::EntryRef;
use serde::{Deserialize, Serialize};

/// How a permitted action ended. A decision without an outcome entry is `unknown` to a reader: the writer died.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Bytes of the response body that were passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// From forwarding the request to the end of the response, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The class of error: `timeout`, `connect`, `tls`, `reset`, `body_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The upstream's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The entry of the decision this is the outcome of, written `log:index`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "entry_text")]
    pub of: Option<EntryRef>,
    /// Whether it succeeded.
    pub status: Status,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Outcome {
    /// An outcome of which only the status is known.
    pub const fn new(status: Status) -> Self {
        Self {
            bytes: None,
            duration_ms: None,
            error: None,
            http_status: None,
            of: None,
            status,
            extra: Extra::new(),
        }
    }
}

/// Whether a permitted action succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It did.
    Success,
    /// It did not.
    Failure,
    /// Nobody can say: the connection or the writer died.
    Unknown,
}

/// W3C Trace Context: where an event belongs in a distributed trace. Asserted by the caller, for correlation only.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// 16 lower-case hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// 32 lower-case hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An entry's place as text, `0:136`.
mod entry_text {
    use identity::EntryRef;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` asks for")]
    pub(super) fn serialize<S: Serializer>(entry: &Option<EntryRef>, to: S) -> Result<S::Ok, S::Error> {
        match entry {
            Some(entry) => to.collect_str(entry),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<EntryRef>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}
