//! `cargo xtask crash`: kill the store in the middle of commits, open it again, look at what is left.
//!
//! The same test runs with its own number of rounds in `cargo test`; here it can be told to go on for longer.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use crate::tally::Tally;
use std::process::ExitCode;

/// Ten times what an ordinary test run does: something to leave running over lunch.
const ROUNDS: u64 = 3000;

/// Runs the crash test of the store for `--rounds` rounds.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let rounds = flags.number("--rounds").unwrap_or(ROUNDS);
    let mut tally = Tally::new(project.ci);
    tally.must(&format!("crash, {rounds} rounds"), || {
        let mut test = project.cargo(&["test", "-p", "tabard-store", "--test", "crash", "--"]);
        test.args(["--include-ignored", "--nocapture"]);
        test.env("TABARD_CRASH_ROUNDS", rounds.to_string());
        test.stdout(std::io::stderr());
        succeed(&mut test, "the crash test of the store")
    });
    tally.close(flags.has("--json"))
}
