//! The chores of this repository, one file a command, standard library only.
//!
//! Progress goes to stderr; stdout carries what a program reads: one JSON object with `--json`, and the
//! closing line of `test`. A missing tool is `skipped: why` for people and a failure under `CI=true`.

mod agentdojo;
mod bench;
mod crash;
mod dependencies;
mod dev;
mod docs;
mod flags;
mod fuzz;
mod interop;
mod json;
mod live;
mod outside;
mod project;
mod proof;
mod tally;
mod test;
mod transcript;

use flags::Flags;
use project::Project;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND [options]

  dev [-- args]          build tabard, link it into your PATH, run `tabard dev` in the foreground
  test                   everything a change must pass (what CI runs)
  docs                   run the transcripts in README.md and docs/ against a live `tabard dev`
  interop [--json] [--long]       unmodified outside clients against a live `tabard dev`; some of them for minutes
  bench [--json] [--short]        the budgets of docs/promises.md, each beside its floor
  bench --smoke [--json]          every row of them once, in debug: whether each can be measured at all
  agentdojo [--json] [--short] [--each]   hijacked agents against contracts (docs/agentdojo.md)
  crash [--rounds N] [--json]     kill the store in the middle of commits and look at what is left
  fuzz [--secs N] [--json]        mutate the corpora of the parsers for N seconds a target
  proof [--pairs N] [--json]      solver, trial and comparison agree on N pairs of contracts
  dependencies [--write]          compare (or write) docs/dependencies.txt
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let project = match Project::here() {
        Ok(project) => project,
        Err(why) => return refuse(&why),
    };
    let outcome = match command.as_str() {
        "dev" => dev::run(&project, &rest),
        "test" => Flags::parse(&rest, &[]).and_then(|_| test::run(&project)),
        "docs" => Flags::parse(&rest, &["--json"]).map(|flags| docs::run(&project, &flags)),
        "interop" => Flags::parse(&rest, &["--json", "--long"]).map(|flags| interop::run(&project, &flags)),
        "bench" => Flags::parse(&rest, &["--json", "--short", "--smoke"])
            .and_then(|flags| bench::run(&project, &flags)),
        "agentdojo" => Flags::parse(&rest, &["--json", "--short", "--each"])
            .and_then(|flags| agentdojo::run(&project, &flags)),
        "crash" => Flags::parse(&rest, &["--json", "--rounds="]).map(|flags| crash::run(&project, &flags)),
        "fuzz" => Flags::parse(&rest, &["--json", "--secs="]).map(|flags| fuzz::run(&project, &flags)),
        "proof" => Flags::parse(&rest, &["--json", "--pairs="]).map(|flags| proof::run(&project, &flags)),
        "dependencies" => {
            Flags::parse(&rest, &["--write"]).and_then(|flags| dependencies::run(&project, &flags))
        }
        "" | "help" | "--help" | "-h" => {
            eprint!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(format!("there is no command \"{other}\"\n\n{USAGE}")),
    };
    outcome.unwrap_or_else(|why| refuse(&why))
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("xtask: {why}");
    ExitCode::FAILURE
}
