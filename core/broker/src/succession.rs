//! Succession: when one contract may take the place of another.
//!
//! A change that lets an agent do nothing more is in force at once. One that widens, or that nobody can show not to
//! widen, waits as a *proposal* until somebody other than its author, who proved to be there, says yes. Two moments
//! are watched, since either could carry rights past the other: the publication of a version of a contract that agents
//! are under, and the moment an agent is put under another contract, whatever that is called.
//!
//! Comparing takes seconds, so the shell does it beforehand ([`policy::diff()`]) and hands in what came out; what is in
//! force is looked up here, and a comparison that is missing is never taken for a good one.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::plan::{Outcome, Plan, Precondition};
use crate::refusal::Cause;
use crate::world::{AgentState, Change, ContractRecord, Person, Proposal, Role, World};
use audit::EventKind;
use identity::{Digest, Name, OrgId, OrgScope};
use policy::{Diff, Direction};
use serde_json::Value;
use std::collections::BTreeSet;

/// How long a proposal waits, in seconds: a week, in which somebody is back from wherever they are.
pub const PROPOSAL_SECS: u64 = 7 * 24 * 3600;
/// Most sentences of one comparison in an entry; the rest is in the two contracts, and that there is more is said.
const SENTENCES_MAX: usize = 40;
/// Longest sentence in an entry, in characters: a grant of fifty actions. What is cut says so.
const SENTENCE_CHARS_MAX: usize = 1500;

/// Which changes of a contract take two people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FourEyes {
    /// None: what is applied is in force. For development.
    Off,
    /// Those that let an agent do more.
    Widening,
    /// All, the first version included.
    Always,
}

impl FourEyes {
    /// Every value, in order.
    pub const ALL: &'static [Self] = &[Self::Off, Self::Widening, Self::Always];
    /// The spelling in the configuration and in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Widening => "widening",
            Self::Always => "always",
        }
    }
}

/// What a change is held to: the rule of the installation, and what was compared.
#[derive(Clone, Copy, Debug)]
pub struct Scrutiny<'d> {
    /// Which changes take two people.
    pub rule: FourEyes,
    /// Each contract in force, compared with the one that would take its place.
    pub diffs: &'d [Diff],
}

impl Scrutiny<'_> {
    /// Of what nobody is asked about: nothing has to be compared, and what was not counts as a widening.
    pub const UNWATCHED: Scrutiny<'static> = Scrutiny {
        rule: FourEyes::Off,
        diffs: &[],
    };

    /// What `new` is to `old`. `None`: nobody compared the two, and somebody has to.
    fn direction(&self, old: &Digest, new: &Digest) -> Option<Direction> {
        let found = self
            .diffs
            .iter()
            .find(|diff| diff.before().0 == *old && diff.after().0 == *new);
        let unwatched = (self.rule == FourEyes::Off).then_some(Direction::Widening);
        found.map(Diff::direction).or(unwatched)
    }

    fn sentences(&self, over: &BTreeSet<Digest>) -> Vec<String> {
        let of = self.diffs.iter().filter(|diff| over.contains(&diff.before().0));
        bounded(of.flat_map(Diff::sentences))
    }
}

fn bounded(sentences: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut more = 0_usize;
    for sentence in sentences {
        let cut = sentence.chars().count().saturating_sub(SENTENCE_CHARS_MAX);
        let short: String = sentence.chars().take(SENTENCE_CHARS_MAX).collect();
        let short = match cut {
            0 => short,
            // Whoever agrees has to know that there is more than they read.
            _ => format!("{short} … and {cut} characters more: read the contract"),
        };
        if kept.contains(&short) {
            continue;
        }
        if kept.len() < SENTENCES_MAX {
            kept.push(short);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        kept.push(format!(
            "{}: and {more} more differences: read the contract",
            Direction::Widening
        ));
    }
    kept
}

/// What became of a contract that was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is published.
    Published,
    /// It waits for somebody else's yes.
    Proposed,
}

/// An act on a contract was recorded.
#[derive(Debug)]
pub struct Settled {
    standing: Standing,
    direction: Direction,
}

