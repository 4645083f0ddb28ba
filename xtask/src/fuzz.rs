//! `cargo xtask fuzz`: every parser against its corpus, then against mutations of it, on stable Rust.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use crate::tally::Tally;
use std::process::ExitCode;

/// Long enough to notice a slow or panicking path, short enough to run by hand.
const SECS: u64 = 60;

/// Replays the corpora, then mutates them for `--secs` seconds a target (0 only replays).
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let secs = flags.number("--secs").unwrap_or(SECS);
    let mut tally = Tally::new(project.ci);
    tally.must(&format!("fuzz, {secs} s a target"), || {
        seconds(project, secs, flags.has("--json"))
    });
    tally.close(flags.has("--json"))
}

/// The run itself, so that `cargo xtask test` can replay the corpora alone.
pub fn seconds(project: &Project, secs: u64, quiet: bool) -> Result<(), String> {
    let target = project.target.join("fuzz");
    let mut test = project.cargo(&["test", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"]);
    test.arg(target).env("TABARD_FUZZ_SECS", secs.to_string());
    if quiet {
        test.stdout(std::io::stderr());
    }
    succeed(&mut test, "the fuzz workspace")
}
