//! `tabard run --as AGENT -- COMMAND`: asks the node agent to start a command as an agent, with our own terminal.
//!
//! The story goes to stderr, the command's own output where it always went. The exit code is the command's own;
//! codes of a launch that never happened are in `docs/reference/exit-codes.md`.

use crate::context::{self, Context};
use identity::{Name, TaskId};
use node::authority::Ended;
use node::launch::client::{self, Outcome, Signals};
use node::launch::{LAUNCH_SOCKET, Launch, Step, Story, TaskWish};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Run a command as an agent
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Which agent
    #[arg(long = "as", value_name = "AGENT")]
    agent: Name,
    /// In namespaces of its own: no other process, no network but the gateway, none of your files
    #[arg(long)]
    isolate: bool,
    /// Whose data, when the contract knows several tenants
    #[arg(long)]
    tenant: Option<Name>,
    /// One of the contract's task types [default: its first]
    #[arg(long, value_name = "TYPE")]
    task_type: Option<Name>,
    /// Work on an open task instead of a new one
    #[arg(long, value_name = "TASK_ID", conflicts_with_all = ["tenant", "task_type", "ttl"])]
    task: Option<TaskId>,
    /// How long the task lasts, in seconds [default: the contract's maximum]
    #[arg(long, value_name = "SECS")]
    ttl: Option<u64>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// What is added to our exit codes when the command was never started, so that they are not mistaken for its own.
const NOT_STARTED: u8 = 110;
const ERROR: u8 = 1;
const DENIED: u8 = 3;
const NOT_ATTESTED: u8 = 5;
const UNREACHABLE: u8 = 6;
const NOT_LIVE: u8 = 7;

pub(crate) fn run(args: &RunArgs, chosen: Option<&str>, quiet: bool) -> ExitCode {
    match launch(args, chosen, quiet) {
        Ok(code) => code,
        Err((code, message)) => {
            crate::say(&format!("tabard: {message}"));
            not_started(code)
        }
    }
}

/// The line that nothing else prints, and the code.
fn not_started(code: u8) -> ExitCode {
    crate::say(&format!("tabard: not started (code {})", NOT_STARTED + code));
    ExitCode::from(NOT_STARTED + code)
}

/// Which of our exit codes a refusal is.
fn class_of(code: &str) -> u8 {
    match code {
        "IDENTITY_NOT_LIVE" | "TASK_AGENT_NOT_LIVE" => NOT_LIVE,
        "TABARD-LAUNCH-001"
        | "TABARD-LAUNCH-004"
        | "TABARD-LAUNCH-009"
        | "IDENTITY_UNREGISTERED"
        | "LAUNCH_COMMAND_LINE"
        | "LAUNCH_EXECUTABLE"
        | "LAUNCH_ROOT"
        | "LAUNCH_WORKING_DIRECTORY"
        | "LAUNCH_NO_SPEC"
        | "LAUNCH_CONTRACT"
        | "LAUNCH_NOT_ISOLATED"
        | "EVIDENCE_REFUSED" => NOT_ATTESTED,
        "TABARD-LAUNCH-012" => UNREACHABLE,
        "TABARD-LAUNCH-000" | "TABARD-LAUNCH-006" | "TABARD-LAUNCH-008" | "TABARD-LAUNCH-011" => ERROR,
        _ => DENIED,
    }
}

/// Where launches are asked for: by the context; an isolated run has none, and is told in its environment.
fn launch_socket(chosen: Option<&str>) -> Result<PathBuf, (u8, String)> {
    if let (None, Some(told)) = (chosen, std::env::var_os(LAUNCH_SOCKET)) {
        return Ok(PathBuf::from(told));
    }
    let (_, context): (String, Context) =
        context::read(chosen).map_err(|error| (UNREACHABLE, error.to_string()))?;
    context.launch_socket.ok_or_else(|| {
        (
            UNREACHABLE,
            "this context has no node agent: choose another with --context".to_owned(),
        )
    })
}

fn launch(args: &RunArgs, chosen: Option<&str>, quiet: bool) -> Result<ExitCode, (u8, String)> {
    let socket = launch_socket(chosen)?;
    let request = Launch {
        version: 1,
        agent: args.agent.clone(),
        argv: args.command.clone(),
        cwd: std::env::current_dir().map_err(|error| (ERROR, format!("the current directory: {error}")))?,
        env: std::env::vars().collect(),
        isolate: args.isolate,
        quiet,
        task: TaskWish {
            task: args.task,
            kind: args.task_type.clone(),
            tenant: args.tenant.clone(),
            ttl_secs: args.ttl,
        },
    };
    let outcome = client::run(&socket, request, pass_signals, |line| {
        if !quiet {
            tell(&line);
        }
    })
    .map_err(|error| (UNREACHABLE, error.to_string()))?;
    Ok(match outcome {
        Outcome::Ended(Ended::Code(code)) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)),
        Outcome::Ended(Ended::Signal(signal)) => {
            ExitCode::from(u8::try_from(128 + (signal & 0x7f)).unwrap_or(255))
        }
        Outcome::Ended(Ended::Lost) => ExitCode::FAILURE,
        Outcome::Refused {
            code,
            decision,
            message,
            fix,
        } => {
            let explain = decision
                .map(|id| format!("  {id}   \u{2192} tabard explain {id}"))
                .unwrap_or_default();
            crate::say(&format!("  refused    {code}{explain}"));
            crate::say(&format!("             {message}"));
            crate::say(&format!("  fix        {fix}"));
            not_started(class_of(&code))
        }
    })
}

/// One line of the story.
fn tell(line: &Story) {
    let (word, colour) = match line.step {
        Step::Attested => ("attested", "36"),
        Step::Identity => ("identity", "36"),
        Step::Task => ("task", "36"),
        Step::Allowed => ("allowed", "32"),
        Step::Denied => ("denied", "31"),
        Step::Issued => ("issued", "32"),
        Step::Note => ("note", "33"),
    };
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stderr().is_terminal();
    let word = format!("{word:<10}");
    let word = if plain {
        word
    } else {
        format!("\u{1b}[{colour}m{word}\u{1b}[0m")
    };
    crate::say(&format!("  {word} {}", line.text));
}

/// Signals that end or change a command in a terminal go to the run.
fn pass_signals(signals: Signals) {
    let started = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let kinds = [
                    SignalKind::interrupt(),
                    SignalKind::terminate(),
                    SignalKind::hangup(),
                    SignalKind::quit(),
                ];
                let mut waiting = tokio::task::JoinSet::new();
                let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
                for kind in kinds {
                    let tell = tell.clone();
                    waiting.spawn(async move {
                        let Ok(mut stream) = signal(kind) else { return };
                        while stream.recv().await.is_some() {
                            if tell.send(kind.as_raw_value()).is_err() {
                                return;
                            }
                        }
                    });
                }
                while let Some(number) = told.recv().await {
                    if signals.send(number).is_err() {
                        return;
                    }
                }
            });
        });
    if let Err(error) = started {
        tracing::warn!(%error, "signals are not passed on");
    }
}
