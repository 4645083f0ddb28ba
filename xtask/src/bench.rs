//! `cargo xtask bench`: the budgets of docs/promises.md. The bench binary measures and prints; we only start it, and build
//! the `tabard` that it starts as a gateway beside it.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use crate::tally::{Ended, Tally};
use std::process::{ExitCode, Stdio};

/// Runs `tabard-bench` in release mode. With `--json`, stdout is its one object and nothing else. `--smoke` is
/// [`smoke`] alone.
pub fn run(project: &Project, flags: &Flags) -> Result<ExitCode, String> {
    if flags.has("--smoke") {
        let mut tally = Tally::new(project.ci);
        tally.must("build", || project.build());
        tally.step(SMOKE, || smoke(project));
        return Ok(tally.close(flags.has("--json")));
    }
    let mut build = project.cargo(&["build", "--release", "-p", "tabard-bench", "-p", "tabard"]);
    build.stdout(std::io::stderr());
    succeed(&mut build, "cargo build -p tabard-bench")?;
    let mut bench = project.cargo(&["run", "--release", "--quiet", "-p", "tabard-bench", "--"]);
    for flag in ["--json", "--short"] {
        if flags.has(flag) {
            bench.arg(flag);
        }
    }
    succeed(&mut bench, "tabard-bench")?;
    Ok(ExitCode::SUCCESS)
}

/// What the step of [`smoke`] is called.
pub const SMOKE: &str = "bench, every row once";

/// Every row is measured once, with as little as there can be: a row that cannot be measured any more is seen by who breaks
/// it. No number is looked at. The `tabard` of a debug build must be there already.
pub fn smoke(project: &Project) -> Result<Ended, String> {
    let mut bench = project.cargo(&["run", "--quiet", "-p", "tabard-bench", "--", "--smoke"]);
    let output = bench
        .stderr(Stdio::inherit())
        .output()
        .map_err(|why| format!("tabard-bench --smoke: cannot start it: {why}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    eprint!("{said}");
    judged(&said, output.status.success())
}

/// What the lines `ok ROW`, `skipped ROW: why` and `FAILED ROW: why` come to.
fn judged(said: &str, succeeded: bool) -> Result<Ended, String> {
    let rows = |word: &str| -> Vec<&str> {
        let rows = said.lines().filter_map(|line| line.strip_prefix(word));
        rows.map(str::trim).collect()
    };
    let (ok, skipped, failed) = (rows("ok "), rows("skipped "), rows("FAILED "));
    if !failed.is_empty() {
        return Err(format!("rows that cannot be measured: {}", failed.join("; ")));
    }
    if !succeeded || ok.is_empty() {
        return Err("tabard-bench --smoke ended before it said how its rows ended".to_owned());
    }
    if skipped.is_empty() {
        return Ok(Ended::Passed);
    }
    Ok(Ended::Skipped(skipped.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_measured_fails_the_step_by_its_name() {
        let said = "ok one\nFAILED two: it broke\nskipped three: no Envoy\n";
        let why = judged(said, false).err().unwrap();
        assert_eq!(why, "rows that cannot be measured: two: it broke");
        // Even if the program thinks that all is well.
        assert!(judged(said, true).is_err());
    }

    #[test]
    fn a_peer_that_is_not_there_skips_and_silence_is_no_success() {
        let ended = judged("ok one\nskipped three: no Envoy\n", true);
        assert!(matches!(ended, Ok(Ended::Skipped(why)) if why == "three: no Envoy"));
        assert!(matches!(judged("ok one\n", true), Ok(Ended::Passed)));
        assert!(judged("ok one\n", false).is_err());
        assert!(judged("", true).is_err());
    }
}