impl Settled {
    /// What became of it.
    pub const fn standing(&self) -> Standing {
        self.standing
    }
    /// What it is to the contracts in force, all of them together; neutral for the first of its name.
    pub const fn direction(&self) -> Direction {
        self.direction
    }
}

/// The contracts whose place a version of `name` would take: those that agents are under, and the newest.
pub fn in_force(world: &World, org: OrgId, name: &Name) -> BTreeSet<Digest> {
    let scope = OrgScope::Only(org);
    let named = |hash: &Digest| {
        world
            .contract(scope, hash)
            .is_some_and(|contract| contract.name == *name)
    };
    let held = world
        .agents(scope)
        .filter(|agent| agent.state != AgentState::Retired)
        .map(|agent| agent.contract)
        .filter(named);
    let versions = world.contracts(scope).filter(|contract| contract.name == *name);
    let newest = versions.max_by_key(|contract| contract.version);
    held.chain(newest.map(|contract| contract.hash)).collect()
}

/// The contract that an agent is under.
pub fn held_by(world: &World, org: OrgId, agent: &Name) -> Option<Digest> {
    let scope = OrgScope::Only(org);
    world.agent_named(scope, org, agent).map(|agent| agent.contract)
}

const fn act(kind: EventKind, org: OrgId) -> Act {
    Act {
        kind,
        role: Role::Author,
        org,
        in_person: true,
    }
}

/// Applies a contract version: publishes it, or proposes it where the rule asks for a second person. `agents` are those
/// that it is meant for besides the ones under a contract of its name. The shell compiled it before: what does not
/// compile is not published.
pub fn apply_contract(
    world: &World,
    who: &Administrator,
    mut contract: ContractRecord,
    agents: &[Name],
    scrutiny: Scrutiny<'_>,
    draw: &mut Draw<'_>,
) -> Outcome<Settled> {
    let org = contract.org;
    let scope = OrgScope::Only(org);
    let publishing = act(EventKind::ContractPublished, org);
    if let Err(refused) = who.check_in_person(publishing.role, Some(org), world, draw) {
        return refused;
    }
    if let Some((code, message)) = clash(world, &contract) {
        return who.refuse_act(&publishing, code, message, world, draw);
    }
    let mut before = in_force(world, org, &contract.name);
    before.extend(agents.iter().filter_map(|agent| held_by(world, org, agent)));
    before.remove(&contract.hash);
    let known = world.contract(scope, &contract.hash);
    if let Some(known) = known {
        // Whoever published it first stays its author: it is the same text, and they may not approve under it.
        contract.succeeds.clone_from(&known.succeeds);
        contract.published_by.clone_from(&known.published_by);
        contract.published_at = known.published_at;
    }
    let mut direction = Direction::Neutral;
    let mut waiting = BTreeSet::new();
    for old in &before {
        let Some(found) = scrutiny.direction(old, &contract.hash) else {
            let message = "another contract came into force meanwhile: try again".to_owned();
            return who.refuse_act(&publishing, "CONTRACT_MOVED", message, world, draw);
        };
        direction = direction.max(found);
        let asks = match scrutiny.rule {
            FourEyes::Off => false,
            FourEyes::Widening => found == Direction::Widening,
            FourEyes::Always => true,
        };
        if asks && !contract.succeeds.contains(old) {
            waiting.insert(*old);
        }
    }
    let first = scrutiny.rule == FourEyes::Always && known.is_none();
    let sentences = scrutiny.sentences(&before);
    if waiting.is_empty() && !first {
        let mut summary = vec![published(&contract)];
        summary.push(if before.is_empty() {
            "the first contract of its name: nothing to compare it with".to_owned()
        } else if scrutiny.rule == FourEyes::Off {
            format!("{direction}; in force on its author's word (four_eyes: off)")
        } else {
            format!("{direction}; in force on its author's word")
        });
        summary.extend(sentences);
        return publish(world, who, contract, summary, direction, None, draw);
    }
    let now = draw.now();
    // Whoever proposed it first stays its author: applying it again makes nobody else of them.
    let again = world
        .proposal(scope, org, &contract.hash)
        .filter(|known| known.is_open(now));
    let by = again.map_or_else(|| Person::of(who.principal()), |known| known.by.clone());
    if known.is_none() {
        contract.published_by = by.name.to_string();
    }
    let mut event = who.event(EventKind::ContractProposed, publishing.role, world, draw);
    event.org = Some(org);
    event
        .detail
        .insert("contract".into(), Value::String(contract.hash.to_string()));
    event
        .detail
        .insert("direction".into(), Value::String(direction.to_string()));
    event.change_summary = vec![format!(
        "contract {} version {} proposed as {}: {direction}, waits for somebody other than its author",
        contract.name, contract.version, contract.hash
    )];
    event.change_summary.extend(sentences.iter().cloned());
    let proposal = Proposal {
        contract,
        over: waiting,
        sentences,
        by,
        proposed_at: now,
        expires_at: now.plus_secs(PROPOSAL_SECS),
    };
    let settled = Settled {
        standing: Standing::Proposed,
        direction,
    };
    Outcome::Granted(
        Plan::new(world.revision(), event, settled)
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::ContractProposed(proposal)),
    )
}

