//! `cargo xtask proof`: the solver, the trial and the comparison of contracts agree, on more pairs than a test run has time for.
//!
//! proof/ is a workspace of its own: the symbolic compiler never comes near what we ship. The solver is the cvc5 of the venv.

use crate::flags::Flags;
use crate::outside;
use crate::project::{Project, succeed};
use crate::tally::{Ended, Tally};
use std::ffi::OsString;
use std::process::ExitCode;

/// Pairs in a test run: both answers come, within seconds.
pub const FEW: u64 = 4;
/// Pairs when somebody asks for it.
const MANY: u64 = 100;

/// Sets the solver up and tries `--pairs` pairs.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let mut tally = Tally::new(project.ci);
    tally.step("Python packages", || outside::python_packages(project));
    let pairs = flags.number("--pairs").unwrap_or(MANY);
    tally.step(&format!("proof, {pairs} pairs"), || check(project, pairs));
    tally.close(flags.has("--json"))
}

/// So many pairs of contracts. The packages must be there already.
pub fn check(project: &Project, pairs: u64) -> Result<Ended, String> {
    let python = outside::python(project);
    let Some(programs) = python.parent().filter(|_| python.is_file()) else {
        return Ok(Ended::Skipped("no Python venv".to_owned()));
    };
    // The solver is a script that begins with `env python3`: that of the venv.
    let mut path = OsString::from(programs);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut test = project.cargo(&[
        "test",
        "--locked",
        "--manifest-path",
        "proof/Cargo.toml",
        "--target-dir",
    ]);
    test.arg(project.target.join("proof"))
        .args(["--", "--nocapture"])
        .env("PATH", path)
        .env("CVC5", project.root.join("proof/solver.py"))
        .env("TABARD_PROOF_PAIRS", pairs.to_string())
        .stdout(std::io::stderr());
    succeed(&mut test, "the tests of proof/")?;
    Ok(Ended::Passed)
}
