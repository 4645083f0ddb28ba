//! From the [`Node`] tree to [`Terms`]: which keys there are, which must be there, and what they may hold.

use super::budget::budgets_terms;
use super::custom::rules_terms;
use super::delegation::delegation_terms;
use super::escalation::escalation_terms;
use super::flow_terms::flow_terms;
use super::node::{Node, Value};
use super::read_grant::grants_terms;
use super::section::{Notes, Section, bad_value, duplicate, integer, items, parsed, set, text, word};
use super::terms::{
    ApiVersion, IdentityTerms, Kind, Lifecycle, Metadata, Mode, Opener, Owner, Proven, Purpose, Rate,
    RateScope, Tasks, Template, TenantMode, Tenants, Terms, TimeWindow,
};
use super::week::{Day, Offset};
use super::workflow::workflow_terms;
use identity::{Level, Name};
use std::collections::{BTreeMap, BTreeSet};

/// Most entries of one list of names: what a reviewer can still read.
pub(super) const NAMES_MAX: usize = 100;
/// Most tenants: large SaaS installations name them all.
const TENANTS_MAX: usize = 1000;
/// Most time windows; each is compared on every decision.
const WINDOWS_MAX: usize = 20;
/// Most rates; each is a counter on every call.
const RATES_MAX: usize = 8;
/// Most tasks that one agent has open.
const TASKS_MAX: i64 = 1_000_000;
/// Most calls within a rate's length of time.
const RATE_MAX: i64 = 1_000_000_000;

/// The whole contract; `None` when anything in it was noted as a mistake.
pub(super) fn terms(notes: &mut Notes<'_>, root: &Node) -> Option<Terms> {
    let top = Section::open(
        notes,
        "",
        root,
        &[
            "apiVersion",
            "kind",
            "metadata",
            "owner",
            "purpose",
            "identity",
            "tenants",
            "tasks",
            "grants",
            "windows",
            "rate",
            "budgets",
            "delegation",
            "flow",
            "workflow",
            "escalation",
            "rules",
            "may_launch",
            "mode",
            "lifecycle",
        ],
    )?;
    let api_version = top.required(notes, "apiVersion", "it says how to read the rest");
    let api_version = api_version.and_then(|node| word(notes, "apiVersion", node, ApiVersion::ALL));
    let kind = top.required(notes, "kind", "it says what this document is");
    let kind = kind.and_then(|node| word(notes, "kind", node, Kind::ALL));
    let metadata = top.required(notes, "metadata", "a contract has a name and a version");
    let metadata = metadata.and_then(|node| metadata_terms(notes, node));
    let owner = top.required(notes, "owner", "somebody answers for every agent");
    let owner = owner.and_then(|node| owner_terms(notes, node));
    let purpose = top.required(notes, "purpose", "an agent without a purpose needs no rights");
    let purpose = purpose.and_then(|node| purpose_terms(notes, node));
    let identity = top.required(
        notes,
        "identity",
        "how well an identity is proven is never assumed",
    );
    let identity = identity.and_then(|node| identity_terms(notes, node));
    let tenants = top
        .optional(notes, "tenants")
        .map(|node| tenant_terms(notes, node));
    let tasks = top.required(notes, "tasks", "every call belongs to a task");
    let tasks = tasks.and_then(|node| task_terms(notes, node));
    let grants = top.required(notes, "grants", "what is not granted is refused");
    let grants = grants.and_then(|node| grants_terms(notes, node));
    let windows = top
        .optional(notes, "windows")
        .map_or(Some(Vec::new()), |node| windows_terms(notes, node));
    let rate = top
        .optional(notes, "rate")
        .map_or(Some(Vec::new()), |node| rate_terms(notes, node));
    let budgets = top
        .optional(notes, "budgets")
        .map_or(Some(Vec::new()), |node| budgets_terms(notes, node));
    let delegation = top
        .optional(notes, "delegation")
        .map(|node| delegation_terms(notes, node));
    let flow = top.optional(notes, "flow").map(|node| flow_terms(notes, node));
    let workflow = top
        .optional(notes, "workflow")
        .map(|node| workflow_terms(notes, node));
    let escalation = top
        .optional(notes, "escalation")
        .map_or(Some(BTreeMap::new()), |node| escalation_terms(notes, node));
    let rules = top
        .optional(notes, "rules")
        .map_or(Some(Vec::new()), |node| rules_terms(notes, node));
    let may_launch = top
        .optional(notes, "may_launch")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, "may_launch", node, NAMES_MAX, parsed)
        });
    let mode = top
        .optional(notes, "mode")
        .map_or(Some(Mode::default()), |node| word(notes, "mode", node, Mode::ALL));
    let lifecycle = top.required(
        notes,
        "lifecycle",
        "a contract that never ends is never looked at again",
    );
    let lifecycle = lifecycle.and_then(|node| lifecycle_terms(notes, node));
    let terms = Terms {
        api_version: api_version?,
        kind: kind?,
        metadata: metadata?,
        owner: owner?,
        purpose: purpose?,
        identity: identity?,
        tenants: whole(tenants)?,
        tasks: tasks?,
        grants: grants?,
        windows: windows?,
        rate: rate?,
        budgets: budgets?,
        delegation: whole(delegation)?,
        flow: whole(flow)?,
        workflow: whole(workflow)?,
        escalation: escalation?,
        rules: rules?,
        may_launch: may_launch?,
        mode: mode?,
        lifecycle: lifecycle?,
    };
    agree(notes, root, &terms).then_some(terms)
}

