//! The Ledger in shards, one lock each, never held across an await: counts, labels and steps of the requests that this
//! process decides.

mod recovery;
mod snapshot;

pub use recovery::RecoverError;
pub(crate) use snapshot::Snapshots;

use broker::World;
use broker::chain::LinkInForce;
use broker::ledger::{Gathered, LedgerShard, Look, Looked, Seen, Taken, TrailKey, WindowKey};
use broker::world::Task;
use identity::{AgentId, Audience, InstanceId, Name, OrgScope, TaskId, UnixTime};
use policy::contract::RateScope;
use policy::{ArgValue, Counted, Counter, DataLabels, domains_of};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// The Ledger of this process.
#[derive(Debug, Default)]
pub struct Ledger([Mutex<LedgerShard>; SHARDS]);

/// What a request wants to do.
#[derive(Debug, Clone, Copy)]
pub enum Wants<'a> {
    /// A credential for these actions.
    Credential {
        /// The actions.
        actions: &'a [&'a str],
    },
    /// A call.
    Call {
        /// The action.
        action: &'a Name,
        /// Its arguments.
        arguments: &'a [(&'a str, ArgValue<'a>)],
        /// What its service declares of the data that it returns.
        data: Option<&'a DataLabels>,
    },
}

/// A request whose state is gathered.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The agents of its chain.
    pub links: &'a [LinkInForce],
    /// Its task.
    pub task: &'a Task,
    /// The process that makes it.
    pub instance: InstanceId,
    /// The service.
    pub audience: &'a Audience,
    /// What it wants to do.
    pub wants: Wants<'a>,
    /// When.
    pub now: UnixTime,
}

/// What was taken for one request: given back when it is dropped before [`Reservation::keep`].
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    gathered: Gathered,
    kept: bool,
}

impl Ledger {
    fn shard(&self, of: u128) -> &Mutex<LedgerShard> {
        let [zero, ..] = &self.0;
        // The low bits of an id are its random ones.
        usize::try_from(of & 0xffff)
            .ok()
            .and_then(|bits| self.0.get(bits % SHARDS))
            .unwrap_or(zero)
    }
    fn with<T>(&self, of: u128, act: impl FnOnce(&mut LedgerShard) -> T) -> T {
        act(&mut lock(self.shard(of)))
    }

    /// Gathers what is known, and takes what the request takes before the decision is made, so that two racing
    /// requests never both take the last.
    pub fn gather(self: &Arc<Self>, request: &Request<'_>) -> Reservation {
        let root = TrailKey(request.task.root().as_u128());
        let instance = TrailKey(request.instance.as_u128());
        self.lower(root, instance, request);
        let mut trail = self.trail(root);
        let mut gathered = Gathered {
            trails: vec![root, instance],
            labels: std::mem::take(&mut trail.labels),
            suspended: trail.suspended,
            trail,
            ..Gathered::default()
        };
        self.with(instance.0, |shard| {
            if let Some(process) = shard.trail(instance) {
                gathered.suspended |= process.suspended;
                gathered.labels.join(&process.labels);
            }
        });
        let mut reservation = Reservation {
            ledger: self.clone(),
            gathered,
            kept: false,
        };
        // Two contracts of a chain may look at one count: it is taken from once.
        let mut known: BTreeMap<WindowKey, i64> = BTreeMap::new();
        for link in request.links {
            let mut counts = Vec::with_capacity(link.compiled.counters().len());
            for counter in link.compiled.counters() {
                let of = match counter.id.scope {
                    RateScope::Agent => link.agent.id.as_u128(),
                    RateScope::Task => root.0,
                    RateScope::Instance => instance.0,
                };
                // A window that reaches back behind what is known here: its count is unknown, and refuses.
                if counter.id.scope == RateScope::Agent
                    && !counter.id.is_of_exchange()
                    && link.counted_since.plus_secs(counter.id.per_secs) > request.now
                    && link.counted_since > UnixTime::default()
                {
                    continue;
                }
                let Some(key) = WindowKey::new(of, &counter.id) else {
                    continue;
                };
                let count = match known.get(&key) {
                    Some(count) => Some(*count),
                    None => self.count(&mut reservation.gathered, request, link, counter, key),
                };
                if let Some(count) = count {
                    known.insert(key, count);
                    counts.push((counter.id.clone(), count));
                }
            }
            reservation.gathered.links.push(counts);
        }
        reservation
    }

