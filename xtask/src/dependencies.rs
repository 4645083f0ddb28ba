//! `docs/dependencies.txt`: every crate that is linked into the binary, one a line, so that a new one is seen in review.

use crate::flags::Flags;
use crate::project::{Project, stdout_of};
use std::collections::BTreeSet;
use std::process::ExitCode;

const FILE: &str = "docs/dependencies.txt";

/// Compares the committed list with the lock file, or writes it with `--write`.
pub fn run(project: &Project, flags: &Flags) -> Result<ExitCode, String> {
    if flags.has("--write") {
        let file = project.root.join(FILE);
        std::fs::write(&file, list(project)?).map_err(|why| format!("{}: {why}", file.display()))?;
    } else {
        check(project)?;
        eprintln!("{FILE} is current");
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails, naming the difference, when the committed list is not current.
pub fn check(project: &Project) -> Result<(), String> {
    let wanted = list(project)?;
    let found = std::fs::read_to_string(project.root.join(FILE)).unwrap_or_default();
    let (wanted, found): (BTreeSet<&str>, BTreeSet<&str>) =
        (wanted.lines().collect(), found.lines().collect());
    let new: Vec<String> = wanted
        .difference(&found)
        .map(|line| format!("+ {line}"))
        .collect();
    let gone: Vec<String> = found
        .difference(&wanted)
        .map(|line| format!("- {line}"))
        .collect();
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{FILE} is not current:\n{}\nlook at each new crate, then: cargo xtask dependencies --write",
        [new, gone].concat().join("\n")
    ))
}

/// Name and version of everything linked into `tabard` on Linux, sorted; ours without a path.
fn list(project: &Project) -> Result<String, String> {
    let mut tree = project.cargo(&[
        "tree", "--locked", "-p", "tabard", "-e", "normal", "--prefix", "none",
    ]);
    tree.args(["--target", "x86_64-unknown-linux-gnu", "-f", "{p}"]);
    let printed = stdout_of(&mut tree, "cargo tree")?;
    let crates: BTreeSet<&str> = printed
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect();
    let mut text = crates.into_iter().collect::<Vec<_>>().join("\n");
    text.push('\n');
    Ok(text)
}
