//! Who waits: one entry an `auth_req_id`, in memory. A restart forgets them, and the client begins anew: the approval itself
//! is in the World.

use identity::{ApprovalId, Audience, InstanceId, Name, TaskId, UnixTime};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Most clients that wait at once.
const PARKED_MAX: usize = 10_000;
/// How long a client waits between two polls at least, in seconds.
pub(super) const INTERVAL_SECS: u64 = 5;

/// One client that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    /// Who may come back: the same process, with the same key.
    pub(super) instance: InstanceId,
    /// For what.
    pub(super) approval: ApprovalId,
    pub(super) audience: Audience,
    pub(super) actions: BTreeSet<Name>,
    pub(super) task: Option<TaskId>,
    /// When the wait is over.
    pub(super) until: UnixTime,
    interval_secs: u64,
    polled_at: UnixTime,
}

impl Waiting {
    pub(super) fn new(
        instance: InstanceId,
        approval: ApprovalId,
        audience: Audience,
        actions: BTreeSet<Name>,
        task: Option<TaskId>,
        until: UnixTime,
        now: UnixTime,
    ) -> Self {
        Self {
            instance,
            approval,
            audience,
            actions,
            task,
            until,
            interval_secs: INTERVAL_SECS,
            polled_at: now,
        }
    }
}

/// What a poll finds.
#[derive(Debug)]
pub(super) enum Poll {
    /// Nothing by that id, of that instance.
    Unknown,
    /// It came too soon: the interval is longer from now on.
    TooSoon,
    /// It may look.
    Look(Waiting),
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Parked(Mutex<HashMap<String, Waiting>>);

impl Parked {
    /// Lets one more wait; `false` when there is no room.
    pub(super) fn park(&self, id: String, waiting: Waiting, now: UnixTime) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PARKED_MAX {
            all.retain(|_, waiting| now < waiting.until);
        }
        if all.len() >= PARKED_MAX {
            return false;
        }
        all.insert(id, waiting);
        true
    }

    /// One poll. Whoever is not the one that waits finds nothing, and disturbs nobody.
    pub(super) fn poll(&self, id: &str, instance: InstanceId, now: UnixTime) -> Poll {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = all.get_mut(id).filter(|waiting| waiting.instance == instance) else {
            return Poll::Unknown;
        };
        let too_soon = now < waiting.polled_at.plus_secs(waiting.interval_secs);
        waiting.polled_at = now;
        if too_soon {
            // Section 11: slow_down raises the interval by five seconds, for this and all later requests.
            waiting.interval_secs = waiting.interval_secs.saturating_add(INTERVAL_SECS).min(60);
            return Poll::TooSoon;
        }
        Poll::Look(waiting.clone())
    }

    /// It got its answer: the id is good for nothing any more. `false` when somebody was faster.
    pub(super) fn done(&self, id: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    fn waiting(instance: u128, until: u64) -> Waiting {
        Waiting::new(
            InstanceId::from_u128(instance),
            ApprovalId::from_u128(1),
            "invoices".parse().unwrap(),
            BTreeSet::new(),
            None,
            NOW.plus_secs(until),
            NOW,
        )
    }

    #[test]
    fn who_polls_too_often_waits_longer_and_nobody_else_polls() {
        let parked = Parked::default();
        assert!(parked.park("a".into(), waiting(1, 600), NOW));
        let (mine, other) = (InstanceId::from_u128(1), InstanceId::from_u128(2));
        assert!(matches!(parked.poll("a", other, NOW.plus_secs(5)), Poll::Unknown));
        assert!(matches!(parked.poll("a", mine, NOW.plus_secs(4)), Poll::TooSoon));
        assert!(matches!(parked.poll("a", mine, NOW.plus_secs(13)), Poll::TooSoon));
        assert!(matches!(parked.poll("a", mine, NOW.plus_secs(28)), Poll::Look(_)));
        assert!(parked.done("a"));
        assert!(!parked.done("a"));
        assert!(matches!(parked.poll("a", mine, NOW.plus_secs(90)), Poll::Unknown));
    }

    #[test]
    fn room_is_made_by_those_whose_time_is_over() {
        let parked = Parked::default();
        for n in 0..PARKED_MAX {
            assert!(parked.park(n.to_string(), waiting(1, 10), NOW));
        }
        assert!(!parked.park("x".into(), waiting(1, 10), NOW));
        assert!(parked.park("x".into(), waiting(1, 10), NOW.plus_secs(11)));
    }
}
