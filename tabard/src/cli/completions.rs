//! `tabard completions`: what a shell needs to complete our command line, from the same definition that parses it.

use super::{Cli, Exit, Failure};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

pub(super) fn run(wanted: &Completions) -> Result<Exit, Failure> {
    let shell = match wanted.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tabard", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| {
        Failure::new("OUTPUT", "The script cannot be written")
            .because(error.to_string())
            .fix("Write it to a file that you may write to.")
    })?;
    Ok(Exit::Done)
}
