//! A tool call as a request to the suite's service: what looks something up is a GET with its arguments as query, what
//! changes something a POST with its arguments as JSON.

use super::export::ToolCall;
use crate::fault::{Fault, fault};
use broker::upstream::{ArgumentKind, Place, Route};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// One request, not yet signed.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) method: http::Method,
    /// Path without query, percent-encoded.
    pub(super) path: String,
    /// With the `?`; empty for none.
    pub(super) query: String,
    pub(super) body: String,
}

/// The route of a call: its tool's, and of two that differ in whether others are invited, the one that it needs.
pub(super) fn route_of<'r>(routes: &'r [Route], call: &ToolCall) -> Result<&'r Route, Fault> {
    let invites = call
        .arguments
        .get("participants")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let named = |action: &str| routes.iter().find(|route| route.action.as_str() == action);
    let invite = named(&format!("{}.invite", call.tool)).filter(|_| invites);
    invite
        .or_else(|| named(&call.tool))
        .ok_or_else(|| fault(format!("no route for {}", call.tool)))
}

impl Wanted {
    pub(super) fn of(service: &str, route: &Route, call: &ToolCall) -> Result<Self, Fault> {
        let mut path = format!("/{service}");
        for segment in route.path.split('/').skip(1) {
            let parameter = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let text = match parameter {
                Some(name) => text_of(call.arguments.get(name).unwrap_or(&Value::Null)),
                None => segment.to_owned(),
            };
            path.push('/');
            encode(&mut path, &text)?;
        }
        let (mut query, mut body) = (String::new(), String::new());
        if route.method == "GET" {
            for argument in &route.arguments {
                let value = call.arguments.get(argument.name.as_str());
                if let (Place::Query(name), Some(value)) = (&argument.from, value)
                    && !value.is_null()
                {
                    query.push(if query.is_empty() { '?' } else { '&' });
                    query.push_str(name);
                    query.push('=');
                    encode(&mut query, &text_of(value))?;
                }
            }
        } else {
            body = Value::Object(typed(route, &call.arguments)).to_string();
        }
        Ok(Self {
            method: route.method.parse()?,
            path,
            query,
            body,
        })
    }
}

/// The arguments without those that are left out, as the service declares them.
fn typed(route: &Route, arguments: &Map<String, Value>) -> Map<String, Value> {
    let kind = |name: &str| {
        let declared = route
            .arguments
            .iter()
            .find(|argument| argument.name.as_str() == name);
        declared.map(|argument| argument.kind)
    };
    let given = arguments.iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(name, value)| {
            let value = match (kind(name), value) {
                (Some(ArgumentKind::Text), other) => Value::String(text_of(other)),
                (Some(ArgumentKind::Texts), Value::Array(_))
                | (None | Some(ArgumentKind::Integer | ArgumentKind::Boolean), _) => value.clone(),
                (Some(ArgumentKind::Texts), other) => Value::Array(vec![other.clone()]),
            };
            (name.clone(), value)
        })
        .collect()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn encode(to: &mut String, text: &str) -> Result<(), Fault> {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            to.push(char::from(byte));
        } else {
            write!(to, "%{byte:02X}")?;
        }
    }
    Ok(())
}
