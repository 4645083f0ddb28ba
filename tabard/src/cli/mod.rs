//! The command line: one file a command. stdout is data, stderr is people; the exit codes are a promise
//! (`docs/reference/exit-codes.md`).

mod admin;
mod agent;
mod approval;
mod audit;
mod change;
mod commit;
mod completions;
mod contract;
mod directory;
mod exception;
mod explain;
mod failure;
mod folder;
mod foresee;
mod https;
mod init;
mod join_token;
mod login;
mod member;
mod org;
mod page;
mod principal;
mod registration;
mod review;
mod revoke;
mod server;
mod service;
mod status;
mod task;
mod trust;
mod upstream;
mod user;
mod webhook;

pub(crate) use failure::{Exit, Failure};
pub(crate) use page::Page;

use crate::context::{self, Context};
use crate::terminal_session::TerminalSession;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::process::ExitCode;

const CONCEPTS: &str = "\
An agent is registered with an owner, a purpose, a contract and an expiry. A contract says what it may do. A task is
one unit of its work. Every decision is an entry in an append-only log. stdout is data, stderr is for people.
Exit codes: 0 done, 1 error, 2 usage, 3 denied, 4 approval pending, 5 not attested, 6 unreachable, 7 expired or revoked.";

/// Identity, authority for one task at a time, and a record anyone can check, for AI agents.
#[derive(Debug, Parser)]
#[command(name = "tabard", version, after_help = CONCEPTS, disable_help_subcommand = false)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Globals {
    /// The form of the data on stdout
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "TABARD_OUTPUT"
    )]
    pub(crate) output: Form,
    /// Only data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colour; auto follows NO_COLOR and the terminal
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) color: Color,
    /// Which installation, of those in contexts.toml
    #[arg(long, global = true, env = "TABARD_CONTEXT")]
    pub(crate) context: Option<String>,
}

/// The form of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process, on loopback, with a demo
    Dev(crate::dev::DevArgs),
    /// Run a command as an agent
    Run(crate::run::RunArgs),
    /// What runs, how far behind, what was refused last
    Status,
    /// Register, change and stop agents
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Check and publish contracts
    #[command(subcommand)]
    Contract(contract::ContractCommand),
    /// Let an agent do one more thing, for a while
    #[command(subcommand)]
    Exception(exception::ExceptionCommand),
    /// Declare the services that agents call
    #[command(subcommand)]
    Upstream(upstream::UpstreamCommand),
    /// Selectors for processes that Tabard does not launch
    #[command(subcommand)]
    Registration(registration::RegistrationCommand),
    /// The isolation units of an installation
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Who may administer
    #[command(subcommand)]
    Principal(principal::PrincipalCommand),
    /// Log in at this terminal, to administer from any host
    Login(login::Login),
    /// End the session of this terminal
    Logout,
    /// Where people are logged in
    #[command(subcommand)]
    Session(login::SessionCommand),
    /// Let a node agent or gateway join
    #[command(subcommand)]
    JoinToken(join_token::JoinTokenCommand),
    /// Node agents and gateways
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Services that enforce decisions themselves
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Units of work
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Issuers outside that say who a user is
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    /// What waits for humans
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Show what an agent asks for, and open the page where a human decides
    Approve(approval::Approve),
    /// Groups of people who approve
    #[command(subcommand)]
    Group(approval::GroupCommand),
    /// Endpoints that are told of approvals
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// What people may do through agents
    #[command(subcommand)]
    User(user::UserCommand),
    /// Destinations that are a tenant's own
    #[command(subcommand)]
    Directory(directory::DirectoryCommand),
    /// Stop something now, and see what that reached
    Revoke(revoke::Revoke),
    /// Lift a suspension
    Resume(revoke::Resume),
    /// Why a decision came out as it did
    Explain(explain::Explain),
    /// Whether an agent could do something, before it tries
    Can(foresee::Can),
    /// Every agent whose contract allows an action
    WhoCan(foresee::WhoCan),
    /// Everything an agent could reach, itself and by way of others
    BlastRadius(foresee::BlastRadius),
    /// Read, check and export the record
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Run a server
    Server(server::ServerCommand),
    /// Print a script that completes these commands in a shell
    Completions(completions::Completions),
    /// Run a gateway
    Gateway(crate::member::GatewayArgs),
    /// Run a node agent
    Node(crate::member::NodeArgs),
}

