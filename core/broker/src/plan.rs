//! What a use case wants written, and the proof it yields once it is.
//!
//! A `Plan` has private fields: its entry and its proof are built from the same values and cannot be recombined.
//! Only the store takes one apart, and gives the proof back only inside a `Recorded`.

use crate::world::Change;
use audit::Event;
use identity::{Revision, UnixTime};

/// What must hold at the commit itself. A closed set without closures: every backend implements each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nobody spent this key before; it is remembered until `until`.
    Unused {
        /// What the key is of.
        kind: OnceKind,
        /// 32 bytes that name it.
        key: [u8; 32],
        /// When the key itself is worthless and can be forgotten.
        until: UnixTime,
    },
    /// The World is still at this revision: for read-modify-write by administrators.
    AtRevision(Revision),
}

/// Kinds of keys that can be spent once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum OnceKind {
    /// A join token.
    JoinToken = 1,
    /// A DPoP proof at the token endpoint, by (jkt, jti).
    DpopProof = 2,
    /// A JWT authorization grant or client assertion, by (issuer, jti).
    Assertion = 3,
    /// An approval.
    Approval = 4,
    /// A name that may be taken once (org, agent, upstream): two administrators at the same instant.
    Name = 5,
    /// A challenge to a passkey, or the nonce of a login at an identity provider.
    Challenge = 6,
    /// An invite of a principal.
    Invite = 7,
    /// The secret of a session.
    Session = 8,
    /// What one human says about one request, by (approval, principal).
    Vote = 9,
}

/// One commit of one use case.
#[must_use = "a plan does nothing until the store commits it"]
#[derive(Debug)]
pub struct Plan<P> {
    decided_at: Revision,
    expect: Vec<Precondition>,
    changes: Vec<Change>,
    event: Event,
    proof: P,
}

/// A plan taken apart by the store.
#[derive(Debug)]
pub struct Parts<P> {
    /// The World the decision was made on.
    pub decided_at: Revision,
    /// What must still hold.
    pub expect: Vec<Precondition>,
    /// What becomes of the World.
    pub changes: Vec<Change>,
    /// What the log says about it.
    pub event: Event,
    /// What the caller may do once it is recorded.
    pub proof: P,
}

impl<P> Plan<P> {
    /// Only use cases of this crate make plans.
    pub(crate) const fn new(decided_at: Revision, event: Event, proof: P) -> Self {
        Self {
            decided_at,
            expect: Vec::new(),
            changes: Vec::new(),
            event,
            proof,
        }
    }
    /// What the plan yields once it is recorded, to look at. It proves nothing yet.
    pub const fn proof(&self) -> &P {
        &self.proof
    }
    /// The same plan, whose proof is worth less.
    pub(crate) fn map<Q>(self, less: impl FnOnce(P) -> Q) -> Plan<Q> {
        let Self {
            decided_at,
            expect,
            changes,
            event,
            proof,
        } = self;
        Plan {
            decided_at,
            expect,
            changes,
            event,
            proof: less(proof),
        }
    }
    pub(crate) fn expecting(mut self, precondition: Precondition) -> Self {
        self.expect.push(precondition);
        self
    }
    /// One line for people, of one more Change.
    pub(crate) fn saying(mut self, line: String) -> Self {
        self.event.change_summary.push(line);
        self
    }
    pub(crate) fn changing(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
    /// For the store.
    pub fn into_parts(self) -> Parts<P> {
        let Self {
            decided_at,
            expect,
            changes,
            event,
            proof,
        } = self;
        Parts {
            decided_at,
            expect,
            changes,
            event,
            proof,
        }
    }
}

/// How a use case ends. A refusal is an outcome, not an error: it is recorded before it is answered.
#[derive(Debug)]
pub enum Outcome<P> {
    /// Commit it, then use the proof.
    Granted(Plan<P>),
    /// Commit it, then answer with the refusal.
    Refused(Plan<crate::Refusal>),
}
