//! Contracts as whoever decides holds them, server or gateway: compiled, by hash. A contract version never changes, so what
//! was compiled once stays right; the cache is bounded and forgets everything when it is full.
//!
//! It is beside the [Ledger](crate::ledger), and for the same reason: a part of the shared state of a process that decides,
//! and no part of the World, which holds the text.

use broker::World;
use broker::chain::LinkInForce;
use broker::world::{Agent, ContractRecord};
use identity::{Digest, ExceptionId, UnixTime};
use policy::{Compiled, Contract, Exception};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Contracts kept compiled at once. One takes about 50 KiB; an installation uses a few hundred at a time.
const COMPILED_MAX: usize = 1024;

/// The cache.
#[derive(Debug, Default)]
pub struct Contracts {
    compiled: Mutex<HashMap<Digest, Arc<Compiled>>>,
    /// By contract and exception: the same exception is under other limits once the contract is another.
    exceptions: Mutex<HashMap<(Digest, ExceptionId), Exception>>,
}

/// A published contract does not compile any more. Refused, never skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("contract {hash} does not compile: {why}. Publish a version that this release understands")]
pub struct Uncompilable {
    /// Which contract.
    pub hash: Digest,
    /// The first error.
    pub why: String,
}

/// An agent has no contract that it could act under.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    /// Its contract is not in the World.
    #[error("contract {0} is not in the World")]
    Unknown(Digest),
    /// Its contract does not compile.
    #[error(transparent)]
    Uncompilable(#[from] Uncompilable),
}

impl Contracts {
    /// Agents with the contracts that they act under.
    pub fn in_force(
        &self,
        world: &World,
        agents: &[Arc<Agent>],
        now: UnixTime,
    ) -> Result<Vec<LinkInForce>, NotInForce> {
        let each = agents.iter().map(|agent| {
            self.link(world, agent, now)
                .ok_or(NotInForce::Unknown(agent.contract))?
                .map_err(NotInForce::from)
        });
        each.collect()
    }

    /// The compiled form of `record`.
    pub fn compiled(&self, record: &ContractRecord) -> Result<Arc<Compiled>, Uncompilable> {
        if let Some(known) = self
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&record.hash)
        {
            return Ok(known.clone());
        }
        // Outside the lock: compiling takes milliseconds. Two may compile the same; they get the same.
        let failed = |errors: Vec<policy::ContractError>| Uncompilable {
            hash: record.hash,
            why: errors.first().map_or_else(String::new, ToString::to_string),
        };
        let contract = Contract::parse(&record.file, record.source.as_bytes()).map_err(failed)?;
        let compiled = Arc::new(Compiled::new(contract).map_err(failed)?);
        let mut all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(record.hash, compiled.clone());
        Ok(compiled)
    }

    /// The agent with its contract and the exceptions that are open at `now`; `None` where the World has no such contract.
    pub fn link(
        &self,
        world: &World,
        agent: &Arc<Agent>,
        now: UnixTime,
    ) -> Option<Result<LinkInForce, Uncompilable>> {
        let link = LinkInForce::of(world, agent, |record| self.compiled(record))?;
        Some(link.map(|link| link.excepting(world, now, |it, contract| self.exception(it, contract))))
    }

    fn exception(&self, record: &broker::world::Exception, contract: &Compiled) -> Option<Exception> {
        let key = (contract.hash().0, record.id);
        let mut all = self.exceptions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key) {
            return Some(known.clone());
        }
        let compiled = broker::exception::compiled(record, contract)?;
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(key, compiled.clone());
        Some(compiled)
    }
}
