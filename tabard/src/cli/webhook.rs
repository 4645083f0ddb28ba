//! `tabard webhook`: endpoints that are told of approvals. What they are told opens nothing.

use super::admin::segment;
use super::agent::applied;
use super::page::{Page, Tone, text};
use super::{Exit, Failure, Place};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::net::IpAddr;

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Tell an endpoint of approvals from now on; prints the secret that its messages are signed with, once
    Add(Add),
    /// Every endpoint, and how it does
    List,
    /// Tell an endpoint nothing more
    Remove {
        /// Its name
        name: String,
    },
    /// Send an endpoint one message that says nothing
    Test {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What to call it
    name: String,
    /// https://…, without a query; plain http for this very host alone
    url: String,
    /// An address of a private network that its name may resolve to; may be given several times
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

pub(super) fn run(command: &WebhookCommand, at: &Place, page: &Page) -> Result<Exit, Failure> {
    match command {
        WebhookCommand::Add(add) => {
            let body = json!({"name": add.name, "url": add.url, "addresses": add.addresses});
            let done = at.admin.post("/v1/webhooks", &body)?;
            applied("webhook", &done, page);
            if !page.is_json() {
                page.line(&text(&done, "secret"));
                page.note("Keep the secret where the receiver reads it: it is shown this once.");
                page.note(&format!("Try it: tabard webhook test {}", add.name));
            }
        }
        WebhookCommand::List => {
            let all = at.admin.get("/v1/webhooks")?;
            if page.is_json() {
                page.json(&all);
            } else {
                let rows: Vec<_> = all
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|it| row(it, page))
                    .collect();
                let head = [
                    "webhook",
                    "url",
                    "delivered",
                    "waiting",
                    "given up",
                    "last failure",
                ];
                page.table(&head, &rows);
            }
        }
        WebhookCommand::Remove { name } => {
            let done = at.admin.delete(&format!("/v1/webhooks/{}", segment(name)))?;
            applied("removed webhook", &done, page);
        }
        WebhookCommand::Test { name } => {
            let path = format!("/v1/webhooks/{}/test", segment(name));
            let tested = at.admin.post(&path, &json!({}))?;
            if page.is_json() {
                page.json(&tested);
            }
            if tested.get("delivered") != Some(&Value::Bool(true)) {
                return Err(Failure::new(
                    "WEBHOOK_NOT_DELIVERED",
                    format!("The webhook {name} took no message."),
                )
                .because(text(&tested, "why"))
                .fix("Mend the endpoint, or its registration: tabard webhook list"));
            }
            if !page.is_json() {
                page.line(&format!("webhook {name} took a message"));
            }
        }
    }
    Ok(Exit::Done)
}

fn row(it: &Value, page: &Page) -> Vec<String> {
    let mut row: Vec<String> = ["name", "url", "delivered", "waiting", "given_up"]
        .map(|name| text(it, name))
        .into();
    row.push(match it.get("why").and_then(Value::as_str) {
        Some(why) => page.tone(Tone::Bad, &format!("{why} ({})", text(it, "failed_at"))),
        None => "-".to_owned(),
    });
    row
}
