//! `cargo xtask bench`: the budgets of docs/promises.md. The bench binary measures and prints; we only start it, and build
//! the `tabard` that it starts as a gateway beside it.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use std::process::ExitCode;

/// Runs `tabard-bench` in release mode. With `--json`, stdout is its one object and nothing else.
pub fn run(project: &Project, flags: &Flags) -> Result<ExitCode, String> {
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