/// Another text under a version that is published.
fn clash(world: &World, contract: &ContractRecord) -> Option<(&'static str, String)> {
    let mut versions = world.contracts(OrgScope::Only(contract.org));
    let known = versions.find(|known| {
        known.name == contract.name && known.version == contract.version && known.hash != contract.hash
    })?;
    let message = format!(
        "{} version {} is published with other content ({}): raise `metadata.version`",
        contract.name, contract.version, known.hash
    );
    Some(("CONTRACT_VERSION_TAKEN", message))
}

fn published(contract: &ContractRecord) -> String {
    let from = contract.commit.as_ref().map_or(String::new(), |commit| {
        format!(", from commit {commit}, as whoever applied it says")
    });
    format!(
        "contract {} version {} published as {}{from}",
        contract.name, contract.version, contract.hash
    )
}

fn publish(
    world: &World,
    who: &Administrator,
    contract: ContractRecord,
    summary: Vec<String>,
    direction: Direction,
    author: Option<&Person>,
    draw: &mut Draw<'_>,
) -> Outcome<Settled> {
    let mut event = who.event(EventKind::ContractPublished, Role::Author, world, draw);
    event.org = Some(contract.org);
    let detail = &mut event.detail;
    detail.insert("contract".into(), Value::String(contract.hash.to_string()));
    detail.insert("direction".into(), Value::String(direction.to_string()));
    if let Some(author) = author {
        let name = draw.name(author.name.as_str()).to_string();
        detail.insert("author".into(), Value::String(name));
        detail.insert("author_uid".into(), Value::from(author.uid));
    }
    event.change_summary = summary;
    let settled = Settled {
        standing: Standing::Published,
        direction,
    };
    Outcome::Granted(
        Plan::new(world.revision(), event, settled)
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::ContractPublished(contract)),
    )
}

