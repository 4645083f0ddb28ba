//! Both contracts decide the same invented requests; where the new one allows what the old one refused, it is wider.
//!
//! A request begins as one that a grant permits and every limit lets pass. Then one fact is put at a limit or beyond
//! it, then two at once: what a contract compiles to refuses for one fact, or for two that one rule looks at together,
//! and facts that a rule takes together are varied together. Beyond that it proves nothing, and says how far it went.

use super::lines::Direction;
use super::scene::Scene;
use super::values::shown;
use super::variations::{Dimension, Pair};
use crate::compile::Compiled;
use crate::contract::{Grant, Terms};
use crate::decide::decide;
use crate::verdict::{Denial, Verdict};
use identity::{Audience, Name};
use std::collections::BTreeSet;
use std::fmt;

/// Most examples kept; people read a few.
const EXAMPLES_MAX: usize = 8;
/// Most requests that are varied: more grants than that are tried by their first actions only.
const BASES_MAX: usize = 64;

/// How the trial went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    requests: usize,
    whole: bool,
    newly_allowed: usize,
    newly_refused: usize,
    lower_labels: usize,
    examples: Vec<Example>,
}

/// A request that the two contracts answer differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// What the difference is.
    pub direction: Direction,
    /// The request and both answers, in words.
    pub sentence: String,
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "example: {}", self.sentence)
    }
}

impl Trial {
    pub(super) const fn none_needed() -> Self {
        Self {
            requests: 0,
            whole: true,
            newly_allowed: 0,
            newly_refused: 0,
            lower_labels: 0,
            examples: Vec::new(),
        }
    }
    /// How many requests were decided.
    pub const fn requests(&self) -> usize {
        self.requests
    }
    /// Whether every fact was tried at its limits, alone and with each other; false when the bound came first.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }
    /// How many were refused by the old contract and allowed by the new one.
    pub const fn newly_allowed(&self) -> usize {
        self.newly_allowed
    }
    /// How many were allowed by the old contract and refused by the new one.
    pub const fn newly_refused(&self) -> usize {
        self.newly_refused
    }
    /// How many both allowed, while the new one would remember less of what was read.
    pub const fn lower_labels(&self) -> usize {
        self.lower_labels
    }
    /// One request of each kind of difference.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }
    /// What the trial alone says.
    pub const fn direction(&self) -> Direction {
        if self.newly_allowed + self.lower_labels > 0 {
            Direction::Widening
        } else if self.newly_refused > 0 {
            Direction::Narrowing
        } else {
            Direction::Neutral
        }
    }
}

/// Tries at most `most` requests.
pub(super) fn trial(old: &Compiled, new: &Compiled, most: usize) -> Trial {
    let (before, after) = (old.contract().terms(), new.contract().terms());
    let pair = Pair {
        old: before,
        new: after,
        outsider: outsider(old, new),
    };
    let mut run = Run {
        old,
        new,
        left: most,
        seen: BTreeSet::new(),
        trial: Trial::none_needed(),
    };
    let (starts, all) = starts(before, after);
    run.trial.whole = all;
    let bases: Vec<(Scene, Vec<Dimension>)> = starts
        .into_iter()
        .flat_map(|(grant, action, audience)| {
            let base = pair.base(grant, action, audience);
            let mut unapproved = base.clone();
            unapproved.approvals.clear();
            let twice = (!base.approvals.is_empty()).then_some(unapproved);
            std::iter::once(base).chain(twice)
        })
        .map(|base| {
            let dimensions = pair.dimensions(&base.action);
            (base, dimensions)
        })
        .collect();
    // All of them alone before any two at once, so that a bound cuts off the same depth of each.
    for (base, dimensions) in &bases {
        run.compare(base, &[], true);
        for variation in dimensions.iter().flatten() {
            let mut scene = base.clone();
            (variation.apply)(&mut scene);
            run.compare(&scene, &[&variation.words], true);
        }
    }
    for (base, dimensions) in &bases {
        if run.left == 0 {
            run.trial.whole = false;
            break;
        }
        for (place, first) in dimensions.iter().enumerate() {
            for second in dimensions.iter().skip(place + 1) {
                for (one, two) in first
                    .iter()
                    .flat_map(|one| second.iter().map(move |two| (one, two)))
                {
                    let mut scene = base.clone();
                    (one.apply)(&mut scene);
                    (two.apply)(&mut scene);
                    run.compare(&scene, &[&one.words, &two.words], false);
                }
            }
            if run.left == 0 {
                break;
            }
        }
    }
    run.trial
}

/// A name that neither contract holds.
fn outsider(old: &Compiled, new: &Compiled) -> Name {
    let held = |text: &str| {
        let quoted = format!("\"{text}\"");
        old.contract().canonical().contains(&quoted) || new.contract().canonical().contains(&quoted)
    };
    let texts = std::iter::once("somebody".to_owned()).chain((0..u32::MAX).map(|n| format!("somebody-{n}")));
    let free = texts
        .filter(|text| !held(text))
        .find_map(|text| text.parse().ok());
    free.unwrap_or_else(|| old.contract().terms().purpose.id.clone())
}

