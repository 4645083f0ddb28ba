//! Approvals at the gateway: ask humans about what was refused, and use up a yes before its request leaves.
//!
//! An agent needs to do nothing special: it sends the same request again, and it finds the approval of exactly that. It
//! may name one (`Tabard-Approval`), and say why it asks (`Tabard-Justification`): that text is shown to humans as its
//! own and decides nothing.

use crate::call::{Body, Known, refused_by};
use crate::fields;
use crate::inject::header_of;
use crate::parts::{ApprovalError, WaitingApproval};
use crate::problem::{ApprovalView, Problem};
use broker::approve::{Approved, Ask, Besides, Bound, SAID_CHARS_MAX, content_of};
use broker::upstream::Upstream;
use broker::world::approval::State;
use broker::{Plan, Refusal};
use credential::AccessTokenClaims;
use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use identity::{ApprovalId, Digest, OrgScope};
use policy::Reason;

const APPROVAL: HeaderName = HeaderName::from_static("tabard-approval");
const JUSTIFICATION: HeaderName = HeaderName::from_static("tabard-justification");

/// Fields that may differ when a request is sent again: they say who asks, how it is traced and what answer is liked, and
/// nothing about what is done.
const VARYING: [&str; 10] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "baggage",
    "date",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// What a request says about approvals.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// The approval that it names.
    pub(crate) id: Option<ApprovalId>,
    said: Option<String>,
}

impl Wish {
    /// Reads the fields. A token that was issued for an approval names it, whatever the request says.
    pub(crate) fn of(token: &AccessTokenClaims, headers: &HeaderMap) -> Result<Self, Problem> {
        let of_token = token.details.iter().find_map(|detail| detail.approval);
        let of_request = single(headers, &APPROVAL)?
            .map(str::parse::<ApprovalId>)
            .transpose()
            .map_err(|_| malformed(&APPROVAL))?;
        if let (Some(token), Some(request)) = (of_token, of_request)
            && token != request
        {
            return Err(malformed(&APPROVAL));
        }
        let said = single(headers, &JUSTIFICATION)?;
        if said.is_some_and(|said| said.chars().count() > SAID_CHARS_MAX) {
            return Err(malformed(&JUSTIFICATION));
        }
        Ok(Self {
            id: of_token.or(of_request),
            said: said.map(str::to_owned),
        })
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| malformed(name)),
        (Some(_), Some(_)) => Err(malformed(name)),
    }
}

fn malformed(name: &HeaderName) -> Problem {
    let fix = if *name == APPROVAL {
        "send the id that a refusal answered with, or none"
    } else {
        "send at most 500 characters of ASCII, or none"
    };
    Problem::bad_request(
        "APPROVAL_FIELD",
        "A header field about approvals is malformed.",
        "each stands once, in one form",
        fix,
    )
}

/// A request as it was sent.
pub(crate) struct Sent<'h> {
    pub(crate) headers: &'h HeaderMap,
    pub(crate) body: Body,
    /// Digest of its bytes, where they were read before the decision.
    pub(crate) content: Option<Digest>,
}

/// The header fields of the agent that go along.
fn sent_fields(upstream: &Upstream, headers: &HeaderMap) -> HeaderMap {
    let credential = header_of(&upstream.credential);
    let tenant: Option<HeaderName> = upstream.tenant_header.as_ref().and_then(|name| name.parse().ok());
    let ours: Vec<&HeaderName> = credential.iter().chain(&tenant).collect();
    fields::for_upstream(headers.clone(), &ours)
}

/// The fields that are bound, in a fixed order: all but [`VARYING`].
fn bound_fields(sent: &HeaderMap) -> Vec<(&str, &[u8])> {
    let mut fields: Vec<(&str, &[u8])> = sent
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !VARYING.contains(name))
        .collect();
    // Stable: values of one name keep their order.
    fields.sort_by_key(|(name, _)| *name);
    fields
}

impl Known {
    /// Digest of the request as it will be sent: everything that the upstream gets from the agent, but for [`VARYING`].
    pub(crate) fn content(&self, upstream: &Upstream, headers: &HeaderMap, body: &Body) -> Digest {
        let sent = sent_fields(upstream, headers);
        let target = self.address.path_and_query.as_str();
        content_of(self.method.as_str(), target, &bound_fields(&sent), body.bytes())
    }