/// Reads the command line, does it, and says how it went.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            if error.print().is_err() {
                return Exit::Error.into();
            }
            return exit.into();
        }
    };
    let page = Page::new(&cli.globals);
    // The command's own exit code passes through, so this is no `Exit` of ours.
    if let Command::Run(args) = &cli.command {
        return crate::run::run(args, cli.globals.context.as_deref(), cli.globals.quiet);
    }
    match run(&cli, &page) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            page.failure(&failure);
            failure.exit().into()
        }
    }
}

fn run(cli: &Cli, page: &Page) -> Result<Exit, Failure> {
    let at = || Place::of(&cli.globals);
    match &cli.command {
        Command::Dev(args) => crate::dev::dev(args).map(|()| Exit::Done),
        Command::Run(_) => Ok(Exit::Done),
        Command::Status => status::run(&at()?, page),
        Command::Agent(command) => agent::run(command, at, page),
        Command::Contract(command) => contract::run(command, at, page),
        Command::Exception(command) => exception::run(command, &at()?, page),
        Command::Upstream(command) => upstream::run(command, &at()?, page),
        Command::Registration(command) => registration::run(command, &at()?, page),
        Command::Org(command) => org::run(command, &at()?, page),
        Command::Principal(command) => principal::run(command, &at()?, page),
        Command::Login(command) => login::login(command, &cli.globals, page),
        Command::Logout => login::logout(&cli.globals, page),
        Command::Session(command) => login::session(command, &at()?, page),
        Command::JoinToken(command) => join_token::run(command, &at()?, page),
        Command::Member(command) => member::run(command, &at()?, page),
        Command::Service(command) => service::run(command, at, page),
        Command::Task(command) => task::run(command, &at()?, page),
        Command::Trust(command) => trust::run(command, &at()?, page),
        Command::Approval(command) => approval::run(command, &at()?, page),
        Command::Approve(wanted) => approval::approve(wanted, &at()?, page),
        Command::Group(command) => approval::group(command, &at()?, page),
        Command::Webhook(command) => webhook::run(command, &at()?, page),
        Command::User(command) => user::run(command, &at()?, page),
        Command::Directory(command) => directory::run(command, &at()?, page),
        Command::Revoke(command) => revoke::run(command, &at()?, page),
        Command::Resume(command) => revoke::resume(command, &at()?, page),
        Command::Explain(command) => explain::run(command, &at()?, page),
        Command::Can(asked) => foresee::can(asked, &at()?, page),
        Command::WhoCan(asked) => foresee::who_can(asked, &at()?, page),
        Command::BlastRadius(asked) => foresee::blast_radius(asked, &at()?, page),
        Command::Audit(command) => audit::run(command, at, page),
        Command::Server(command) => server::run(command, page),
        Command::Completions(wanted) => completions::run(wanted),
        Command::Gateway(args) => crate::member::gateway(args, page),
        Command::Node(args) => crate::member::node(args, page),
    }
}

/// The installation a command talks to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) context: Context,
    pub(crate) admin: admin::Admin,
}

impl Place {
    /// The chosen context.
    pub(crate) fn of(globals: &Globals) -> Result<Self, Failure> {
        let (name, context) = context::read(globals.context.as_deref())?;
        let admin = match (&context.admin_socket, TerminalSession::read(&name)?) {
            (Some(socket), _) => admin::Admin::at(socket)?,
            (None, Some(session)) => admin::Admin::terminal(&context, session)?,
            (None, None) => {
                return Err(Failure::new(
                    "NOT_LOGGED_IN",
                    format!("the server of context {name} is on another host"),
                )
                .because("its admin socket is there, and this terminal has no session")
                .fix(format!(
                    "Run `tabard login --context {name}`, or choose another context."
                ))
                .ending(Exit::Unreachable));
            }
        };
        Ok(Self { name, context, admin })
    }
}

/// A document from disk, and what messages call it.
fn document(path: &std::path::Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    std::fs::read_to_string(path)
        .map(|text| (name, text))
        .map_err(|error| {
            Failure::new("FILE_UNREADABLE", format!("{} cannot be read", path.display()))
                .because(error.to_string())
                .fix("Check the path, and that it is a text file.")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
