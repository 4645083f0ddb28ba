//! The decision of one call: the contract in force, compiled once per version, and the counters it asks for.

use broker::World;
use broker::approve::{Bound, Found, bind, find};
use broker::chain::LinkInForce;
use broker::enforce::{Call, CallPermit, Live, arguments, enforce};
use broker::upstream::{Mapped, Upstream};
use broker::world::ContractRecord;
use broker::{Draw, Fresh, Outcome};
use credential::AccessTokenClaims;
use credential::dpop::{Caller, CallerKind};
use identity::{ApprovalId, Digest, OrgScope};
use policy::{Compiled, Contract};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::ledger::{Ledger, Request, Reservation, Wants};

/// Most compiled contracts kept; some hundred KiB each at worst.
const COMPILED_MAX: usize = 1024;

/// Compiled contracts by hash, and the counters.
#[derive(Default)]
pub(crate) struct Judge {
    compiled: Mutex<HashMap<Digest, Arc<Compiled>>>,
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
    /// Digest of the very bytes, where they were read: without it no approval is looked for.
    pub(crate) content: Option<Digest>,
    /// The approval that the request names, itself or by its token.
    pub(crate) approval: Option<ApprovalId>,
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
    /// The agents of a chain with the contracts that they act under.
    pub(crate) fn links(&self, world: &World, live: &Live) -> Result<Vec<LinkInForce>, NotJudged> {
        let compiled = |record: &Arc<ContractRecord>| self.compiled(record).ok_or(NotJudged::NoContract);
        let agents = live.agents().iter();
        agents
            .map(|agent| LinkInForce::of(world, agent, compiled).unwrap_or(Err(NotJudged::NoContract)))
            .collect()
    }

    fn compiled(&self, record: &ContractRecord) -> Option<Arc<Compiled>> {
        let known = self
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&record.hash)
            .cloned();
        if let Some(compiled) = known {
            return Some(compiled);
        }
        let contract = Contract::parse(&record.file, record.source.as_bytes()).ok()?;
        let compiled = Arc::new(Compiled::new(contract).ok()?);
        let mut cache = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= COMPILED_MAX {
            cache.clear();
        }
        cache.insert(record.hash, compiled.clone());
        Some(compiled)
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
            token,
            upstream: received.upstream,
            mapped: received.mapped,
            method: received.method,
            path: received.path,
            caller: received.caller.map(recorded),
            links,
            gathered: reservation.gathered(),
        };
        let found = match received.content {
            None => Found::Nothing,
            Some(content) => match bind(live, &call, content).text() {
                Some((_, digest)) => {
                    let task = live.task();
                    let scope = OrgScope::Only(task.org);
                    find(world, scope, task.id, &digest, received.approval, draw.now())
                }
                None => Found::Nothing,
            },
        };
        call.found = &found;
        let outcome = enforce(world, live, fresh, &call, draw);
        match &outcome {
            // Before anything is forwarded: what comes back is in whatever the task does from here on.
            Outcome::Granted(plan) if plan.proof().approved().is_none() => {
                self.ledger.see(plan.proof().seen())
            }
            // It may still be refused: it is seen once its approval is spent, which is before it is forwarded as well.
            Outcome::Granted(_) => {}
            Outcome::Refused(_) => self.ledger.denied(reservation.gathered(), draw.now()),
        }
        let bound = match &outcome {
            Outcome::Refused(plan) if !plan.proof().needs().is_empty() => {
                let content = received.content.unwrap_or(Digest::from_bytes([0; 32]));
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

/// A caller as entries name it.
fn recorded(caller: &Caller) -> audit::event::Caller {
    let kind = match caller.kind {
        CallerKind::Agent => audit::event::CallerKind::Agent,
        CallerKind::Child => audit::event::CallerKind::Child,
    };
    let mut out = audit::event::Caller::new(kind);
    out.exe = Some(caller.exe.clone());
    out.exe_digest = Some(caller.exe_digest);
    out.argv = Some(caller.argv_digest);
    out.pid = Some(caller.pid);
    out
}
