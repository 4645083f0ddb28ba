//! `cargo xtask docs`: every transcript in README.md and docs/ is typed into a live `tabard dev` and compared.

use crate::flags::Flags;
use crate::live::Live;
use crate::project::Project;
use crate::tally::Tally;
use crate::transcript::{self, Exchange};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// In a transcript this command stands for the server that is already running; its printed lines are compared.
const START: &str = "cargo xtask dev";
/// A command of a transcript that takes longer hangs.
const COMMAND_TIMEOUT_SECS: &str = "60";

/// Builds, then runs the transcripts of every page.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let mut tally = Tally::new(project.ci);
    tally.must("build", || project.build());
    transcripts(project, &mut tally);
    tally.close(flags.has("--json"))
}

/// One step a page that has a transcript; each gets a server of its own. The binary must be built.
pub fn transcripts(project: &Project, tally: &mut Tally) {
    for page in pages(project) {
        let name = page
            .strip_prefix(&project.root)
            .unwrap_or(&page)
            .display()
            .to_string();
        let read = std::fs::read_to_string(&page)
            .map_err(|why| why.to_string())
            .and_then(|text| transcript::parse(&text));
        match read {
            Ok(exchanges) if exchanges.is_empty() => {}
            Ok(exchanges) => tally.must(&format!("transcript {name}"), || replay(project, &exchanges)),
            Err(why) => tally.must(&format!("transcript {name}"), || Err(why)),
        }
    }
}

fn replay(project: &Project, exchanges: &[Exchange]) -> Result<(), String> {
    let live = Live::start(project)?;
    let mut all_printed = String::new();
    for exchange in exchanges {
        let at = |why: String| format!("line {}: $ {}\n{why}", exchange.line, exchange.command);
        let (printed, code) = if exchange.command == START {
            (live.log(), 0)
        } else {
            let command = transcript::fill_in(&exchange.command, &all_printed).map_err(at)?;
            type_in(&live, &command).map_err(at)?
        };
        all_printed.push_str(&printed);
        if code != exchange.code {
            return Err(at(format!(
                "it ended with {code}, not {}; it printed:\n{printed}",
                exchange.code
            )));
        }
        if let Some(difference) = transcript::difference(&exchange.expected, &printed) {
            return Err(at(format!("{difference}\nit printed:\n{printed}")));
        }
    }
    Ok(())
}

/// What a person sees: both streams in order, and the exit code.
fn type_in(live: &Live, command: &str) -> Result<(String, i32), String> {
    let output = live
        .command(Path::new("timeout"))
        .args([COMMAND_TIMEOUT_SECS, "bash", "-c"])
        .arg(format!("exec 2>&1\n{command}"))
        .current_dir(live.home())
        .output()
        .map_err(|why| format!("bash: {why}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((printed, output.status.code().unwrap_or(-1)))
}

/// README.md and every page under docs/, in the order of their names.
fn pages(project: &Project) -> Vec<PathBuf> {
    let mut found = vec![project.root.join("README.md")];
    let mut folders = vec![project.root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
