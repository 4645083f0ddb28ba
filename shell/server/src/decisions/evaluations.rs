//! `POST /access/v1/evaluations`: several decisions in one request (AuthZEN Authorization API 1.0 section 7).
//!
//! Each is a decision of its own, made, counted and recorded once, in the order of the request; what is at the top
//! completes them and is not one more. Where the first yes or no ends it, the rest is neither made nor counted.

use super::answer::Decided;
use super::caller::Pep;
use super::decide::decide;
use super::failed::Failed;
use super::question::{Members, NotAQuestion, Question, object, read};
use crate::installation::Installation;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Most decisions of one request: each waits for its entry to be durable.
const EVALUATIONS_MAX: usize = 64;
/// What an evaluation inherits as a whole from the top.
const DEFAULTS: [&str; 4] = ["subject", "action", "resource", "context"];

/// When to stop (section 7.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn of(members: &Members) -> Result<Self, NotAQuestion> {
        let wrong = NotAQuestion::Member("options.evaluations_semantic");
        let options = object(members, "options", "options")?;
        match options.and_then(|options| options.get("evaluations_semantic")) {
            None => Ok(Self::ExecuteAll),
            Some(Value::String(text)) => match text.as_str() {
                "execute_all" => Ok(Self::ExecuteAll),
                "deny_on_first_deny" => Ok(Self::DenyOnFirstDeny),
                "permit_on_first_permit" => Ok(Self::PermitOnFirstPermit),
                _ => Err(wrong),
            },
            Some(_) => Err(wrong),
        }
    }

    const fn ends_at(self, decision: bool) -> bool {
        matches!(
            (self, decision),
            (Self::DenyOnFirstDeny, false) | (Self::PermitOnFirstPermit, true)
        )
    }
}

#[derive(Debug, Serialize)]
struct Answers {
    evaluations: Vec<Decided>,
}

/// Answers.
pub(super) async fn answer(
    State(installation): State<Arc<Installation>>,
    Pep(service): Pep,
    request: Request<Body>,
) -> Result<Response, Failed> {
    let _place = installation.decisions.try_acquire().map_err(|_| Failed::Busy)?;
    let members = read(request).await?;
    let items = match members.get("evaluations") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(items)) => items,
        Some(_) => return Err(NotAQuestion::Member("evaluations").into()),
    };
    if items.is_empty() {
        let question = Question::of(&members)?;
        let decided = decide(&installation, &service, &question).await?;
        return Ok(Json(decided).into_response());
    }
    if items.len() > EVALUATIONS_MAX {
        return Err(NotAQuestion::TooMany.into());
    }
    let semantic = Semantic::of(&members)?;
    let mut evaluations = Vec::with_capacity(items.len());
    for item in items {
        let whole = completed(&members, item);
        let decided = match Question::of(&whole) {
            Ok(question) => match decide(&installation, &service, &question).await {
                // What is wrong with one says nothing of the others.
                Err(Failed::Question(why)) => Decided::not_a_question(why),
                decided => decided?,
            },
            Err(why) => Decided::not_a_question(why),
        };
        let ends = semantic.ends_at(decided.decision);
        evaluations.push(decided);
        if ends {
            break;
        }
    }
    Ok(Json(Answers { evaluations }).into_response())
}

/// An evaluation with what it leaves out taken from the top, each member as a whole.
fn completed(top: &Members, item: &Value) -> Members {
    let mut whole = item.as_object().cloned().unwrap_or_default();
    if !item.is_object() {
        return whole;
    }
    for name in DEFAULTS {
        if let (false, Some(value)) = (whole.contains_key(name), top.get(name)) {
            whole.insert(name.to_owned(), value.clone());
        }
    }
    whole
}
