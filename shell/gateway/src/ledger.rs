//! Counters of calls: the broker's Ledger in shards, one lock each, never held across an await.

use broker::ledger::{LedgerShard, Taken, WindowKey};
use identity::{AgentId, TaskId, UnixTime};
use policy::contract::RateScope;
use policy::{Window, WindowId};
use std::sync::{Arc, Mutex, PoisonError};

const SHARDS: usize = 16;

/// The counters of this gateway.
#[derive(Debug, Default)]
pub(crate) struct Ledger([Mutex<LedgerShard>; SHARDS]);

/// Places taken for one call: given back when it is dropped before [`Reservation::keep`].
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    pub(crate) counters: Vec<(WindowId, i64)>,
    pub(crate) taken: Vec<Taken>,
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

    /// Takes one place in each window before the decision is made, so that two racing calls never both take the last.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        windows: &[Window],
        agent: AgentId,
        task: Option<TaskId>,
        now: UnixTime,
    ) -> Reservation {
        let mut counters = Vec::with_capacity(windows.len());
        let mut taken = Vec::with_capacity(windows.len());
        for window in windows {
            let of = match window.id.scope {
                RateScope::Agent => agent.as_u128(),
                RateScope::Task => task.map_or(0, TaskId::as_u128),
            };
            let Ok(per_secs) = u32::try_from(window.id.per_secs) else {
                continue;
            };
            let mut shard = self.shard(of).lock().unwrap_or_else(PoisonError::into_inner);
            let (before, place) = shard.take(WindowKey { of, per_secs }, now);
            counters.push((window.id, i64::try_from(before).unwrap_or(i64::MAX)));
            taken.push(place);
        }
        Reservation {
            ledger: self.clone(),
            counters,
            taken,
        }
    }

    /// Forgets windows in which nothing happens any more.
    pub(crate) fn forget_idle(&self, now: UnixTime) {
        for shard in &self.0 {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .forget_idle(now);
        }
    }

    /// Counts a place that an entry says was taken: after a restart.
    pub(crate) fn replay(&self, taken: Taken) {
        self.shard(taken.key.of)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replay(taken);
    }
}

impl Reservation {
    /// The call is permitted and recorded: its places stay taken.
    pub(crate) fn keep(mut self) {
        self.taken.clear();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for taken in &self.taken {
            self.ledger
                .shard(taken.key.of)
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .refund(*taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::LogId;

    #[test]
    fn a_refused_call_gives_its_place_back() {
        let ledger = Arc::new(Ledger::default());
        let now = UnixTime::from_secs(1_000_000);
        let agent = AgentId::random(now, LogId(0), 1);
        let windows = [Window {
            id: WindowId {
                scope: RateScope::Agent,
                per_secs: 60,
            },
            max: 2,
        }];
        let count = || ledger.reserve(&windows, agent, None, now).counters[0].1;
        assert_eq!((count(), count()), (0, 0));
        ledger.reserve(&windows, agent, None, now).keep();
        assert_eq!((count(), count()), (1, 1));
    }
}
