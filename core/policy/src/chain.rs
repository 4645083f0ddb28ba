//! Along a chain, rights are the intersection: every party is judged by its own contract, and all have to allow.
//!
//! One evaluation a link, none left out, so that an operator sees who was allowed and who was not. The user at the
//! beginning is no link with a contract: what a user may do is a fact that every contract's decision looks at.

use crate::compile::{Compiled, Evaluations};
use crate::decide::decide_among;
use crate::facts::Facts;
use crate::reason::Reason;
use crate::verdict::{Denial, ReasonDetail, Verdict};
use identity::UnixTime;

/// One agent of a chain with what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct ChainLink<'a> {
    /// Its contract.
    pub compiled: &'a Compiled,
    /// The facts, as they are for it: its place, its task, its counters.
    pub facts: &'a Facts<'a>,
}

/// What was decided of one agent of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkVerdict {
    /// Its place; one is the originating principal.
    pub position: u8,
    /// The verdict.
    pub verdict: Verdict,
}

/// What was decided of a whole chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainVerdict {
    /// Of each agent, the current actor last.
    pub links: Vec<LinkVerdict>,
    /// Of all of them together.
    pub verdict: Verdict,
}

impl ChainVerdict {
    /// Of a chain without an agent: refused.
    pub fn nobody() -> Self {
        let denial = Denial {
            contract: crate::contract::ContractHash(identity::Digest::from_bytes([0; 32])),
            reasons: vec![ReasonDetail {
                reason: Reason::NoContract,
                grant: None,
                line: 1,
                limit: "an agent that is judged by its contract".to_owned(),
                actual: "no agent".to_owned(),
                fix: "register an agent, and let it act".to_owned(),
            }],
            policies: Vec::new(),
            nearest: None,
        };
        Self {
            links: Vec::new(),
            verdict: Verdict::Deny(denial),
        }
    }
}

/// Decides along the chain from its first agent to `actor`, who asks: allowed only if every contract allows it. The
/// verdict is the actor's own, with what the others add: their labels, or that they refuse. `known` is what the same
/// request came to for other actions.
pub fn decide_chain(
    before: &[ChainLink<'_>],
    actor: ChainLink<'_>,
    now: UnixTime,
    known: &mut Evaluations,
) -> ChainVerdict {
    let mut judged = |link: &ChainLink<'_>| LinkVerdict {
        position: link.facts.link.position,
        verdict: decide_among(link.compiled, link.facts, now, known),
    };
    let mut links: Vec<LinkVerdict> = before.iter().map(&mut judged).collect();
    let own = judged(&actor);
    let mut verdict = own.verdict.clone();
    for (link, judged) in before.iter().zip(&links) {
        match (&mut verdict, &judged.verdict) {
            (Verdict::Allow(allowed), Verdict::Allow(other)) => allowed.raises.join(&other.raises),
            (_, Verdict::Deny(denial)) => verdict = refused(verdict, &actor, link, denial),
            (Verdict::Deny(_), Verdict::Allow(_)) => {}
        }
    }
    links.push(own);
    ChainVerdict { links, verdict }
}

/// The verdict, once another party of the chain refused as well.
fn refused(verdict: Verdict, actor: &ChainLink<'_>, link: &ChainLink<'_>, denial: &Denial) -> Verdict {
    let codes: Vec<&str> = denial.reasons.iter().map(|detail| detail.reason.code()).collect();
    let contract = link.compiled.contract();
    let detail = ReasonDetail {
        reason: Reason::ChainLinkDenied,
        grant: None,
        line: denial.reasons.first().map_or(1, |detail| detail.line),
        limit: format!(
            "the contract {} allows it as well",
            contract.terms().metadata.name
        ),
        actual: format!("party {}: {}", link.facts.link.position, codes.join(" ")),
        fix: "see the reasons of that party; every party of the chain has to be allowed".to_owned(),
    };
    let mut denial = match verdict {
        Verdict::Deny(denial) => denial,
        Verdict::Allow(allowed) => Denial {
            contract: actor.compiled.hash(),
            reasons: Vec::new(),
            policies: allowed.policies,
            nearest: None,
        },
    };
    denial.reasons.push(detail);
    denial.reasons.sort();
    Verdict::Deny(denial)
}
