//! The values at which two contracts could come apart: every limit and one beyond it, every member of a set and one
//! outsider. A set is asked by one name of each kind (in both, in the old one only, in the new one only), since a
//! contract looks at a name only to see whether it is listed; `rules` in Cedar may look closer, and are tried with the
//! names that the contracts hold.

use super::flow::{labels, sinks};
use super::scene::{Argument, At, Scene};
use super::values::{Values, fitting, shown};
use crate::attribute::minute_of_week;
use crate::contract::{Grant, Opener, Parameter, Proven, Sensitivity, Terms, WEEK_MINUTES};
use crate::facts::Caller;
use crate::flow::{DataLabels, Labels, Readers};
use crate::week_ranges::week_ranges;
use identity::{Assurance, Name, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

/// One fact, or a few that go together, replaced; and what people call that.
pub(super) struct Variation {
    pub(super) words: String,
    pub(super) apply: Box<dyn Fn(&mut Scene)>,
}

/// The values that one fact is tried with, besides the one it has.
pub(super) type Dimension = Vec<Variation>;

pub(super) fn vary(words: impl Into<String>, apply: impl Fn(&mut Scene) + 'static) -> Variation {
    Variation {
        words: words.into(),
        apply: Box::new(apply),
    }
}

/// Stretches of the week, in minutes.
type Ranges = Vec<(u16, u16)>;

/// Most names of one kind that are tried.
const NAMES_MAX: usize = 3;
/// Most steps, edges of windows or counters that are tried.
pub(super) const PLACES_MAX: usize = 16;

/// The assurance vectors of the levels, from 0.
const LEVELS: [Assurance; 6] = [
    assurance(0, 0, 0, 0),
    assurance(1, 1, 1, 0),
    assurance(1, 3, 2, 1),
    assurance(1, 3, 3, 1),
    assurance(1, 3, 3, 2),
    // Sealed as well, which no level asks for.
    assurance(5, 4, 3, 2),
];

const fn assurance(node: u8, launch: u8, code: u8, signer: u8) -> Assurance {
    Assurance {
        node,
        launch,
        code,
        signer,
    }
}

/// Both contracts, and a name that neither holds.
pub(super) struct Pair<'t> {
    pub(super) old: &'t Terms,
    pub(super) new: &'t Terms,
    pub(super) outsider: Name,
}

