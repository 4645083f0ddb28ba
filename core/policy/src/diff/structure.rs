//! The two contracts key by key. Every struct is taken apart in full, so a key that is added later does not compile
//! until somebody has said which of its values is wider.

use super::grants::grants;
use super::lines::{Difference, Direction, Lines, Wider, list};
use super::rules::rules;
use crate::contract::{
    Budget, Delegation, Escalation, Flow, IdentityTerms, Lifecycle, Metadata, Mode, OffGraph, OnBehalfOf,
    Owner, Purpose, Rate, Tasks, Tenants, Terms, TimeWindow, WEEK_MINUTES, Workflow,
};
use crate::week_ranges::week_ranges;
use identity::Name;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One sentence a key that differs, widenings first.
pub(super) fn differences(old: &Terms, new: &Terms) -> Vec<Difference> {
    let mut lines = Lines::default();
    let Terms {
        // One value each: what is not that is not read.
        api_version: _,
        kind: _,
        metadata,
        owner,
        purpose,
        identity,
        tenants,
        tasks,
        grants: granted,
        windows,
        rate,
        budgets,
        delegation,
        flow,
        workflow,
        escalation,
        rules: written,
        may_launch,
        mode,
        lifecycle,
    } = old;
    people(&mut lines, (metadata, &new.metadata), (owner, &new.owner));
    work(&mut lines, (purpose, &new.purpose), (tasks, &new.tasks));
    proof(&mut lines, identity, &new.identity);
    tenancy(&mut lines, tenants.as_ref(), new.tenants.as_ref());
    grants(&mut lines, old, new, granted);
    hours(&mut lines, windows, &new.windows);
    rates(&mut lines, rate, &new.rate);
    budget_lines(&mut lines, budgets, &new.budgets);
    passing_on(&mut lines, delegation.as_ref(), new.delegation.as_ref());
    data_flow(&mut lines, flow.as_ref(), new.flow.as_ref());
    steps(&mut lines, workflow.as_ref(), new.workflow.as_ref());
    humans(&mut lines, escalation, &new.escalation);
    rules(&mut lines, written, &new.rules);
    lines.set(
        "may_launch",
        (may_launch, &new.may_launch),
        Wider::More,
        ("its runs may now launch", "its runs may no longer launch"),
    );
    enforcement(&mut lines, *mode, new.mode);
    ends(&mut lines, lifecycle, &new.lifecycle);
    unexplained(&mut lines, old, new);
    lines.done()
}

