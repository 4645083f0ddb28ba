//! One check, top to bottom.

use super::auth_v3::authorization_server::Authorization;
use super::auth_v3::{CheckRequest, CheckResponse};
use super::received::Received;
use super::reply;
use crate::authenticate::{Authenticated, DPOP_NONCE, Presented, invalid_token};
use crate::call::{Known, feed_lost, of_body, slot};
use crate::gateway::Inner;
use crate::inject::{Injected, OnBehalf};
use crate::problem::Problem;
use broker::enforce::alive;
use broker::service::Service;
use broker::upstream::{Mapped, NotMapped, Upstream};
use credential::{AccessTokenClaims, Binding};
use http::{HeaderName, HeaderValue};
use identity::{SpiffeId, Thumbprint, UnixTime};
use policy::Reason;
use std::net::IpAddr;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Present where Envoy cut a body short (`allow_partial_message`).
const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// The checks of one connection.
#[derive(Debug, Clone)]
pub(super) struct Checks {
    pub(super) inner: Arc<Inner>,
    /// Whose connection it is.
    pub(super) caller: SpiffeId,
    /// By which key.
    pub(super) key: Thumbprint,
    /// When its SVID ends.
    pub(super) not_after: UnixTime,
    pub(super) from: IpAddr,
}

#[tonic::async_trait]
impl Authorization for Checks {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let inner = &self.inner;
        // By the World of now: a service that was revoked, or that no upstream names any more, may ask nothing.
        let service = Service::of(&inner.view.load().world, &self.caller, self.key);
        let service = service.filter(|_| (inner.clock)() < self.not_after);
        let Some(service) = service else {
            inner.unidentified.count(self.from, "SERVICE_UNKNOWN");
            return Err(Status::unauthenticated(
                "checks are answered to a service, by the X.509-SVID of its connection: tabard service svid",
            ));
        };
        let reply = match Box::pin(self.judged(service, request.into_inner())).await {
            Ok(reply) => reply,
            Err(problem) => {
                inner.metrics.refused(problem.code);
                tracing::debug!(code = problem.code, decision = ?problem.decision, "refused");
                reply::denied(problem, self.nonce().as_ref())
            }
        };
        Ok(Response::new(reply))
    }
}

impl Checks {
    /// A nonce for the next proof, where proofs need one.
    fn nonce(&self) -> Option<(HeaderName, HeaderValue)> {
        let nonces = self.inner.settings.nonces.as_ref()?;
        let nonce = HeaderValue::from_str(&nonces.make((self.inner.clock)())).ok()?;
        Some((DPOP_NONCE, nonce))
    }

    async fn judged(&self, service: Service, request: CheckRequest) -> Result<CheckResponse, Problem> {
        let inner = &self.inner;
        if inner.is_closed() {
            return Err(feed_lost());
        }
        let _slot = slot(inner)?;
        let received = Received::of(request.attributes.unwrap_or_default())?;
        let authenticated = self.authenticated(&received).inspect_err(|problem| {
            // Until here nobody knows who it is: counted, or anybody could fill the journal.
            inner.unidentified.count(self.from, problem.code);
        })?;
        let Authenticated { token, fresh, caller } = authenticated;
        if token.org != service.org() || !is_shown_by(&token, &received) {
            inner.unidentified.count(self.from, "TOKEN_INVALID");
            return Err(invalid_token());
        }
        let Received {
            method,
            address,
            headers,
            body,
            ..
        } = received;
        let mut known = Known {
            inner: inner.clone(),
            view: inner.view_at(token.revision).await?,
            token,
            method,
            address,
            service: Some(service),
        };
        let destination = known.destination().await?;
        let upstream = &destination.upstream;
        let live = match alive(&known.view.world, &known.token, (inner.clock)()) {
            Ok(live) => live,
            Err(reason) => return Err(known.blocked(Some(upstream), reason, invalid_token()).await),
        };
        let (path, query) = (known.address.path().as_bytes(), known.address.query());
        let found = destination
            .routes
            .find(known.method.as_str(), path, query.map(str::as_bytes));
        let mapped: Result<Mapped, NotMapped> = match found {
            Ok(found) if found.wants_body() && headers.contains_key(PARTIAL_BODY) => {
                let problem = partial_body();
                let reason = Reason::ArgumentOutOfRange;
                return Err(known.blocked(Some(upstream), reason, problem).await);
            }
            Ok(found) if found.wants_body() => of_body(found, &headers, &body),
            Ok(found) => of_body(found, &headers, &[]),
            Err(why) => Err(why),
        };
        let mapped = match mapped {
            Ok(mapped) => mapped,
            Err(why) => return Err(known.unmapped(upstream, &why).await),
        };
        let (live, links) = known.counted(live, upstream).await?;
        let permit = known
            .permitted(upstream, &mapped, (&live, &links), fresh, caller.as_ref())
            .await?;
        let behalf = OnBehalf {
            token: &known.token,
            now: (inner.clock)(),
            refused: None,
        };
        let injected = inner.injectors.inject(&permit, &destination, behalf).await;
        let injected = injected.map_err(|error| {
            tracing::error!(upstream = %upstream.name, %error, "no credential for a permitted call");
            error.problem().with_decision(permit.get().decision())
        })?;
        let mut ours: Vec<(HeaderName, HeaderValue)> =
            injected.into_iter().map(Injected::into_header).collect();
        ours.extend(tenant(upstream, permit.get().tenant()));
        Ok(reply::permitted(&headers, &ours))
    }

    fn authenticated(&self, received: &Received) -> Result<Authenticated, Problem> {
        let inner = &self.inner;
        let presented = Presented {
            method: received.method.as_str(),
            htu: &received.address.htu,
            headers: &received.headers,
            certificate: received.client.as_ref().map(|client| client.certificate),
            now: (inner.clock)(),
            random: (inner.random)(),
        };
        inner
            .doorkeeper
            .authenticate(&inner.settings, &inner.view.load(), &presented)
    }
}

/// Whether a token that is bound to a certificate came from whom Envoy's listener says; others prove their key themselves.
fn is_shown_by(token: &AccessTokenClaims, received: &Received) -> bool {
    let actor = token.chain.actors().last();
    match (token.binding, &received.client) {
        (Binding::Key(_), _) => true,
        (Binding::Certificate(_), Some(client)) => actor.is_some_and(|actor| actor.id == client.principal),
        (Binding::Certificate(_), None) => false,
    }
}

/// The header that confines the request to the task's tenant.
fn tenant(upstream: &Upstream, tenant: Option<&identity::Name>) -> Option<(HeaderName, HeaderValue)> {
    let name = upstream.tenant_header.as_ref()?.parse().ok()?;
    Some((name, HeaderValue::from_str(tenant?.as_str()).ok()?))
}

fn partial_body() -> Problem {
    Problem::bad_request(
        "BODY_PARTIAL",
        "Only a part of the request's body was sent to be decided on.",
        "what was not seen cannot be decided on",
        "set with_request_body in the ext_authz filter to max_request_bytes of 1048576, without allow_partial_message",
    )
}
