//! Which plans are out of date when they reach the writer.
//!
//! A plan was decided on a World that may have changed since. That matters only when a Change that narrows was
//! committed meanwhile, in the plan's org or for the whole installation, and only for a plan that gives somebody
//! something. A refusal, an outcome, or a plan that itself does nothing but narrow is never held up: an
//! operator who revokes must not lose against other revocations.

use audit::event::Ruling;
use audit::{Event, EventKind};
use broker::Change;
use broker::world::AgentState;
use broker::world::approval::Ended;
use identity::{OrgId, Revision};
use std::collections::HashMap;

/// The newest narrowing Change of each org.
#[derive(Debug, Default)]
pub(crate) struct Restrictions {
    of_org: HashMap<OrgId, Revision>,
    /// Those that concern the installation, and so every org.
    of_all: Revision,
    newest: Revision,
}

impl Restrictions {
    pub(crate) fn note(&mut self, changes: &[Change], revision: Revision) {
        for change in changes.iter().filter(|change| change.is_restrictive()) {
            self.newest = revision;
            match change.org() {
                Some(org) => self.of_org.insert(org, revision).map_or((), drop),
                None => self.of_all = revision,
            }
        }
    }

    /// The newest that a plan of `org` must have seen; a plan of no org must have seen them all.
    pub(crate) fn newest_for(&self, org: Option<OrgId>) -> Revision {
        org.map_or(self.newest, |org| {
            self.of_org
                .get(&org)
                .copied()
                .unwrap_or_default()
                .max(self.of_all)
        })
    }
}

/// Whether a plan needs to have seen the newest narrowing Change.
pub(crate) fn gives_authority(event: &Event, changes: &[Change]) -> bool {
    let narrows = changes.iter().all(only_narrows);
    let refuses = event
        .decision
        .as_ref()
        .is_some_and(|decision| decision.outcome != Ruling::Allow);
    let allows = event
        .decision
        .as_ref()
        .is_some_and(|decision| decision.outcome == Ruling::Allow);
    let tells = !changes.is_empty() || refuses || only_tells(&event.kind);
    !(narrows && tells && !allows && event.credential.is_none())
}

/// Changes that take away and give nothing. Narrower than [`Change::is_restrictive`], which includes replacements.
fn only_narrows(change: &Change) -> bool {
    match change {
        Change::AgentStateSet { state, .. } => *state != AgentState::Active,
        Change::ApprovalVoted { vote, .. } => !vote.yes,
        Change::ApprovalEnded { how, .. } => *how != Ended::Used,
        Change::RegistrationRemoved { .. }
        | Change::TaskClosed { .. }
        | Change::InstanceClosed { .. }
        | Change::Revoked(_)
        | Change::PrincipalRemoved { .. }
        | Change::AccountUnlinked { .. }
        | Change::PasskeyRemoved { .. }
        | Change::SessionClosed { .. }
        | Change::RevocationsForgotten { .. }
        | Change::KeyRetired { .. } => true,
        _ => false,
    }
}

/// Kinds of entries that only tell what was.
const fn only_tells(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::AdminAccessed
            | EventKind::AdminRefused
            | EventKind::FindingRaised
            | EventKind::GatewayBlocked
            | EventKind::GatewayOutcome
            | EventKind::IdentityRefused
            | EventKind::LogExported
            | EventKind::LogHeartbeat
            | EventKind::LogOpened
            | EventKind::LogPruned
            | EventKind::LogSealed
            | EventKind::LogWitnessed
            | EventKind::NodeRefused
            | EventKind::RefusalsCounted
            | EventKind::RunClosed
            | EventKind::RunRefused
            | EventKind::SvidRefused
            | EventKind::TaskClosed
            | EventKind::TaskRefused
            | EventKind::TokenDenied
    )
}
