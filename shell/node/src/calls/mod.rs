//! The calls of a run: each becomes a credential for exactly its action, and then a request at the gateway.
//!
//! The run's processes speak plain HTTP to their own listener and hold no credential at all. Here the call is found
//! among the declared upstreams, exchanged for at the server, proven with the instance's key, and streamed through the
//! gateway. What may happen is decided there; nothing here allows anything.

mod exchange;
mod forward;
mod request;
mod tokens;

pub use exchange::{ExchangeError, TokenEndpoint};
pub use forward::GatewayAddress;

use crate::authority::{Authority, LocalRefusal};
use crate::launch::{Step, Story};
use crate::listener::{Body, Caller, CallerKind, Calls};
use crate::runs::Run;
use broker::upstream::Routes;
use forward::Forwarder;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use identity::{Audience, Name, OrgScope};
use request::Wanted;
use std::sync::Arc;
use sync::Replica;
use tokens::Tokens;

/// [`Calls`] through the server's token endpoint and the gateway.
#[derive(Debug)]
pub struct GatewayCalls<A> {
    authority: Arc<A>,
    replica: Replica,
    tokens: Tokens,
    forwarder: Forwarder,
}

/// A call that ends here.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) fix: String,
    pub(crate) decision: Option<String>,
}

impl<A: Authority> GatewayCalls<A> {
    /// Over a server's token endpoint and a gateway.
    pub fn new(
        authority: Arc<A>,
        replica: Replica,
        endpoint: TokenEndpoint,
        gateway: GatewayAddress,
    ) -> Self {
        Self {
            authority,
            replica,
            tokens: Tokens::new(endpoint),
            forwarder: Forwarder::new(gateway),
        }
    }

    async fn answer(
        &self,
        run: &Arc<Run>,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Stopped> {
        let wanted = Wanted::of(&request)?;
        let (audience, action) = self.find(run, caller, &wanted)?;
        let token = self.tokens.get(&*self.authority, run, &audience, &action).await?;
        if token.fresh {
            let here = self.line_of(run, &audience, &action);
            let tenant = run
                .opened
                .tenant
                .as_ref()
                .map(|tenant| format!("  tenant {tenant}"))
                .unwrap_or_default();
            run.tell(Story {
                step: Step::Allowed,
                text: format!("{action}{tenant}  {here}"),
            });
            run.tell(Story {
                step: Step::Issued,
                text: token.story(&audience),
            });
        }
        let response = self
            .forwarder
            .send(run, caller, &wanted, &token.text, request)
            .await?;
        if let Some(denied) = forward::denial(&response) {
            run.tell(Story {
                step: Step::Denied,
                text: denied,
            });
        }
        Ok(response)
    }

    /// The upstream and the action that a request is, by the World as this node knows it.
    fn find(&self, run: &Run, caller: &Caller, wanted: &Wanted) -> Result<(Audience, Name), Stopped> {
        let world = self.replica.world();
        let Some(instance) = world.instance(OrgScope::Every, run.opened.instance) else {
            return Err(Stopped::of(
                StatusCode::FORBIDDEN,
                "IDENTITY_REVOKED",
                "This run's instance is no longer known to the server.",
                "start a new run",
            ));
        };
        let scope = OrgScope::Only(instance.org);
        let upstream = world.upstreams(scope).find(|upstream| wanted.addresses(upstream));
        let found = upstream.and_then(|upstream| {
            let routes = Routes::compile(&upstream.routes).ok()?;
            let path = wanted.path(upstream)?;
            let action = routes
                .find(&wanted.method, path.as_bytes(), wanted.query())
                .ok()?
                .action()
                .clone();
            Some((upstream.audience.clone(), action))
        });
        found.ok_or_else(|| {
            let seen = format!("{} {}", wanted.method, wanted.shown());
            let code = if upstream.is_none() {
                "UPSTREAM_UNDECLARED"
            } else {
                "ROUTE_UNDECLARED"
            };
            let decision = self.authority.refuse(LocalRefusal {
                code,
                uid: run.uid,
                pid: caller.process.pid,
                agent: Some(run.agent.clone()),
                seen: format!("{seen} matches no declared upstream and route"),
            });
            Stopped {
                status: StatusCode::FORBIDDEN,
                code: code.to_owned(),
                message: "No declared upstream and route matches this request.".to_owned(),
                fix: "declare it with `tabard upstream apply`, or correct the address".to_owned(),
                decision: Some(decision.to_string()),
            }
        })
    }

    /// Where the contract grants an action: `file:line`.
    fn line_of(&self, run: &Run, audience: &Audience, action: &Name) -> String {
        let world = self.replica.world();
        let record = world.contract(OrgScope::Every, &run.opened.contract);
        let contract = record.and_then(|record| {
            policy::Contract::parse(&record.file, record.source.as_bytes())
                .ok()
                .map(|contract| (record, contract))
        });
        let Some((record, contract)) = contract else {
            return String::new();
        };
        let mut grants = contract.terms().grants.iter();
        let grant = grants.find(|grant| grant.services.contains(audience) && grant.actions.contains(action));
        grant.map_or_else(String::new, |grant| {
            format!(
                "{}:{}",
                record.file,
                contract.line(&format!("grants.{}", grant.id))
            )
        })
    }
}

impl<A: Authority> Calls for GatewayCalls<A> {
    async fn call(&self, run: Arc<Run>, caller: Caller, request: Request<Incoming>) -> Response<Body> {
        match self.answer(&run, &caller, request).await {
            Ok(response) => response,
            Err(stopped) => {
                run.tell(Story {
                    step: Step::Denied,
                    text: stopped.story(),
                });
                stopped.response()
            }
        }
    }
}

impl Stopped {
    pub(crate) fn of(status: StatusCode, code: &str, message: &str, fix: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            fix: fix.to_owned(),
            decision: None,
        }
    }

    /// The line of the story.
    fn story(&self) -> String {
        match &self.decision {
            Some(decision) => format!("{}  {decision}  \u{2192} tabard explain {decision}", self.code),
            None => format!("{}  {}", self.code, self.message),
        }
    }

    /// RFC 9457, with our code and the decision.
    fn response(&self) -> Response<Body> {
        let body = serde_json::json!({
            "type": "about:blank",
            "status": self.status.as_u16(),
            "title": self.message,
            "code": self.code,
            "fix": self.fix,
            "decision_id": self.decision,
        });
        let mut response = crate::listener::answer(self.status, format!("{body}\n"));
        let kind = http::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        response
    }
}

/// What a proof says of the calling process.
pub(crate) fn vouch(caller: &Caller) -> credential::dpop::Caller {
    credential::dpop::Caller {
        kind: match caller.kind {
            CallerKind::Agent => credential::dpop::CallerKind::Agent,
            CallerKind::Child => credential::dpop::CallerKind::Child,
        },
        exe: caller.process.executable.path.to_string_lossy().into_owned(),
        exe_digest: caller.process.executable_digest,
        argv_digest: caller.process.argv_digest,
        pid: u32::try_from(caller.process.pid).unwrap_or(0),
    }
}
