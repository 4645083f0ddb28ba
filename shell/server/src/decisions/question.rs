//! A question as it comes in (AuthZEN Authorization API 1.0 sections 5 to 8): bounded, of the right types, and with every
//! member that we do not know ignored, as the specification wants it. What is ignored decides nothing.

use crate::content_type;
use audit::event::canonical_json;
use axum::body::Body;
use broker::approve::content_of;
use broker::upstream::{BODY_DEPTH_MAX, Described, MEMBERS_MAX};
use credential::json::parse_within;
use credential::media_type;
use http::Request;
use identity::{ApprovalId, Audience, Digest, Name, TaskId};
use serde_json::{Map, Value};
use std::time::Duration;

/// Largest body in bytes: 64 questions with a token of 4 KiB each.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Longest time for it to arrive.
const BODY: Duration = Duration::from_secs(10);
/// Longest text in a question, in bytes: an id, a name, a type.
const TEXT_BYTES_MAX: usize = 2048;

/// Why something is not a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAQuestion {
    /// Another content type.
    #[error("the Content-Type is not application/json")]
    ContentType,
    /// Over 256 KiB.
    #[error("the body is longer than 262144 bytes: ask in several requests")]
    TooLarge,
    /// It broke off, or came too slowly.
    #[error("the body did not arrive")]
    Body,
    /// No JSON object, or one that can be read in two ways.
    #[error("the body is not a JSON object of at most 32 levels in which no member stands twice")]
    Json,
    /// A member is missing, of another type, or too long.
    #[error("the member {0} is missing, of another type, or too long")]
    Member(&'static str),
    /// The question could mean several services.
    #[error("several services have this action on this type: name one in context.audience")]
    Ambiguous,
    /// Too many evaluations.
    #[error("at most 64 evaluations are made of one request")]
    TooMany,
    /// A page of another search.
    #[error("the page token belongs to another search: start again without it")]
    Page,
}

impl NotAQuestion {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::ContentType => "CONTENT_TYPE",
            Self::TooLarge => "BODY_TOO_LARGE",
            Self::Body => "BODY_BROKEN",
            Self::Json => "BODY_MALFORMED",
            Self::Member(_) => "MEMBER_INVALID",
            Self::Ambiguous => "AUDIENCE_AMBIGUOUS",
            Self::TooMany => "TOO_MANY_EVALUATIONS",
            Self::Page => "PAGE_TOKEN_INVALID",
        }
    }
}

/// Members of an object.
pub(crate) type Members = Map<String, Value>;

/// Reads a body.
pub(crate) async fn read(request: Request<Body>) -> Result<Members, NotAQuestion> {
    let (head, body) = request.into_parts();
    if !content_type::is(&head.headers, media_type::JSON) {
        return Err(NotAQuestion::ContentType);
    }
    let bytes = tokio::time::timeout(BODY, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_too_long(&error) => return Err(NotAQuestion::TooLarge),
        Ok(Err(_)) | Err(_) => return Err(NotAQuestion::Body),
    };
    members(&bytes)
}

/// Reads a body in one pass. A member that stands twice is refused, at any depth: of two readers one takes the first and
/// one the last, and the service that asks may have looked at the other.
fn members(bytes: &[u8]) -> Result<Members, NotAQuestion> {
    match parse_within(bytes, BODY_DEPTH_MAX) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => Err(NotAQuestion::Json),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// A text member.
fn text<'m>(members: &'m Members, name: &str, whole: &'static str) -> Result<&'m str, NotAQuestion> {
    members
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX)
        .ok_or(NotAQuestion::Member(whole))
}

/// A member that is an object, if it is there.
pub(super) fn object<'m>(
    members: &'m Members,
    name: &str,
    whole: &'static str,
) -> Result<Option<&'m Members>, NotAQuestion> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) if object.len() <= MEMBERS_MAX => Ok(Some(object)),
        Some(_) => Err(NotAQuestion::Member(whole)),
    }
}

