//! `tabard-bench`: the budgets of docs/promises.md, each beside its floor, measured in one run on one machine.
//!
//! A cost is the CPU time of the process that serves; load comes from processes of their own (`part`). A floor is
//! what nobody could do without, measured minutes apart at most. Latencies are wall clock and say so. What is not
//! measured says why. Not here: gates. A noisy machine makes a slow run, and this prints it as it is.

mod client;
mod cpu;
mod dojo;
mod fault;
mod floor;
mod instance;
mod key;
mod load;
mod log_key;
mod part;
mod path;
mod place;
mod report;
mod row;

use crate::fault::{Fault, fault};
use crate::report::Report;
use crate::row::Row;
use std::io::Write as _;
use std::process::ExitCode;

/// The allocator of the `tabard` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort<'a> {
    /// Under a minute in all, for a first look; the numbers of docs/promises.md are not from it.
    pub(crate) short: bool,
    /// Only rows whose names begin so, and those that are measured with them; for whoever works on one path.
    pub(crate) only: &'a str,
}

impl Effort<'_> {
    /// `short` of them in a short run, else `long`.
    pub(crate) const fn pick<T: Copy>(self, short: T, long: T) -> T {
        if self.short { short } else { long }
    }

    /// Whether any of `rows` is asked for.
    pub(crate) fn wants(self, rows: &[&Row]) -> bool {
        rows.iter().any(|row| row.name.starts_with(self.only))
    }
}

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
    let (mut json, mut short, mut only) = (false, false, "");
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word {
            "--only" => only = words.next().unwrap_or_default(),
            "--json" => json = true,
            "--short" => short = true,
            other => {
                return Err(fault(format!(
                    "{other:?} is not known: tabard-bench [--json] [--short] [--only ROW]"
                )));
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report: Report = runtime.block_on(path::measure(Effort { short, only }));
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", report.to_json(short))?;
    } else {
        report.write_table(&mut out)?;
    }
    Ok(if report.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
