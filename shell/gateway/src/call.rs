//! One request, top to bottom: authenticate, find, decide, record, inject, forward.
//!
//! Nothing leaves before its decision is durable: [`Injectors::inject`](crate::inject) takes nothing but a recorded
//! permit. Each refusal from the moment the caller is known is an entry of its own.

use crate::address::{Address, Whom, undeclared};
use crate::answer::{AnswerBody, Passing};
use crate::approval::{Sent, Wish};
use crate::authenticate::{Authenticated, DPOP_NONCE, Presented, invalid_token};
use crate::destination::Destination;
use crate::fields::{self, Fields};
use crate::gateway::Inner;
use crate::home_finder::{HomeFinder, NotHere};
use crate::inject::{Injected, OnBehalf, header_of};
use crate::judge::{Decided, NotJudged, Received, Sought};
use crate::live::{Cut, Place};
use crate::outcome::Ending;
use crate::outgoing::OutgoingBody;
use crate::problem::{Challenge, Problem};
use crate::view::View;
use broker::chain::LinkInForce;
use broker::enforce::{Blocked, Live, Standing, alive};
use broker::home::{Counted, Whose};
use broker::service::Service;
use broker::upstream::delivery;
use broker::upstream::{BODY_BYTES_MAX, BodyError, Found, Mapped, NotMapped, TargetError, Upstream};
use broker::{CallPermit, Fresh, Outcome, Refusal};
use bytes::Bytes;
use credential::dpop::Caller;
use credential::{AccessTokenClaims, MediaType};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use identity::{DecisionId, OrgScope, Thumbprint};
use policy::Reason;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Recorded;
use store::ledger::Reservation;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

/// What the connection of a request proved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// SHA-256 of the client certificate.
    pub(crate) certificate: Option<Thumbprint>,
}

