//! Refusals of callers that nobody could identify: counted by source, written down once a second.

use broker::unidentified::{Refused, Source, Tally};
use identity::UnixTime;
use std::sync::{Mutex, PoisonError};

/// The counts since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Unidentified(Mutex<Tally>);

impl Unidentified {
    /// Counts one refusal.
    pub(crate) fn count(&self, source: impl Into<Source>, code: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(source.into(), code);
    }

    /// Takes what was counted, to be recorded as of `at`.
    pub(crate) fn take(&self, at: UnixTime) -> Vec<Refused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(at)
    }
}