fn required<'m>(members: &'m Members, name: &str, whole: &'static str) -> Result<&'m Members, NotAQuestion> {
    object(members, name, whole)?.ok_or(NotAQuestion::Member(whole))
}

/// Who wants to do something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'q> {
    pub(super) kind: &'q str,
    /// `None` where subjects are searched for.
    pub(super) id: Option<&'q str>,
    pub(super) properties: Option<&'q Members>,
}

impl<'q> Subject<'q> {
    pub(super) fn of(members: &'q Members, searched: bool) -> Result<Self, NotAQuestion> {
        let subject = required(members, "subject", "subject")?;
        Ok(Self {
            kind: text(subject, "type", "subject.type")?,
            id: if searched {
                None
            } else {
                Some(text(subject, "id", "subject.id")?)
            },
            properties: object(subject, "properties", "subject.properties")?,
        })
    }
}

/// What it would be done to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'q> {
    pub(super) kind: &'q str,
    /// `None` where resources are searched for.
    pub(super) id: Option<&'q str>,
    pub(super) properties: Option<&'q Members>,
}

impl<'q> Resource<'q> {
    pub(super) fn of(members: &'q Members, searched: bool) -> Result<Self, NotAQuestion> {
        let resource = required(members, "resource", "resource")?;
        Ok(Self {
            kind: text(resource, "type", "resource.type")?,
            id: if searched {
                None
            } else {
                Some(text(resource, "id", "resource.id")?)
            },
            properties: object(resource, "properties", "resource.properties")?,
        })
    }
}

/// What would be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'q> {
    pub(super) name: &'q str,
    pub(super) properties: Option<&'q Members>,
}

impl<'q> Action<'q> {
    pub(super) fn of(members: &'q Members) -> Result<Self, NotAQuestion> {
        let action = required(members, "action", "action")?;
        Ok(Self {
            name: text(action, "name", "action.name")?,
            properties: object(action, "properties", "action.properties")?,
        })
    }
}

/// What else was said. Only where it is, which task, and what the service can do about an answer: nothing of it is a fact
/// that a decision looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    /// The agent's task, where no token says it.
    pub(super) task: Option<TaskId>,
    /// The service, where the same action on the same type is several services'.
    pub(super) audience: Option<Audience>,
    /// Kinds of obligations that the service carries out (Obligations Profile, negotiation).
    pub(super) obligations: Vec<String>,
    /// The approval that it is asked again with (Access Request and Approval Profile, re-evaluation).
    pub(super) approval: Option<ApprovalId>,
}

/// What stands for an id that is none: no approval has it.
const NO_APPROVAL: ApprovalId = ApprovalId::from_u128(0);

/// The approval that a context names. One that no approval can have is one that there is not.
fn approval(context: &Members) -> Result<Option<ApprovalId>, NotAQuestion> {
    let named = object(context, "approval", "context.approval")?;
    named
        .map(|approval| {
            let id = text(approval, "id", "context.approval.id")?;
            Ok(id.parse().unwrap_or(NO_APPROVAL))
        })
        .transpose()
}

impl Context {
    pub(super) fn of(members: &Members) -> Result<Self, NotAQuestion> {
        let Some(context) = object(members, "context", "context")? else {
            return Ok(Self::default());
        };
        let parsed = |name: &str| context.get(name).map(|value| value.as_str().unwrap_or_default());
        let obligations = context.get("supported_obligations").and_then(Value::as_array);
        let wrong = |_| NotAQuestion::Member("context.task");
        Ok(Self {
            task: parsed("task").map(str::parse).transpose().map_err(wrong)?,
            audience: parsed("audience")
                .map(str::parse)
                .transpose()
                .map_err(|_| NotAQuestion::Member("context.audience"))?,
            obligations: obligations
                .into_iter()
                .flatten()
                .filter_map(|kind| kind.as_str().map(str::to_owned))
                .take(MEMBERS_MAX)
                .collect(),
            approval: approval(context)?,
        })
    }
}

/// What a search looks for, of which a question then says only the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Searched {
    Subject,
    Resource,
}

