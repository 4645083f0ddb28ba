//! The values that one argument is tried with: each that a condition lists, its ends and one beyond, one that nobody
//! lists, and lists of them.

use super::scene::Argument;
use super::variations::{PLACES_MAX, kinds};
use crate::contract::{Constraint, INTEGER_MAX};
use std::collections::BTreeSet;

/// What one argument is tried with.
#[derive(Default)]
pub(super) struct Values {
    pub(super) numbers: BTreeSet<i64>,
    texts: (BTreeSet<String>, BTreeSet<String>),
    truths: bool,
}

impl Values {
    pub(super) fn take(&mut self, constraint: &Constraint, of_new: bool) {
        match constraint {
            Constraint::Texts(texts) => {
                let side = if of_new {
                    &mut self.texts.1
                } else {
                    &mut self.texts.0
                };
                side.extend(texts.iter().cloned());
            }
            Constraint::Integers(numbers) => {
                let few = numbers.iter().take(PLACES_MAX).chain(numbers.last());
                self.numbers
                    .extend(few.flat_map(|number| [number - 1, *number, number + 1]));
            }
            Constraint::Bools(_) => self.truths = true,
            Constraint::Range { min, max } => {
                self.numbers.extend(min.iter().flat_map(|min| [min - 1, *min]));
                self.numbers.extend(max.iter().flat_map(|max| [*max, max + 1]));
                // An end that one side leaves open.
                self.numbers.extend([-INTEGER_MAX, INTEGER_MAX]);
            }
        }
    }

    pub(super) fn all(&self, outsider: &str) -> Vec<Argument> {
        let mut all: Vec<Argument> = self.numbers.iter().copied().map(Argument::Int).collect();
        let few = kinds(&self.texts.0, &self.texts.1);
        if let Some(one) = few.first() {
            all.push(Argument::Texts(vec![one.clone(), outsider.to_owned()]));
        }
        if few.len() > 1 {
            all.push(Argument::Texts(few.clone()));
        }
        all.extend(few.into_iter().map(Argument::Text));
        all.push(Argument::Text(outsider.to_owned()));
        if self.truths {
            all.extend([Argument::Bool(true), Argument::Bool(false)]);
        }
        all
    }
}

pub(super) fn shown(value: &Argument) -> String {
    match value {
        Argument::Int(number) => number.to_string(),
        Argument::Text(text) => text.clone(),
        Argument::Bool(truth) => truth.to_string(),
        Argument::Texts(texts) => format!("[{}]", texts.join(", ")),
    }
}

/// A value that satisfies `constraint`; of numbers, the one nearest to none, so that budgets hold it.
pub(super) fn fitting(constraint: &Constraint) -> Argument {
    match constraint {
        Constraint::Texts(texts) => Argument::Text(texts.first().cloned().unwrap_or_default()),
        Constraint::Integers(numbers) => Argument::Int(numbers.first().copied().unwrap_or_default()),
        Constraint::Bools(truths) => Argument::Bool(truths.first().copied().unwrap_or_default()),
        Constraint::Range { min, max } => {
            let number = min.unwrap_or(0).max(0);
            Argument::Int(max.map_or(number, |max| number.min(max)))
        }
    }
}