/// Says yes to somebody else's proposal: it is published. `shown` is the [`Proposal::digest`] of what they looked at:
/// applying the contract again may have put it in the place of something else since.
pub fn agree(
    world: &World,
    who: &Administrator,
    org: OrgId,
    hash: &Digest,
    shown: &Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Settled> {
    let publishing = Act {
        role: if who.may(Role::Approver, org) {
            Role::Approver
        } else {
            Role::Author
        },
        ..act(EventKind::ContractPublished, org)
    };
    if let Err(refused) = who.check(publishing.role, Some(org), world, draw) {
        return refused;
    }
    let now = draw.now();
    let proposal = world.proposal(OrgScope::Only(org), org, hash);
    let Some(proposal) = proposal.filter(|proposal| proposal.is_open(now)) else {
        let message = format!(
            "no open proposal {hash}: see what waits with `tabard contract proposals`; one that is over is applied again"
        );
        return who.refuse_act(&publishing, "PROPOSAL_UNKNOWN", message, world, draw);
    };
    let second = Person::of(who.principal());
    if !second.is_another_than(&proposal.by) {
        let message = format!(
            "{} proposed this contract: somebody else has to publish it",
            proposal.by.name
        );
        return who.refuse_act(&publishing, "PROPOSAL_OWN", message, world, draw);
    }
    if !who.presence().is_verified(now) {
        let message = "a wider contract takes a person who showed lately that it is they: publish it in a session of your own \
                       in which you just proved to be there; a process with your uid is not enough";
        return who.refuse_act(
            &publishing,
            "PRESENCE_UNVERIFIED",
            message.to_owned(),
            world,
            draw,
        );
    }
    if proposal.digest() != *shown {
        let message = "what you were shown is not what would be published: load the page again".to_owned();
        return who.refuse_act(&publishing, "PROPOSAL_MOVED", message, world, draw);
    }
    let mut contract = proposal.contract.clone();
    if let Some((code, message)) = clash(world, &contract) {
        return who.refuse_act(&publishing, code, message, world, draw);
    }
    // What came into force since is not what was looked at.
    let known = world.contract(OrgScope::Only(org), hash);
    let mut covered: BTreeSet<Digest> = known.map(|known| known.succeeds.clone()).unwrap_or_default();
    covered.extend(proposal.over.iter().copied());
    contract.succeeds = covered;
    contract.published_at = now;
    let mut summary = vec![published(&contract)];
    summary.push("widening; proposed by one person and published by another".to_owned());
    summary.extend(proposal.sentences.iter().cloned());
    publish(
        world,
        who,
        contract,
        summary,
        Direction::Widening,
        Some(&proposal.by),
        draw,
    )
}

/// Takes a proposal back, or turns it down.
pub fn withdraw(
    world: &World,
    who: &Administrator,
    org: OrgId,
    hash: &Digest,
    draw: &mut Draw<'_>,
) -> Outcome<crate::inventory::Done> {
    let mut withdrawing = act(EventKind::ContractWithdrawn, org);
    if !who.may(Role::Author, org) && who.may(Role::Approver, org) {
        withdrawing.role = Role::Approver;
    }
    let Some(proposal) = world.proposal(OrgScope::Only(org), org, hash) else {
        let message = format!("no proposal {hash}: see what waits with `tabard contract proposals`");
        return who.refuse_act(&withdrawing, "PROPOSAL_UNKNOWN", message, world, draw);
    };
    let summary = format!(
        "contract {} version {} is no longer proposed ({hash})",
        proposal.contract.name, proposal.contract.version
    );
    let change = Change::ProposalWithdrawn { hash: *hash, org };
    who.act(&withdrawing, summary, change, world, draw)
}

/// Whether an agent may be put under `new` instead of `old`, on the word of whoever asks; what its entry says of that.
pub(crate) fn takes_the_place(
    world: &World,
    org: OrgId,
    (old, new): (&Digest, &Digest),
    scrutiny: Scrutiny<'_>,
) -> Result<Vec<String>, Cause> {
    let agreed = world
        .contract(OrgScope::Only(org), new)
        .is_some_and(|contract| contract.succeeds.contains(old));
    let invalid = |code, message: String| Cause::Invalid { code, message };
    let Some(direction) = scrutiny.direction(old, new) else {
        let message = "another contract came into force meanwhile: try again".to_owned();
        return Err(invalid("CONTRACT_MOVED", message));
    };
    let asks = match scrutiny.rule {
        FourEyes::Off => false,
        FourEyes::Widening => direction == Direction::Widening,
        FourEyes::Always => true,
    };
    if asks && !agreed {
        let message = format!(
            "under {new} the agent could do more than under {old}, and nobody but you has looked: propose it with \
             `tabard contract apply FILE --agent NAME`, have somebody else run `tabard contract publish`, then try again"
        );
        return Err(invalid("CONTRACT_WIDENS", message));
    }
    let how = match (agreed, scrutiny.rule) {
        (true, _) => ", agreed to by a second person",
        (false, FourEyes::Off) => " (four_eyes: off)",
        (false, FourEyes::Widening | FourEyes::Always) => "",
    };
    let mut summary = vec![format!("takes the place of {old}: {direction}{how}")];
    summary.extend(scrutiny.sentences(&[*old].into()));
    Ok(summary)
}

#[cfg(test)]
pub(crate) mod tests;