/// A key of the top level that differs and of which nothing was said. There is none that we know of.
fn unexplained(lines: &mut Lines, old: &Terms, new: &Terms) {
    let keys = |terms: &Terms| match serde_json::to_value(terms) {
        Ok(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (keys(old), keys(new));
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in all {
        if old.get(key) != new.get(key) && !lines.speaks_of(key) {
            let sentence = format!("{key} differs in a way that cannot be compared");
            lines.add(key, Direction::Widening, sentence);
        }
    }
}

fn people(lines: &mut Lines, metadata: (&Metadata, &Metadata), owner: (&Owner, &Owner)) {
    let Metadata { name, version } = metadata.0;
    if *name != metadata.1.name {
        let sentence = format!("the contract is called {} instead of {name}", metadata.1.name);
        lines.add("metadata.name", Direction::Neutral, sentence);
    }
    if *version != metadata.1.version {
        let sentence = format!("version {} instead of {version}", metadata.1.version);
        lines.add("metadata.version", Direction::Neutral, sentence);
    }
    let Owner {
        team,
        person,
        escalation,
    } = owner.0;
    lines.words(
        "owner.team",
        (team, &owner.1.team),
        &format!("{} answers for it instead of {team}", owner.1.team),
    );
    lines.words(
        "owner.person",
        (person, &owner.1.person),
        "another person answers for it",
    );
    lines.words(
        "owner.escalation",
        (escalation, &owner.1.escalation),
        "somebody else is called when something is wrong",
    );
}

fn work(lines: &mut Lines, purpose: (&Purpose, &Purpose), tasks: (&Tasks, &Tasks)) {
    let Purpose { id, statement } = purpose.0;
    if *id != purpose.1.id {
        let sentence = format!("works for the purpose {} instead of {id}", purpose.1.id);
        lines.add("purpose.id", Direction::Widening, sentence);
    }
    lines.words(
        "purpose.statement",
        (statement, &purpose.1.statement),
        "its purpose is said in other words",
    );
    let Tasks {
        types,
        max_ttl,
        openers,
        templates,
        max_open,
    } = tasks.0;
    let new = tasks.1;
    lines.set(
        "tasks.types",
        (types, &new.types),
        Wider::More,
        (
            "may now work in tasks of type",
            "may no longer work in tasks of type",
        ),
    );
    lines.ordered(
        "tasks.max_ttl",
        (max_ttl, &new.max_ttl),
        Wider::More,
        "a task may last",
    );
    lines.set(
        "tasks.openers",
        (openers, &new.openers),
        Wider::More,
        ("a task may now be opened by", "a task may no longer be opened by"),
    );
    let kinds: BTreeSet<&Name> = templates.keys().chain(new.templates.keys()).collect();
    for kind in kinds {
        let path = format!("tasks.templates.{kind}");
        match (templates.get(kind), new.templates.get(kind)) {
            (Some(before), Some(after)) => lines.set(
                &path,
                (&before.actions, &after.actions),
                Wider::More,
                (
                    &format!("tasks of type {kind} may now use"),
                    &format!("tasks of type {kind} may no longer use"),
                ),
            ),
            (Some(_), None) if new.types.contains(kind) => {
                let sentence = format!("tasks of type {kind} may now use every grant");
                lines.add(&path, Direction::Widening, sentence);
            }
            (None, Some(after)) => {
                let sentence = format!("tasks of type {kind} may use only {}", list(&after.actions));
                lines.add(&path, Direction::Narrowing, sentence);
            }
            // Its type is gone, which is said above.
            (Some(_) | None, None) => {}
        }
    }
    lines.at_most(
        "tasks.max_open",
        (max_open.as_ref(), new.max_open.as_ref()),
        "tasks open at once: at most",
    );
}

fn proof(lines: &mut Lines, old: &IdentityTerms, new: &IdentityTerms) {
    let IdentityTerms {
        min_assurance,
        max_evidence_age,
        attestation,
    } = old;
    lines.set(
        "identity.attestation",
        (attestation, &new.attestation),
        Wider::Less,
        ("has to be proven as well:", "need no longer be proven:"),
    );
    lines.ordered(
        "identity.min_assurance",
        (min_assurance, &new.min_assurance),
        Wider::Less,
        "its identity has to be proven to level",
    );
    lines.at_most(
        "identity.max_evidence_age",
        (max_evidence_age.as_ref(), new.max_evidence_age.as_ref()),
        "the age of its evidence is at most",
    );
}

fn tenancy(lines: &mut Lines, old: Option<&Tenants>, new: Option<&Tenants>) {
    let (Some(before), Some(after)) = (old, new) else {
        if let Some(tenants) = new {
            let sentence = format!("may now touch data of {}", list(&tenants.allowed));
            lines.add("tenants", Direction::Widening, sentence);
        }
        if old.is_some() && new.is_none() {
            // Without the key, data of no tenant is asked for without a tenant: that was refused before.
            let sentence = "may now act where nobody says whose data it is";
            lines.add("tenants", Direction::Widening, sentence);
        }
        return;
    };
    let Tenants { mode, allowed } = before;
    lines.set(
        "tenants.allowed",
        (allowed, &after.allowed),
        Wider::More,
        ("may now touch data of", "may no longer touch data of"),
    );
    if *mode != after.mode {
        let (direction, sentence) = match after.mode {
            crate::contract::TenantMode::Fixed => (
                Direction::Widening,
                "may now touch data of each of its tenants in every task",
            ),
            crate::contract::TenantMode::Task => (
                Direction::Narrowing,
                "may touch only data of the tenant that the task is for",
            ),
        };
        lines.add("tenants.mode", direction, sentence);
    }
}

fn hours(lines: &mut Lines, old: &[TimeWindow], new: &[TimeWindow]) {
    if old == new {
        return;
    }
    let minutes = |windows: &[TimeWindow]| -> BTreeSet<u16> {
        if windows.is_empty() {
            return (0..WEEK_MINUTES).collect();
        }
        week_ranges(windows)
            .into_iter()
            .flat_map(|(from, to)| from..to)
            .collect()
    };
    let (before, after) = (minutes(old), minutes(new));
    let length = |minutes: usize| format!("{} h {:02} min", minutes / 60, minutes % 60);
    let more = after.difference(&before).count();
    let less = before.difference(&after).count();
    if more > 0 {
        let sentence = format!("may act in {} more of the week", length(more));
        lines.add("windows", Direction::Widening, sentence);
    }
    if less > 0 {
        let sentence = format!("may act in {} less of the week", length(less));
        lines.add("windows", Direction::Narrowing, sentence);
    }
    if more == 0 && less == 0 {
        lines.add(
            "windows",
            Direction::Neutral,
            "the same hours, written differently",
        );
    }
}

fn rates(lines: &mut Lines, old: &[Rate], new: &[Rate]) {
    let by_key = |rates: &[Rate]| -> BTreeMap<_, u32> {
        let keyed = rates.iter().map(|rate| {
            let Rate { scope, per, max } = *rate;
            ((scope, per), max)
        });
        keyed.collect()
    };
    let (before, after) = (by_key(old), by_key(new));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (scope, per) = key;
        lines.at_most(
            &format!("rate.{scope}.{per}"),
            (before.get(key), after.get(key)),
            &format!("calls per {per} of one {scope}: at most"),
        );
    }
}

fn budget_lines(lines: &mut Lines, old: &[Budget], new: &[Budget]) {
    let by_counter = |budgets: &'_ [Budget]| -> BTreeMap<_, Budget> {
        let keyed = budgets.iter().map(|budget| (budget.counter(), budget.clone()));
        keyed.collect()
    };
    let (before, after) = (by_counter(old), by_counter(new));
    let counters: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for counter in counters {
        let path = format!("budgets.{counter}");
        let (was, is) = (before.get(counter), after.get(counter));
        let limit = |budget: &Budget| crate::Limit::Budget(budget.clone()).text();
        let (Some(was), Some(is)) = (was, is) else {
            if let Some(gone) = was {
                lines.add(
                    &path,
                    Direction::Widening,
                    format!("no longer limited to {}", limit(gone)),
                );
            }
            if let Some(fresh) = is {
                lines.add(
                    &path,
                    Direction::Narrowing,
                    format!("limited to {}", limit(fresh)),
                );
            }
            continue;
        };
        let Budget {
            // The four make the counter, which is the same.
            counts: _,
            argument: _,
            scope: _,
            per: _,
            actions,
            max,
            then,
        } = was;
        lines.ordered(&path, (max, &is.max), Wider::More, &format!("{counter}: at most"));
        lines.set(
            &path,
            (actions, &is.actions),
            Wider::Less,
            (
                &format!("{counter} now counts"),
                &format!("{counter} no longer counts"),
            ),
        );
        lines.ordered(
            &path,
            (then, &is.then),
            Wider::Less,
            &format!("{counter}, once used up:"),
        );
    }
}