    /// What of it the service's definition does not name.
    fn besides(&self, upstream: &Upstream, bound: &Bound, headers: &HeaderMap, body: &Body) -> Besides {
        let sent = sent_fields(upstream, headers);
        let fields = bound_fields(&sent);
        Besides::of(
            upstream,
            self.method.as_str(),
            &bound.action,
            &fields,
            body.bytes(),
        )
    }

    /// Records the refusal of a request that humans can let pass, asks them, and answers with what waits.
    pub(crate) async fn asks(
        &self,
        plan: Plan<Refusal>,
        mut bound: Bound,
        sent: Sent<'_>,
        upstream: &Upstream,
        wish: Wish,
    ) -> Problem {
        let (needs, reasons) = {
            let refusal = plan.proof();
            (refusal.needs().to_vec(), refusal.codes())
        };
        let mut problem = self.recorded_refusal(plan).await;
        let Some(refusal) = problem.decision else {
            return problem;
        };
        let body = match sent.body.whole(&self.inner).await {
            Ok(body) => body,
            Err(unread) => return unread.with_decision(refusal),
        };
        bound.content = match sent.content {
            Some(content) => content,
            None => self.content(upstream, sent.headers, &body),
        };
        if let Some(waiting) = self.waiting(&bound) {
            problem.waits(&self.inner.settings.issuer, &waiting);
            return problem;
        }
        let besides = self.besides(upstream, &bound, sent.headers, &body);
        let ask = Ask {
            bound,
            needs,
            refusal,
            reasons,
            said: wish.said,
            besides,
        };
        match self.inner.approvals.ask(ask).await {
            Ok(waiting) => problem.waits(&self.inner.settings.issuer, &waiting),
            Err(ApprovalError::Refused { code, message }) => {
                tracing::info!(code, message, "humans were not asked");
                "it takes a human's approval, and nobody was asked".clone_into(&mut problem.why);
                "ask the agent's owner; `tabard explain` with the decision's id tells them why"
                    .clone_into(&mut problem.fix);
            }
            Err(ApprovalError::Unavailable) => {
                "it takes a human's approval, and nobody can be asked at the moment"
                    .clone_into(&mut problem.why);
                "send the request again in a moment".clone_into(&mut problem.fix);
                problem.retry_after_secs = Some(1);
            }
        }
        problem
    }

    /// Uses an approval up. Whatever goes wrong here, the request stays here.
    pub(crate) async fn spend(&self, upstream: &Upstream, approved: &Approved) -> Result<(), Problem> {
        let spent = self.inner.approvals.spend(approved.id(), approved.digest()).await;
        let reason = match spent {
            Ok(()) => return Ok(()),
            Err(ApprovalError::Refused { code, .. }) => Reason::ALL
                .iter()
                .copied()
                .find(|reason| reason.code() == code)
                .unwrap_or(Reason::ApprovalOutOfScope),
            Err(ApprovalError::Unavailable) => Reason::StateUnavailable,
        };
        let status = if reason == Reason::StateUnavailable {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::FORBIDDEN
        };
        Err(self
            .blocked(Some(upstream), reason, refused_by(reason, status))
            .await)
    }

    /// What waits for exactly this request already: nobody is asked twice.
    fn waiting(&self, bound: &Bound) -> Option<WaitingApproval> {
        let now = (self.inner.clock)();
        let (_, digest) = bound.text()?;
        let scope = OrgScope::Only(self.token.org);
        let known = self.view.world.approval_of(scope, bound.task, &digest)?;
        (known.state(now) == State::Pending).then(|| WaitingApproval {
            id: known.id,
            state: State::Pending,
            until: known.good_until(),
            page: known.page(),
        })
    }
}

impl Problem {
    fn waits(&mut self, issuer: &str, waiting: &WaitingApproval) {
        match waiting.state {
            State::Pending | State::Approved => {
                "a human has to approve exactly this request".clone_into(&mut self.why);
                "have it approved, then send the same request again: it passes once"
                    .clone_into(&mut self.fix);
            }
            State::Denied | State::Expired | State::Used | State::Withdrawn => {
                "a human was asked, and it is over".clone_into(&mut self.why);
                "nothing: do something else".clone_into(&mut self.fix);
            }
        }
        let issuer = issuer.trim_end_matches('/');
        self.approval = Some(Box::new(ApprovalView {
            id: waiting.id,
            state: waiting.state,
            expires_at: waiting.until.rfc3339(),
            state_url: format!("{issuer}/access/v1/requests/{}", waiting.id),
            page: waiting.page.clone(),
        }));
    }
}
