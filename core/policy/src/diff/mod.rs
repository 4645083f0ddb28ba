//! What a new version of a contract lets an agent do that the old one did not.
//!
//! Two ways that know nothing of each other, joined so that either alone can call a change a widening:
//!
//! ```text
//!   old, new --structure--> one sentence a key, each narrowing, neutral or widening by the order of that key
//!            --trial------> both decide the same invented requests, at every limit and one beyond it
//! ```
//!
//! The structure is sound and too careful: what has no order (a renamed right, a rule in Cedar, another unit) counts as
//! a widening. The trial is exact for what it tries, shows an example, and proves nothing of the rest. A change is a
//! narrowing only where both say so. `docs/adr/0016-what-a-widening-is.md` says why there are two.

mod flow;
mod grants;
mod lines;
mod proof;
mod rules;
mod scene;
mod structure;
mod trial;
mod values;
mod variations;

#[cfg(test)]
mod tests;

pub use lines::{Difference, Direction};
pub use proof::{NotProvable, provable};
pub use trial::{Example, Trial};

use crate::compile::Compiled;
use crate::contract::ContractHash;

/// Most decisions that one comparison makes of each contract: about two seconds of one core.
pub const TRIALS_MAX: usize = 20_000;

/// What changes from one contract to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diff {
    old: ContractHash,
    new: ContractHash,
    differences: Vec<Difference>,
    trial: Trial,
}

/// Compares `new` with `old`, which it would take the place of; at most `most` decisions are made of each.
pub fn diff(old: &Compiled, new: &Compiled, most: usize) -> Diff {
    let (before, after) = (old.contract(), new.contract());
    if before.hash() == after.hash() {
        return Diff {
            old: before.hash(),
            new: after.hash(),
            differences: Vec::new(),
            trial: Trial::none_needed(),
        };
    }
    Diff {
        old: before.hash(),
        new: after.hash(),
        differences: structure::differences(before.terms(), after.terms()),
        trial: trial::trial(old, new, most),
    }
}

impl Diff {
    /// Of a contract that this release cannot evaluate any more: nothing can be said, so it is a widening.
    pub fn incomparable(old: ContractHash, new: ContractHash) -> Self {
        Self {
            old,
            new,
            differences: vec![Difference {
                path: String::new(),
                direction: Direction::Widening,
                sentence:
                    "the contract in force cannot be evaluated by this release, so nothing can be compared"
                        .to_owned(),
            }],
            trial: Trial::none_needed(),
        }
    }
    /// What it was compared with.
    pub const fn before(&self) -> ContractHash {
        self.old
    }
    /// What was compared.
    pub const fn after(&self) -> ContractHash {
        self.new
    }
    /// One sentence a key that differs, widenings first.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }
    /// What both contracts said of the same requests.
    pub const fn trial(&self) -> &Trial {
        &self.trial
    }
    /// Whether both are the same contract.
    pub fn is_empty(&self) -> bool {
        self.old == self.new
    }
    /// Both ways joined: a widening where either says so.
    pub fn direction(&self) -> Direction {
        let structure = self.differences.iter().map(|difference| difference.direction);
        structure
            .chain(std::iter::once(self.trial.direction()))
            .max()
            .unwrap_or(Direction::Neutral)
    }
    /// What people read, one sentence a line, widenings first; examples after the sentences.
    pub fn sentences(&self) -> Vec<String> {
        let sentences = self.differences.iter().map(ToString::to_string);
        let examples = self.trial.examples().iter().map(ToString::to_string);
        sentences.chain(examples).collect()
    }
}
