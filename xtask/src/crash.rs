//! `cargo xtask crash`: kill the store in the middle of commits, open it again, look at what is left.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use crate::tally::Tally;
use std::process::ExitCode;

/// Enough to hit every phase of a commit several times on a slow machine, and done within a minute.
const ROUNDS: u64 = 20;

/// Runs the crash test of the store for `--rounds` rounds.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let rounds = flags.number("--rounds").unwrap_or(ROUNDS);
    let mut tally = Tally::new(project.ci);
    tally.must(&format!("crash, {rounds} rounds"), || {
        rounds_of(project, rounds, flags.has("--json"))
    });
    tally.close(flags.has("--json"))
}

/// The test itself, so that `cargo xtask test` can run it with few rounds.
pub fn rounds_of(project: &Project, rounds: u64, quiet: bool) -> Result<(), String> {
    let mut test = project.cargo(&["test", "--test", "crash", "--", "--ignored", "--nocapture"]);
    test.env("TABARD_CRASH_ROUNDS", rounds.to_string());
    if quiet {
        test.stdout(std::io::stderr());
    }
    succeed(&mut test, "the crash test of the store")
}
