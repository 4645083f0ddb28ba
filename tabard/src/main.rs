//! `tabard`: one binary. Each command is a file under `cli/`; what it asks, the server decides.

mod cli;
mod context;
mod dev;
mod parts;
mod run;
mod signals;

use std::io::Write as _;

fn main() -> std::process::ExitCode {
    // The supervisor of a launch: our own binary again, before anything else of it has started.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__launch") {
        return node::launch::helper_main();
    }
    cli::main()
}

/// A line for people.
pub(crate) fn say(line: &str) {
    if writeln!(std::io::stderr().lock(), "{line}").is_err() {
        tracing::trace!("stderr is closed");
    }
}
