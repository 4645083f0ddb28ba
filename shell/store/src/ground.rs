//! Phase one of a group commit: what a plan is settled against.
//!
//! Plans are settled in the order they came, each on what those before it in the same group will have done. Nothing is
//! taken back: a group that cannot be written stops the store, and this state with it.

use crate::backend::{OnceKey, Spent};
use crate::error::CommitError;
use crate::once::{NotSpendable, OnceKeys};
use crate::queue::Job;
use crate::staleness::Restrictions;
use broker::plan::Precondition;
use identity::Revision;

#[derive(Debug, Default)]
pub(crate) struct Ground {
    pub(crate) revision: Revision,
    pub(crate) once: OnceKeys,
    pub(crate) restrictions: Restrictions,
}

impl Ground {
    /// Settles one plan: refuses it whole, or takes it in and says which keys it spent.
    pub(crate) fn settle(&mut self, job: &Job) -> Result<Vec<Spent>, CommitError> {
        let restricted_at = self.restrictions.newest_for(job.org);
        if job.gives_authority && restricted_at > job.decided_at {
            return Err(CommitError::Stale {
                decided_at: job.decided_at,
                restricted_at,
            });
        }
        let mut spending: Vec<Spent> = Vec::new();
        for precondition in &job.expect {
            match precondition {
                Precondition::Unused { kind, key, until } => {
                    let spent = Spent {
                        key: OnceKey::new(*kind, *key),
                        until: *until,
                    };
                    let twice = spending.iter().any(|other| other.key == spent.key);
                    match self.once.check(&spent) {
                        Ok(()) if !twice => spending.push(spent),
                        Ok(()) | Err(NotSpendable::Spent) => {
                            return Err(CommitError::Conflict(precondition.clone()));
                        }
                        Err(NotSpendable::Full) => return Err(CommitError::TooManyKeys),
                    }
                }
                Precondition::AtRevision(revision) if *revision == self.revision => {}
                Precondition::AtRevision(_) => return Err(CommitError::Conflict(precondition.clone())),
            }
        }
        for spent in &spending {
            self.once.spend(*spent);
        }
        if !job.changes.is_empty() {
            self.revision = self.revision.next();
            self.restrictions.note(&job.changes, self.revision);
        }
        Ok(spending)
    }
}