/// One whole question.
#[derive(Debug, Clone)]
pub(super) struct Question<'q> {
    pub(super) subject: Subject<'q>,
    pub(super) action: Action<'q>,
    pub(super) resource: Resource<'q>,
    pub(super) context: Context,
    /// All of it, as it came.
    pub(super) asked: &'q Members,
}

impl<'q> Question<'q> {
    pub(super) fn of(members: &'q Members) -> Result<Self, NotAQuestion> {
        Self::but(members, None)
    }

    /// One that leaves open which, because that is searched for.
    pub(super) fn searching(members: &'q Members, searched: Searched) -> Result<Self, NotAQuestion> {
        Self::but(members, Some(searched))
    }

    fn but(members: &'q Members, searched: Option<Searched>) -> Result<Self, NotAQuestion> {
        Ok(Self {
            subject: Subject::of(members, searched == Some(Searched::Subject))?,
            action: Action::of(members)?,
            resource: Resource::of(members, searched == Some(Searched::Resource))?,
            context: Context::of(members)?,
            asked: members,
        })
    }

    /// Digest of what is asked: subject, action and resource as they stand there, member by member; see [`content`].
    pub(super) fn content(&self) -> Option<Digest> {
        content(self.asked)
    }

    /// The action and the type of the thing; `None` where no route can be that.
    pub(super) fn names(&self) -> Option<(Name, Name)> {
        Some((self.action.name.parse().ok()?, self.resource.kind.parse().ok()?))
    }

    /// In the words of routes.
    pub(super) fn described<'d>(&'d self, names: &'d (Name, Name)) -> Described<'d> {
        Described {
            action: &names.0,
            resource_type: &names.1,
            resource_id: self.resource.id.unwrap_or_default(),
            said: [self.action.properties, self.resource.properties],
        }
    }
}

/// What an agent shows anew each time: it says who asks, and nothing about what for.
const SHOWN_ANEW: [&str; 2] = ["token", "dpop"];

/// Digest of subject, action and resource as they were sent, all their members included, so that what is approved is what
/// is asked again (Access Request and Approval Profile, exact-match baseline). Left out is what is [`SHOWN_ANEW`]. `None`
/// where there is no canonical form: a fraction, say.
pub(crate) fn content(asked: &Members) -> Option<Digest> {
    let mut subject = asked.get("subject")?.clone();
    if let Some(subject) = subject.as_object_mut()
        && let Some(properties) = subject.get_mut("properties").and_then(Value::as_object_mut)
    {
        for name in SHOWN_ANEW {
            properties.remove(name);
        }
        if properties.is_empty() {
            subject.remove("properties");
        }
    }
    let (action, resource) = (asked.get("action")?, asked.get("resource")?);
    let whole = serde_json::json!({"subject": subject, "action": action, "resource": resource});
    let bytes = canonical_json(&whole).ok()?;
    Some(content_of("AUTHZEN", "/access/v1/evaluation", &[], &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_would_read_differently_is_no_question() {
        let resource = |more: &str| format!(r#"{{"resource":{{"type":"record","id":"1"{more}}}}}"#);
        assert!(members(resource("").as_bytes()).is_ok());
        for twice in [
            resource(r#","id":"2""#),
            resource(r#","\u0069d":"2""#),
            resource(r#","properties":{"amount":1,"amount":1}"#),
            r#"{"subject":{},"subject":{}}"#.to_owned(),
            r#"{"evaluations":[{"action":{"name":"a","name":"b"}}]}"#.to_owned(),
        ] {
            assert_eq!(members(twice.as_bytes()), Err(NotAQuestion::Json), "{twice}");
        }
        for other in ["", "[]", "null", "1", "{} {}", "{", "\u{feff}{}"] {
            assert_eq!(members(other.as_bytes()), Err(NotAQuestion::Json), "{other}");
        }
        let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(members(nested(BODY_DEPTH_MAX - 1).as_bytes()).is_ok());
        assert_eq!(
            members(nested(BODY_DEPTH_MAX).as_bytes()),
            Err(NotAQuestion::Json)
        );
    }
}
