//! What a solver needs to prove that a change allows nothing more, and when its word would count.
//!
//! A proof is about Cedar: both policy sets, one schema, every possible context. Some attributes are made of facts *and*
//! the contract (whether a call is a way out, is on the graph, goes to a trusted destination), and shadow mode is no
//! policy at all; where those differ, one context is not the same request for both, and nothing is offered for proof.
//! Labels that a read leaves are outside of it in any case: the comparison by key answers for them.

use crate::compile::Compiled;
use crate::contract::{Mode, Terms, Workflow};
use identity::Name;
use serde_json::Value;
use std::collections::BTreeSet;

/// Why a solver cannot say anything about two contracts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProvable {
    /// One of them only reports.
    #[error("a contract in shadow mode allows what its policies refuse")]
    Shadow,
    /// They see the same call differently.
    #[error(
        "the two take the same call for different things: ways out, trusted destinations or steps differ"
    )]
    Seen,
}

/// The Cedar schema (JSON form) under which the policies of both are well typed, if a proof over it would count.
pub fn provable(old: &Compiled, new: &Compiled) -> Result<Value, NotProvable> {
    let (before, after) = (old.contract().terms(), new.contract().terms());
    if before.mode != Mode::Enforce || after.mode != Mode::Enforce {
        return Err(NotProvable::Shadow);
    }
    if seen(before) != seen(after) {
        return Err(NotProvable::Seen);
    }
    Ok(Compiled::schema_of(&[old, new]))
}

/// What makes one call another one in the eyes of a contract.
type Seen<'t> = (
    Option<&'t BTreeSet<Name>>,
    Option<Vec<String>>,
    Option<&'t Workflow>,
    Vec<(&'t Name, BTreeSet<&'t Name>)>,
);

fn seen(terms: &Terms) -> Seen<'_> {
    let flow = terms.flow.as_ref();
    let egress = flow.map(|flow| &flow.egress).filter(|egress| !egress.is_empty());
    let everywhere = crate::contract::TrustedFrom::ALL.len();
    let trusted = flow
        .map(|flow| &flow.trusted_destinations)
        .filter(|trusted| trusted.len() < everywhere);
    let trusted = trusted.map(|trusted| trusted.iter().map(ToString::to_string).collect());
    // The graph takes the domains of a call from the grants.
    let domains = terms
        .workflow
        .iter()
        .flat_map(|_| &terms.grants)
        .flat_map(|grant| {
            let domains: BTreeSet<&Name> = grant.data.iter().flat_map(|data| &data.domains).collect();
            grant.actions.iter().map(move |action| (action, domains.clone()))
        });
    (egress, trusted, terms.workflow.as_ref(), domains.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{BILLING, compiled};

    #[test]
    fn what_is_not_cedar_is_not_offered_for_proof() {
        let old = compiled(BILLING);
        let with = |text: &str| compiled(&format!("{BILLING}\n{text}\n"));
        assert!(provable(&old, &old).is_ok());
        let shadow = compiled(&BILLING.replace("mode: enforce", "mode: shadow"));
        assert_eq!(provable(&old, &shadow), Err(NotProvable::Shadow));
        assert_eq!(
            provable(&old, &with("flow: {egress: [invoices.read]}")),
            Err(NotProvable::Seen)
        );
        assert_eq!(
            provable(&old, &with("flow: {trusted_destinations: [task]}")),
            Err(NotProvable::Seen)
        );
        assert_eq!(
            provable(&old, &with("workflow: {start: [invoices.read], off_graph: deny}")),
            Err(NotProvable::Seen)
        );
    }

    #[test]
    fn both_are_well_typed_under_one_schema() {
        let old = compiled(BILLING);
        let new = compiled(&format!(
            "{BILLING}\nrules:\n  - id: r\n    reason: Some reason\n    cedar: forbid (principal, action, resource) when {{ context.tainted }};\n"
        ));
        let schema = provable(&old, &new).unwrap();
        let schema = cedar_policy::Schema::from_json_value(schema).unwrap();
        let validator = cedar_policy::Validator::new(schema);
        for contract in [&old, &new] {
            let mode = cedar_policy::ValidationMode::Strict;
            assert!(
                validator
                    .validate(contract.policy_set(), mode)
                    .validation_passed()
            );
        }
    }
}
