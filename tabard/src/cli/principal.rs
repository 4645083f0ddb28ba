//! `tabard principal`: who may administer.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, items, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum PrincipalCommand {
    /// Add a person, by the uid of their account on the server's host if they have one, or change their roles
    Add(Add),
    /// Make a link by which a person enrols a passkey or an account: it works once, within 15 minutes
    Invite(Named),
    /// Let a person in by exactly this account at an identity provider
    Link(Account),
    /// The opposite; sessions that it opened end
    Unlink(Account),
    /// Remove a person; their sessions end
    Remove(Named),
    /// Everybody who may administer
    List,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What the record calls them
    name: String,
    /// Their uid
    #[arg(long)]
    uid: Option<u32>,
    /// The one org they are to administer; without it, as far as you do
    #[arg(long)]
    org: Option<String>,
    /// What they may do; repeat for more
    #[arg(long = "role", required = true, value_enum)]
    roles: Vec<Role>,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Who
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Account {
    /// Who
    name: String,
    /// The identity provider, as its ID tokens spell `iss`
    #[arg(long)]
    issuer: String,
    /// Its name for the person, as its ID tokens spell `sub`
    #[arg(long)]
    subject: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Sees inventory and state
    Viewer,
    /// Reads, verifies and exports the record besides
    Auditor,
    /// Opens tasks, launches, revokes, suspends and resumes
    Operator,
    /// Publishes contracts, upstreams, agents and registrations
    Author,
    /// Says yes or no to what a contract does not let an agent do alone
    Approver,
    /// Everything
    Admin,
}

pub(super) fn run(command: &PrincipalCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        PrincipalCommand::Add(add) => {
            let roles: Vec<String> = add
                .roles
                .iter()
                .map(|role| format!("{role:?}").to_lowercase())
                .collect();
            let body = json!({"name": add.name, "uid": add.uid, "roles": roles, "org": add.org});
            applied("principal", &at.admin.post("/v1/principals", &body)?, page);
        }
        PrincipalCommand::Invite(named) => invite(named, at, page)?,
        PrincipalCommand::Link(account) => change_account("link", account, at, page)?,
        PrincipalCommand::Unlink(account) => change_account("unlink", account, at, page)?,
        PrincipalCommand::Remove(named) => {
            let done = at
                .admin
                .delete(&format!("/v1/principals/{}", segment(&named.name)))?;
            applied("removed principal", &done, page);
        }
        PrincipalCommand::List => {
            let all = at.admin.get("/v1/principals")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let row = |it: &Value| {
                    let roles: Vec<&str> = items(it, "roles").iter().filter_map(Value::as_str).collect();
                    let ways = [("accounts", "account"), ("passkeys", "passkey")].map(|(many, one)| {
                        let count = items(it, many).len();
                        format!("{count} {one}{}", if count == 1 { "" } else { "s" })
                    });
                    vec![
                        text(it, "name"),
                        it.get("uid")
                            .and_then(Value::as_u64)
                            .map_or_else(|| "-".to_owned(), |uid| uid.to_string()),
                        roles.join(","),
                        text(it, "assurance"),
                        ways.join(", "),
                    ]
                };
                let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
                page.table(&["name", "uid", "roles", "assurance", "ways in"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}

fn invite(named: &Named, at: &Place, page: &Page) -> Result<(), Failure> {
    let path = format!("/v1/principals/{}/invite", segment(&named.name));
    let invited = at.admin.post(&path, &json!({}))?;
    if page.is_json() {
        page.json(&invited);
        return Ok(());
    }
    let expires = text(&invited, "expires_at");
    page.line(&text(&invited, "url"));
    page.note(&format!(
        "{} opens it in a browser, once, until {expires}. Whoever has the link comes in as them.",
        named.name
    ));
    Ok(())
}

fn change_account(verb: &str, account: &Account, at: &Place, page: &Page) -> Result<(), Failure> {
    let path = format!("/v1/principals/{}/{verb}", segment(&account.name));
    let body = json!({"issuer": account.issuer, "subject": account.subject});
    applied("principal", &at.admin.post(&path, &body)?, page);
    Ok(())
}
