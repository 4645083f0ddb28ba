//! What was decided, by which rules, on which facts; and the verdict on each link of the chain.

use super::{Commitment, CommitmentKey, Extra, canonical};
use identity::{Actor, ActorKind, DecisionId, Digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// One decision, with everything that is needed to make it again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Hash of the contract version that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Digest>,
    /// The number of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u64>,
    /// The facts it was decided on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// The grant that permitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// The decision; callers are told this id.
    pub id: DecisionId,
    /// How long deciding took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// The line of the contract that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The nearest grant and what is missing, for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// What was decided.
    pub outcome: Ruling,
    /// The policies that determined it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// All reason codes of a refusal (`docs/reference/reasons.md`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What a candidate contract would have said; it decided nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Decision {
    /// A decision of which only the outcome is known.
    pub const fn new(id: DecisionId, outcome: Ruling) -> Self {
        Self {
            contract: None,
            contract_version: None,
            facts: Vec::new(),
            grant: None,
            id,
            latency_us: None,
            line: None,
            nearest: None,
            outcome,
            policies: Vec::new(),
            reasons: Vec::new(),
            shadow: None,
            extra: Extra::new(),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.extra.is_empty()
            && self.facts.iter().all(|fact| fact.extra.is_empty())
            && self.shadow.as_ref().is_none_or(|it| it.extra.is_empty())
    }
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It may happen.
    Allow,
    /// It may not.
    Deny,
    /// It may not before a person approves exactly this.
    StepUp,
}

/// What a contract that is not in force would have said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shadow {
    /// Hash of the candidate.
    pub contract: Digest,
    /// What it would have decided.
    pub outcome: Ruling,
    /// Its reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One fact a decision was made on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// Its name in the contract's vocabulary.
    pub name: Cow<'static, str>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its value; a [`Commitment`]'s text where it is personal.
    #[serde(serialize_with = "canonical::sorted_value")]
    pub value: Value,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Fact {
    /// A fact that names nobody.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<Value>, provenance: Provenance) -> Self {
        Self {
            name: name.into(),
            provenance,
            value: value.into(),
            extra: Extra::new(),
        }
    }
    /// A fact about a person: only the commitment to it is kept. `what` names the kind of value, e.g. `email`.
    pub fn personal(
        name: impl Into<Cow<'static, str>>,
        what: &str,
        value: &str,
        provenance: Provenance,
        key: &CommitmentKey,
    ) -> Self {
        Self::new(name, key.commit(what, value).to_string(), provenance)
    }
}

/// Where a fact comes from, strongest first. Nothing that permits may rest on an asserted one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Proven by attestation.
    Attested,
    /// Seen by us on the request, the connection or our own state.
    Observed,
    /// Said by the opener of the task.
    Opener,
    /// Said by a decision point outside that the org named for it, when it was asked.
    Pdp,
    /// Said by the agent or an upstream.
    Asserted,
}

/// One party of the actor chain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Its stable id: a SPIFFE ID for agents and services, a [`Commitment`]'s text for users.
    pub id: String,
    /// Who vouches for the id.
    pub iss: String,
    /// Its kind.
    pub kind: ActorKind,
    /// What the rights of this link say; absent where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<LinkVerdict>,
    /// Fields of newer writers, kept.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Link {
    /// The link of an actor. A user's id is committed with the org's key, all others are kept.
    pub fn of(actor: &Actor, verdict: Option<LinkVerdict>, key: &CommitmentKey) -> Self {
        let id = match actor.kind {
            ActorKind::User => key.commit(Commitment::USER, &actor.id).to_string(),
            ActorKind::AiAgent | ActorKind::Service => actor.id.clone(),
        };
        Self {
            id,
            iss: actor.issuer.clone(),
            kind: actor.kind,
            verdict,
            extra: Extra::new(),
        }
    }
}

/// What the rights of one link say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkVerdict {
    /// They hold the action.
    Allow,
    /// They do not.
    Deny,
}
