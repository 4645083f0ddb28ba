//! `tabard`: one binary. Each command is a file under `cli/`; what it asks, the server decides.

mod cli;
mod context;
mod dev;
mod member;
mod parts;
mod run;
mod signals;
mod terminal_session;

use std::io::Write as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The supervisor of a launch: our own binary again, before anything else of it has started.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "__launch")
    {
        return node::launch::helper_main();
    }
    cli::main()
}

/// A line for people.
pub(crate) fn say(line: &str) {
    // One write, so that nobody else's output lands in the middle.
    if std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .is_err()
    {
        tracing::trace!("stderr is closed");
    }
}