/// Answers one request.
pub(crate) async fn call(inner: Arc<Inner>, peer: Peer, request: Request<Incoming>) -> Response<AnswerBody> {
    // A request whose length two readers could see differently is the last one of its connection.
    let is_last = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = match Box::pin(judged(&inner, peer, request)).await {
        Ok(response) => response,
        Err(problem) => {
            inner.metrics.refused(problem.code);
            tracing::debug!(code = problem.code, decision = ?problem.decision, "refused");
            problem.into_response()
        }
    };
    if let Some(nonces) = &inner.settings.nonces
        && let Ok(nonce) = HeaderValue::from_str(&nonces.make((inner.clock)()))
    {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    if is_last {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A request whose caller is known, on one view of the World.
pub(crate) struct Known {
    pub(crate) inner: Arc<Inner>,
    pub(crate) view: Arc<View>,
    pub(crate) token: Arc<AccessTokenClaims>,
    pub(crate) method: Method,
    pub(crate) address: Address,
    /// The service that enforces what is decided; `None` where we do.
    pub(crate) service: Option<Service>,
}

async fn judged(
    inner: &Arc<Inner>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    if inner.is_closed() {
        return Err(feed_lost());
    }
    let slot = slot(inner)?;
    let (head, incoming) = request.into_parts();
    let (address, authenticated) = identified(inner, peer, &head).inspect_err(|problem| {
        // Until here nobody knows who it is: counted, or anybody could fill the journal.
        inner.unidentified.count(peer.address, problem.code);
    })?;
    let Authenticated { token, fresh, caller } = authenticated;
    let view = inner.view_at(token.revision).await?;
    let mut known = Known {
        inner: inner.clone(),
        view,
        token,
        method: head.method.clone(),
        address,
        service: None,
    };
    let destination = known.destination().await?;
    let upstream = &destination.upstream;
    // In flight from before it is judged: a revocation from here on is noticed before anything leaves.
    let place = inner.calls.enter(known.token.clone());
    let live = match alive(&known.view.world, &known.token, (inner.clock)()) {
        Ok(live) => live,
        Err(reason) => return Err(known.blocked(Some(upstream), reason, invalid_token()).await),
    };
    let is_delivery = upstream.audience.as_str() == delivery::AUDIENCE;
    let (mapped, body) = match known.mapped(&destination, &head.headers, incoming).await {
        Ok((mapped, body)) if is_delivery => match delivery::addressed(mapped) {
            Some(mapped) => (mapped, body),
            None => return Err(known.unmapped(upstream, &NotMapped::NoRoute).await),
        },
        Ok(mapped) => mapped,
        Err(NotRead::NotMapped(why)) => return Err(known.unmapped(upstream, &why).await),
        Err(NotRead::Problem(problem)) => {
            let reason = Reason::ArgumentOutOfRange;
            return Err(known.blocked(Some(upstream), reason, problem).await);
        }
    };
    let (live, links) = known.counted(live, upstream).await?;
    let wish = Wish::of(&known.token, &head.headers)?;
    // An approval is good for the very bytes: where one may stand, they are read before the decision.
    let (body, content) = if wish.id.is_some() || known.view.world.asked_in(live.task().id) {
        let body = body.whole(inner).await?;
        let content = known.content(upstream, &head.headers, &body);
        (body, Some(content))
    } else {
        (body, None)
    };
    let sought = Sought {
        content,
        named: wish.id,
    };
    let decided = known.decided(upstream, &mapped, (&live, &links), fresh, caller.as_ref(), sought);
    let Decided {
        outcome,
        reservation,
        bound,
    } = decided;
    let permit = match outcome {
        Outcome::Granted(plan) => known.recorded_permit(upstream, plan, reservation).await?,
        Outcome::Refused(plan) => {
            let Some(bound) = bound else {
                return Err(known.recorded_refusal(plan).await);
            };
            let sent = Sent {
                headers: &head.headers,
                body,
                content,
            };
            return Err(known.asks(plan, bound, sent, upstream, wish).await);
        }
    };
    let decision = permit.get().decision();
    let mut ending = Ending::new(inner.clone(), known.token.clone(), permit.entry(), decision);
    if is_delivery {
        ending.ended.error = None;
        ending.ended.http_status = Some(StatusCode::OK.as_u16());
        return Ok(delivered(decision));
    }
    forward(
        known,
        destination,
        permit,
        head,
        body,
        Flight { place, ending, slot },
    )
    .await
    .map_err(|problem| problem.with_decision(decision))
}

/// A place among the requests in flight.
pub(crate) fn slot(inner: &Inner) -> Result<OwnedSemaphorePermit, Problem> {
    inner.in_flight.clone().try_acquire_owned().map_err(|_| {
        Problem::unavailable(
            "BUSY",
            "Too many requests are in flight.",
            "the gateway bounds what it holds in memory",
        )
    })
}

/// Whom the request is for, and who sends it.
fn identified(inner: &Inner, peer: Peer, head: &Parts) -> Result<(Address, Authenticated), Problem> {
    fields::check_length(&head.uri, &head.headers)?;
    let address = Address::of(
        &head.method,
        &head.uri,
        &head.headers,
        &inner.settings.public_urls,
    )?;
    fields::check_connection(&head.headers)?;
    let presented = Presented {
        method: head.method.as_str(),
        htu: &address.htu,
        headers: &head.headers,
        certificate: peer.certificate,
        now: (inner.clock)(),
        random: (inner.random)(),
    };
    let authenticated = inner
        .doorkeeper
        .authenticate(&inner.settings, &inner.view.load(), &presented)?;
    Ok((address, authenticated))
}

/// The answer to who asked whether something may be shown: it may, by this decision.
fn delivered(decision: DecisionId) -> Response<AnswerBody> {
    let body = serde_json::json!({"decision": decision.to_string(), "deliver": true});
    let mut response = Response::new(AnswerBody::from(Bytes::from(body.to_string())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// What lasts until the answer has passed.
struct Flight {
    place: Place,
    ending: Ending,
    slot: OwnedSemaphorePermit,
}

impl Flight {
    fn failed(mut self, class: &'static str, problem: Problem) -> Problem {
        self.ending.ended.error = Some(class);
        problem
    }
    fn cut(self, cut: Cut) -> Problem {
        let problem = match cut {
            Cut::Revoked => invalid_token(),
            Cut::FeedLost => feed_lost(),
        };
        self.failed(cut.as_str(), problem)
    }
}

async fn forward(
    known: Known,
    destination: Arc<Destination>,
    permit: Recorded<CallPermit>,
    head: Parts,
    body: Body,
    mut flight: Flight,
) -> Result<Response<AnswerBody>, Problem> {
    let inner = &known.inner;
    let mut behalf = OnBehalf {
        token: &known.token,
        now: (inner.clock)(),
        refused: None,
    };
    let injected = tokio::select! {
        biased;
        cut = flight.place.cut() => return Err(flight.cut(cut)),
        injected = inner.injectors.inject(&permit, &destination, behalf) => injected,
    };
    let mut injected = match injected {
        Ok(injected) => injected,
        Err(error) => {
            tracing::error!(upstream = %destination.upstream.name, %error, "no credential for a permitted call");
            return Err(flight.failed("no_credential", error.problem()));
        }
    };
    let headers = outgoing_headers(head.headers, &destination.upstream, permit.get());
    let again = body.again();
    let mut response = match send(
        &known,
        &destination,
        headers.clone(),
        injected.clone(),
        body.into_outgoing(inner),
        &flight,
    )
    .await
    {
        Ok(response) => response,
        Err(failure) => return Err(failure.end(flight)),
    };
    let mut patterns: Vec<_> = injected.iter().map(|one| one.patterns.clone()).collect();
    if response.status() == StatusCode::UNAUTHORIZED
        && destination.token_endpoint.is_some()
        && let Some(again) = again
    {
        // The token died early. One more, for the same recorded decision and the same bytes.
        behalf.refused = injected.as_ref();
        injected = match inner.injectors.inject(&permit, &destination, behalf).await {
            Ok(injected) => injected,
            Err(error) => return Err(flight.failed("no_credential", error.problem())),
        };
        patterns.extend(injected.iter().map(|one| one.patterns.clone()));
        response = match send(
            &known,
            &destination,
            headers,
            injected,
            OutgoingBody::whole(again),
            &flight,
        )
        .await
        {
            Ok(response) => response,
            Err(failure) => return Err(failure.end(flight)),
        };
    }
    flight.ending.ended.http_status = Some(response.status().as_u16());
    if response.status() == StatusCode::UNAUTHORIZED && !patterns.is_empty() {
        let why = "the upstream did not accept the credential that the gateway holds; yours is fine";
        let problem = Problem::bad_gateway(
            "UPSTREAM_CREDENTIAL_REFUSED",
            "The upstream refused the gateway's credential.",
            why,
        );
        return Err(flight.failed("credential_refused", problem));
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let problem = Problem::bad_gateway(
            "UPSTREAM_UPGRADE",
            "The upstream changed the protocol.",
            "nobody asked it to",
        );
        return Err(flight.failed("upgrade", problem));
    }
    let plain = response
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes() == b"identity");
    if !plain && !patterns.is_empty() {
        let why = "an answer that cannot be read cannot be searched for the credential";
        let problem = Problem::bad_gateway("UPSTREAM_ENCODING", "The upstream's answer is encoded.", why);
        return Err(flight.failed("encoded", problem));
    }
    let (mut head, incoming) = response.into_parts();
    fields::for_agent(&mut head.headers);
    for one in &patterns {
        one.scrub_headers(&mut head.headers);
    }
    head.extensions.clear();
    let Flight { place, ending, slot } = flight;
    let passing = Passing::new(incoming, patterns, place, ending, slot);
    Ok(Response::from_parts(
        head,
        AnswerBody::Upstream(Box::new(passing)),
    ))
}

/// Why no answer came.
enum Failure {
    Cut(Cut),
    Class(&'static str, Problem),
}

impl Failure {
    fn end(self, flight: Flight) -> Problem {
        match self {
            Self::Cut(cut) => flight.cut(cut),
            Self::Class(class, problem) => flight.failed(class, problem),
        }
    }
}

async fn send(
    known: &Known,
    destination: &Destination,
    mut headers: HeaderMap,
    injected: Option<Injected>,
    body: OutgoingBody,
    flight: &Flight,
) -> Result<Response<Incoming>, Failure> {
    // The very bytes that were decided on.
    let Ok(uri) = format!("{}{}", destination.origin, known.address.path_and_query).parse::<Uri>() else {
        let problem = Problem::bad_gateway(
            "UPSTREAM_TARGET",
            "The request cannot be addressed.",
            "its path is no URI",
        );
        return Err(Failure::Class("target", problem));
    };
    if let Some(injected) = injected {
        injected.into_headers(&mut headers);
    }
    let mut request = Request::new(body);
    *request.method_mut() = known.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let limit = Duration::from_millis(known.inner.settings.upstream_timeout_ms);
    let answered = tokio::select! {
        biased;
        cut = flight.place.cut() => return Err(Failure::Cut(cut)),
        answered = timeout(limit, destination.pool.request(request)) => answered,
    };
    match answered {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            tracing::warn!(upstream = %destination.upstream.name, error = %chain(&error), "the upstream did not answer");
            let what = "The upstream cannot be reached, or broke off.";
            let problem = Problem::bad_gateway("UPSTREAM_UNREACHABLE", what, "no answer came back");
            Err(Failure::Class("upstream_unreachable", problem))
        }
        Err(_) => {
            let what = "The upstream did not answer in time.";
            let mut problem = Problem::bad_gateway("UPSTREAM_TIMEOUT", what, "a call has a limit");
            problem.status = StatusCode::GATEWAY_TIMEOUT;
            Err(Failure::Class("timeout", problem))
        }
    }
}

/// An error with its causes; none of them holds a header or a body.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn outgoing_headers(headers: HeaderMap, upstream: &Upstream, permit: &CallPermit) -> HeaderMap {
    let credential = header_of(&upstream.credential);
    let tenant: Option<HeaderName> = upstream.tenant_header.as_ref().and_then(|name| name.parse().ok());
    let ours: Vec<&HeaderName> = credential.iter().chain(&tenant).collect();
    let mut headers = fields::for_upstream(headers, &ours);
    if let (Some(name), Some(tenant)) = (tenant, permit.tenant())
        && let Ok(value) = HeaderValue::from_str(tenant.as_str())
    {
        headers.insert(name, value);
    }
    headers
}

/// A request's body after the decision.
pub(crate) enum Body {
    Whole(Bytes),
    Streamed(Incoming),
}

impl Body {
    /// All of it, read now.
    pub(crate) async fn whole(self, inner: &Inner) -> Result<Self, Problem> {
        match self {
            Self::Whole(bytes) => Ok(Self::Whole(bytes)),
            Self::Streamed(incoming) => match collected(inner, incoming).await {
                Ok(bytes) => Ok(Self::Whole(bytes)),
                Err(NotRead::Problem(problem)) => Err(problem),
                Err(NotRead::NotMapped(_)) => Err(long_body()),
            },
        }
    }
    /// What was read of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Streamed(_) => &[],
        }
    }
    /// The same bytes once more, where they are known.
    fn again(&self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Streamed(_) => None,
        }
    }
    fn into_outgoing(self, inner: &Inner) -> OutgoingBody {
        match self {
            Self::Whole(bytes) => OutgoingBody::whole(bytes),
            Self::Streamed(incoming) => {
                OutgoingBody::streamed(incoming, Duration::from_millis(inner.settings.body_timeout_ms))
            }
        }
    }
}

/// Why a request was not mapped to an action.
enum NotRead {
    NotMapped(NotMapped),
    Problem(Problem),
}

impl From<NotMapped> for NotRead {
    fn from(why: NotMapped) -> Self {
        Self::NotMapped(why)
    }
}

impl Known {
    /// Decides and records, where nobody can be asked; what comes back buys the upstream's credential. `standing` is as
    /// [`Known::counted`] gives it.
    pub(crate) async fn permitted(
        &self,
        upstream: &Upstream,
        mapped: &Mapped,
        standing: (&Live, &[LinkInForce]),
        fresh: Fresh,
        caller: Option<&Caller>,
    ) -> Result<Recorded<CallPermit>, Problem> {
        let decided = self.decided(upstream, mapped, standing, fresh, caller, Sought::default());
        match decided.outcome {
            Outcome::Refused(plan) => Err(self.recorded_refusal(plan).await),
            Outcome::Granted(plan) => self.recorded_permit(upstream, plan, decided.reservation).await,
        }
    }

    fn decided(
        &self,
        upstream: &Upstream,
        mapped: &Mapped,
        (live, links): (&Live, &[LinkInForce]),
        fresh: Fresh,
        caller: Option<&Caller>,
        sought: Sought,
    ) -> Decided {
        let inner = &self.inner;
        let names = (inner.names)(self.token.org);
        let received = Received {
            token: &self.token,
            upstream,
            mapped,
            method: self.method.as_str(),
            path: self.address.path(),
            caller,
            asked_by: self.service.as_ref().map(Service::name),
            sought,
        };
        inner.judge.decide(
            &self.view.world,
            live,
            links,
            fresh,
            &received,
            &mut inner.draw(&names),
        )
    }

    async fn recorded_permit(
        &self,
        upstream: &Upstream,
        plan: broker::Plan<CallPermit>,
        reservation: Reservation,
    ) -> Result<Recorded<CallPermit>, Problem> {
        let inner = &self.inner;
        // Decided with an approval: it is used up for all gateways before anything is written here or sent.
        if let Some(approved) = plan.proof().approved().cloned() {
            self.spend(upstream, &approved).await?;
            inner.judge.ledger.see(plan.proof().seen());
        }
        let began = Instant::now();
        let permit = inner
            .journal
            .commit(plan)
            .await
            .map_err(|error| not_recorded(&error))?;
        inner.metrics.recorded(began.elapsed().as_secs_f64());
        reservation.keep();
        inner.metrics.permitted();
        Ok(permit)
    }

    pub(crate) async fn destination(&self) -> Result<Arc<Destination>, Problem> {
        let table = &self.view.table;
        let found = match &self.address.whom {
            Whom::Name(name) => table.named(self.token.org, name),
            Whom::Host(host) => table.at_host(self.token.org, host),
        };
        // What belongs to another service does not exist for this one.
        let own = |found: &&Arc<Destination>| {
            let service = self.service.as_ref();
            service.is_none_or(|service| service.enforces(&found.upstream))
        };
        match found.filter(own) {
            None => Err(self.blocked(None, Reason::NotFound, undeclared()).await),
            Some(found) if found.upstream.audience != self.token.audience => Err(self
                .blocked(Some(&found.upstream), Reason::AudienceMismatch, invalid_token())
                .await),
            Some(found) => Ok(found.clone()),
        }
    }

    /// The action that the request is, and its body.
    async fn mapped(
        &self,
        destination: &Destination,
        headers: &HeaderMap,
        incoming: Incoming,
    ) -> Result<(Mapped, Body), NotRead> {
        let (path, query) = (
            self.address.path().as_bytes(),
            self.address.query().map(str::as_bytes),
        );
        let found = destination.routes.find(self.method.as_str(), path, query)?;
        if !found.wants_body() {
            let mapped = found.map(&Fields(headers), &[])?;
            let body = if hyper::body::Body::is_end_stream(&incoming) {
                Body::Whole(Bytes::new())
            } else {
                Body::Streamed(incoming)
            };
            return Ok((mapped, body));
        }
        let bytes = collected(&self.inner, incoming).await?;
        let mapped = of_body(found, headers, &bytes)?;
        Ok((mapped, Body::Whole(bytes)))
    }

    pub(crate) async fn unmapped(&self, upstream: &Upstream, why: &NotMapped) -> Problem {
        let (status, reason) = match why {
            NotMapped::NoRoute => (StatusCode::FORBIDDEN, Reason::ActionNotGranted),
            NotMapped::Body(BodyError::TooLong) => {
                (StatusCode::PAYLOAD_TOO_LARGE, Reason::ArgumentOutOfRange)
            }
            NotMapped::Target(TargetError::PathTooLong | TargetError::QueryTooLong) => {
                (StatusCode::URI_TOO_LONG, Reason::ArgumentOutOfRange)
            }
            NotMapped::Target(_)
            | NotMapped::Body(_)
            | NotMapped::UndeclaredParameter
            | NotMapped::Repeated(_)
            | NotMapped::Kind(_)
            | NotMapped::Tenant => (StatusCode::BAD_REQUEST, Reason::ArgumentOutOfRange),
        };
        let fix = match why {
            NotMapped::NoRoute | NotMapped::UndeclaredParameter => {
                "send a request that the upstream's manifest declares, or ask its author to add this one"
            }
            NotMapped::Body(BodyError::TooLong) => "send a shorter body",
            _ => "send it in the one plain spelling that every server reads alike",
        };
        let what = "The request is no action that this upstream declares.";
        let problem = Problem::new(status, why.code(), what, why.to_string(), fix);
        self.blocked(Some(upstream), reason, problem).await
    }

    /// Makes sure that the call is counted by this gateway, and looks again on the view that says so.
    pub(crate) async fn counted(
        &mut self,
        mut live: Live,
        upstream: &Upstream,
    ) -> Result<(Live, Vec<LinkInForce>), Problem> {
        let links = self.links(&live, upstream).await?;
        let scope = OrgScope::Only(self.token.org);
        let counted = Counted::of(live.task(), self.token.instance, &links);
        let newer = match HomeFinder::settle(&self.inner, &self.view, scope, &counted).await {
            Ok(None) => return Ok((live, links)),
            Ok(Some(newer)) => newer,
            Err(NotHere::Elsewhere) => {
                let (reason, problem) = (Reason::CountedElsewhere, counted_elsewhere());
                return Err(self.blocked(Some(upstream), reason, problem).await);
            }
            Err(NotHere::Unknown) => {
                let (reason, status) = (Reason::StateUnavailable, StatusCode::SERVICE_UNAVAILABLE);
                let problem = refused_by(reason, status);
                return Err(self.blocked(Some(upstream), reason, problem).await);
            }
        };
        self.view = newer;
        live = match alive(&self.view.world, &self.token, (self.inner.clock)()) {
            Ok(live) => live,
            Err(reason) => return Err(self.blocked(Some(upstream), reason, invalid_token()).await),
        };
        let links = self.links(&live, upstream).await?;
        // A contract that was replaced meanwhile may count something else.
        let again = Counted::of(live.task(), self.token.instance, &links);
        if again.whose(&self.view.world, scope, self.inner.settings.log) == Whose::Ours {
            return Ok((live, links));
        }
        let (reason, status) = (Reason::StateUnavailable, StatusCode::SERVICE_UNAVAILABLE);
        Err(self
            .blocked(Some(upstream), reason, refused_by(reason, status))
            .await)
    }

    async fn links(&self, live: &Live, upstream: &Upstream) -> Result<Vec<LinkInForce>, Problem> {
        match self
            .inner
            .judge
            .links(&self.view.world, live, (self.inner.clock)())
        {
            Ok(links) => Ok(links),
            Err(NotJudged::NoContract) => {
                let problem = refused_by(Reason::NoContract, StatusCode::FORBIDDEN);
                Err(self.blocked(Some(upstream), Reason::NoContract, problem).await)
            }
        }
    }

    /// Records a refusal that no contract was asked for, and answers it.
    pub(crate) async fn blocked(
        &self,
        upstream: Option<&Upstream>,
        reason: Reason,
        problem: Problem,
    ) -> Problem {
        let names = (self.inner.names)(self.token.org);
        let plan = {
            let blocked = Blocked {
                standing: Standing::of(&self.token),
                audience: &self.token.audience,
                upstream,
                request: Some((self.method.as_str(), self.address.path())),
                asked_by: self.service.as_ref().map(Service::name),
            };
            blocked.plan(&self.view.world, reason, &mut self.inner.draw(&names))
        };
        match self.inner.journal.commit(plan).await {
            Ok(recorded) => problem.with_decision(recorded.get().decision()),
            Err(error) => not_recorded(&error),
        }
    }

    pub(crate) async fn recorded_refusal(&self, plan: broker::Plan<Refusal>) -> Problem {
        let recorded = match self.inner.journal.commit(plan).await {
            Ok(recorded) => recorded,
            Err(error) => return not_recorded(&error),
        };
        let refusal = recorded.get();
        denied(refusal.code(), refusal.sentence()).with_decision(refusal.decision())
    }
}

/// The action that a request with this body is.
pub(crate) fn of_body(found: Found<'_>, headers: &HeaderMap, body: &[u8]) -> Result<Mapped, NotMapped> {
    if !body.is_empty() && !is_plain_json(headers) {
        return Err(NotMapped::Body(BodyError::Malformed));
    }
    found.map(&Fields(headers), body)
}

/// A whole body, of bearable size and in bearable time.
async fn collected(inner: &Inner, incoming: Incoming) -> Result<Bytes, NotRead> {
    let limit = Duration::from_millis(inner.settings.body_timeout_ms);
    match timeout(limit, Limited::new(incoming, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(NotMapped::Body(BodyError::TooLong).into())
        }
        Ok(Err(_)) => Err(NotRead::Problem(broken_body())),
        Err(_) => Err(NotRead::Problem(slow_body())),
    }
}

fn is_plain_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONTENT_TYPE).iter();
    MediaType::of(lines.map(HeaderValue::as_bytes)).is_some_and(MediaType::is_written_in_json)
        && !headers.contains_key(CONTENT_ENCODING)
}

