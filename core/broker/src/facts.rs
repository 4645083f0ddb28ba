//! From the World to the facts that a decision looks at, and from a verdict to what its entry says.

use crate::world::{OpenerKind, Task};
use audit::event::{CommitmentKey, Decision, Fact, Link as ChainLink, Provenance, Ruling, Shadow};
use identity::ActorChain;
use policy::contract::Opener;
use policy::{Allowed, Denial, FactRow, LinkVerdict, TaskFacts};

/// A task as a decision sees it.
pub(crate) fn of_task(task: &Task) -> TaskFacts<'_> {
    TaskFacts {
        id: task.id,
        kind: &task.kind,
        opener: match task.opener.kind {
            OpenerKind::User => Opener::User,
            OpenerKind::Operator => Opener::Operator,
            OpenerKind::Trigger => Opener::Trigger,
            OpenerKind::Agent => Opener::Itself,
        },
        tenant: task.tenant.as_ref(),
        purpose: None,
        opened_at: task.opened_at,
        expires_at: task.expires_at,
    }
}

/// The parties of a chain as an entry names them, each agent with its verdict.
pub(crate) fn links(chain: &ActorChain, verdicts: &[LinkVerdict], names: &CommitmentKey) -> Vec<ChainLink> {
    let verdict = |place: usize| {
        let found = verdicts
            .iter()
            .find(|link| usize::from(link.position) == place + 1)?;
        Some(if found.verdict.is_allowed() {
            audit::event::LinkVerdict::Allow
        } else {
            audit::event::LinkVerdict::Deny
        })
    };
    let actors = chain.actors().iter().enumerate();
    actors
        .map(|(place, actor)| ChainLink::of(actor, verdict(place), names))
        .collect()
}

/// The normalised facts as an entry keeps them, so that the decision can be replayed.
pub(crate) fn recorded(rows: Vec<FactRow>) -> Vec<Fact> {
    rows.into_iter()
        .map(|row| {
            let provenance = match row.fact.provenance() {
                policy::Provenance::Attested => Provenance::Attested,
                policy::Provenance::Observed => Provenance::Observed,
                policy::Provenance::Opener => Provenance::Opener,
                policy::Provenance::Pdp => Provenance::Pdp,
                policy::Provenance::Asserted => Provenance::Asserted,
            };
            Fact::new(row.name, row.value, provenance)
        })
        .collect()
}

/// Which sentence of the contract allowed it.
pub(crate) fn allowed(decision: &mut Decision, allowed: Option<&Allowed>) {
    let Some(allowed) = allowed else { return };
    decision.policies = allowed.policies().to_vec();
    if let Some(grant) = allowed.grant() {
        decision.grant = Some(grant.id.to_string());
        decision.line = Some(grant.line);
    }
    if let Some(used) = allowed.exception() {
        let terms = &used.terms;
        let codes: std::collections::BTreeSet<&str> = used
            .refused
            .reasons
            .iter()
            .map(|detail| detail.reason.code())
            .collect();
        let text = format!(
            "{} until {}, owned by {}: {}; without it refused ({})",
            terms.id,
            terms.until.rfc3339(),
            terms.owner,
            terms.reason.as_str(),
            codes.into_iter().collect::<Vec<_>>().join(" ")
        );
        explain(decision, "exception".to_owned(), &text);
    }
    if let Some(denial) = allowed.would_deny() {
        decision.shadow = Some(Shadow {
            contract: denial.contract.0,
            outcome: Ruling::Deny,
            reasons: denial
                .reasons
                .iter()
                .map(|detail| detail.reason.code().to_owned())
                .collect(),
            extra: audit::event::Extra::new(),
        });
    }
}

/// Every reason, the limits they come from, and the nearest grant.
pub(crate) fn denied(decision: &mut Decision, denial: &Denial) {
    for detail in &denial.reasons {
        let limit = if detail.actual.is_empty() {
            detail.limit.clone()
        } else {
            format!("{}; actual: {}", detail.limit, detail.actual)
        };
        let name = format!("reason.{}", detail.reason.code());
        explain(decision, format!("{name}.limit"), &limit);
        explain(decision, format!("{name}.fix"), &detail.fix);
    }
    decision.policies.clone_from(&denial.policies);
    if let Some(nearest) = &denial.nearest {
        // Not `grant`: nothing was granted.
        decision.line = Some(nearest.grant.line);
        let failed: Vec<String> = nearest.failed.iter().map(ToString::to_string).collect();
        decision.nearest = Some(format!(
            "{} (line {}), which fails on: {}",
            nearest.grant.id,
            nearest.grant.line,
            failed.join("; ")
        ));
    }
}

/// What stood in the way of a refusal that no contract made, in words.
pub(crate) fn limit(decision: &mut Decision, reason: policy::Reason, text: &str) {
    explain(decision, format!("reason.{}.limit", reason.code()), text);
}

/// One line of explanation; what several grants fail on alike stands together under one name.
fn explain(decision: &mut Decision, name: String, text: &str) {
    if text.is_empty() {
        return;
    }
    let Some(known) = decision.facts.iter_mut().find(|fact| fact.name == name) else {
        decision.facts.push(Fact::new(name, text, Provenance::Observed));
        return;
    };
    let before = known.value.as_str().unwrap_or_default();
    if !before.split(" | ").any(|part| part == text) {
        known.value = format!("{before} | {text}").into();
    }
}
