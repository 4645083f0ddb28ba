//! The judgement: a compiled contract, facts and the time, to a verdict.
//!
//! Pure and total. It judges any facts, real or invented: simulation, lists, shadow versions and replay call it too, so
//! a verdict proves nothing about who asked. When Cedar reports any error the verdict is a refusal (POLICY_ERROR),
//! since a policy that errors is skipped and the skipped one may be a limit.

use crate::attribute::{graph_steps, on_graph};
use crate::compile::{Compiled, CompiledGrant, Evaluations, Rule};
use crate::contract::{Mode, OffGraph};
use crate::facts::Facts;
use crate::flow::{Labels, Readers};
use crate::reason::Reason;
use crate::verdict::{Allowed, Basis, Denial, Nearest, ReasonDetail, Verdict};
use cedar_policy::{Decision, PolicyId, Response};
use identity::UnixTime;

/// Decides whether `facts` are within the contract at `now`, and if not, for which reasons: all of them, always in the
/// same order.
pub fn decide(compiled: &Compiled, facts: &Facts<'_>, now: UnixTime) -> Verdict {
    decide_among(compiled, facts, now, &mut Evaluations::default())
}

/// The same, for one of several actions of the same request: see [`Evaluations`].
pub(crate) fn decide_among(
    compiled: &Compiled,
    facts: &Facts<'_>,
    now: UnixTime,
    known: &mut Evaluations,
) -> Verdict {
    let denial = match compiled.evaluate(facts, now, known) {
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
            raises: raises(compiled, facts, None),
            steps: graph_steps(facts, compiled.contract().terms()),
            findings: Vec::new(),
            exception: None,
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
    let decision = ruling(response).map_err(|error| failure(compiled, &error))?;
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
    match decision {
        Decision::Allow => allowed(compiled, facts, &rules, policies),
        Decision::Deny => Err(denied(compiled, facts, now, &rules, policies)),
    }
}

/// What Cedar's answer counts as: its decision, or the first error. A policy that fails is skipped by Cedar, and the
/// skipped one may be a limit.
pub(crate) fn ruling(response: &Response) -> Result<Decision, String> {
    match response.diagnostics().errors().next() {
        Some(error) => Err(error.to_string()),
        None => Ok(response.decision()),
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
        Rule::Limit(_) | Rule::Custom(_) => None,
    });
    let found = first.and_then(|grant| Some((grant, grant.business_action.get(facts.action)?)));
    let Some((grant, business_action)) = found else {
        return Err(failure(compiled, "an allowed action that no grant names"));
    };
    let terms = compiled.contract().terms();
    let alerts = terms
        .workflow
        .as_ref()
        .is_some_and(|workflow| workflow.off_graph == OffGraph::Alert);
    let strays = alerts && facts.stage.is_call() && !on_graph(facts, terms);
    Ok(Allowed {
        contract: compiled.hash(),
        basis: Basis::Granted {
            grant: grant.grant.clone(),
            business_action: business_action.clone(),
        },
        policies,
        raises: raises(compiled, facts, Some(grant)),
        steps: graph_steps(facts, terms),
        findings: strays.then_some(Reason::OffWorkflow).into_iter().collect(),
        exception: None,
    })
}

/// What the task has seen once the call was made: what the service declares, else what the grant says.
fn raises(compiled: &Compiled, facts: &Facts<'_>, grant: Option<&CompiledGrant>) -> Labels {
    let mut labels = Labels::NONE;
    if !facts.stage.is_call() {
        return labels;
    }
    let listed = compiled
        .contract()
        .terms()
        .flow
        .as_ref()
        .is_some_and(|flow| flow.reads_untrusted.contains(facts.action));
    // What nobody declared may hold anything.
    let mut untrusted = listed || facts.flow.data.is_none();
    if let Some(data) = facts.flow.data {
        labels.sensitivity = data.sensitivity;
        labels.domains.clone_from(&data.domains);
        labels.readers = data.readers.clone();
        untrusted |= data.untrusted;
    } else if let Some(data) = grant.and_then(|grant| grant.data.as_ref()) {
        labels.sensitivity = data.sensitivity;
        labels.domains.clone_from(&data.domains);
        labels.readers = Readers::Everyone;
    }
    if untrusted {
        labels.taint.insert(facts.action.clone());
    }
    labels.tenants.extend(facts.resource.tenant.cloned());
    labels
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
            Rule::Limit(place) => compiled.limits().get(*place).map(|limit| ReasonDetail {
                reason: limit.limit.reason_at(facts).unwrap_or(limit.reason),
                grant: None,
                line: limit.line,
                limit: limit.text.clone(),
                actual: limit.limit.actual(facts, now),
                fix: limit.limit.fix().to_owned(),
            }),
            Rule::Custom(place) => custom(compiled, *place),
            Rule::Grant(_) => None,
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

/// The reason that a rule in Cedar gives.
fn custom(compiled: &Compiled, place: usize) -> Option<ReasonDetail> {
    let contract = compiled.contract();
    let rule = contract.terms().rules.get(place)?;
    Some(ReasonDetail {
        reason: Reason::CustomRule,
        grant: None,
        line: contract.line(&format!("rules.{}", rule.id)),
        limit: format!("rule {}: {}", rule.id, rule.reason.as_str()),
        actual: String::new(),
        fix: "change the request, or the rule in a new version of the contract".to_owned(),
    })
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
            // What a human may let pass is nearer than what nobody may.
            let final_ones = failed
                .iter()
                .filter(|atom| !atom.reason().is_approvable())
                .count();
            (names, final_ones, failed.len())
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
