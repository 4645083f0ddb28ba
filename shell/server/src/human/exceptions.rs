//! `/ui/exceptions`: rights beyond a contract that are open, and the form that opens one.
//!
//! Where two people have to agree on a widening, an exception takes a person who is there ([`broker::exception`]), which no
//! terminal shows: so it is opened here.

use super::others::others;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::exceptions::{Wanted, end_as, start_as, views};
use crate::admin::refused::Refused;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use broker::world::{Agent, Role};
use identity::Name;
use maud::{Markup, html};
use std::sync::Arc;

/// What a refusal was about.
const ABOUT: &str = "an exception";
/// How long one can be, in seconds, and the words for it. It is at most a day.
const LENGTHS: [(u64, &str); 4] = [
    (900, "15 minutes"),
    (3600, "one hour"),
    (4 * 3600, "four hours"),
    (86_400, "a day"),
];

/// `/ui/exceptions`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Response {
    let Some(who) = visit.administrator() else {
        return super::not_for_users(&visit, ABOUT);
    };
    let (world, now) = (human.installation().store.world(), human.now());
    let known = views(&world, who.scope(), now);
    let may = |role| who.principal().may(role);
    let may_end = may(Role::Approver) || may(Role::Operator);
    let mut agents: Vec<Name> = world
        .agents(who.scope())
        .map(|agent: &Arc<Agent>| agent.name.clone())
        .collect();
    agents.sort();
    agents.dedup();
    Page::new("Exceptions")
        .visiting(&visit)
        .body(&html! {
            p { "An exception lets one agent do one more thing for a while, under every limit of its contract. It is loud, and it "
                "ends by itself." }
            @if known.is_empty() { p { "There is none." } }
            @else {
                table {
                    thead { tr {
                        th scope="col" { "Agent" } th scope="col" { "May" } th scope="col" { "Why" }
                        th scope="col" { "Who" } th scope="col" { "Until" } th scope="col" { "State" }
                    } }
                    tbody {
                        @for it in &known {
                            tr {
                                td data-label="Agent" { (it.agent) }
                                td data-label="May" { code { (it.action) } " at " (it.service) }
                                td data-label="Why" { (others(&it.reason)) }
                                td data-label="Who" { (it.by) " opened it, " (others(&it.owner)) " answers for it" }
                                td data-label="Until" { (Page::written_time(&it.until)) }
                                td data-label="State" {
                                    @if it.is_open() { strong .bad { "open" } } @else { "over" }
                                    @if it.is_open() && may_end { (ending(&visit, &it.id)) }
                                }
                            }
                        }
                    }
                }
            }
            @if may(Role::Approver) {
                section aria-labelledby="open" {
                    h2 #open { "Open one" }
                    @if visit.visitor().is_verified(now) { (form(&visit, &agents)) }
                    @else {
                        p { a href="/ui/verify?to=/ui/exceptions" { "Verify that it is you" } " first." }
                    }
                }
            }
        })
        .into_response()
}

/// `/ui/exceptions/open`.
pub(super) async fn open(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let (visit, form) = (&posted.visit, &posted.form);
    let Some(who) = visit.administrator() else {
        return super::not_for_users(visit, ABOUT);
    };
    let text = |name: &str| form.one(name).unwrap_or_default().trim().to_owned();
    let length = form.one("for_secs").and_then(|secs| secs.parse().ok());
    let (Ok(action), Some(length)) = (text("action").parse(), length) else {
        let refused = Refused::bad_request(
            "The action or the time cannot be read.",
            "Write the action as contracts do: invoices.write",
        );
        return super::refused_page(visit, &refused, ABOUT);
    };
    let wanted = Wanted::for_secs(length, text("agent"), action, text("service"))
        .because(text("reason"), text("owner"))
        .again(form.one("again") == Some("yes"));
    let started = start_as(&human.admin, &who, wanted).await;
    super::go_on(visit, started, "/ui/exceptions", ABOUT)
}

/// `/ui/exceptions/end`.
pub(super) async fn end(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let visit = &posted.visit;
    let Some(who) = visit.administrator() else {
        return super::not_for_users(visit, ABOUT);
    };
    let ended = end_as(&human.admin, &who, posted.form.one("id").unwrap_or_default()).await;
    super::go_on(visit, ended, "/ui/exceptions", ABOUT)
}

fn ending(visit: &Visit, id: &str) -> Markup {
    html! {
        form method="post" action="/ui/exceptions/end" {
            (Page::token(visit))
            input type="hidden" name="id" value=(id);
            button type="submit" .quiet aria-label=(format!("End it: {id}")) { "End it" }
        }
    }
}

fn form(visit: &Visit, agents: &[Name]) -> Markup {
    let field = |name: &str, says: &str, hint: &str| {
        html! {
            label for=(name) { (says) }
            input #(name) name=(name) required placeholder=(hint) autocomplete="off";
        }
    };
    html! {
        form method="post" action="/ui/exceptions/open" {
            (Page::token(visit))
            p {
                "Every limit of the contract holds: tenants, hours, budgets, data flow. " strong { "The bounds of its grants do not, "
                "and no approval is asked: " } "with an exception for refunds the agent gives back any amount that no budget refuses, "
                "and nobody looks at it first."
            }
            label for="agent" { "Agent" }
            select #agent name="agent" { @for name in agents { option value=(name.as_str()) { (name) } } }
            (field("action", "The one action", "invoices.write"))
            (field("service", "Where: an upstream, or an audience", "invoices"))
            (field("reason", "Why, in one sentence", "The nightly run failed and is repeated by hand."))
            (field("owner", "Who answers for it", "finance"))
            label for="for_secs" { "For how long" }
            select #for_secs name="for_secs" {
                @for (secs, words) in LENGTHS { option value=(secs) { (words) } }
            }
            label .check { input type="checkbox" name="again" value="yes"; " There was one for the same within a week, and it is to be again" }
            button type="submit" .danger { "Open the exception" }
        }
    }
}