fn passing_on(lines: &mut Lines, old: Option<&Delegation>, new: Option<&Delegation>) {
    let (before, after) = (old.cloned().unwrap_or_default(), new.cloned().unwrap_or_default());
    let Delegation {
        may_delegate_to,
        max_depth,
        on_behalf_of,
    } = &before;
    lines.set(
        "delegation.may_delegate_to",
        (may_delegate_to, &after.may_delegate_to),
        Wider::More,
        ("may now pass work on to", "may no longer pass work on to"),
    );
    lines.ordered(
        "delegation.max_depth",
        (max_depth, &after.max_depth),
        Wider::More,
        "parties in a chain: at most",
    );
    let anyone = OnBehalfOf {
        require_user: false,
        groups: BTreeSet::new(),
    };
    let user = (
        on_behalf_of.as_ref().unwrap_or(&anyone),
        after.on_behalf_of.as_ref().unwrap_or(&anyone),
    );
    let OnBehalfOf { require_user, groups } = user.0;
    let path = "delegation.on_behalf_of";
    match (*require_user, user.1.require_user) {
        (true, false) => lines.add(path, Direction::Widening, "may now act without a user"),
        (false, true) => lines.add(path, Direction::Narrowing, "acts only on behalf of a user"),
        _ => {}
    }
    match (groups.is_empty(), user.1.groups.is_empty()) {
        (false, true) => {
            let sentence = format!("may now act for any user, not only those of {}", list(groups));
            lines.add(path, Direction::Widening, sentence);
        }
        (true, false) => {
            let sentence = format!("acts only for users of {}", list(&user.1.groups));
            lines.add(path, Direction::Narrowing, sentence);
        }
        _ => lines.set(
            path,
            (groups, &user.1.groups),
            Wider::More,
            ("may now act for users of", "may no longer act for users of"),
        ),
    }
    if old != new && !lines.speaks_of("delegation") {
        lines.add(
            "delegation",
            Direction::Neutral,
            "says what held before without saying it",
        );
    }
}