type Start<'t> = (&'t Grant, &'t Name, &'t Audience);

/// What is asked for: of each grant every action at its first service and the first action at every service; those of
/// grants that differ first. Also whether that was all.
fn starts<'t>(old: &'t Terms, new: &'t Terms) -> (Vec<Start<'t>>, bool) {
    let same = |grant: &&Grant| old.grants.contains(grant) && new.grants.contains(grant);
    let (alike, apart): (Vec<&Grant>, Vec<&Grant>) = new.grants.iter().chain(&old.grants).partition(same);
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for grant in apart.into_iter().chain(alike) {
        for (row, action) in grant.actions.iter().enumerate() {
            for (column, service) in grant.services.iter().enumerate() {
                let mark = serde_json::to_string(&grant.conditions).unwrap_or_default();
                if (row == 0 || column == 0) && seen.insert((action, service, mark)) {
                    all.push((grant, action, service));
                }
            }
        }
    }
    let whole = all.len() <= BASES_MAX;
    all.truncate(BASES_MAX);
    (all, whole)
}

struct Run<'c> {
    old: &'c Compiled,
    new: &'c Compiled,
    left: usize,
    seen: BTreeSet<String>,
    trial: Trial,
}

impl Run<'_> {
    /// Asks both. What the new contract refuses is of interest only where `both` are to be told.
    fn compare(&mut self, scene: &Scene, words: &[&str], both: bool) {
        if self.left == 0 {
            self.trial.whole = false;
            return;
        }
        self.left -= 1;
        self.trial.requests += 1;
        let asked = |compiled: &Compiled| {
            scene.with(compiled.contract().terms(), |facts| {
                decide(compiled, facts, scene.now)
            })
        };
        let after = asked(self.new);
        if !after.is_allowed() && !both {
            return;
        }
        match (asked(self.old), after) {
            (Verdict::Deny(was), Verdict::Allow(is)) => {
                self.trial.newly_allowed += 1;
                let by = is.grant().map_or_else(
                    || "shadow mode".to_owned(),
                    |grant| format!("the grant {}", grant.id),
                );
                let kind = format!("allowed {} {} {by}", scene.action, codes(&was));
                self.example(Direction::Widening, kind, || {
                    format!(
                        "{}: was refused ({}), now allowed by {by}",
                        told(scene, words),
                        why(&was)
                    )
                });
            }
            (Verdict::Allow(_), Verdict::Deny(is)) => {
                self.trial.newly_refused += 1;
                let kind = format!("refused {} {}", scene.action, codes(&is));
                self.example(Direction::Narrowing, kind, || {
                    format!("{}: was allowed, now refused ({})", told(scene, words), why(&is))
                });
            }
            (Verdict::Allow(was), Verdict::Allow(is)) if !is.raises().covers(was.raises()) => {
                self.trial.lower_labels += 1;
                let kind = format!("labels {}", scene.action);
                self.example(Direction::Widening, kind, || {
                    format!("{}: less of what it read is remembered", told(scene, words))
                });
            }
            _ => {}
        }
    }

    /// Keeps one of a kind; widenings push out narrowings.
    fn example(&mut self, direction: Direction, kind: String, sentence: impl FnOnce() -> String) {
        if !self.seen.insert(kind) {
            return;
        }
        let examples = &mut self.trial.examples;
        if examples.len() == EXAMPLES_MAX {
            let narrowing = examples
                .iter()
                .rposition(|kept| kept.direction == Direction::Narrowing);
            match narrowing.filter(|_| direction == Direction::Widening) {
                Some(place) => {
                    examples.remove(place);
                }
                None => return,
            }
        }
        examples.push(Example {
            direction,
            sentence: sentence(),
        });
        examples.sort_by_key(|kept| std::cmp::Reverse(kept.direction));
    }
}

fn told(scene: &Scene, words: &[&str]) -> String {
    let said = |name: &str| words.iter().any(|words| words.contains(&format!(" {name}")));
    let given = scene.arguments.iter().filter(|(name, _)| !said(name));
    let given = given.map(|(name, value)| format!("with {name} {}", shown(value)));
    let asked = format!("{} on {}", scene.action, scene.audience);
    let parts = std::iter::once(asked).chain(given);
    parts
        .chain(words.iter().map(|words| (*words).to_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn codes(denial: &Denial) -> String {
    let codes: BTreeSet<&str> = denial.reasons.iter().map(|detail| detail.reason.code()).collect();
    codes.into_iter().collect::<Vec<_>>().join(" ")
}

fn why(denial: &Denial) -> String {
    let reasons = denial.reasons.iter().map(|detail| {
        if detail.limit.is_empty() {
            detail.reason.code().to_owned()
        } else {
            format!("{}: {}", detail.reason.code(), detail.limit)
        }
    });
    reasons.collect::<Vec<_>>().join("; ")
}
