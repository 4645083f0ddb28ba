//! Simulate: what another contract would have said of decisions that were made and recorded.
//!
//! Every recorded decision keeps the facts it was made on, so it can be made again. The counters are those that were
//! recorded: that a call would have been refused earlier, and the next one counted less, is not looked at. The answer
//! says so.

use audit::Event;
use audit::event::{LinkVerdict, Ruling};
use identity::{AgentId, DecisionId, Name};
use policy::{Compiled, Recorded, decide};
use serde::Serialize;
use std::collections::BTreeMap;

/// What has to be said beside every simulation.
pub const CAVEAT: &str = "Decided again with the counters, labels and approvals that were recorded: what a refusal would have changed \
     for the calls after it is not looked at.";

/// One party's part of a recorded decision.
#[derive(Debug)]
pub struct Decided {
    /// What it was decided on.
    pub facts: Recorded,
    /// What its own contract said.
    pub allowed: bool,
    /// The decision.
    pub decision: DecisionId,
}

/// What an entry says of decisions by contracts: one of each party whose facts it keeps. None where no contract was
/// asked, and an error where the facts are not as this version reads them.
pub fn decided(event: &Event) -> Result<Vec<Decided>, policy::NotFacts> {
    let Some(decision) = &event.decision else {
        return Ok(Vec::new());
    };
    if !decision
        .facts
        .iter()
        .any(|fact| fact.name == policy::Fact::Stage.as_str())
    {
        return Ok(Vec::new());
    }
    let rows = || decision.facts.iter().map(|fact| (&*fact.name, &fact.value));
    let own = Recorded::read(rows())?;
    let (actor, mut all) = (own.link().position, Vec::new());
    for position in 1..actor {
        // A user, a service or an older entry has no rows of its own.
        if rows().any(|(name, _)| name.strip_prefix("link.").is_some_and(|rest| of(rest, position))) {
            all.push(Recorded::read_link(position, rows())?);
        }
    }
    all.push(own);
    let said = |position: u8| {
        let link = event.chain.get(usize::from(position).checked_sub(1)?)?;
        link.verdict.map(|verdict| verdict == LinkVerdict::Allow)
    };
    Ok(all
        .into_iter()
        .map(|facts| Decided {
            allowed: said(facts.link().position).unwrap_or(decision.outcome == Ruling::Allow),
            decision: decision.id,
            facts,
        })
        .collect())
}

fn of(rest: &str, position: u8) -> bool {
    rest.split('.').next() == Some(position.to_string().as_str())
}

/// How a verdict would differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Allowed then, refused by the candidate.
    NewlyDenied,
    /// Refused then, allowed by the candidate.
    NewlyAllowed,
}

/// Decisions that turn out otherwise, alike in agent, action and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How.
    pub turn: Turn,
    /// The agent.
    pub agent: AgentId,
    /// The action.
    pub action: Name,
    /// The reason that the candidate gives, or that was given then.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// One of them, for `tabard explain`.
    pub example: DecisionId,
}

/// What a candidate would have said, over all entries that were looked at.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// Decisions that were made again.
    pub decisions: u64,
    /// The same verdict.
    pub unchanged: u64,
    /// Allowed then, refused by the candidate.
    pub newly_denied: u64,
    /// Refused then, allowed by the candidate.
    pub newly_allowed: u64,
    /// Allowed by the candidate only because it watches and does not enforce.
    pub shadowed: u64,
    /// Entries whose facts this version cannot read.
    pub unreadable: u64,
    differences: BTreeMap<(Turn, AgentId, Name, String), (u64, DecisionId)>,
}

impl Simulation {
    /// Takes in what an entry decided of agents that the candidate is for.
    pub fn look(&mut self, event: &Event, is_for: impl Fn(AgentId) -> bool, candidate: &Compiled) {
        let Ok(all) = decided(event) else {
            self.unreadable += 1;
            return;
        };
        let then = event.decision.iter().flat_map(|decision| &decision.reasons);
        for one in all.into_iter().filter(|one| is_for(one.facts.agent())) {
            self.decisions += 1;
            let verdict = one.facts.with(|facts| decide(candidate, facts, one.facts.now()));
            let allowed = verdict.is_allowed();
            if allowed && verdict.denial().is_some() {
                self.shadowed += 1;
            }
            let (turn, reasons): (_, Vec<String>) = match (one.allowed, allowed) {
                (true, false) => {
                    self.newly_denied += 1;
                    let codes = verdict
                        .reasons()
                        .iter()
                        .map(|detail| detail.reason.code().to_owned());
                    (Turn::NewlyDenied, codes.collect())
                }
                (false, true) => {
                    self.newly_allowed += 1;
                    (Turn::NewlyAllowed, then.clone().cloned().collect())
                }
                (true, true) | (false, false) => {
                    self.unchanged += 1;
                    continue;
                }
            };
            for reason in reasons {
                let key = (turn, one.facts.agent(), one.facts.action().clone(), reason);
                let (count, _) = self.differences.entry(key).or_insert((0, one.decision));
                *count += 1;
            }
        }
    }

    /// What turns out otherwise, refusals first, each with how often. A decision with several reasons is under each.
    pub fn differences(&self) -> impl Iterator<Item = Difference> {
        self.differences
            .iter()
            .map(|((turn, agent, action, reason), (count, example))| Difference {
                turn: *turn,
                agent: *agent,
                action: action.clone(),
                reason: reason.clone(),
                count: *count,
                example: *example,
            })
    }
}