/// A denial of the contract: code and fixed sentence; limits and the nearest grant are in the log.
fn denied(code: &str, sentence: &str) -> Problem {
    let reason = Reason::ALL.iter().find(|reason| reason.caller_code() == code);
    let reason = reason.copied().unwrap_or(Reason::PolicyError);
    let status = match reason {
        Reason::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Reason::AttestationRequired | Reason::AttestationStale => StatusCode::UNAUTHORIZED,
        Reason::StateUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    let mut problem = refused_by(reason, status);
    sentence.clone_into(&mut problem.what);
    problem
}

pub(crate) fn refused_by(reason: Reason, status: StatusCode) -> Problem {
    let fix = match reason.remedy() {
        policy::Remedy::Retry => "try again later, or after a new exchange or attestation",
        policy::Remedy::Request => {
            "ask the agent's owner; `tabard explain` with the decision's id tells them why"
        }
        policy::Remedy::None => "nothing: the request is outside the agent's job",
    };
    let why = "the agent's contract or the state does not permit it";
    let mut problem = Problem::new(status, reason.caller_code(), reason.caller_sentence(), why, fix);
    problem.challenge = match status {
        StatusCode::FORBIDDEN => Some(Challenge::InsufficientScope),
        StatusCode::UNAUTHORIZED => Some(Challenge::InvalidToken),
        _ => None,
    };
    if matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        problem.retry_after_secs = Some(1);
    }
    problem
}