impl<'t> Pair<'t> {
    fn both<T>(&self, of: impl Fn(&'t Terms) -> T) -> (T, T) {
        (of(self.old), of(self.new))
    }
    fn each<T>(&self, of: impl Fn(&'t Terms) -> T) -> impl Iterator<Item = T> {
        [of(self.old), of(self.new)].into_iter()
    }
    fn names(&self, of: impl Fn(&'t Terms) -> BTreeSet<Name>) -> Vec<Name> {
        let (old, new) = self.both(of);
        let mut names = kinds(&old, &new);
        names.push(self.outsider.clone());
        names
    }

    /// A request of `action` by `grant` that both contracts would allow, where there is one.
    pub(super) fn base(&self, grant: &Grant, action: &Name, audience: &identity::Audience) -> Scene {
        let shared = |of: &dyn Fn(&Terms) -> BTreeSet<Name>| -> Option<Name> {
            let (old, new) = (of(self.old), of(self.new));
            old.intersection(&new)
                .next()
                .or_else(|| new.first())
                .or_else(|| old.first())
                .cloned()
        };
        let kinds_of = |terms: &Terms| -> BTreeSet<Name> {
            let usable = |kind: &&Name| {
                let template = terms.tasks.templates.get(*kind);
                template.is_none_or(|template| template.actions.contains(action))
            };
            terms.tasks.types.iter().filter(usable).cloned().collect()
        };
        let kind = shared(&kinds_of).unwrap_or_else(|| self.outsider.clone());
        let tenant = shared(&|terms| {
            terms
                .tenants
                .as_ref()
                .map(|tenants| tenants.allowed.clone())
                .unwrap_or_default()
        });
        let openers: Vec<&BTreeSet<Opener>> = self.each(|terms| &terms.tasks.openers).collect();
        let opener = Opener::ALL
            .iter()
            .copied()
            .max_by_key(|opener| openers.iter().filter(|listed| listed.contains(opener)).count())
            .unwrap_or(Opener::User);
        let mut arguments: BTreeMap<String, Argument> = BTreeMap::new();
        for budget in self.each(|terms| &terms.budgets).flatten() {
            if let Some(argument) = &budget.argument {
                arguments.insert(argument.as_str().to_owned(), Argument::Int(0));
            }
        }
        for (name, constraint) in &grant.conditions {
            arguments.insert(name.as_str().to_owned(), fitting(constraint));
        }
        let graph = self.new.workflow.as_ref().or(self.old.workflow.as_ref());
        let last = graph
            .filter(|graph| !graph.start.contains(action))
            .and_then(|graph| {
                let before = graph.edges.iter().find(|(_, next)| next.contains(action));
                before.map(|(step, _)| step.clone())
            });
        let prepared = graph
            .and_then(|graph| graph.after.get(action))
            .into_iter()
            .flatten();
        Scene {
            action: action.clone(),
            audience: audience.clone(),
            at: At::Call,
            caller: Caller::Agent,
            arguments,
            assurance: LEVELS.last().copied().unwrap_or_default(),
            evidence_age: 0,
            now: self.open_hour(),
            kind,
            opener,
            task_age: 0,
            ended: false,
            purpose: None,
            task_tenant: tenant.clone(),
            tenant,
            counters: self.counters().into_keys().map(|id| (id, 0)).collect(),
            depth: 1,
            next: None,
            loops: false,
            user: Some(self.groups().into_iter().collect()),
            entitled: true,
            labels: Some(Labels::NONE),
            data: None,
            sink: None,
            named: BTreeSet::new(),
            last,
            done: prepared.map(|step| (step.clone(), 1)).collect(),
            steps: Some(0),
            approvals: self
                .each(|terms| terms.escalation.keys().cloned())
                .flatten()
                .collect(),
            scope: Some(vec![action.clone()]),
            review_age: 0,
        }
    }

    fn counters(&self) -> BTreeMap<crate::CounterId, BTreeSet<i64>> {
        let mut all: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
        for terms in self.each(|terms| terms) {
            for rate in &terms.rate {
                let id = crate::CounterId::calls(rate.scope, rate.per.get());
                all.entry(id).or_default().insert(i64::from(rate.max));
            }
            for budget in &terms.budgets {
                all.entry(budget.counter()).or_default().insert(budget.max);
            }
        }
        all
    }

    fn groups(&self) -> BTreeSet<Name> {
        let of = |terms: &'t Terms| {
            let user = terms.delegation.as_ref().and_then(|it| it.on_behalf_of.as_ref());
            user.map(|user| user.groups.clone()).unwrap_or_default()
        };
        self.each(of).flatten().collect()
    }

    /// The Monday on which a week begins that ends before both contracts do.
    fn week(&self) -> UnixTime {
        let ends = self.each(|terms| terms.lifecycle.expires.begins()).min();
        let day = ends.unwrap_or(UnixTime::from_secs(0)).minus_secs(14 * 24 * 3600);
        day.minus_secs(u64::from(minute_of_week(day)) * 60 + day.secs() % 60)
    }

    fn hours(&self) -> (Ranges, Ranges) {
        self.both(|terms| {
            if terms.windows.is_empty() {
                vec![(0, WEEK_MINUTES)]
            } else {
                week_ranges(&terms.windows)
            }
        })
    }

    /// A minute in which both contracts let the agent act, else the new one.
    fn open_hour(&self) -> UnixTime {
        let (old, new) = self.hours();
        let inside = |ranges: &[(u16, u16)], minute: u16| {
            ranges.iter().any(|(from, to)| (*from..*to).contains(&minute))
        };
        let starts = old.iter().chain(&new).map(|(from, _)| *from);
        let minute = starts
            .clone()
            .find(|minute| inside(&old, *minute) && inside(&new, *minute))
            .or_else(|| new.first().map(|(from, _)| *from))
            .unwrap_or_default();
        self.week().plus_secs(u64::from(minute) * 60)
    }

    /// Everything that a request of `action` is tried with.
    pub(super) fn dimensions(&self, action: &Name) -> Vec<Dimension> {
        let mut all = vec![
            vec![
                vary("at the exchange", |scene| scene.at = At::Exchange),
                vary("in a list", |scene| scene.at = At::List),
                vary("at the exchange, by a child process", |scene| {
                    scene.at = At::Exchange;
                    scene.caller = Caller::Child;
                }),
            ],
            vec![vary("by a child process", |scene| scene.caller = Caller::Child)],
            self.levels(),
            self.evidence(),
            self.moments(),
            self.kinds_of_task(),
            openers(),
            self.lengths(),
            self.purposes(),
            self.tenancies(),
            self.chains(),
            self.users(),
            labels(),
            self.data(),
            sinks(),
            self.approvals(),
            self.scopes(),
            self.reviews(),
            self.graph(),
        ];
        all.extend(self.arguments(action));
        all.extend(self.counts());
        all.extend(self.done());
        all.retain(|dimension| !dimension.is_empty());
        all
    }

    fn levels(&self) -> Dimension {
        let wanted: BTreeSet<usize> = self
            .each(|terms| usize::from(u8::from(terms.identity.min_assurance)))
            .flat_map(|level| [level.saturating_sub(1), level])
            .collect();
        let each = wanted
            .into_iter()
            .filter_map(|level| Some((level, *LEVELS.get(level)?)));
        // The same level without one thing that a contract asks for.
        let lacking = |proven: &Proven| match proven {
            Proven::Measured => assurance(5, 4, 1, 2),
            Proven::Immutable => assurance(5, 4, 2, 2),
            Proven::Confined => assurance(5, 2, 3, 2),
            Proven::Sealed => assurance(5, 3, 3, 2),
        };
        let asked: BTreeSet<Proven> = self
            .each(|terms| terms.identity.attestation.iter().copied())
            .flatten()
            .collect();
        let without = asked.iter().map(|proven| {
            let vector = lacking(proven);
            vary(format!("not {proven}"), move |scene| scene.assurance = vector)
        });
        each.map(|(level, vector)| vary(format!("at level {level}"), move |scene| scene.assurance = vector))
            .chain(without)
            .collect()
    }

    fn evidence(&self) -> Dimension {
        let ages = self.each(|terms| terms.identity.max_evidence_age).flatten();
        beyond(ages.map(crate::contract::Seconds::get))
            .into_iter()
            .chain(std::iter::once(u64::MAX))
            .map(|age| {
                vary(format!("with evidence {age}s old"), move |scene| {
                    scene.evidence_age = age;
                })
            })
            .collect()
    }

    fn moments(&self) -> Dimension {
        let ends = self.each(|terms| terms.lifecycle.expires.begins());
        let mut moments: BTreeSet<UnixTime> = ends.flat_map(|end| [end.minus_secs(1), end]).collect();
        let week = self.week();
        let (old, new) = self.hours();
        if old != new {
            let edges: BTreeSet<u16> = old
                .iter()
                .chain(&new)
                .flat_map(|(from, to)| [from.checked_sub(1), Some(*from), to.checked_sub(1), Some(*to)])
                .flatten()
                .filter(|minute| *minute < WEEK_MINUTES)
                .collect();
            let outside = |minute: &u16| {
                let inside =
                    |ranges: &[(u16, u16)]| ranges.iter().any(|(from, to)| (*from..*to).contains(minute));
                inside(&old) != inside(&new)
            };
            // The edges at which they come apart are enough.
            let apart = edges.into_iter().filter(outside).take(PLACES_MAX);
            moments.extend(apart.map(|minute| week.plus_secs(u64::from(minute) * 60)));
        }
        moments
            .into_iter()
            .map(|moment| {
                vary(format!("at {}", moment.rfc3339()), move |scene| {
                    scene.now = moment;
                })
            })
            .collect()
    }

    fn kinds_of_task(&self) -> Dimension {
        // All of them: templates tell them apart.
        let all: BTreeSet<Name> = self.each(|terms| &terms.tasks.types).flatten().cloned().collect();
        let mut kinds: Vec<Name> = all.into_iter().take(PLACES_MAX).collect();
        kinds.push(self.outsider.clone());
        each_name(kinds, "in a task of type", |scene, kind| scene.kind = kind)
    }

    fn lengths(&self) -> Dimension {
        let ages = beyond(self.each(|terms| terms.tasks.max_ttl.get()));
        ages.into_iter()
            .map(|age| vary(format!("in a task {age}s old"), move |scene| scene.task_age = age))
            .chain([vary("in a task that has ended", |scene| scene.ended = true)])
            .collect()
    }

    fn purposes(&self) -> Dimension {
        let names = self.names(|terms| [terms.purpose.id.clone()].into());
        each_name(names, "for the purpose", |scene, purpose| {
            scene.purpose = Some(purpose);
        })
    }

    fn tenancies(&self) -> Dimension {
        let allowed = |terms: &'t Terms| {
            terms
                .tenants
                .as_ref()
                .map(|tenants| tenants.allowed.clone())
                .unwrap_or_default()
        };
        let tenants = self.names(allowed);
        let mut all = vec![
            vary("where nobody says whose data it is", |scene| scene.tenant = None),
            vary("for no tenant", |scene| {
                scene.tenant = None;
                scene.task_tenant = None;
            }),
        ];
        for tenant in tenants {
            let (one, two, three) = (tenant.clone(), tenant.clone(), tenant.clone());
            all.push(vary(format!("for {tenant}"), move |scene| {
                scene.tenant = Some(one.clone());
                scene.task_tenant = Some(one.clone());
            }));
            all.push(vary(
                format!("on data of {tenant} in another's task"),
                move |scene| {
                    scene.tenant = Some(two.clone());
                },
            ));
            all.push(vary(
                format!("on data of {tenant} in a task for no tenant"),
                move |scene| {
                    scene.tenant = Some(three.clone());
                    scene.task_tenant = None;
                },
            ));
        }
        all
    }

    fn chains(&self) -> Dimension {
        let of = |terms: &'t Terms| terms.delegation.clone().unwrap_or_default();
        let depths: BTreeSet<u8> = self
            .each(|terms| of(terms).max_depth)
            .flat_map(|depth| [depth, depth.saturating_add(1)])
            .collect();
        let deep = depths.into_iter().map(|depth| {
            vary(format!("as one of {depth} parties"), move |scene| {
                scene.depth = depth;
            })
        });
        let next = self.names(|terms| of(terms).may_delegate_to);
        let passed = each_name(next, "passed on to", |scene, next| scene.next = Some(next));
        deep.chain(passed)
            .chain([vary("with a party twice in the chain", |scene| {
                scene.loops = true;
            })])
            .collect()
    }

    fn users(&self) -> Dimension {
        let mut groups: Vec<Name> = self.groups().into_iter().take(PLACES_MAX).collect();
        groups.push(self.outsider.clone());
        let mut all = each_name(groups, "for a user of", |scene, group| {
            scene.user = Some(vec![group]);
        });
        all.push(vary("without a user", |scene| scene.user = None));
        all.push(vary("for a user who may not", |scene| scene.entitled = false));
        all
    }

    fn data(&self) -> Dimension {
        let grants = || self.each(|terms| &terms.grants).flatten();
        let terms = || grants().filter_map(|grant| grant.data.as_ref());
        if terms().next().is_none() && self.each(|terms| terms.workflow.is_some()).all(|has| !has) {
            return Vec::new();
        }
        let mut domains: Vec<Name> = terms().flat_map(|data| data.domains.iter().cloned()).collect();
        domains.sort();
        domains.dedup();
        domains.truncate(PLACES_MAX);
        domains.push(self.outsider.clone());
        let of = |domain: &Name, sensitivity, fields: BTreeSet<Name>| DataLabels {
            sensitivity,
            domains: [domain.clone()].into(),
            readers: Readers::Everyone,
            untrusted: false,
            fields,
        };
        let mut all = Vec::new();
        for domain in &domains {
            for sensitivity in Sensitivity::ALL {
                let data = of(domain, *sensitivity, BTreeSet::new());
                all.push(vary(
                    format!("that returns {sensitivity} data of {domain}"),
                    move |scene| scene.data = Some(data.clone()),
                ));
            }
        }
        let fields: BTreeSet<Name> = terms()
            .flat_map(|data| data.fields_deny.iter().cloned())
            .collect();
        for field in fields.into_iter().take(PLACES_MAX) {
            for domain in domains.iter().take(1) {
                let data = of(domain, Sensitivity::Public, [field.clone()].into());
                all.push(vary(format!("that returns the field {field}"), move |scene| {
                    scene.data = Some(data.clone());
                }));
            }
        }
        all
    }

    fn approvals(&self) -> Dimension {
        let names: BTreeSet<Name> = self
            .each(|terms| terms.escalation.keys().cloned())
            .flatten()
            .collect();
        if names.is_empty() {
            return Vec::new();
        }
        let single = each_name(
            names.into_iter().take(PLACES_MAX).collect(),
            "approved only by",
            |scene, by| {
                scene.approvals = [by].into();
            },
        );
        let nobody = vary("approved by nobody", |scene| scene.approvals.clear());
        std::iter::once(nobody).chain(single).collect()
    }

    fn scopes(&self) -> Dimension {
        let outsider = self.outsider.clone();
        vec![
            vary("without a credential", |scene| scene.scope = None),
            vary("with a credential for something else", move |scene| {
                scene.scope = Some(vec![outsider.clone()]);
            }),
        ]
    }

    fn reviews(&self) -> Dimension {
        let ages = self.each(|terms| terms.lifecycle.review_every).flatten();
        beyond(ages.map(crate::contract::Seconds::get))
            .into_iter()
            .map(|age| {
                vary(format!("{age}s after the review"), move |scene| {
                    scene.review_age = age;
                })
            })
            .collect()
    }

    fn graph(&self) -> Dimension {
        let graphs: Vec<_> = self.each(|terms| terms.workflow.as_ref()).flatten().collect();
        if graphs.is_empty() {
            return Vec::new();
        }
        let mut steps: BTreeSet<&Name> = BTreeSet::new();
        for graph in &graphs {
            steps.extend(graph.start.iter());
            steps.extend(
                graph
                    .edges
                    .iter()
                    .flat_map(|(step, next)| std::iter::once(step).chain(next)),
            );
        }
        let names = steps.into_iter().take(PLACES_MAX).cloned().collect();
        let mut all = each_name(names, "after", |scene, step| scene.last = Some(step));
        all.push(vary("as the first step", |scene| scene.last = None));
        let most: BTreeSet<u32> = graphs.iter().filter_map(|graph| graph.max_steps).collect();
        for most in beyond(most.into_iter().map(|most| u64::from(most.saturating_sub(1)))) {
            let calls = i64::try_from(most).unwrap_or(i64::MAX);
            all.push(vary(format!("after {calls} calls"), move |scene| {
                scene.steps = Some(calls);
            }));
        }
        all.push(vary("after nobody knows how many calls", |scene| {
            scene.steps = None;
        }));
        all
    }

    fn done(&self) -> Vec<Dimension> {
        let mut times: BTreeMap<Name, BTreeSet<i64>> = BTreeMap::new();
        for graph in self.each(|terms| terms.workflow.as_ref()).flatten() {
            for (step, most) in &graph.at_most {
                let most = i64::from(*most);
                times
                    .entry(step.clone())
                    .or_default()
                    .extend([(most - 1).max(0), most]);
            }
            for step in graph.after.values().flatten() {
                times.entry(step.clone()).or_default().extend([0, 1]);
            }
        }
        for flow in self.each(|terms| terms.flow.as_ref()).flatten() {
            for (one, other) in &flow.toxic {
                for action in [one, other] {
                    times.entry(action.clone()).or_default().extend([0, 1]);
                }
            }
        }
        let each = times.into_iter().take(PLACES_MAX);
        each.map(|(step, times)| {
            let each = times.into_iter();
            each.map(|times| {
                let step = step.clone();
                vary(format!("with {step} done {times} times"), move |scene| {
                    scene.done.insert(step.clone(), times);
                })
            })
            .collect()
        })
        .collect()
    }

    fn counts(&self) -> Vec<Dimension> {
        let each = self.counters().into_iter().take(PLACES_MAX);
        each.map(|(counter, most)| {
            let counts: BTreeSet<i64> = most
                .iter()
                .flat_map(|most| [most - 1, *most, most.saturating_add(1), -1])
                .collect();
            let each = counts.into_iter();
            each.map(|count| {
                let counter = counter.clone();
                vary(format!("with {count} of {counter}"), move |scene| {
                    scene.counters.insert(counter.clone(), count);
                })
            })
            .collect()
        })
        .collect()
    }

    /// Every argument that a grant of either contract, or a budget, looks at.
    fn arguments(&self, action: &Name) -> Vec<Dimension> {
        let mut wanted: BTreeMap<&Parameter, Values> = BTreeMap::new();
        for (of_new, terms) in [(false, self.old), (true, self.new)] {
            for grant in terms.grants.iter().filter(|grant| grant.actions.contains(action)) {
                for (name, constraint) in &grant.conditions {
                    wanted.entry(name).or_default().take(constraint, of_new);
                }
            }
            for budget in &terms.budgets {
                if let Some(name) = &budget.argument {
                    let ends = [-1, 0, budget.max, budget.max.saturating_add(1)];
                    wanted.entry(name).or_default().numbers.extend(ends);
                }
            }
        }
        wanted
            .into_iter()
            .map(|(name, values)| {
                let gone = name.as_str().to_owned();
                let mut all = vec![vary(format!("without {name}"), move |scene| {
                    scene.arguments.remove(&gone);
                })];
                for value in values.all(self.outsider.as_str()) {
                    let key = name.as_str().to_owned();
                    all.push(vary(format!("with {name} {}", shown(&value)), move |scene| {
                        scene.arguments.insert(key.clone(), value.clone());
                    }));
                }
                all
            })
            .collect()
    }
}

/// A few members of each kind: in both, in the old one only, in the new one only.
pub(super) fn kinds<T: Ord + Clone>(old: &BTreeSet<T>, new: &BTreeSet<T>) -> Vec<T> {
    let both = old.intersection(new).take(NAMES_MAX);
    let gone = old.difference(new).take(NAMES_MAX);
    let fresh = new.difference(old).take(NAMES_MAX);
    both.chain(gone).chain(fresh).cloned().collect()
}

/// Each number, and one beyond it.
fn beyond(numbers: impl Iterator<Item = u64>) -> BTreeSet<u64> {
    numbers
        .flat_map(|number| [number, number.saturating_add(1)])
        .collect()
}

fn each_name(names: Vec<Name>, words: &str, set: impl Fn(&mut Scene, Name) + Copy + 'static) -> Dimension {
    let each = names.into_iter();
    each.map(|name| vary(format!("{words} {name}"), move |scene| set(scene, name.clone())))
        .collect()
}

fn openers() -> Dimension {
    let all = Opener::ALL.iter().copied();
    all.map(|opener| {
        vary(format!("in a task opened by {opener}"), move |scene| {
            scene.opener = opener;
        })
    })
    .collect()
}