/// Whether the names by which one part of a contract speaks of another exist.
fn agree(notes: &mut Notes<'_>, root: &Node, terms: &Terms) -> bool {
    let approvals = terms
        .grants
        .iter()
        .filter_map(|grant| Some((format!("grants.{}", grant.id), grant.approval.as_ref()?)));
    let flow = terms
        .flow
        .iter()
        .filter_map(|flow| Some(("flow.approval".to_owned(), flow.approval.as_ref()?)));
    let workflow = terms
        .workflow
        .iter()
        .filter_map(|workflow| Some(("workflow.approval".to_owned(), workflow.approval.as_ref()?)));
    let mut unknown: Vec<(String, &Name, &str)> = approvals
        .chain(flow)
        .chain(workflow)
        .filter(|(_, name)| !terms.escalation.contains_key(*name))
        .map(|(path, name)| (path, name, "an escalation under \"escalation\""))
        .collect();
    for (kind, template) in &terms.tasks.templates {
        let path = format!("tasks.templates.{kind}");
        if !terms.tasks.types.contains(kind) {
            unknown.push((path.clone(), kind, "a type under \"tasks.types\""));
        }
        let granted = |action: &Name| terms.grants.iter().any(|grant| grant.actions.contains(action));
        for action in template.actions.iter().filter(|action| !granted(action)) {
            unknown.push((path.clone(), action, "an action that a grant permits"));
        }
    }
    for (path, name, wanted) in &unknown {
        let mut at = root.at;
        at.line = notes.lines.get(path).copied().unwrap_or(at.line);
        let fix = "correct the name, or add what it names";
        let why = format!("it has to be {wanted}");
        notes.note(
            super::ErrorCode::BadValue,
            at,
            path,
            format!("{name} is not known"),
            why,
            fix,
        );
    }
    unknown.is_empty()
}

fn metadata_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Metadata> {
    let section = Section::open(notes, "metadata", node, &["name", "version"])?;
    let name = section.required(notes, "name", "people speak of contracts by name");
    let name = name.and_then(|node| parsed(notes, "metadata.name", node));
    let version = section.required(notes, "version", "people speak of contracts by version");
    let version = version.and_then(|node| integer(notes, "metadata.version", node, 1..=i64::from(u32::MAX)));
    Some(Metadata {
        name: name?,
        version: u32::try_from(version?).ok()?,
    })
}

fn owner_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Owner> {
    let section = Section::open(notes, "owner", node, &["team", "person", "escalation"])?;
    let team = section.required(notes, "team", "people leave, teams answer");
    let team = team.and_then(|node| parsed(notes, "owner.team", node));
    let person = section
        .optional(notes, "person")
        .map(|node| parsed(notes, "owner.person", node));
    let escalation = section
        .optional(notes, "escalation")
        .map(|node| parsed(notes, "owner.escalation", node));
    Some(Owner {
        team: team?,
        person: whole(person)?,
        escalation: whole(escalation)?,
    })
}

fn purpose_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Purpose> {
    let section = Section::open(notes, "purpose", node, &["id", "statement"])?;
    let id = section.required(notes, "id", "tasks and records carry it");
    let id = id.and_then(|node| parsed(notes, "purpose.id", node));
    let statement = section.required(notes, "statement", "reviewers read it");
    let statement = statement.and_then(|node| parsed(notes, "purpose.statement", node));
    Some(Purpose {
        id: id?,
        statement: statement?,
    })
}

