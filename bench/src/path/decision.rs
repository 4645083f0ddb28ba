//! One decision over one link, in process. Floor: Cedar's own evaluation of the same policies on the same request.

use super::asked::{Asked, compiled};
use crate::cpu;
use crate::effort::Effort;
use crate::fault::{Fault, fault};
use crate::place::contract_text;
use crate::report::Measured;
use cedar_policy::Authorizer;
use policy::{Verdict, decide};

pub(super) fn measure(effort: Effort<'_>) -> Result<[Measured; 1], Fault> {
    let Costs {
        decision,
        cedar,
        note,
    } = costs(effort)?;
    Ok([Measured::new(decision, cedar, note)])
}

/// Cedar's own evaluation of the bench's contract, in CPU microseconds.
pub(super) fn cedar_micros(effort: Effort<'_>) -> Result<f64, Fault> {
    Ok(costs(effort)?.cedar)
}

/// CPU microseconds of one decision, and of Cedar's part in it.
struct Costs {
    decision: f64,
    cedar: f64,
    note: String,
}

fn costs(effort: Effort<'_>) -> Result<Costs, Fault> {
    let compiled = compiled(&contract_text())?;
    let asked = Asked::new()?;
    let counters: Vec<_> = compiled
        .counters()
        .iter()
        .map(|counter| (counter.id.clone(), 1))
        .collect();
    let (facts, at) = (asked.facts(&counters), asked.at);
    let verdict = decide(&compiled, &facts, at);
    if !matches!(verdict, Verdict::Allow(_)) {
        return Err(fault(format!(
            "the decision is not what is measured: {verdict:?}"
        )));
    }
    let request = compiled.request_for(&facts, at)?;
    let authorizer = Authorizer::new();
    let (rounds, count) = (effort.pick(1, 4, 10), effort.pick(20, 2_000, 2_000));
    let (mut value, mut floor) = (0.0, 0.0);
    for _ in 0..rounds {
        floor += cpu::micros_each(count, || {
            std::hint::black_box(authorizer.is_authorized(
                &request,
                compiled.policy_set(),
                compiled.entities(),
            ));
        });
        value += cpu::micros_each(count, || {
            drop(std::hint::black_box(decide(&compiled, &facts, at)));
        });
    }
    let policies = compiled.policy_set().policies().count();
    let note = format!("{policies} policies; mean of {} decisions", rounds * count);
    let rounds = f64::from(rounds);
    Ok(Costs {
        decision: value / rounds,
        cedar: floor / rounds,
        note,
    })
}
