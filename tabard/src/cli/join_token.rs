//! `tabard join-token`: one line to copy to the machine that joins.

use super::page::{Page, text};
use super::{Exit, Failure, Place};
use clap::{Subcommand, ValueEnum};
use policy::contract::Seconds;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum JoinTokenCommand {
    /// Make a token that admits one member, once. It is shown now and never again
    Create {
        /// What may join with it
        #[arg(long, value_enum)]
        role: Role,
        /// How long it is good for, at most 1d
        #[arg(long, default_value = "10m")]
        ttl: Seconds,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Role {
    /// A node agent
    Node,
    /// A gateway
    Gateway,
}

pub(super) fn run(command: &JoinTokenCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    let JoinTokenCommand::Create { role, ttl } = command;
    let role = match role {
        Role::Node => "node",
        Role::Gateway => "gateway",
    };
    let made = at
        .admin
        .post("/v1/join-tokens", &json!({"role": role, "ttl_secs": ttl.get()}))?;
    if page.is_json() {
        page.json(&made);
    } else {
        page.note(&format!(
            "for one {role}, until {}; a failed attempt does not spend it",
            text(&made, "expires_at")
        ));
        page.line(&text(&made, "token"));
    }
    Ok(Exit::Done)
}
