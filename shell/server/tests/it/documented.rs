//! Holds every answer of the admin API that a test sees to the OpenAPI document: the status, the type of the content, and
//! each member, none too few and none that is not written down.
//!
//! Knows the words of JSON Schema that the document uses, and panics at any other: a word that nobody looks at would
//! be a promise that nobody keeps.

use http::Method;
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../src/admin/openapi.json")).unwrap());

/// What says nothing that an answer could break, or is looked at by the clients that read the document itself.
const PASSED_OVER: [&str; 9] = [
    "description",
    "examples",
    "pattern",
    "propertyNames",
    "minLength",
    "maxLength",
    "minItems",
    "minProperties",
    "maxProperties",
];

/// Panics unless the document says that `path` may answer so. Paths that it does not have are other surfaces'.
pub(crate) fn hold(method: &Method, path: &str, status: u16, content_type: &str, body: &[u8]) {
    if let Some(operation) = operation(method, path)
        && operation.get("servers").is_none()
    {
        judge(operation, method, path, status, content_type, body);
    }
}

/// The same of the server's own listener, where its part of the document is served.
pub(crate) fn hold_at_issuer(method: &Method, path: &str, status: u16, content_type: &str, body: &[u8]) {
    if let Some(operation) = operation(method, path) {
        judge(operation, method, path, status, content_type, body);
    }
}

fn judge(
    operation: &'static Value,
    method: &Method,
    path: &str,
    status: u16,
    content_type: &str,
    body: &[u8],
) {
    let responses = &operation["responses"];
    let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    let response = resolved(response);
    let Some(content) = response["content"].as_object() else {
        assert!(body.is_empty(), "{method} {path}: {status} says something");
        return;
    };
    let (content, schema) = content.iter().next().unwrap();
    // Before an operation is reached, others refuse it: they say so in the same form.
    assert_eq!(content_type, content, "{method} {path}: {status}");
    if content.ends_with("json")
        && let Some(schema) = schema.get("schema")
    {
        let value: Value = serde_json::from_slice(body).unwrap();
        if let Err(why) = fits(schema, &value, "") {
            panic!("{method} {path}: {status}: {why}\n{value:#}");
        }
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // What is written out goes before what a parameter stands for.
    let found = paths.get(path).or_else(|| {
        let fitting = paths
            .iter()
            .find(|(template, _)| matches_template(template, path));
        fitting.map(|(_, operations)| operations)
    })?;
    found.get(method.as_str().to_lowercase())
}

fn matches_template(template: &str, path: &str) -> bool {
    if let Some(start) = template.strip_suffix("{path}") {
        return path.starts_with(start);
    }
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted.starts_with('{') || wanted == found => {}
            _ => return false,
        }
    }
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Whether a value is as its schema says; else where it is not.
fn fits(schema: &'static Value, value: &Value, at: &str) -> Result<(), String> {
    let said = schema.as_object().unwrap();
    for (word, says) in said {
        match word.as_str() {
            "$ref" => fits(resolved(schema), value, at)?,
            "anyOf" => {
                let mut each = says.as_array().unwrap().iter();
                if !each.any(|one| fits(one, value, at).is_ok()) {
                    return Err(format!("{at} is none of {says}"));
                }
            }
            "type" => is_of_type(says, value)
                .then_some(())
                .ok_or(format!("{at} is no {says}"))?,
            "enum" if !says.as_array().unwrap().contains(value) => {
                return Err(format!("{at} is none of {says}"));
            }
            "minimum" if value.as_f64().is_some_and(|it| it < says.as_f64().unwrap()) => {
                return Err(format!("{at} is below {says}"));
            }
            "maximum" if value.as_f64().is_some_and(|it| it > says.as_f64().unwrap()) => {
                return Err(format!("{at} is above {says}"));
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(says, item, &format!("{at}/{place}"))?;
                }
            }
            "properties" | "required" | "additionalProperties" | "enum" | "minimum" | "maximum" => {}
            word => assert!(PASSED_OVER.contains(&word), "nobody looks at {word}"),
        }
    }
    let Some(members) = value.as_object() else {
        return Ok(());
    };
    for name in said
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if !members.contains_key(name.as_str().unwrap()) {
            return Err(format!("{at} lacks {name}"));
        }
    }
    for (name, member) in members {
        let at = format!("{at}/{name}");
        let own = said.get("properties").and_then(|all| all.get(name));
        match (own, said.get("additionalProperties")) {
            (Some(schema), _) => fits(schema, member, &at)?,
            (None, Some(schema)) if schema.is_object() => fits(schema, member, &at)?,
            // Without a word about members any are right; with one, those that it names.
            (None, _) if !said.contains_key("properties") => {}
            (None, _) => return Err(format!("{at} is not in the document")),
        }
    }
    Ok(())
}

fn is_of_type(says: &Value, value: &Value) -> bool {
    let is = |word: &Value| match word.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    };
    says.as_array().map_or_else(|| is(says), |all| all.iter().any(is))
}

#[test]
fn what_the_document_does_not_say_is_found() {
    let applied = |body: &str| {
        let body = body.as_bytes().to_vec();
        let content = "application/json";
        std::panic::catch_unwind(move || hold(&Method::POST, "/v1/groups", 200, content, &body)).is_ok()
    };
    assert!(applied(
        r#"{"name": "a", "id": null, "revision": 1, "entry": "0:1"}"#
    ));
    assert!(!applied(r#"{"name": "a", "id": null, "revision": 1}"#));
    assert!(!applied(
        r#"{"name": "a", "id": null, "revision": -1, "entry": "0:1"}"#
    ));
    assert!(!applied(
        r#"{"name": "a", "id": 7, "revision": 1, "entry": "0:1"}"#
    ));
    assert!(!applied(
        r#"{"name": "a", "id": null, "revision": 1, "entry": "0:1", "more": 1}"#
    ));
}
