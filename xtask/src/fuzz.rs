//! `cargo xtask fuzz`: coverage-guided mutation of every parser's corpus, on stable Rust.
//!
//! The targets are libFuzzer harnesses in fuzz/, a workspace of its own. What they found is kept in fuzz/corpus/ and
//! replayed by ordinary tests, so nothing here is needed to notice an old fault.

use crate::flags::Flags;
use crate::project::{Project, succeed};
use crate::tally::Tally;
use std::path::Path;
use std::process::ExitCode;

/// Long enough to notice a slow or panicking path, short enough to run by hand.
const SECS: u64 = 60;

/// Instruments our code for libFuzzer. The sanitizers besides would need a nightly compiler.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// The platform is named so that the flags reach the targets and not their build scripts.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Builds all targets and runs each for `--secs` seconds.
pub fn run(project: &Project, flags: &Flags) -> ExitCode {
    let secs = flags.number("--secs").unwrap_or(SECS);
    let mut tally = Tally::new(project.ci);
    let folder = project.target.join("fuzz");
    tally.must("build", || {
        let mut build = project.cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
        build
            .args(["--bins", "--target", PLATFORM, "--target-dir"])
            .arg(&folder)
            .env("RUSTFLAGS", COVERAGE)
            .stdout(std::io::stderr());
        succeed(&mut build, "cargo build of fuzz/")
    });
    for target in targets(project) {
        tally.must(&format!("{target}, {secs} s"), || {
            let mut fuzz = project.program(&folder.join(PLATFORM).join("release").join(&target));
            // New inputs go to the first folder, which is not committed; the second is only read.
            let found = folder.join("found").join(&target);
            std::fs::create_dir_all(&found).map_err(|why| format!("{}: {why}", found.display()))?;
            fuzz.arg(&found)
                .arg(Path::new("fuzz/corpus").join(&target))
                .arg(format!("-max_total_time={secs}"))
                .arg(format!("-artifact_prefix={}/", folder.display()))
                .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
                .stdout(std::io::stderr());
            succeed(&mut fuzz, &target)
        });
    }
    tally.close(flags.has("--json"))
}

/// The names of the harnesses: one file each.
fn targets(project: &Project) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(project.root.join("fuzz/fuzz_targets"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found
}