fn counted_elsewhere() -> Problem {
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        Reason::CountedElsewhere.caller_code(),
        Reason::CountedElsewhere.caller_sentence(),
        "one gateway alone counts the calls of a task, a process and an agent, and knows what was read",
        "call through the gateway that served the first call; if it is gone, have the task opened anew",
    )
}

fn not_recorded(error: &store::CommitError) -> Problem {
    tracing::error!(%error, "a decision could not be recorded: nothing was forwarded");
    let why = "a call that is not recorded is not made";
    Problem::unavailable("NOT_RECORDED", "The decision could not be recorded.", why)
}

pub(crate) fn feed_lost() -> Problem {
    let why = "a revocation may be on its way that this gateway has not heard of";
    Problem::unavailable("FEED_LOST", "The gateway has lost its server.", why)
}

fn long_body() -> Problem {
    let mut problem = Problem::bad_request(
        "BODY_TOO_LONG",
        "The request's body is longer than 1048576 bytes.",
        "what a human approves is read in full",
        "send a shorter body",
    );
    problem.status = StatusCode::PAYLOAD_TOO_LARGE;
    problem
}

fn broken_body() -> Problem {
    Problem::bad_request(
        "BODY_BROKEN",
        "The request's body broke off.",
        "a body is decided on in full",
        "send it whole",
    )
}

fn slow_body() -> Problem {
    let mut problem = Problem::bad_request(
        "BODY_SLOW",
        "The request's body came too slowly.",
        "a request has a limit",
        "send it faster",
    );
    problem.status = StatusCode::REQUEST_TIMEOUT;
    problem
}
