//! An exception: one more grant for a while, under every limit of the contract.
//!
//! It is the contract compiled once more, with all its limits and rules and this grant instead of its own. So whatever a
//! limit refuses (tenants, chain, labels, hours, budgets, the end of the contract) stays refused, and no code that judges
//! a contract knows of exceptions. Its end is compared here on every decision and is not left to whoever cleans up.

use crate::compile::{Compiled, Evaluations};
use crate::contract::{Children, Contract, ContractError, Grant, Sensitivity, Sentence};
use crate::decide::{decide, decide_among};
use crate::facts::Facts;
use crate::verdict::{Denial, Verdict};
use identity::{Audience, Name, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an exception permits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExceptionTerms {
    /// How entries name it.
    pub id: String,
    /// The one action.
    pub action: Name,
    /// The one service.
    pub audience: Audience,
    /// Why, in one sentence.
    pub reason: Sentence,
    /// Who answers for it.
    pub owner: String,
    /// From when.
    pub from: UnixTime,
    /// Until when; at this instant it permits nothing any more.
    pub until: UnixTime,
}

/// An exception, ready to be decided by, for one contract.
#[derive(Clone, Debug)]
pub struct Exception {
    terms: Arc<ExceptionTerms>,
    compiled: Arc<Compiled>,
}

/// The exception that an allowed decision rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excepted {
    /// What it permits, and until when.
    pub terms: Arc<ExceptionTerms>,
    /// Why the contract alone refused.
    pub refused: Box<Denial>,
}

impl Exception {
    /// Compiles `terms` under the limits of `contract`.
    pub fn new(contract: &Contract, terms: ExceptionTerms) -> Result<Self, Vec<ContractError>> {
        let grant = Grant {
            // Nothing shows it: an allowed decision names the exception.
            id: contract.terms().purpose.id.clone(),
            services: [terms.audience.clone()].into(),
            actions: [terms.action.clone()].into(),
            conditions: BTreeMap::new(),
            business_action: [(terms.action.clone(), terms.reason.clone())].into(),
            reason: terms.reason.clone(),
            children: Children::Deny,
            data: None,
            approval: None,
        };
        Ok(Self {
            terms: Arc::new(terms),
            compiled: Arc::new(Compiled::new(contract.with_only(grant))?),
        })
    }
    /// What it permits.
    pub fn terms(&self) -> &ExceptionTerms {
        &self.terms
    }
    /// Whether it permits anything at `now`. A clock before its beginning is not right, and what is not right ends it.
    pub fn is_open(&self, now: UnixTime) -> bool {
        self.terms.from <= now && now < self.terms.until
    }
}

