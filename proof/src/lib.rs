//! Proofs over contracts: that a change allows nothing that was refused, for every request there can be.
//!
//! Needs a cvc5 (`CVC5=PATH`; `proof/solver.py` wraps the one of PyPI). A workspace of its own, because the symbolic
//! compiler has no place in what runs: nothing is in force by a proof. See docs/adr/0016-what-a-widening-is.md.

use cedar_policy::{Authorizer, Decision, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicySet, Env};
use policy::{Compiled, provable};
use std::fmt::Display;

/// What a solver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// There is no request that the new contract allows and the old one refuses.
    NothingNew,
    /// There is one, for this action, with this context.
    Counterexample {
        /// The action.
        action: String,
        /// The request, as Cedar writes it.
        request: String,
    },
    /// The difference is not all in Cedar, and why.
    NotInCedar(String),
}

/// Asks a solver whether `new` allows anything that `old` refuses.
///
/// # Errors
/// When the solver cannot be started, does not answer, or the policies cannot be translated, and when Cedar itself decides
/// the solver's request otherwise than the solver says; in words.
pub async fn prove(old: &Compiled, new: &Compiled) -> Result<Proof, String> {
    let schema = match provable(old, new) {
        Ok(schema) => Schema::from_json_value(schema).map_err(text)?,
        Err(why) => return Ok(Proof::NotInCedar(why.to_string())),
    };
    let solver = LocalSolver::cvc5().map_err(text)?;
    let mut compiler = CedarSymCompiler::new(solver).map_err(text)?;
    for environment in schema.request_envs() {
        if let Some(found) = allowed_anew(&mut compiler, old, new, &environment, &schema).await? {
            return Ok(found);
        }
    }
    Ok(Proof::NothingNew)
}

async fn allowed_anew(
    compiler: &mut CedarSymCompiler<LocalSolver>,
    old: &Compiled,
    new: &Compiled,
    environment: &RequestEnv,
    schema: &Schema,
) -> Result<Option<Proof>, String> {
    let compiled =
        |policies: &PolicySet| CompiledPolicySet::compile(policies, environment, schema).map_err(text);
    let (before, after) = (compiled(old.policy_set())?, compiled(new.policy_set())?);
    let found = compiler
        .check_implies_with_counterexample_opt(&after, &before)
        .await
        .map_err(text)?;
    let Some(found) = found else { return Ok(None) };
    replay(&found, old, new)?;
    Ok(Some(Proof::Counterexample {
        action: environment.action().to_string(),
        request: format!("{:?}", found.request),
    }))
}

/// The solver's word is not taken for it: the engine that decides real calls decides this one, by both contracts.
fn replay(found: &Env, old: &Compiled, new: &Compiled) -> Result<(), String> {
    let decide = |policies| Authorizer::new().is_authorized(&found.request, policies, &found.entities);
    let (before, after) = (decide(old.policy_set()), decide(new.policy_set()));
    match (before.decision(), after.decision()) {
        (Decision::Deny, Decision::Allow) => Ok(()),
        (before, after) => Err(format!(
            "the solver found a request that is decided {before:?} before and {after:?} after: {:?}",
            found.request
        )),
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
