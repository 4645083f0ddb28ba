//! The judgement: a compiled contract, facts and the time, to a verdict.
//!
//! Pure and total. It judges any facts, real or invented: simulation, lists, shadow versions and replay call it too, so
//! a verdict proves nothing about who asked. When Cedar reports any error the verdict is a refusal (POLICY_ERROR),
//! since a policy that errors is skipped and the skipped one may be a limit.

use crate::compile::{Compiled, CompiledGrant, Rule};
use crate::contract::Mode;
use crate::facts::Facts;
use crate::reason::Reason;
use crate::verdict::{Allowed, Basis, Denial, Nearest, Obligation, ReasonDetail, Verdict};
use cedar_policy::{Decision, PolicyId, Response};
use identity::UnixTime;

/// Decides whether `facts` are within the contract at `now`, and if not, for which reasons: all of them, always in the
/// same order.
pub fn decide(compiled: &Compiled, facts: &Facts<'_>, now: UnixTime) -> Verdict {
    let denial = match compiled.evaluate(facts, now) {
        Err(error) => failure(compiled, &error.to_string()),
        Ok(response) => match judge(compiled, facts, now, &response) {
            Ok(allowed) => return Verdict::Allow(allowed),
            Err(denial) => denial,
        },
    };
    let waived =
        compiled.mode() == Mode::Shadow && denial.reasons.iter().all(|detail| detail.reason.is_waivable());
    if waived {
        return Verdict::Allow(Allowed {
            contract: compiled.hash(),
            policies: denial.policies.clone(),
            obligations: counts(compiled, facts),
            basis: Basis::Shadow(denial),
        });
    }
    Verdict::Deny(denial)
}

fn judge(
    compiled: &Compiled,
    facts: &Facts<'_>,
    now: UnixTime,
    response: &Response,
) -> Result<Allowed, Denial> {
    if let Some(error) = response.diagnostics().errors().next() {
        return Err(failure(compiled, &error.to_string()));
    }
    let ids: Vec<&PolicyId> = response.diagnostics().reason().collect();
    let mut rules = Vec::with_capacity(ids.len());
    for id in &ids {
        match compiled.rule(id) {
            Some(rule) => rules.push(rule),
            None => return Err(failure(compiled, "a policy that the contract does not have")),
        }
    }
    rules.sort_unstable();
    let mut policies: Vec<String> = ids.iter().map(ToString::to_string).collect();
    policies.sort_unstable();
    match response.decision() {
        Decision::Allow => allowed(compiled, facts, &rules, policies),
        Decision::Deny => Err(denied(compiled, facts, now, &rules, policies)),
    }
}

fn allowed(
    compiled: &Compiled,
    facts: &Facts<'_>,
    rules: &[Rule],
    policies: Vec<String>,
) -> Result<Allowed, Denial> {
    let first = rules.iter().find_map(|rule| match rule {
        Rule::Grant(place) => compiled.grants().get(*place),
        Rule::Limit(_) => None,
    });
    let found = first.and_then(|grant| Some((grant, grant.business_action.get(facts.action)?)));
    let Some((grant, business_action)) = found else {
        return Err(failure(compiled, "an allowed action that no grant names"));
    };
    let mut obligations = counts(compiled, facts);
    obligations.extend(grant.data.clone().map(Obligation::Label));
    Ok(Allowed {
        contract: compiled.hash(),
        basis: Basis::Granted {
            grant: grant.grant.clone(),
            business_action: business_action.clone(),
        },
        policies,
        obligations,
    })
}

/// An exchange counts nothing.
fn counts(compiled: &Compiled, facts: &Facts<'_>) -> Vec<Obligation> {
    if !facts.stage.is_call() {
        return Vec::new();
    }
    compiled
        .windows()
        .iter()
        .map(|window| Obligation::Count(window.id))
        .collect()
}

fn denied(
    compiled: &Compiled,
    facts: &Facts<'_>,
    now: UnixTime,
    rules: &[Rule],
    policies: Vec<String>,
) -> Denial {
    let mut reasons: Vec<ReasonDetail> = rules
        .iter()
        .filter_map(|rule| match rule {
            Rule::Limit(place) => compiled.limits().get(*place),
            Rule::Grant(_) => None,
        })
        .map(|limit| ReasonDetail {
            reason: limit.reason,
            grant: None,
            line: limit.line,
            limit: limit.text.clone(),
            actual: limit.limit.actual(facts, now),
            fix: limit.limit.fix().to_owned(),
        })
        .collect();
    let nearest = ungranted(compiled, facts, &mut reasons);
    if reasons.is_empty() {
        return failure(compiled, "a refusal without a reason");
    }
    reasons.sort();
    Denial {
        contract: compiled.hash(),
        reasons,
        policies,
        nearest,
    }
}

/// When no grant permits: the reasons, and the grant with the fewest failed conditions. A limit that is exceeded hides
/// from Cedar's answer whether a grant was missing as well, so the grants' conditions are looked at here.
fn ungranted(
    compiled: &Compiled,
    facts: &Facts<'_>,
    reasons: &mut Vec<ReasonDetail>,
) -> Option<Box<Nearest>> {
    let failed_of = |grant: &CompiledGrant| {
        grant
            .atoms
            .iter()
            .filter(|atom| !atom.holds(facts))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (grant, failed) = compiled
        .grants()
        .iter()
        .map(|grant| (grant, failed_of(grant)))
        .min_by_key(|(_, failed)| {
            let names = failed
                .iter()
                .filter(|atom| atom.reason() == Reason::ActionNotGranted)
                .count();
            (names, failed.len())
        })?;
    if failed.is_empty() {
        return None;
    }
    let missing = failed
        .iter()
        .any(|atom| atom.reason() == Reason::ActionNotGranted);
    for atom in &failed {
        if missing && atom.reason() != Reason::ActionNotGranted {
            continue;
        }
        reasons.push(ReasonDetail {
            reason: atom.reason(),
            grant: Some(grant.grant.id.clone()),
            line: grant.grant.line,
            limit: atom.to_string(),
            actual: atom.actual(facts),
            fix: atom.fix(),
        });
    }
    Some(Box::new(Nearest {
        grant: grant.grant.clone(),
        failed,
    }))
}

fn failure(compiled: &Compiled, what: &str) -> Denial {
    Denial {
        contract: compiled.hash(),
        reasons: vec![ReasonDetail {
            reason: Reason::PolicyError,
            grant: None,
            line: 1,
            limit: "every policy evaluates".to_owned(),
            actual: what.to_owned(),
            fix: "report it with the decision's id; until then the request stays refused".to_owned(),
        }],
        policies: Vec::new(),
        nearest: None,
    }
}