/// Decides as [`decide`] does (`known` is what the same request came to for other actions), and where that refuses, whether an open exception permits it under the same limits.
pub(crate) fn decide_with(
    compiled: &Compiled,
    exceptions: &[Exception],
    facts: &Facts<'_>,
    now: UnixTime,
    known: &mut Evaluations,
) -> Verdict {
    let verdict = decide_among(compiled, facts, now, known);
    let Verdict::Deny(refused) = verdict else {
        return verdict;
    };
    for exception in exceptions.iter().filter(|exception| exception.is_open(now)) {
        // Of another version of the contract, so under other limits.
        if exception.compiled.hash() != compiled.hash() {
            continue;
        }
        // On its own: what is known is known of the contract, which has the same name and other grants.
        let Verdict::Allow(mut allowed) = decide(&exception.compiled, facts, now) else {
            continue;
        };
        allowed.policies = vec![format!("exception:{}", exception.terms.id)];
        if facts.stage.is_call() && facts.flow.data.is_none() {
            // Nobody has said what comes back: it may be the most sensitive there is.
            allowed.raises.sensitivity = Sensitivity::Secret;
            let terms = compiled.contract().terms();
            let domains: BTreeSet<Name> =
                crate::attribute::domains_of(terms, facts.action, facts.audience, None);
            allowed.raises.domains.extend(domains);
        }
        allowed.exception = Some(Excepted {
            terms: exception.terms.clone(),
            refused: Box::new(refused),
        });
        return Verdict::Allow(allowed);
    }
    Verdict::Deny(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{BILLING, NOW, Words, compiled, name};
    use crate::{ArgValue, Reason};

    fn exception(contract: &Compiled, action: &str, from: UnixTime, until: UnixTime) -> Exception {
        let terms = ExceptionTerms {
            id: "exc_1".to_owned(),
            action: name(action),
            audience: "invoices".parse().unwrap(),
            reason: "The month is closed by hand.".parse().unwrap(),
            owner: "kim".to_owned(),
            from,
            until,
        };
        Exception::new(contract.contract(), terms).unwrap()
    }

    fn decided(compiled: &Compiled, open: &[Exception], facts: &Facts<'_>, now: UnixTime) -> Verdict {
        decide_with(compiled, open, facts, now, &mut Evaluations::default())
    }

    fn words() -> Words {
        Words {
            action: name("invoices.delete"),
            scope: vec![name("invoices.delete")],
            ..Words::billing()
        }
    }

    #[test]
    fn it_adds_one_right_until_its_end_and_not_a_millisecond_longer() {
        let contract = compiled(BILLING);
        let until = NOW.plus_secs(600);
        let open = [exception(&contract, "invoices.delete", NOW, until)];
        let words = words();
        let facts = words.call(&[("id", ArgValue::Str("7"))]);
        assert!(!decide(&contract, &facts, NOW).is_allowed());
        let verdict = decided(&contract, &open, &facts, NOW);
        let Verdict::Allow(allowed) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(allowed.policies(), ["exception:exc_1"]);
        let used = allowed.exception().unwrap();
        assert!(used.refused.has(Reason::ActionNotGranted));
        assert_eq!(allowed.raises().sensitivity, Sensitivity::Secret);
        // The task ends before the exception would: take one that does not.
        for (now, is_open) in [
            (NOW.minus_secs(1), false),
            (NOW, true),
            (UnixTime::from_millis(until.millis() - 1), true),
            (until, false),
            (until.plus_secs(1), false),
        ] {
            let mut later = facts.clone();
            later.task.opened_at = now.minus_secs(60);
            later.task.expires_at = now.plus_secs(600);
            assert_eq!(
                decided(&contract, &open, &later, now).is_allowed(),
                is_open,
                "{now:?}"
            );
        }
    }

    #[test]
    fn no_limit_of_the_contract_gives_way() {
        let contract = compiled(BILLING);
        let open = [exception(&contract, "invoices.delete", NOW, NOW.plus_secs(600))];
        let words = words();
        let of = |alter: &dyn Fn(&mut Facts<'_>)| {
            let mut facts = words.call(&[]);
            alter(&mut facts);
            decided(&contract, &open, &facts, NOW)
        };
        assert!(of(&|_| {}).is_allowed());
        let mut elsewhere = words.call(&[]);
        elsewhere.resource.tenant = Some(&words.other_tenant);
        assert!(!decided(&contract, &open, &elsewhere, NOW).is_allowed());
        assert!(!of(&|facts| facts.caller = crate::Caller::Child).is_allowed());
        assert!(!of(&|facts| facts.loops = true).is_allowed());
        assert!(!of(&|facts| facts.assurance = identity::Assurance::default()).is_allowed());
        assert!(!of(&|facts| facts.flow.labels = None).is_allowed());
        assert!(!of(&|facts| facts.counters = &[]).is_allowed());
        assert!(!of(&|facts| facts.task_scope = None).is_allowed());
        assert!(!of(&|facts| facts.task.expires_at = NOW).is_allowed());
    }

    #[test]
    fn it_holds_for_its_own_action_service_and_version_only() {
        let contract = compiled(BILLING);
        let other = compiled(&BILLING.replacen("version: 1", "version: 2", 1));
        let open = [exception(&contract, "invoices.delete", NOW, NOW.plus_secs(600))];
        let words = words();
        let facts = words.call(&[]);
        assert!(decided(&contract, &open, &facts, NOW).is_allowed());
        assert!(!decided(&other, &open, &facts, NOW).is_allowed());
        let elsewhere = Words {
            audience: "payments".parse().unwrap(),
            ..self::words()
        };
        assert!(!decided(&contract, &open, &elsewhere.call(&[]), NOW).is_allowed());
        let payout = Words {
            action: name("invoices.pay"),
            scope: vec![name("invoices.pay")],
            ..self::words()
        };
        assert!(!decided(&contract, &open, &payout.call(&[]), NOW).is_allowed());
    }

    #[test]
    fn what_is_known_of_the_contract_says_nothing_of_an_exception() {
        // Both have one class of actions and the same name: an evaluation of the one must not answer for the other.
        let contract = compiled(BILLING);
        let open = [exception(&contract, "invoices.delete", NOW, NOW.plus_secs(600))];
        let (words, granted) = (words(), Words::billing());
        let (wanted, granted) = (words.call(&[]), granted.call(&[("month", ArgValue::Int(1))]));
        for order in [[&wanted, &granted, &wanted], [&granted, &wanted, &granted]] {
            for exceptions in [&open[..], &[]] {
                let mut known = Evaluations::default();
                for facts in order {
                    let alone = decide_with(&contract, exceptions, facts, NOW, &mut Evaluations::default());
                    let among = decide_with(&contract, exceptions, facts, NOW, &mut known);
                    assert_eq!(alone, among);
                }
            }
        }
    }

    #[test]
    fn the_three_together_stay_apart() {
        let contract = compiled(BILLING);
        let open = [exception(&contract, "invoices.delete", NOW, NOW.plus_secs(600))];
        let words = words();
        let labels = crate::Labels {
            sensitivity: Sensitivity::Confidential,
            taint: [name("mail.read")].into(),
            ..crate::Labels::NONE
        };
        let sink = crate::Sink {
            clearance: Sensitivity::Secret,
            readers: crate::Readers::Everyone,
            egress: true,
            consequential: false,
            destinations: Vec::new(),
        };
        let mut facts = words.call(&[]);
        facts.flow.labels = Some(&labels);
        facts.flow.sink = Some(&sink);
        let verdict = decided(&contract, &open, &facts, NOW);
        assert!(
            verdict.denial().unwrap().has(Reason::ToxicCombination),
            "{verdict:?}"
        );
    }
}
