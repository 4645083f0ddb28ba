//! `tabard-bench`: the budgets of docs/promises.md, each beside its floor, measured in one run on one machine.
//!
//! A cost is the CPU time of the process that serves; load comes from processes of their own (`part`). A floor is
//! what nobody could do without, measured minutes apart at most. Latencies are wall clock and say so. What is not
//! measured says why. Not here: gates. A noisy machine makes a slow run, and this prints it as it is. What fails is a row
//! that could not be measured; `--smoke` asks nothing else, of every row.

mod client;
mod cost;
mod cpu;
mod dojo;
mod effort;
mod fault;
mod floor;
mod instance;
mod key;
mod load;
mod log_key;
mod part;
mod path;
mod peer;
mod place;
mod report;
mod row;
mod standalone;

use crate::effort::{Depth, Effort};
use crate::fault::{Fault, fault};
use std::io::Write as _;
use std::process::ExitCode;

/// The allocator of the `tabard` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match start(&words) {
        Ok(code) => code,
        Err(why) => {
            let mut out = std::io::stderr().lock();
            match writeln!(out, "tabard-bench: {why}") {
                Ok(()) | Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn start(words: &[String]) -> Result<ExitCode, Fault> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let [word, name] = words[..]
        && word == "part"
    {
        // Fifty of these run at once: no threads that they do not need.
        let mut builder = match name {
            "follower" => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.enable_all().build()?;
        let ended = runtime.block_on(part::run(name));
        runtime.shutdown_background();
        return ended
            .map(|()| ExitCode::SUCCESS)
            .map_err(|why| fault(format!("{name}: {why}")));
    }
    if let [word, rest @ ..] = &words[..]
        && *word == "agentdojo"
    {
        return dojo::start(rest);
    }
    let (mut json, mut depth, mut only) = (false, Depth::Full, "");
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word {
            "--only" => only = words.next().unwrap_or_default(),
            "--json" => json = true,
            "--short" => depth = Depth::Short,
            "--smoke" => depth = Depth::Smoke,
            other => {
                return Err(fault(format!(
                    "{other:?} is not known: tabard-bench [--json] [--short | --smoke] [--only ROW]"
                )));
            }
        }
    }
    let effort = Effort { depth, only };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(path::measure(effort));
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", report.to_json(depth))?;
    } else if depth == Depth::Smoke {
        report.write_ended(effort, &mut out)?;
    } else {
        report.write_table(&mut out)?;
    }
    report
        .broken(effort)
        .map_or(Ok(ExitCode::SUCCESS), |broken| Err(fault(broken)))
}
