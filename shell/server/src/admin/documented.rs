//! What the OpenAPI document says of requests, held to the types that read them: every member, which of them may be left
//! out, and that nothing else is taken. The answers are held by the tests that see answers (`tests/it/documented.rs`).

use super::*;
use crate::human::{passkeys, terminal};
use crate::services::renew;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Reads a body as the endpoint does; the error names the members that it knows.
type Reader = fn(Value) -> Result<(), String>;

fn reads<T: DeserializeOwned>(body: Value) -> Result<(), String> {
    serde_json::from_value::<T>(body)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Each operation with a body, and what reads it.
const BODIES: &[(&str, Reader)] = &[
    ("agents_apply", reads::<body::Document>),
    ("agents_set_state", reads::<agents::Turn>),
    ("approvals_vote", reads::<approvals::Said>),
    ("contracts_apply", reads::<contracts::Candidate>),
    ("contracts_check", reads::<body::Document>),
    ("contracts_compare", reads::<contracts::Candidate>),
    ("directories_set", reads::<directories::Wanted>),
    ("exceptions_open", reads::<exceptions::Wanted>),
    ("foresee_can", reads::<foresee::Wanted>),
    ("foresee_show_who_can", reads::<foresee::Whom>),
    ("groups_set", reads::<groups::Wanted>),
    ("join_tokens_create", reads::<join_tokens::Wanted>),
    ("members_remove", reads::<members::Wanted>),
    ("orgs_add", reads::<orgs::Wanted>),
    ("principals_add", reads::<principals::Wanted>),
    ("principals_link", reads::<principals::AccountWire>),
    ("principals_unlink", reads::<principals::AccountWire>),
    ("proposals_publish", reads::<proposals::Looked>),
    ("registrations_add", reads::<registrations::Wanted>),
    ("revocations_revoke", reads::<revocations::Wanted>),
    ("passkeys_add", reads::<passkeys::Made>),
    ("passkeys_begin_enrolment", reads::<passkeys::Nothing>),
    ("passkeys_begin_invited", reads::<passkeys::Code>),
    ("passkeys_begin_login", reads::<passkeys::Nothing>),
    ("passkeys_begin_verify", reads::<passkeys::Nothing>),
    ("passkeys_enrol_invited", reads::<passkeys::Made>),
    ("passkeys_log_in", reads::<passkeys::Shown>),
    ("passkeys_verify", reads::<passkeys::Shown>),
    ("services_renew", reads::<renew::Next>),
    ("services_svid", reads::<services::Requested>),
    ("simulate_simulate", reads::<simulate::Candidate>),
    ("tasks_declassify", reads::<tasks::Because>),
    ("tasks_open", reads::<tasks::Wanted>),
    ("terminal_logins_begin", reads::<terminal::Nothing>),
    ("terminal_logins_poll", reads::<terminal::Ticket>),
    ("trust_sources_add", reads::<trust_sources::Wanted>),
    ("trust_sources_remove", reads::<trust_sources::Named>),
    ("upstreams_apply", reads::<upstreams::Declaration>),
    ("users_remove", reads::<users::Named>),
    ("users_require_consent", reads::<users::Consent>),
    ("users_set", reads::<users::Wanted>),
    ("webhooks_add", reads::<webhooks::Wanted>),
];

/// Each operation with a query, and what reads that.
const QUERIES: &[(&str, Reader)] = &[
    ("entries_list", reads::<entries::Wanted>),
    ("simulate_tightened", reads::<simulate::Window>),
];

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Every operation by its id.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap().values();
    let each = paths.flat_map(|path| path.as_object().unwrap().values());
    each.map(|operation| (operation["operationId"].as_str().unwrap(), operation))
        .collect()
}

/// The schema of an operation's body, references followed.
fn body_of<'d>(document: &'d Value, operation: &'d Value) -> Option<&'d Value> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema")?;
    schema["$ref"]
        .as_str()
        .and_then(|reference| document.pointer(reference.trim_start_matches('#')))
}

/// The members that a type knows, as its refusal of another one lists them.
fn members(read: Reader) -> BTreeSet<String> {
    let refusal = read(serde_json::json!({"?": null})).unwrap_err();
    // Where there are none, it lists none.
    let listed = refusal.split_once("expected ").map_or("", |(_, listed)| listed);
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names(values: &Value) -> BTreeSet<String> {
    let names = values.as_array().into_iter().flatten();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// That `read` knows just `known`, and can do without all of them but `required`.
fn held(
    what: &str,
    read: Reader,
    example: &Map<String, Value>,
    known: &BTreeSet<String>,
    required: &BTreeSet<String>,
) {
    assert_eq!(&members(read), known, "{what}");
    assert_eq!(read(example.clone().into()), Ok(()), "{what}");
    let only_required = example.iter().filter(|(name, _)| required.contains(*name));
    let smallest: Map<String, Value> = only_required
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    assert_eq!(
        smallest.len(),
        required.len(),
        "the example of {what} has every required member"
    );
    assert_eq!(
        read(smallest.clone().into()),
        Ok(()),
        "{what} without what is optional"
    );
    for name in required {
        let mut without = smallest.clone();
        without.remove(name);
        assert!(read(without.into()).is_err(), "{what} without {name}");
    }
}

#[test]
fn every_body_is_read_as_the_document_says() {
    let document = document();
    let with_body: BTreeSet<&str> = operations(&document)
        .into_iter()
        .filter(|(_, operation)| operation.get("requestBody").is_some())
        .map(|(id, _)| id)
        .collect();
    assert_eq!(with_body, BODIES.iter().map(|(id, _)| *id).collect());
    for (id, operation) in operations(&document) {
        let Some(schema) = body_of(&document, operation) else {
            continue;
        };
        let (_, read) = BODIES.iter().find(|(known, _)| *known == id).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{id}");
        let known = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for example in schema["examples"].as_array().unwrap() {
            held(
                id,
                *read,
                example.as_object().unwrap(),
                &known,
                &names(&schema["required"]),
            );
        }
    }
}

#[test]
fn every_query_is_read_as_the_document_says() {
    let document = document();
    for (id, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let asked: Vec<&Value> = parameters
            .filter(|parameter| parameter["in"] == "query")
            .collect();
        let Some((_, read)) = QUERIES.iter().find(|(known, _)| *known == id) else {
            assert!(asked.is_empty(), "{id}");
            continue;
        };
        let name = |parameter: &&Value| parameter["name"].as_str().unwrap().to_owned();
        let required = asked.iter().filter(|it| it["required"] == true);
        let example = required
            .clone()
            .map(|it| (name(it), it["example"].clone()))
            .collect();
        let known = asked.iter().map(name).collect();
        held(id, *read, &example, &known, &required.map(name).collect());
    }
}

/// What a schema inside a body leaves out or adds is found as well: the parts that more than one body has.
#[test]
fn a_right_of_a_user_is_read_as_the_document_says() {
    let document = document();
    let schema = &document["components"]["schemas"]["UserRightWanted"];
    let known = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let example = schema["examples"][0].as_object().unwrap();
    held(
        "a right",
        reads::<users::Right>,
        example,
        &known,
        &names(&schema["required"]),
    );
}
