//! Denials that people could turn: what an access request is made of, for as long as it may be made.
//!
//! A denial asks nobody: services ask about much that nobody wants done in earnest, and people tire. It is remembered for
//! a few minutes under its evaluation's id, for the service that it was told to alone, and only what was decided here can be
//! requested: what people see was read from a question that was refused, never from a description that came with the request.

use broker::approve::Ask;
use broker::service::Service;
use identity::{DecisionId, Digest, Name, OrgId, UnixTime};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a denial can be requested, in seconds.
pub(super) const REQUESTABLE_SECS: u64 = 600;
/// Most denials of one service that are remembered; the oldest goes.
const PER_SERVICE_MAX: usize = 256;

/// A denial that people could turn.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    /// What they would be asked.
    pub(crate) ask: Ask,
    /// Digest of subject, action and resource as the service sent them.
    pub(crate) content: Digest,
    /// Until when.
    pub(crate) expires_at: UnixTime,
}

/// Why there is no such denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDenial {
    /// None of this service, or none any more.
    Unknown,
    /// Its time is over.
    Expired,
}

/// The denials of each service. Gone with a restart: then the service asks for the decision again.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<(OrgId, Name), OfService>>);

/// In the order of their making: ids begin with the time.
type OfService = BTreeMap<DecisionId, Arc<Denial>>;

impl Denials {
    /// Remembers one, which `ask.refusal` names.
    pub(crate) fn keep(&self, service: &Service, denial: Denial) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry((service.org(), service.name().clone())).or_default();
        own.insert(denial.ask.refusal, Arc::new(denial));
        while own.len() > PER_SERVICE_MAX {
            own.pop_first();
        }
    }

    /// The one with that id.
    pub(crate) fn find(
        &self,
        service: &Service,
        id: DecisionId,
        now: UnixTime,
    ) -> Result<Arc<Denial>, NoDenial> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&(service.org(), service.name().clone()));
        let found = own.and_then(|own| own.get(&id)).ok_or(NoDenial::Unknown)?;
        if found.expires_at <= now {
            return Err(NoDenial::Expired);
        }
        Ok(found.clone())
    }
}
