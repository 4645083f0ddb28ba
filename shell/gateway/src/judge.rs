//! The decision of one call: the contract in force, compiled once per version, and the counters it asks for.

use crate::ledger::{Ledger, Reservation};
use broker::World;
use broker::enforce::{Call, CallPermit, Live, enforce};
use broker::exchange::ContractInForce;
use broker::upstream::{Mapped, Upstream};
use broker::world::ContractRecord;
use broker::{Draw, Fresh, Outcome};
use credential::AccessTokenClaims;
use credential::dpop::{Caller, CallerKind};
use identity::{AgentId, Digest, OrgScope};
use policy::{Compiled, Contract};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
}

/// Why nothing could be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJudged {
    /// The agent's contract is not in our World, or this version cannot compile it.
    NoContract,
}

impl Judge {
    fn contract(
        &self,
        world: &World,
        agent: AgentId,
        scope: OrgScope,
    ) -> Option<(Arc<ContractRecord>, Arc<Compiled>)> {
        let agent = world.agent(scope, agent)?;
        let record = world.contract(scope, &agent.contract)?;
        let known = self
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&record.hash)
            .cloned();
        if let Some(compiled) = known {
            return Some((record.clone(), compiled));
        }
        let contract = Contract::parse(&record.file, record.source.as_bytes()).ok()?;
        let compiled = Arc::new(Compiled::new(contract).ok()?);
        let mut cache = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= COMPILED_MAX {
            cache.clear();
        }
        cache.insert(record.hash, compiled.clone());
        Some((record.clone(), compiled))
    }

    /// Decides. The reservation is kept by who recorded a permit, and given back otherwise.
    pub(crate) fn decide(
        &self,
        world: &World,
        live: &Live,
        fresh: Fresh,
        received: &Received<'_>,
        draw: &mut Draw<'_>,
    ) -> Result<(Outcome<CallPermit>, Reservation), NotJudged> {
        let token = received.token;
        let scope = OrgScope::Only(token.org);
        let (record, compiled) = self
            .contract(world, token.agent, scope)
            .ok_or(NotJudged::NoContract)?;
        let reservation = self
            .ledger
            .reserve(compiled.windows(), token.agent, token.task, draw.now());
        let call = Call {
            token,
            upstream: received.upstream,
            mapped: received.mapped,
            method: received.method,
            path: received.path,
            caller: received.caller.map(recorded),
            counters: &reservation.counters,
            taken: &reservation.taken,
        };
        let contract = ContractInForce {
            record: &record,
            compiled: &compiled,
        };
        let outcome = enforce(world, contract, live, fresh, &call, draw);
        Ok((outcome, reservation))
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