fn data_flow(lines: &mut Lines, old: Option<&Flow>, new: Option<&Flow>) {
    let nothing = Flow {
        reads_untrusted: BTreeSet::new(),
        egress: BTreeSet::new(),
        trusted_destinations: crate::contract::TrustedFrom::ALL.iter().copied().collect(),
        approval: None,
        toxic: BTreeSet::new(),
    };
    match (old.is_some(), new.is_some()) {
        (false, true) => {
            let sentence = "what was read is held to who may see it, and to where it may go";
            lines.add("flow", Direction::Narrowing, sentence);
        }
        (true, false) => {
            let sentence = "what was read is no longer held to who may see it, nor to where it may go";
            lines.add("flow", Direction::Widening, sentence);
        }
        _ => {}
    }
    let Flow {
        reads_untrusted,
        egress,
        trusted_destinations,
        approval,
        toxic,
    } = old.unwrap_or(&nothing);
    let new = new.unwrap_or(&nothing);
    lines.set(
        "flow.reads_untrusted",
        (reads_untrusted, &new.reads_untrusted),
        Wider::Less,
        (
            "what it reads is now untrusted:",
            "what it reads is no longer untrusted:",
        ),
    );
    lines.set(
        "flow.egress",
        (egress, &new.egress),
        Wider::Less,
        ("now counts as a way out:", "no longer counts as a way out:"),
    );
    lines.set(
        "flow.trusted_destinations",
        (trusted_destinations, &new.trusted_destinations),
        Wider::More,
        (
            "now trusts destinations named by the",
            "no longer trusts destinations named by the",
        ),
    );
    approved(
        lines,
        "flow.approval",
        (approval.as_ref(), new.approval.as_ref()),
        "what the flow rules refuse",
    );
    let pairs = |toxic: &BTreeSet<(Name, Name)>| -> BTreeSet<String> {
        toxic
            .iter()
            .map(|(one, other)| format!("{one} with {other}"))
            .collect()
    };
    lines.set(
        "flow.toxic",
        (&pairs(toxic), &pairs(&new.toxic)),
        Wider::Less,
        ("may no longer combine", "may now combine"),
    );
}

/// An escalation that lets something pass which is refused without it.
fn approved(lines: &mut Lines, path: &str, (old, new): (Option<&Name>, Option<&Name>), what: &str) {
    match (old, new) {
        (None, Some(by)) => {
            lines.add(
                path,
                Direction::Widening,
                format!("{what} may now be approved by {by}"),
            );
        }
        (Some(by), None) => {
            let sentence = format!("{what} may no longer be approved by {by}");
            lines.add(path, Direction::Narrowing, sentence);
        }
        (Some(by), Some(now)) if by != now => {
            let sentence = format!("{what} may now be approved by {now} instead of {by}");
            lines.add(path, Direction::Widening, sentence);
        }
        _ => {}
    }
}

fn steps(lines: &mut Lines, old: Option<&Workflow>, new: Option<&Workflow>) {
    let (before, after) = match (old, new) {
        (None, None) => return,
        (Some(_), None) => {
            let sentence = "its steps are no longer held to a workflow";
            return lines.add("workflow", Direction::Widening, sentence);
        }
        (None, Some(_)) => {
            let sentence = "its steps are held to a workflow";
            return lines.add("workflow", Direction::Narrowing, sentence);
        }
        (Some(before), Some(after)) => (before, after),
    };
    let Workflow {
        start,
        edges,
        at_most,
        after: prepared,
        max_steps,
        off_graph,
        approval,
    } = before;
    if named(before) != named(after) {
        // A call that the graph does not name counts as the domains of its data: as other steps, with other counts.
        let sentence = "the workflow names other steps, so a call may count as another step";
        lines.add("workflow", Direction::Widening, sentence);
    }
    lines.set(
        "workflow.start",
        (start, &after.start),
        Wider::More,
        ("may now begin with", "may no longer begin with"),
    );
    let flat = |edges: &BTreeMap<Name, BTreeSet<Name>>, word: &str| -> BTreeSet<String> {
        let each = edges.iter();
        each.flat_map(|(one, others)| others.iter().map(move |other| format!("{one} {word} {other}")))
            .collect()
    };
    lines.set(
        "workflow.edges",
        (&flat(edges, "then"), &flat(&after.edges, "then")),
        Wider::More,
        ("may now do", "may no longer do"),
    );
    lines.set(
        "workflow.after",
        (&flat(prepared, "only after"), &flat(&after.after, "only after")),
        Wider::Less,
        ("does", "no longer does"),
    );
    let counted: BTreeSet<&Name> = at_most.keys().chain(after.at_most.keys()).collect();
    for step in counted {
        lines.at_most(
            "workflow.at_most",
            (at_most.get(step), after.at_most.get(step)),
            &format!("{step} in one task: at most"),
        );
    }
    lines.at_most(
        "workflow.max_steps",
        (max_steps.as_ref(), after.max_steps.as_ref()),
        "calls of one task: at most",
    );
    let strict = |what: &OffGraph| match what {
        OffGraph::Alert => 0,
        OffGraph::Approve => 1,
        OffGraph::Deny => 2,
    };
    if off_graph != &after.off_graph {
        let direction = if strict(off_graph) > strict(&after.off_graph) {
            Direction::Widening
        } else {
            Direction::Narrowing
        };
        let sentence = format!("off the workflow: {} instead of {off_graph}", after.off_graph);
        lines.add("workflow.off_graph", direction, sentence);
    } else if approval != &after.approval {
        approved(
            lines,
            "workflow.approval",
            (approval.as_ref(), after.approval.as_ref()),
            "what is off the workflow",
        );
    }
}

