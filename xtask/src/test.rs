//! `cargo xtask test`: everything a change must pass, in the order in which it fails cheapest.

use crate::project::{Project, stdout_of, succeed};
use crate::tally::Tally;
use crate::{agentdojo, bench, dependencies, docs, interop, outside, proof};
use std::path::Path;
use std::process::ExitCode;

/// Runs every step even after a failure, so that one run shows all that is wrong.
pub fn run(project: &Project) -> Result<ExitCode, String> {
    let before = changed_files(project)?;
    let mut tally = Tally::new(project.ci);
    let cargo = |arguments: &[&str]| {
        succeed(
            &mut project.cargo(arguments),
            &format!("cargo {}", arguments.join(" ")),
        )
    };

    tally.step("programs from Debian", outside::programs);
    tally.must("format", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["fmt", "--manifest-path", "xtask/Cargo.toml", "--check"])?;
        cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])?;
        cargo(&["fmt", "--manifest-path", "proof/Cargo.toml", "--check"])
    });
    tally.must("dependencies.txt", || dependencies::check(project));
    tally.must("lints", || {
        cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    });
    tally.must("lints and tests of xtask", || {
        let own = [
            "--manifest-path",
            "xtask/Cargo.toml",
            "--target-dir",
            "target/xtask",
        ];
        cargo(&[&["clippy"], &own[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
        cargo(&[&["test"], &own[..]].concat())
    });
    // Unit, property, vector, corpus, crash, adversary and documentation tests of everything we ship.
    tally.must("tests", || cargo(&["test", "--locked", "--no-fail-fast"]));
    tally.must("build", || project.build());
    docs::transcripts(project, &mut tally);
    tally.step("Python packages", || outside::python_packages(project));
    tally.step("npm packages", || outside::node_packages(project));
    interop::clients(project, &mut tally, false);
    tally.step("proof, a few pairs of contracts", || {
        proof::check(project, proof::FEW)
    });
    tally.step("agentdojo", || agentdojo::check(project));
    tally.step(bench::SMOKE, || bench::smoke(project));
    tally.must("generated files are committed", || {
        let after = changed_files(project)?;
        if after == before {
            return Ok(());
        }
        Err(format!(
            "this run changed files of the tree:\n{after}\nlook at the difference and commit it"
        ))
    });
    Ok(tally.close(false))
}

/// What git says is not committed; the same before and after, or a test has written into the tree.
fn changed_files(project: &Project) -> Result<String, String> {
    let mut status = project.program(Path::new("git"));
    status.args(["status", "--porcelain"]);
    stdout_of(&mut status, "git status")
}
