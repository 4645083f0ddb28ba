//! What the Ledger knows of a task that exists, for a supposed call of it: which numbers the decision looks at, and where
//! each is kept. Calls are counted at home (see [`crate::home`]), credentials by the server.

use super::{Supposed, declared};
use crate::chain::LinkInForce;
use crate::ledger::{Gathered, Look, Looked, Trail, TrailKey, WindowKey};
use crate::world::{Instance, Task, World};
use identity::{LogId, Name, OrgScope, UnixTime};
use policy::contract::RateScope;
use policy::{Counted, CounterId, Labels, domains_of};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who keeps a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Keeper {
    /// The server itself, which counts credentials.
    Server,
    /// The gateway, or server, with this log.
    Home(LogId),
    /// Nobody: no call was decided yet.
    Nobody,
}

/// One number of a contract.
#[derive(Clone, Debug)]
struct Number {
    counter: CounterId,
    key: WindowKey,
    names: Vec<Box<str>>,
    keeper: Keeper,
}

/// What has to be looked up for a supposed call of a task.
#[derive(Clone, Debug)]
pub struct Unknown {
    trails: Vec<(TrailKey, Keeper)>,
    numbers: Vec<Number>,
    /// What is left out, a sentence each.
    told: Vec<String>,
    /// Up to which World a human lowered the labels of the task.
    declassified: u64,
}

/// What was looked up.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub(super) gathered: Gathered,
    /// Where each number comes from, a sentence each.
    pub told: Vec<String>,
}

/// What is to be looked up where, for a supposed call of `task`. None where an agent's counts lie with nobody any more.
pub fn unknown(
    world: &World,
    link: &LinkInForce,
    supposed: &Supposed,
    task: &Task,
    now: UnixTime,
) -> Unknown {
    let scope = OrgScope::Only(link.agent.org);
    let root = TrailKey(task.root().as_u128());
    let mut running = world.instances_of(scope, link.agent.id, Some(task.id));
    let instance = match (running.next(), running.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    let instance_key = instance.map(|it: &Arc<Instance>| TrailKey(it.id.as_u128()));
    let keeper = |key: TrailKey| {
        let home = world.home(scope, key).and_then(|home| home.log);
        home.map_or(Keeper::Nobody, Keeper::Home)
    };
    let mut told = Vec::new();
    match instance {
        Some(only) => told.push(format!("the call is supposed to be made by {}", only.id)),
        None => told.push(
            "no process, or more than one, works on the task: what was counted and read by a process is left out"
                .to_owned(),
        ),
    }
    let data = declared(world, scope, &supposed.audience, &supposed.action).and_then(|(data, _)| data);
    let terms = link.compiled.contract().terms();
    let mut numbers = Vec::new();
    for counter in link.compiled.counters() {
        let of = match counter.id.scope {
            RateScope::Agent => TrailKey(link.agent.id.as_u128()),
            RateScope::Task => root,
            RateScope::Instance => match instance_key {
                Some(key) => key,
                None => continue,
            },
        };
        let Some(key) = WindowKey::new(of.0, &counter.id) else {
            continue;
        };
        // As at a call: a window that reaches back behind what its home knows is unknown, and unknown refuses.
        let unknown = counter.id.scope == RateScope::Agent
            && !counter.id.is_of_exchange()
            && link.counted_since > UnixTime::default()
            && link.counted_since.plus_secs(counter.id.per_secs) > now;
        if unknown {
            told.push(format!("{}: unknown, since its gateway was removed", counter.id));
            continue;
        }
        let names: Vec<Box<str>> = match &counter.id.counted {
            Counted::Audiences => vec![supposed.audience.as_str().into()],
            Counted::Actions => vec![supposed.action.as_str().into()],
            Counted::Domains => domains_of(terms, &supposed.action, &supposed.audience, data.as_ref())
                .iter()
                .map(|domain| Box::from(domain.as_str()))
                .collect(),
            Counted::Calls | Counted::Records(_) | Counted::Value(_) | Counted::Denials => Vec::new(),
        };
        numbers.push(Number {
            counter: counter.id.clone(),
            key,
            names,
            keeper: if counter.id.is_of_exchange() {
                Keeper::Server
            } else {
                keeper(of)
            },
        });
    }
    let trails = [Some(root), instance_key].into_iter().flatten();
    Unknown {
        trails: trails.map(|key| (key, keeper(key))).collect(),
        numbers,
        told,
        declassified: task.declassified.0,
    }
}

impl Unknown {
    /// Everyone who has to be asked, and what.
    pub fn looks(&self) -> BTreeMap<Keeper, Look> {
        let mut all: BTreeMap<Keeper, Look> = BTreeMap::new();
        for (key, keeper) in &self.trails {
            all.entry(*keeper).or_default().trails.push(*key);
        }
        for number in &self.numbers {
            let look = all.entry(number.keeper).or_default();
            look.windows.push((number.key, number.names.clone()));
        }
        // What nobody keeps has not happened.
        all.remove(&Keeper::Nobody);
        all
    }

    /// Puts answers together; `by` names a keeper for people. `None` where one is missing, or is none to its question.
    pub fn known(self, answers: &BTreeMap<Keeper, Looked>, by: impl Fn(Keeper) -> String) -> Option<Known> {
        let looks = self.looks();
        if !looks
            .iter()
            .all(|(keeper, look)| answers.get(keeper).is_some_and(|found| found.answers(look)))
        {
            return None;
        }
        let mut left: BTreeMap<Keeper, (Vec<Trail>, Vec<u64>)> = answers
            .iter()
            .map(|(keeper, found)| {
                let (mut trails, mut counts) = (found.trails.clone(), found.counts.clone());
                trails.reverse();
                counts.reverse();
                (*keeper, (trails, counts))
            })
            .collect();
        let mut known = Known {
            told: self.told,
            ..Known::default()
        };
        for (place, (key, keeper)) in self.trails.iter().enumerate() {
            let trail = left.get_mut(keeper).and_then(|(trails, _)| trails.pop());
            let mut trail = trail.unwrap_or_default();
            // As before the next call: a human's word lowers labels once.
            if self.declassified > trail.declassified {
                trail.labels = Labels::NONE;
            }
            known.gathered.trails.push(*key);
            known.gathered.suspended |= trail.suspended;
            known.gathered.labels.join(&trail.labels);
            let whose = if place == 0 { "the task" } else { "the process" };
            known.told.push(format!(
                "{whose} made {} calls and has read {}; {}",
                trail.calls,
                read(&trail),
                by(*keeper)
            ));
            if place == 0 {
                known.gathered.trail = trail;
            }
        }
        let mut counters = Vec::with_capacity(self.numbers.len());
        for number in self.numbers {
            let count = left.get_mut(&number.keeper).and_then(|(_, counts)| counts.pop());
            let names = u64::try_from(number.names.len()).unwrap_or(u64::MAX);
            let count = count.unwrap_or(names);
            known
                .told
                .push(format!("{}: {count}; {}", number.counter, by(number.keeper)));
            counters.push((number.counter, i64::try_from(count).unwrap_or(i64::MAX)));
        }
        known.gathered.links = vec![counters];
        Some(known)
    }
}

fn read(trail: &Trail) -> String {
    let labels = &trail.labels;
    let taint: Vec<&str> = labels.taint.iter().map(Name::as_str).collect();
    if *labels == Labels::NONE {
        return "nothing".to_owned();
    }
    format!(
        "data up to {}{}",
        labels.sensitivity.as_str(),
        if taint.is_empty() {
            String::new()
        } else {
            format!(", and what others can write by {}", taint.join(", "))
        }
    )
}
