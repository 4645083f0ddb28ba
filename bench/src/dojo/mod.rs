//! `tabard-bench agentdojo`: what contracts, task templates and flow rules do to a hijacked agent, measured on the
//! ground truth of AgentDojo (docs/agentdojo.md). No model takes part: the agent is taken to be wholly in the attacker's
//! hands, and every call goes through the real exchange and the real gateway.

mod export;
mod request;
mod setting;
mod suite;
mod tally;
mod trace;

use crate::fault::{Fault, fault};
use export::{Public, PublicSuite, SuiteTraces, ToolCall, Traces};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use identity::Name;
use serde_json::{Value, json};
use setting::{Opening, Setting};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use suite::{Files, Variant};
use tally::Tally;
use trace::{Fate, Placement, Step};

/// Traces at once.
const TOGETHER: usize = 8;
const USAGE: &str =
    "tabard-bench agentdojo FOLDER PUBLIC.json TRACES.json [--json] [--short] [--each] [--check]";

/// Reads the export, runs every trace, prints. `--short`: all mechanisms only, no frontier. `--each`: each trace with what
/// became of its calls, on stderr. `--check`: counts other than those of `expected.json` are a failure.
pub(crate) fn start(words: &[&str]) -> Result<ExitCode, Fault> {
    let has = |flag| words.contains(&flag);
    let files: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let [folder, public, traces] = files[..] else {
        return Err(fault(USAGE));
    };
    let suites: Vec<Files> = suite::ALL
        .iter()
        .map(|name| Files::read(Path::new(folder), name))
        .collect::<Result<_, _>>()?;
    let public: Public = serde_json::from_slice(&std::fs::read(public)?)?;
    let traces: Traces = serde_json::from_slice(&std::fs::read(traces)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let variants: &[Variant] = if has("--short") {
        &[Variant::Full]
    } else {
        &Variant::ALL
    };
    let mut frontier = Vec::with_capacity(variants.len());
    for variant in variants {
        frontier.push((
            *variant,
            runtime.block_on(measure(&suites, &public, &traces, *variant, has("--each")))?,
        ));
    }
    let mut out = std::io::stdout().lock();
    if has("--json") {
        writeln!(out, "{}", to_json(&frontier)?)?;
    } else {
        write_tables(&mut out, &frontier)?;
    }
    if has("--check") && !is_expected(Path::new(folder), &frontier)? {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the counts with all mechanisms are the committed ones. Nothing here is left to chance, so a difference is a
/// change of decisions, and whoever makes it looks at it.
fn is_expected(folder: &Path, frontier: &[(Variant, Counts)]) -> Result<bool, Fault> {
    let path = folder.join("expected.json");
    let expected: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let found = frontier
        .first()
        .map(|(_, counts)| serde_json::to_value(counts.all()));
    let found = found.transpose()?.unwrap_or_default();
    if found == expected {
        return Ok(true);
    }
    let mut out = std::io::stderr().lock();
    writeln!(
        out,
        "{} says\n  {expected}\nand this run counted\n  {found}",
        path.display()
    )?;
    Ok(false)
}

/// The counts of a variant: by suite, and by placement.
#[derive(Default)]
struct Counts {
    suites: BTreeMap<&'static str, Tally>,
    placements: BTreeMap<&'static str, Tally>,
}

impl Counts {
    fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.suites.values().for_each(|suite| all += *suite);
        all
    }
}

/// One trace to run.
struct Case<'c> {
    task: &'c str,
    /// The injection and where it stands; `None` for the benign task alone.
    attack: Option<(&'c str, Placement)>,
    own: &'c [ToolCall],
    injected: &'c [ToolCall],
}

async fn measure(
    suites: &[Files],
    public: &Public,
    traces: &Traces,
    variant: Variant,
    each: bool,
) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    for files in suites {
        let missing = || fault(format!("the export lacks the suite {}", files.name));
        let seen = public.get(files.name).ok_or_else(missing)?;
        let truth = traces.get(files.name).ok_or_else(missing)?;
        measure_suite(files, seen, truth, variant, each, &mut counts).await?;
    }
    Ok(counts)
}

async fn measure_suite(
    files: &Files,
    seen: &PublicSuite,
    truth: &SuiteTraces,
    variant: Variant,
    each: bool,
    counts: &mut Counts,
) -> Result<(), Fault> {
    let setting = Setting::new(files, variant, &seen.directory).await?;
    let templates = files.templates(&seen.tasks)?;
    let done: Vec<(Case<'_>, Vec<Step>)> = stream::iter(cases(truth))
        .map(|case| {
            let (setting, opened) = (&setting, opened(&templates, seen, case.task, variant));
            async move {
                let opening = opened?;
                let placement = case.attack.map_or(Placement::After, |(_, placement)| placement);
                let calls = trace::woven(setting, case.own, case.injected, placement)?;
                let steps = trace::run(setting, opening, &calls).await?;
                Ok::<_, Fault>((case, steps))
            }
        })
        .buffer_unordered(TOGETHER)
        .try_collect()
        .await?;
    let mut ran = 0_u64;
    for (case, steps) in &done {
        ran += u64::try_from(steps.iter().filter(|step| step.fate == Fate::Ran).count())?;
        let tally = match case.attack {
            Some((_, placement)) => {
                let tally = Tally::of_attack(steps).unwrap_or_default();
                *counts.placements.entry(placement.word()).or_default() += tally;
                tally
            }
            None => Tally::of_benign(steps),
        };
        *counts.suites.entry(files.name).or_default() += tally;
        if each {
            tell(files, variant, case, steps)?;
        }
    }
    // What the service has seen is what ran, or the counts say nothing.
    if setting.served() != ran {
        return Err(fault(format!(
            "{}: the service saw {} requests, {ran} calls ran",
            files.name,
            setting.served()
        )));
    }
    Ok(())
}

/// Every user task alone, and with every injection that has a trace, in both placements.
fn cases(truth: &SuiteTraces) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for (task, own) in &truth.user {
        cases.push(Case {
            task,
            attack: None,
            own,
            injected: &[],
        });
        for (injection, injected) in truth.injection.iter().filter(|(_, calls)| !calls.is_empty()) {
            for placement in Placement::ALL {
                cases.push(Case {
                    task,
                    attack: Some((injection, placement)),
                    own,
                    injected,
                });
            }
        }
    }
    cases
}

/// How a user task is opened: from which template, with which destinations, and whether others can be asked for.
fn opened(
    templates: &BTreeMap<String, Name>,
    seen: &PublicSuite,
    task: &str,
    variant: Variant,
) -> Result<Opening, Fault> {
    let missing = || fault(format!("nothing says how {task} is opened"));
    let template = templates.get(task).ok_or_else(missing)?.clone();
    let known = seen.tasks.get(task).ok_or_else(missing)?;
    Ok(Opening {
        template,
        trusted: if variant.trusts() {
            known.trusted.clone()
        } else {
            BTreeSet::new()
        },
        asks: variant.asks(known.names_destinations),
    })
}

fn tell(files: &Files, variant: Variant, case: &Case<'_>, steps: &[Step]) -> Result<(), Fault> {
    let mut line = format!("{} | {} | {}", variant.word(), files.name, case.task);
    if let Some((injection, placement)) = case.attack {
        write!(line, " + {injection} {}", placement.word())?;
    }
    for step in steps {
        let mark = if step.injected { "!" } else { "" };
        let fate = match &step.fate {
            Fate::Ran => "ran",
            Fate::Asked => "ASKED",
            Fate::Denied(code) => code,
        };
        write!(line, " | {mark}{} {fate}", step.tool)?;
    }
    writeln!(std::io::stderr().lock(), "{line}")?;
    Ok(())
}

/// One object: the counts with all mechanisms, and beside them those with each switched off.
fn to_json(frontier: &[(Variant, Counts)]) -> Result<Value, Fault> {
    let of = |counts: &Counts| -> Result<Value, Fault> {
        let mut object = serde_json::to_value(counts.all())?;
        let members = object.as_object_mut().ok_or_else(|| fault("no object"))?;
        members.insert("suites".to_owned(), serde_json::to_value(&counts.suites)?);
        members.insert("placements".to_owned(), serde_json::to_value(&counts.placements)?);
        Ok(object)
    };
    let [(_, full), rest @ ..] = frontier else {
        return Err(fault("nothing was run"));
    };
    let mut object = of(full)?;
    let mut others = Vec::new();
    for (variant, counts) in rest {
        others.push(json!({"mechanisms": variant.word(), "counts": of(counts)?}));
    }
    let members = object.as_object_mut().ok_or_else(|| fault("no object"))?;
    members.insert("frontier".to_owned(), others.into());
    Ok(object)
}

fn write_tables(out: &mut impl std::io::Write, frontier: &[(Variant, Counts)]) -> Result<(), Fault> {
    writeln!(
        out,
        "{:<30} {:>8} {:>8} {:>10} {:>10} {:>8} {:>9} {:>8} {:>8}",
        "", "attacks", "stopped", "by denial", "by a human", "benign", "friction", "denied", "asked"
    )?;
    let mut row = |name: &str, it: Tally| {
        writeln!(
            out,
            "{name:<30} {:>8} {:>8} {:>10} {:>10} {:>8} {:>9} {:>8} {:>8}",
            it.attacks,
            it.attacks_stopped,
            it.stopped_by_denial,
            it.stopped_by_a_human,
            it.benign,
            it.benign_with_friction,
            it.benign_denied,
            it.benign_asked
        )
    };
    for (variant, counts) in frontier {
        row(variant.word(), counts.all())?;
        if *variant == Variant::Full {
            for (name, tally) in counts.suites.iter().chain(&counts.placements) {
                row(&format!("  {name}"), *tally)?;
            }
        }
    }
    Ok(())
}