/// Every step that a graph names.
fn named(graph: &Workflow) -> BTreeSet<&Name> {
    let follow = graph
        .edges
        .iter()
        .flat_map(|(step, next)| std::iter::once(step).chain(next));
    let counted = graph.at_most.keys().chain(graph.after.keys());
    graph.start.iter().chain(follow).chain(counted).collect()
}

fn humans(lines: &mut Lines, old: &BTreeMap<Name, Escalation>, new: &BTreeMap<Name, Escalation>) {
    let names: BTreeSet<&Name> = old.keys().chain(new.keys()).collect();
    for name in names {
        let path = format!("escalation.{name}");
        let (before, after) = match (old.get(name), new.get(name)) {
            (Some(before), Some(after)) => (before, after),
            // By itself it lets nothing pass: what asks for it says so elsewhere.
            (None, Some(_)) => {
                lines.add(&path, Direction::Neutral, format!("{name} can be asked"));
                continue;
            }
            _ => {
                lines.add(
                    &path,
                    Direction::Neutral,
                    format!("{name} can no longer be asked"),
                );
                continue;
            }
        };
        let Escalation {
            approvers,
            quorum,
            not,
            ttl,
        } = before;
        if *approvers != after.approvers {
            let sentence = format!(
                "{name} may be approved by {} instead of {approvers}",
                after.approvers
            );
            lines.add(&path, Direction::Widening, sentence);
        }
        lines.ordered(
            &path,
            (quorum, &after.quorum),
            Wider::Less,
            &format!("people who approve {name}:"),
        );
        lines.set(
            &path,
            (not, &after.not),
            Wider::Less,
            (
                &format!("{name} may no longer be approved by the"),
                &format!("{name} may now be approved by the"),
            ),
        );
        lines.ordered(
            &path,
            (ttl, &after.ttl),
            Wider::More,
            &format!("an approval of {name} is good for"),
        );
    }
}

fn enforcement(lines: &mut Lines, old: Mode, new: Mode) {
    match (old, new) {
        (Mode::Enforce, Mode::Shadow) => {
            let sentence = "its limits are only reported and no longer hold";
            lines.add("mode", Direction::Widening, sentence);
        }
        (Mode::Shadow, Mode::Enforce) => {
            lines.add(
                "mode",
                Direction::Narrowing,
                "its limits hold and are not only reported",
            );
        }
        // What is waived leaves the labels of no grant: fewer grants are more that is waived.
        (Mode::Shadow, Mode::Shadow) if lines.alters("grants") => {
            let sentence = "its limits are only reported, and what it reads is labelled by other grants";
            lines.add("mode", Direction::Widening, sentence);
        }
        _ => {}
    }
}

fn ends(lines: &mut Lines, old: &Lifecycle, new: &Lifecycle) {
    let Lifecycle {
        expires,
        review_every,
    } = old;
    lines.ordered(
        "lifecycle.expires",
        (expires, &new.expires),
        Wider::More,
        "ends on",
    );
    lines.at_most(
        "lifecycle.review_every",
        (review_every.as_ref(), new.review_every.as_ref()),
        "time between reviews: at most",
    );
}