fn identity_terms(notes: &mut Notes<'_>, node: &Node) -> Option<IdentityTerms> {
    let known = ["min_assurance", "max_evidence_age", "attestation"];
    let section = Section::open(notes, "identity", node, &known)?;
    let level = section.required(
        notes,
        "min_assurance",
        "how well an identity is proven is never assumed",
    );
    let level = level.and_then(|node| integer(notes, "identity.min_assurance", node, 0..=5));
    let age = section
        .optional(notes, "max_evidence_age")
        .map(|node| parsed(notes, "identity.max_evidence_age", node));
    let path = "identity.attestation";
    let attestation = section
        .optional(notes, "attestation")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, path, node, Proven::ALL.len(), |notes, path, node| {
                word(notes, path, node, Proven::ALL)
            })
        });
    Some(IdentityTerms {
        min_assurance: Level::try_from(u8::try_from(level?).ok()?).ok()?,
        max_evidence_age: whole(age)?,
        attestation: attestation?,
    })
}

fn tenant_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Tenants> {
    let section = Section::open(notes, "tenants", node, &["mode", "allowed"])?;
    let mode = section.required(notes, "mode", "it says how the tenant of a call is judged");
    let mode = mode.and_then(|node| word(notes, "tenants.mode", node, TenantMode::ALL));
    let allowed = section.required(notes, "allowed", "tenants are named, never implied");
    let allowed = allowed.and_then(|node| set(notes, "tenants.allowed", node, TENANTS_MAX, parsed));
    Some(Tenants {
        mode: mode?,
        allowed: allowed?,
    })
}

fn task_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Tasks> {
    let known = ["types", "max_ttl", "openers", "templates", "max_open"];
    let section = Section::open(notes, "tasks", node, &known)?;
    let types = section.required(notes, "types", "an agent works only in tasks it was made for");
    let types = types.and_then(|node| set(notes, "tasks.types", node, NAMES_MAX, parsed));
    let max_ttl = section.optional(notes, "max_ttl").map_or_else(
        || Some(Tasks::max_ttl_default()),
        |node| parsed(notes, "tasks.max_ttl", node),
    );
    let openers = section.required(
        notes,
        "openers",
        "who may start the agent's work is never assumed",
    );
    let openers = openers.and_then(|node| {
        set(
            notes,
            "tasks.openers",
            node,
            Opener::ALL.len(),
            |notes, path, node| word(notes, path, node, Opener::ALL),
        )
    });
    let templates = section
        .optional(notes, "templates")
        .map_or(Some(BTreeMap::new()), |node| templates_terms(notes, node));
    let max_open = section
        .optional(notes, "max_open")
        .map(|node| integer(notes, "tasks.max_open", node, 1..=TASKS_MAX));
    Some(Tasks {
        types: types?,
        max_ttl: max_ttl?,
        openers: openers?,
        templates: templates?,
        max_open: whole(max_open)?.and_then(|most| u32::try_from(most).ok()),
    })
}

fn templates_terms(notes: &mut Notes<'_>, node: &Node) -> Option<BTreeMap<Name, Template>> {
    by_name(notes, "tasks.templates", node, |notes, path, node| {
        let section = Section::open(notes, path, node, &["actions"])?;
        let actions = section.required(notes, "actions", "a template names what its tasks may use");
        let actions = actions.and_then(|node| set(notes, &section.child("actions"), node, NAMES_MAX, parsed));
        Some(Template { actions: actions? })
    })
}

