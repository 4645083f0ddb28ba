//! What stands for a request among the approvals of its task.

use crate::world::approval::State;
use crate::world::{Approval, World};
use identity::{ApprovalId, Digest, Name, OrgScope, TaskId, UnixTime};
use policy::Reason;
use std::sync::Arc;

/// A human's yes to one exact request, not used yet. Made only by [`find`]; whoever decided with one spends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    id: ApprovalId,
    digest: Digest,
    good_until: UnixTime,
    escalations: Vec<(Digest, Name)>,
}

impl Approved {
    /// Which.
    pub const fn id(&self) -> ApprovalId {
        self.id
    }
    /// Digest of the request that it is good for.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// Until when.
    pub const fn good_until(&self) -> UnixTime {
        self.good_until
    }
    /// The escalations that it stands for, each with its contract.
    pub fn escalations(&self) -> &[(Digest, Name)] {
        &self.escalations
    }
    /// 32 bytes that name it among the keys that are spent once.
    pub(crate) fn key(id: ApprovalId) -> [u8; 32] {
        let mut key = [0; 32];
        if let Some(slot) = key.first_chunk_mut() {
            *slot = id.as_u128().to_be_bytes();
        }
        key
    }
}

/// What stands for a request.
#[derive(Clone, Debug, Default)]
pub enum Found {
    /// Nothing: humans can be asked.
    #[default]
    Nothing,
    /// It waits.
    Waiting(Arc<Approval>),
    /// It may be decided with this.
    Good(Approved),
    /// It was said no to, or the approval that it names is good for nothing.
    Dead(ApprovalId, Reason),
}

/// Looks for the approval of exactly this request, or for the one that the request `named`.
pub fn find(
    world: &World,
    scope: OrgScope,
    task: TaskId,
    digest: &Digest,
    named: Option<ApprovalId>,
    now: UnixTime,
) -> Found {
    let found = match named {
        Some(id) => world.approval(scope, id),
        None => world.approval_of(scope, task, digest),
    };
    let Some(approval) = found else {
        // Whoever names one that is not there learns no more than who names another request's.
        return named.map_or(Found::Nothing, |id| Found::Dead(id, Reason::ApprovalOutOfScope));
    };
    let state = approval.state(now);
    if approval.digest != *digest || approval.task != task {
        // What it did has changed what the task has seen: the same request is another one by now.
        let used = approval.task == task && state == State::Used;
        let reason = if used {
            Reason::ApprovalUsed
        } else {
            Reason::ApprovalOutOfScope
        };
        return Found::Dead(approval.id, reason);
    }
    match state {
        State::Pending => Found::Waiting(approval.clone()),
        State::Approved => Found::Good(Approved {
            id: approval.id,
            digest: approval.digest,
            good_until: approval.good_until(),
            escalations: approval
                .needs
                .iter()
                .map(|need| (need.contract, need.escalation.clone()))
                .collect(),
        }),
        State::Denied => Found::Dead(approval.id, Reason::ApprovalDenied),
        // What is over is asked for anew, unless the request insists on this one.
        State::Used if named.is_some() => Found::Dead(approval.id, Reason::ApprovalUsed),
        State::Expired | State::Withdrawn if named.is_some() => {
            Found::Dead(approval.id, Reason::ApprovalExpired)
        }
        State::Used | State::Expired | State::Withdrawn => Found::Nothing,
    }
}
