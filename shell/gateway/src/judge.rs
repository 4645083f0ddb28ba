//! The decision of one call: the contract in force, compiled once per version, and the counters it asks for.

use broker::World;
use broker::approve::{Bound, Found, bind, find};
use broker::chain::LinkInForce;
use broker::enforce::{Call, CallPermit, Live, Standing, arguments, enforce, recorded_caller};
use broker::upstream::{Mapped, Upstream};
use broker::{Draw, Fresh, Outcome};
use credential::AccessTokenClaims;
use credential::dpop::Caller;
use identity::{ApprovalId, Digest, Name, OrgScope, UnixTime};
use std::sync::Arc;
use store::contracts::Contracts;
use store::ledger::{Ledger, Request, Reservation, Wants};

/// Compiled contracts, and the counters.
#[derive(Default)]
pub(crate) struct Judge {
    contracts: Contracts,
    pub(crate) ledger: Arc<Ledger>,
}

/// A call as it was received, verified and mapped.
pub(crate) struct Received<'a> {
    pub(crate) token: &'a AccessTokenClaims,
    pub(crate) upstream: &'a Upstream,
    pub(crate) mapped: &'a Mapped,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) caller: Option<&'a Caller>,
    /// The service that enforces it and tells us of it; `None` where we do.
    pub(crate) asked_by: Option<&'a Name>,
    pub(crate) sought: Sought,
}

/// Which approval a request may rest on; none by default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sought {
    /// Digest of the very bytes, where they were read: without it no approval is looked for.
    pub(crate) content: Option<Digest>,
    /// The approval that the request names, itself or by its token.
    pub(crate) named: Option<ApprovalId>,
}

/// A call that was decided.
pub(crate) struct Decided {
    pub(crate) outcome: Outcome<CallPermit>,
    pub(crate) reservation: Reservation,
    /// The exact request of a refused call that humans can let pass. Its content is to be filled in where it was not
    /// known.
    pub(crate) bound: Option<Bound>,
}

/// Why nothing could be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJudged {
    /// The agent's contract is not in our World, or this version cannot compile it.
    NoContract,
}

impl Judge {
    /// The agents of a chain with the contracts that they act under, and what they may do besides at `now`.
    pub(crate) fn links(
        &self,
        world: &World,
        live: &Live,
        now: UnixTime,
    ) -> Result<Vec<LinkInForce>, NotJudged> {
        self.contracts.in_force(world, live.agents(), now).map_err(|why| {
            tracing::debug!(%why, "a call cannot be decided");
            NotJudged::NoContract
        })
    }

    /// Decides. The reservation is kept by who recorded a permit, and given back otherwise.
    pub(crate) fn decide(
        &self,
        world: &World,
        live: &Live,
        links: &[LinkInForce],
        fresh: Fresh,
        received: &Received<'_>,
        draw: &mut Draw<'_>,
    ) -> Decided {
        let token = received.token;
        let reservation = arguments(received.mapped, |arguments| {
            self.ledger.gather(&Request {
                links,
                task: live.task(),
                instance: token.instance,
                audience: &received.upstream.audience,
                wants: Wants::Call {
                    action: &received.mapped.action,
                    arguments,
                    data: received.mapped.data.as_deref(),
                },
                now: draw.now(),
            })
        });
        let mut call = Call {
            found: &Found::Nothing,
            standing: Standing::of(token),
            asked_by: received.asked_by,
            upstream: received.upstream,
            mapped: received.mapped,
            method: Some(received.method),
            path: Some(received.path),
            caller: received.caller.map(recorded_caller),
            links,
            gathered: reservation.gathered(),
        };
        let found = match received.sought.content {
            None => Found::Nothing,
            Some(content) => match bind(live, &call, content).text() {
                Some((_, digest)) => {
                    let task = live.task();
                    let scope = OrgScope::Only(task.org);
                    find(world, scope, task.id, &digest, received.sought.named, draw.now())
                }
                None => Found::Nothing,
            },
        };
        call.found = &found;
        let outcome = enforce(world, live, fresh, &call, draw);
        match &outcome {
            // Before anything is forwarded: what comes back is in whatever the task does from here on.
            Outcome::Granted(plan) if plan.proof().approved().is_none() => {
                self.ledger.see(plan.proof().seen());
            }
            // It may still be refused: it is seen once its approval is spent, which is before it is forwarded as well.
            Outcome::Granted(_) => {}
            Outcome::Refused(_) => self.ledger.denied(reservation.gathered(), draw.now()),
        }
        let bound = match &outcome {
            Outcome::Refused(plan) if !plan.proof().needs().is_empty() => {
                let content = received.sought.content.unwrap_or(Digest::from_bytes([0; 32]));
                Some(bind(live, &call, content))
            }
            Outcome::Refused(_) | Outcome::Granted(_) => None,
        };
        Decided {
            outcome,
            reservation,
            bound,
        }
    }
}