/// A group of keys that are names, 1 to [`NAMES_MAX`] of them.
pub(super) fn by_name<T>(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
    mut read: impl FnMut(&mut Notes<'_>, &str, &Node) -> Option<T>,
) -> Option<BTreeMap<Name, T>> {
    let Value::Map(entries) = &node.value else {
        let why = "this key holds names with what belongs to each";
        bad_value(notes, path, node, node.kind(), why, "write name: value");
        return None;
    };
    if entries.is_empty() || entries.len() > NAMES_MAX {
        let why = format!("1 to {NAMES_MAX} names, or no such key");
        let found = entries.len().to_string();
        bad_value(notes, path, node, &found, &why, "add one, or remove the key");
        return None;
    }
    let mut all = BTreeMap::new();
    let mut complete = true;
    for (key, value) in entries {
        let path = format!("{path}.{}", key.name);
        notes.lines.insert(path.clone(), key.at.line);
        match (key.name.parse::<Name>(), read(notes, &path, value)) {
            (Ok(name), Some(value)) => {
                all.insert(name, value);
            }
            (Err(error), _) => {
                let why = error.to_string();
                bad_value(
                    notes,
                    &path,
                    value,
                    &key.name,
                    &why,
                    "write a name such as invoices.read",
                );
                complete = false;
            }
            (Ok(_), None) => complete = false,
        }
    }
    complete.then_some(all)
}

fn windows_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Vec<TimeWindow>> {
    let mut windows = BTreeSet::new();
    let mut complete = true;
    for (path, item) in items(notes, "windows", node, WINDOWS_MAX)? {
        match window_terms(notes, &path, item) {
            Some(window) => {
                if !windows.insert(window) {
                    duplicate(notes, &path, item.at, "this window");
                }
            }
            None => complete = false,
        }
    }
    complete.then(|| windows.into_iter().collect())
}

fn window_terms(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<TimeWindow> {
    let section = Section::open(notes, path, node, &["days", "from", "to", "tz"])?;
    let at = |key: &str| section.child(key);
    let days = section.required(notes, "days", "a window says on which days it begins");
    let days = days.and_then(|node| days_terms(notes, &at("days"), node));
    let from = section.required(notes, "from", "a window has a first minute");
    let from = from.and_then(|node| parsed::<super::week::TimeOfDay>(notes, &at("from"), node));
    let to = section.required(notes, "to", "a window has an end");
    let to_node = to;
    let to = to.and_then(|node| parsed(notes, &at("to"), node));
    let tz = section
        .optional(notes, "tz")
        .map_or(Some(Offset::default()), |node| parsed(notes, &at("tz"), node));
    if let (Some(from), Some(to), Some(node)) = (from, to, to_node)
        && (from == to || from.minutes() == super::week::DAY_MINUTES)
    {
        let why = "a window begins before midnight and does not end when it begins";
        bad_value(
            notes,
            &at("to"),
            node,
            &format!("{from} to {to}"),
            why,
            "for a whole day write from 00:00 to 24:00",
        );
        return None;
    }
    Some(TimeWindow {
        days: days?,
        from: from?,
        to: to?,
        tz: tz?,
    })
}

fn days_terms(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<BTreeSet<Day>> {
    if let Value::List(_) = node.value {
        let mut days = BTreeSet::new();
        for (path, item) in items(notes, path, node, Day::ALL.len())? {
            days.extend(day_span(notes, &path, item)?);
        }
        return Some(days);
    }
    day_span(notes, path, node).map(|days| days.into_iter().collect())
}

fn day_span(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Vec<Day>> {
    let text = text(notes, path, node)?;
    let days = Day::span(text);
    if days.is_none() {
        let why = "days are mon, tue, wed, thu, fri, sat, sun or a span of them";
        bad_value(notes, path, node, text, why, "write mon-fri, or [mon, wed]");
    }
    days
}

fn rate_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Vec<Rate>> {
    let mut rates: Vec<Rate> = Vec::new();
    let mut complete = true;
    for (path, item) in items(notes, "rate", node, RATES_MAX)? {
        let Some(rate) = one_rate(notes, &path, item) else {
            complete = false;
            continue;
        };
        notes
            .lines
            .insert(format!("rate.{}.{}", rate.scope, rate.per), item.at.line);
        if rates
            .iter()
            .any(|before| (before.scope, before.per) == (rate.scope, rate.per))
        {
            duplicate(
                notes,
                &path,
                item.at,
                &format!("the rate per {} of one {}", rate.per, rate.scope),
            );
        }
        rates.push(rate);
    }
    rates.sort();
    complete.then_some(rates)
}

fn one_rate(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<Rate> {
    let section = Section::open(notes, path, node, &["per", "max", "scope"])?;
    let per = section.required(notes, "per", "a rate is a number of calls per length of time");
    let per = per.and_then(|node| parsed(notes, &section.child("per"), node));
    let max = section.required(notes, "max", "a rate is a number of calls per length of time");
    let max = max.and_then(|node| integer(notes, &section.child("max"), node, 1..=RATE_MAX));
    let scope = section
        .optional(notes, "scope")
        .map_or(Some(RateScope::default()), |node| {
            word(notes, &section.child("scope"), node, RateScope::ALL)
        });
    Some(Rate {
        per: per?,
        max: u32::try_from(max?).ok()?,
        scope: scope?,
    })
}

fn lifecycle_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Lifecycle> {
    let section = Section::open(notes, "lifecycle", node, &["expires", "review_every"])?;
    let expires = section.required(
        notes,
        "expires",
        "a contract that never ends is never looked at again",
    );
    let expires = expires.and_then(|node| parsed(notes, "lifecycle.expires", node));
    let review_every = section
        .optional(notes, "review_every")
        .map(|node| parsed(notes, "lifecycle.review_every", node));
    Some(Lifecycle {
        expires: expires?,
        review_every: whole(review_every)?,
    })
}

/// An absent key is fine; one that is there and wrong is not.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the key is there, the inner whether it is right"
)]
pub(super) fn whole<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}
