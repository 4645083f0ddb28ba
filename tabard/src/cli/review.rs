//! `tabard contract review`: what contracts would change of those in force, for people and for a job that fails on what
//! takes a second person. Applies nothing.

use super::change::{label, parsed};
use super::folder::contracts;
use super::page::{Page, Tone, items, plain, text, texts};
use super::{Exit, Failure, Place};
use clap::Args;
use identity::Name;
use policy::contract::Metadata;
use policy::{Compiled, Diff, Direction, TRIALS_MAX, diff};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Review {
    /// Contracts, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Compare with the contracts of this folder instead of a server's; needs no server
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Print Markdown, for a comment on a change
    #[arg(long)]
    markdown: bool,
}

/// One reviewed contract.
struct Reviewed {
    file: String,
    name: String,
    direction: String,
    /// Whether it takes a yes that nobody gave.
    waits: bool,
    /// It is not there any more.
    gone: bool,
    /// What it was compared with, and the sentences.
    against: Vec<(String, Vec<String>)>,
}

pub(super) fn review(
    asked: &Review,
    at: impl Fn() -> Result<Place, Failure>,
    page: &Page,
) -> Result<Exit, Failure> {
    let files = contracts(&asked.paths)?;
    let reviewed: Vec<Reviewed> = if let Some(folder) = &asked.against {
        beside(&files, folder)?
    } else {
        let at = at()?;
        let each = files.iter().map(|(path, text)| of_server(path, text, &at));
        each.collect::<Result<_, _>>()?
    };
    if page.is_json() {
        let each = reviewed.iter().map(|it| {
            let against = it.against.iter();
            json!({
                "file": it.file, "name": it.name, "direction": it.direction, "waits": it.waits, "gone": it.gone,
                "against": against.map(|(with, lines)| json!({"with": with, "sentences": lines})).collect::<Vec<_>>(),
            })
        });
        page.json(&Value::Array(each.collect()));
    } else if asked.markdown {
        page.out(&markdown(&reviewed));
    } else {
        for it in &reviewed {
            let mark = if it.waits {
                page.tone(Tone::Bad, "✗")
            } else {
                page.tone(Tone::Good, "✓")
            };
            page.line(&format!("{mark} {} {}: {}", it.file, it.name, standing(it)));
            for (with, lines) in &it.against {
                page.line(&format!("  instead of {with}"));
                for line in lines {
                    page.line(&format!("    {}", plain(line)));
                }
            }
        }
    }
    Ok(if reviewed.iter().any(|it| it.waits) {
        Exit::Error
    } else {
        Exit::Done
    })
}

fn standing(it: &Reviewed) -> String {
    if it.gone {
        return GONE.to_owned();
    }
    match (it.against.is_empty(), it.waits) {
        (true, false) => "nothing in force to compare it with".to_owned(),
        (true, true) => "takes a second person: the first of its name".to_owned(),
        (false, true) => format!("{}, takes a second person", it.direction),
        (false, false) => it.direction.clone(),
    }
}

/// What becomes of a contract whose file is deleted.
const GONE: &str =
    "gone from the folder; agents that are under it stay so until they are put under another, or retired";

fn markdown(reviewed: &[Reviewed]) -> String {
    // Contract text is other people's: it is quoted as code on one line, and cannot end the quote.
    let code = |text: &str| format!("`{}`", plain(text).replace('`', "'"));
    let mut lines = vec!["## Changes of contracts".to_owned()];
    for it in reviewed {
        let mark = if it.waits {
            "**needs a second person**"
        } else {
            "fine"
        };
        lines.push(format!("\n### {} {}\n", code(&it.name), code(&it.file)));
        if it.gone {
            lines.push(GONE.to_owned());
            continue;
        }
        lines.push(format!("{}: {mark}", it.direction));
        for (with, sentences) in &it.against {
            lines.push(format!("\nInstead of {}:\n", code(with)));
            lines.extend(sentences.iter().map(|sentence| format!("- {}", code(sentence))));
            if sentences.is_empty() {
                lines.push("- no difference".to_owned());
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn of_server(path: &Path, source: &str, at: &Place) -> Result<Reviewed, Failure> {
    let file = path.display().to_string();
    let found = at
        .admin
        .post("/v1/contracts/compare", &json!({"file": file, "text": source}))?;
    let against = items(&found, "against").iter().map(|it| {
        let mut lines: Vec<String> = items(it, "differences")
            .iter()
            .map(|line| {
                format!(
                    "{}: {} ({})",
                    text(line, "direction"),
                    text(line, "sentence"),
                    text(line, "path")
                )
            })
            .collect();
        let examples = texts(it, "examples").into_iter();
        lines.extend(examples.map(|example| format!("example: {example}")));
        (text(it, "with"), lines)
    });
    Ok(Reviewed {
        file,
        name: format!("{}@{}", text(&found, "name"), text(&found, "version")),
        direction: text(&found, "direction"),
        waits: found.get("waits") != Some(&Value::Bool(false)),
        gone: false,
        against: against.collect(),
    })
}

/// Compares with the contracts of the same names in another folder, as of the branch that a change is meant for. A name that
/// is new there is held to those that are gone: it may be one of them under another name.
fn beside(files: &[(PathBuf, String)], folder: &Path) -> Result<Vec<Reviewed>, Failure> {
    let mut before: BTreeMap<Name, Compiled> = BTreeMap::new();
    for (path, text) in contracts(&[folder.to_owned()])? {
        let old = parsed(&path.display().to_string(), &text)?;
        let Metadata { name, version } = &old.contract().terms().metadata;
        let newer = before.get(name).map(|it| it.contract().terms().metadata.version);
        if newer.is_none_or(|newer| newer < *version) {
            before.insert(name.clone(), old);
        }
    }
    let read = |(path, text): &(PathBuf, String)| {
        let file = path.display().to_string();
        parsed(&file, text).map(|new| (file, new))
    };
    let now: Vec<(String, Compiled)> = files.iter().map(read).collect::<Result<_, _>>()?;
    let named = |compiled: &Compiled| compiled.contract().terms().metadata.name.clone();
    let kept: BTreeSet<Name> = now.iter().map(|(_, new)| named(new)).collect();
    let gone: Vec<&Compiled> = before
        .iter()
        .filter(|(name, _)| !kept.contains(*name))
        .map(|(_, old)| old)
        .collect();
    let mut reviewed: Vec<Reviewed> = now
        .iter()
        .map(|(file, new)| {
            let own = before.get(&named(new)).map(|old| vec![old]);
            let found: Vec<(String, Diff)> = own
                .unwrap_or_else(|| gone.clone())
                .into_iter()
                .map(|old| (label(old), diff(old, new, TRIALS_MAX)))
                .collect();
            let widest = found.iter().map(|(_, diff)| diff.direction()).max();
            let direction = widest.unwrap_or(Direction::Neutral);
            Reviewed {
                file: file.clone(),
                name: label(new),
                direction: direction.to_string(),
                waits: direction == Direction::Widening,
                gone: false,
                against: found
                    .into_iter()
                    .map(|(with, diff)| (with, diff.sentences()))
                    .collect(),
            }
        })
        .collect();
    reviewed.extend(gone.iter().map(|old| Reviewed {
        file: old.contract().file().to_owned(),
        name: label(old),
        direction: Direction::Neutral.to_string(),
        waits: false,
        gone: true,
        against: Vec::new(),
    }));
    Ok(reviewed)
}
