//! The exact request: what an approval is good for, and all that a human is shown.

use crate::enforce::{Call, Live};
use crate::upstream::{ArgumentValue, Upstream};
use audit::event::canonical_json;
use credential::sha256;
use identity::{ActorChain, AgentId, Audience, Digest, Name, OrgId, TaskId, UpstreamId};
use policy::Labels;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest request that a human can be asked about, in bytes of its text: more nobody reads.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest text with which an agent may say why it asks, in characters.
pub const SAID_CHARS_MAX: usize = 500;

/// One request in the words of contracts, with everything that may not change between a yes and its use. Counts are
/// not in it: they change with every other call, and are looked at again when the approval is used.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bound {
    /// The org.
    pub org: OrgId,
    /// The current actor.
    pub agent: AgentId,
    /// On whose behalf and through whom.
    pub chain: ActorChain,
    /// The task.
    pub task: TaskId,
    /// Hashes of the contracts along the chain, the current actor's last.
    pub contracts: Vec<Digest>,
    /// What the task and the instance have seen.
    pub labels: Labels,
    /// The service.
    pub audience: Audience,
    /// Its definition: where it is, how requests are read, what is put into them.
    pub upstream: UpstreamId,
    /// Its name.
    pub upstream_name: Name,
    /// Digest of that definition without the version of its secret.
    pub definition: Digest,
    /// The action.
    pub action: Name,
    /// The kind of thing.
    pub resource_type: Name,
    /// Which one.
    pub resource_id: String,
    /// Whose data.
    pub tenant: Option<Name>,
    /// The declared arguments.
    pub arguments: BTreeMap<Name, Value>,
    /// The version of the content that it acts upon, where the service's definition says where that stands.
    pub version: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// Digest of the very bytes that will be sent: see [`content_of`]. Of a question that a service asks, of what it asks.
    pub content: Digest,
    /// The service that enforces it itself and asked; `None` where our gateway does. Another service's request is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<Name>,
}

impl Bound {
    /// Its text, RFC 8785 JSON, and the SHA-256 of that.
    pub fn text(&self) -> Option<(String, Digest)> {
        let value = serde_json::to_value(self).ok()?;
        let bytes = canonical_json(&value).ok()?;
        let digest = Digest::from_bytes(sha256(&bytes));
        Some((String::from_utf8(bytes).ok()?, digest))
    }
    /// Reads a text that [`Self::text`] gave.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Digest of a request as it will be sent: method, path with its query, the header fields that go along, body. Each part
/// is preceded by its length, so that no two requests look alike; `fields` have to be in a fixed order.
pub fn content_of(method: &str, path_and_query: &str, fields: &[(&str, &[u8])], body: &[u8]) -> Digest {
    let count = (fields.len() as u64).to_be_bytes();
    let fields = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
    let parts = [method.as_bytes(), path_and_query.as_bytes(), &count, body];
    let mut bytes = Vec::with_capacity(body.len() + path_and_query.len() + 256);
    for part in parts.into_iter().chain(fields) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Digest::from_bytes(sha256(&bytes))
}

/// The exact request of a call.
pub fn bind(live: &Live, call: &Call<'_>, content: Digest) -> Bound {
    let task = live.task();
    let confined = call.confined_to(task);
    Bound {
        org: task.org,
        agent: call.standing.agent,
        chain: call.standing.chain.clone(),
        task: task.id,
        contracts: call.links.iter().map(|link| link.record.hash).collect(),
        labels: call.gathered.labels.clone(),
        audience: call.upstream.audience.clone(),
        upstream: call.upstream.id,
        upstream_name: call.upstream.name.clone(),
        definition: definition_of(call.upstream),
        action: call.mapped.action.clone(),
        resource_type: call.mapped.resource_type.clone(),
        resource_id: call.mapped.resource_id.clone(),
        tenant: call.mapped.tenant.as_ref().or(confined).cloned(),
        arguments: call
            .mapped
            .arguments
            .iter()
            .map(|(name, value)| (name.clone(), json_of(value)))
            .collect(),
        version: call.mapped.version.named().map(str::to_owned),
        method: call.method.unwrap_or_default().to_owned(),
        path: call.path.unwrap_or_default().to_owned(),
        content,
        asked_by: call.asked_by.cloned(),
    }
}

/// A service that moved, or that reads requests differently, is another one.
pub fn definition_of(upstream: &Upstream) -> Digest {
    let mut definition = upstream.clone();
    definition.secret_version = 0;
    let bytes = serde_json::to_vec(&definition).unwrap_or_default();
    Digest::from_bytes(sha256(&bytes))
}

fn json_of(value: &ArgumentValue) -> Value {
    match value {
        ArgumentValue::Text(text) => text.as_str().into(),
        ArgumentValue::Integer(number) => (*number).into(),
        ArgumentValue::Boolean(value) => (*value).into(),
        ArgumentValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_move_between_the_parts_of_a_request_make_another_one() {
        let one = content_of("POST", "/a", &[("x", b"y")], b"bc");
        for other in [
            content_of("POST", "/ab", &[("x", b"y")], b"c"),
            content_of("POST", "/a", &[("xy", b"")], b"bc"),
            content_of("POST", "/a", &[], b"bc"),
            content_of("POST", "/a", &[("x", b"y"), ("x", b"y")], b"bc"),
            content_of("PUT", "/a", &[("x", b"y")], b"bc"),
            content_of("POST", "/a", &[("x", b"y")], b"bd"),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(one, content_of("POST", "/a", &[("x", b"y")], b"bc"));
    }
}