    /// The count that the decision looks at; `None` where this request is not judged by it.
    fn count(
        &self,
        gathered: &mut Gathered,
        request: &Request<'_>,
        link: &LinkInForce,
        counter: &Counter,
        key: WindowKey,
    ) -> Option<i64> {
        let now = request.now;
        let whole = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
        let names = |gathered: &mut Gathered, names: &[&str]| {
            let (count, taken) = self.with(key.of, |shard| shard.add(key, names, now));
            if !taken.names.is_empty() {
                gathered.taken.push(taken);
            }
            whole(count)
        };
        match (&counter.id.counted, request.wants) {
            (Counted::Audiences, Wants::Credential { .. }) => names(gathered, &[request.audience.as_str()]),
            (Counted::Actions, Wants::Credential { actions }) => names(gathered, actions),
            (Counted::Domains, Wants::Call { action, data, .. }) => {
                let terms = link.compiled.contract().terms();
                let domains = domains_of(terms, action, request.audience, data);
                let domains: Vec<&str> = domains.iter().map(Name::as_str).collect();
                names(gathered, &domains)
            }
            (Counted::Denials, Wants::Call { .. }) => {
                let count = self.with(key.of, |shard| shard.peek(key, now));
                gathered.on_denial.push(Taken::one(key, now));
                let last = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX) >= counter.max;
                if counter.suspends && last {
                    gathered.ends.push(TrailKey(key.of));
                }
                whole(count)
            }
            (
                Counted::Calls | Counted::Records(_) | Counted::Value(_),
                Wants::Call {
                    action, arguments, ..
                },
            ) => {
                let amount = counter.taken(action, arguments).unwrap_or_default();
                let amount = u64::try_from(amount).unwrap_or_default();
                if amount == 0 {
                    return whole(self.with(key.of, |shard| shard.peek(key, now)));
                }
                let (before, taken) = self.with(key.of, |shard| shard.take(key, amount, now));
                gathered.taken.push(taken);
                whole(before)
            }
            _ => None,
        }
    }

    /// Lowers labels once for each time that a human said so.
    fn lower(&self, root: TrailKey, instance: TrailKey, request: &Request<'_>) {
        let declassified = request.task.declassified.0;
        if declassified == 0 {
            return;
        }
        let lowered = Seen {
            of: vec![root, instance],
            declassified: Some(declassified),
            at: request.now,
            ..Seen::default()
        };
        self.see(&lowered);
    }

    fn trail(&self, key: TrailKey) -> broker::ledger::Trail {
        self.with(key.0, |shard| shard.trail(key).cloned())
            .unwrap_or_default()
    }

    /// What is looked for, as it is now. Nothing is taken.
    pub fn look(&self, look: &Look, now: UnixTime) -> Looked {
        let count = |(key, names): &(WindowKey, Vec<Box<str>>)| {
            self.with(key.of, |shard| {
                if names.is_empty() {
                    shard.peek(*key, now)
                } else {
                    shard.would_be(*key, names, now)
                }
            })
        };
        Looked {
            trails: look.trails.iter().map(|key| self.trail(*key)).collect(),
            counts: look.windows.iter().map(count).collect(),
        }
    }

    #[cfg(test)]
    pub(crate) fn peek(&self, key: WindowKey, now: UnixTime) -> u64 {
        self.with(key.of, |shard| shard.peek(key, now))
    }

    /// Takes in what a permitted call sees and does: before it is forwarded, and after a restart.
    pub fn see(&self, seen: &Seen) {
        for key in &seen.of {
            self.with(key.0, |shard| shard.see(*key, seen));
        }
    }

    /// Takes what a refused call takes.
    pub fn denied(&self, gathered: &Gathered, now: UnixTime) {
        for taken in &gathered.on_denial {
            self.replay(taken);
        }
        if !gathered.ends.is_empty() {
            self.see(&Seen::ended(gathered.ends.clone(), now));
        }
    }

    /// Forgets windows in which nothing happens any more, and what is of tasks and instances that `world` has
    /// forgotten. A World that was never founded has not been heard of yet: it says nothing.
    pub fn forget(&self, world: &World, now: UnixTime) {
        if world.founding().is_none() {
            return;
        }
        let known = |of: u128| {
            let every = OrgScope::Every;
            world.task(every, TaskId::from_u128(of)).is_some()
                || world.instance(every, InstanceId::from_u128(of)).is_some()
                || world.agent(every, AgentId::from_u128(of)).is_some()
        };
        for shard in &self.0 {
            lock(shard).forget(now, known);
        }
    }
}

fn lock(shard: &Mutex<LedgerShard>) -> MutexGuard<'_, LedgerShard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reservation {
    /// What was gathered.
    pub const fn gathered(&self) -> &Gathered {
        &self.gathered
    }
    /// The request is permitted and recorded: what it took stays taken.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for taken in &self.gathered.taken {
            self.ledger.with(taken.key.of, |shard| shard.refund(taken));
        }
    }
}
