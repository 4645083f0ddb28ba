//! The request and the answer as bytes: section 7 of the AuthZEN Authorization API 1.0 (access evaluations).

use super::{Asking, NoAnswer};
use credential::json::{Object, from_object};
use serde::Deserialize;
use serde_json::json;

/// Every question as one batch. Nothing in it comes from the agent: names are those of contracts, the task's and the
/// registry's.
pub(super) fn request(asking: &Asking) -> Vec<u8> {
    let evaluations: Vec<_> = asking
        .questions
        .iter()
        .map(|(question, agent)| {
            let mut resource = json!({"type": "service", "id": question.service.as_str()});
            if let (Some(tenant), Some(members)) = (&question.tenant, resource.as_object_mut()) {
                members.insert("properties".into(), json!({"tenant": tenant.as_str()}));
            }
            json!({
                "action": {"name": question.action.as_str()},
                "resource": resource,
                "context": {
                    "agent": agent.as_str(),
                    "purpose": asking.purpose.as_str(),
                    "task_type": asking.task_type.as_str(),
                },
            })
        })
        .collect();
    json!({
        "subject": {"type": "user", "id": asking.subject, "properties": {"issuer": asking.issuer}},
        "options": {"evaluations_semantic": "execute_all"},
        "evaluations": evaluations,
    })
    .to_string()
    .into_bytes()
}

/// One member counts, and it is a boolean: a text that reads `true` is none. A member that is there twice could be read in
/// two ways, and is an error of the reader.
#[derive(Deserialize)]
struct Decided {
    decision: bool,
}

#[derive(Deserialize)]
struct Batch {
    evaluations: Vec<Object<Decided>>,
}

/// The decisions, in the order of the questions.
pub(super) fn decisions(body: &[u8]) -> Result<Vec<bool>, NoAnswer> {
    let batch: Batch = from_object(body).map_err(|_| NoAnswer::Malformed)?;
    let decided = batch.evaluations.into_iter();
    Ok(decided.map(|Object(it)| it.decision).collect())
}

/// For how many seconds an answer may be used again, if it says so at all (RFC 9111 section 5.2.2). Directives that forbid
/// it win, and what cannot be read says nothing.
pub(super) fn max_age(header: &str) -> Option<u64> {
    let mut said = None;
    for directive in header.split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        let (name, value) = directive.split_once('=').unwrap_or((&directive, ""));
        match name.trim_end() {
            "no-store" | "no-cache" => return None,
            "max-age" => {
                let digits = value.trim().trim_matches('"');
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                // Said twice is said in two ways: the shorter one.
                let secs: u64 = digits.parse().ok().filter(|_| plain)?;
                said = Some(said.map_or(secs, |before: u64| before.min(secs)));
            }
            _ => {}
        }
    }
    said.filter(|secs| *secs > 0)
}
