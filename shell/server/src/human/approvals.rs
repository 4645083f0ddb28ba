//! `/ui/approvals`: what waits for people, and the page on which one says yes or no.
//!
//! The page shows the bound request and what the World knows, in our words. What the agent says, and what it sends besides
//! what anybody declared, stand in frames of their own, named as its own, after everything that is known; whatever it wrote
//! is legible and escaped ([`others`]), so it cannot look like a part of the page. A vote carries the digest of what was
//! shown: should anything differ, it is about nothing.

use super::others::others;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::refused::Refused;
use crate::approval::{ApprovalView, may_vote, may_withdraw, vote};
use crate::settle::settle;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use broker::admin::Administrator;
use broker::world::Approval;
use broker::world::approval::State as Standing;
use identity::{ActorKind, ApprovalId, Digest, UnixTime};
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

/// `/ui/approvals`.
pub(super) async fn list(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Response {
    let Some(who) = visit.administrator() else {
        return super::not_for_users(&visit, ABOUT);
    };
    let (world, now) = (human.installation().store.world(), human.now());
    let mut known: Vec<&Arc<Approval>> = world.approvals(who.scope()).collect();
    // What waits first, and of that what has waited longest.
    known.sort_by_key(|it| {
        let waits = it.state(now) == Standing::Pending;
        (
            !waits,
            if waits { it.asked_at } else { UnixTime::MAX },
            std::cmp::Reverse(it.asked_at),
        )
    });
    let waiting = known
        .iter()
        .filter(|it| it.state(now) == Standing::Pending)
        .count();
    let page = Page::new("Approvals").visiting(&visit);
    let views: Vec<(bool, ApprovalView)> = known
        .into_iter()
        .take(LISTED_MAX)
        .filter_map(|approval| {
            let mine = may_vote(&world, approval, who.principal()).is_ok();
            Some((mine, ApprovalView::of(&world, approval, now)?))
        })
        .collect();
    page.body(&html! {
        p { @match waiting { 0 => "Nothing waits.", 1 => "One waits for a person.", _ => { (waiting) " wait for a person." } } }
        @if !views.is_empty() {
            table {
                thead { tr {
                    th scope="col" { "What" } th scope="col" { "Agent" } th scope="col" { "State" }
                    th scope="col" { "Until" } th scope="col" { "You" }
                } }
                tbody {
                    @for (mine, view) in &views {
                        tr {
                            td data-label="What" { a href=(path_of(view.id)) { (title(view)) } br; code { (view.resource_type) " " (others(&view.resource_id)) } }
                            td data-label="Agent" { (view.agent) }
                            td data-label="State" { span .badge { (view.state.word()) } }
                            td data-label="Until" { (Page::time(view.until_at)) }
                            td data-label="You" { @if view.takes_votes && *mine { "are asked" } @else { "" } }
                        }
                    }
                }
            }
        }
    })
    .into_response()
}

/// `/ui/approvals/{id}`.
pub(super) async fn show(
    State(human): State<Arc<HumanPlane>>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let (who, approval) = match found(&human, &visit, &id) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (world, now) = (human.installation().store.world(), human.now());
    let Some(view) = ApprovalView::of(&world, &approval, now) else {
        return unknown(&visit);
    };
    let may = may_vote(&world, &approval, who.principal());
    let own = approval.votes.iter().find(|vote| vote.by == who.principal().name);
    let ballot = match (view.takes_votes, own, may) {
        (true, Some(vote), _) => html! {
            p { "You said " strong { @if vote.yes { "yes" } @else { "no" } } ". It takes somebody else besides." }
        },
        (true, None, Err(why)) => html! { p { "You cannot decide on this: " (why) "." } },
        (true, None, Ok(())) => ballot(&visit, &view, visit.visitor().is_verified(now)),
        (false, None, Ok(())) if view.state == Standing::Approved => {
            against(&visit, &view, visit.visitor().is_verified(now))
        }
        (false, _, _) if view.state == Standing::Approved => {
            html! { p { "It is approved, and was not used yet." } }
        }
        (false, _, _) => html! { p { "It is over: it is " strong { (view.state.word()) } "." } },
    };
    let may_withdraw = may_withdraw(&approval, who.principal(), now);
    Page::new(title(&view))
        .visiting(&visit)
        .body(&html! {
            (request(&view))
            @if view.takes_votes && view.state == Standing::Approved {
                p .bad { "Somebody who said yes may not decide any more, so their word is worth nothing. It takes another's." }
            }
            (ballot)
            @if may_withdraw && (view.state == Standing::Approved || own.is_some()) { (taking_back(&visit, &view)) }
        })
        .into_response()
}

/// `/ui/approvals/{id}/vote`.
pub(super) async fn say(
    State(human): State<Arc<HumanPlane>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { visit, form } = posted;
    let (who, approval) = match found(&human, &visit, &id) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let what = format!("approval {}", approval.id);
    let yes = match form.one("vote") {
        Some("yes") => true,
        Some("no") => false,
        _ => return super::refused_page(&visit, &unclear(), &what),
    };
    let Some(shown) = form
        .one("digest")
        .and_then(|digest| digest.parse::<Digest>().ok())
    else {
        return super::refused_page(&visit, &unclear(), &what);
    };
    let voted = vote(human.installation(), &who, approval.org, approval.id, &shown, yes).await;
    super::go_on(&visit, voted, &path_of(approval.id), &what)
}

/// `/ui/approvals/{id}/withdraw`.
pub(super) async fn take_back(
    State(human): State<Arc<HumanPlane>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let visit = &posted.visit;
    let (who, approval) = match found(&human, visit, &id) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let taken = settle(human.installation(), Some(approval.org), |world, draw| {
        let now = world.approval(who.scope(), approval.id).unwrap_or(&approval);
        broker::approve::withdraw(world, &who, now, draw)
    });
    let what = format!("approval {}", approval.id);
    super::go_on(visit, taken.await, &path_of(approval.id), &what)
}

/// What a refusal was about.
const ABOUT: &str = "an approval";
/// Most approvals on one page.
const LISTED_MAX: usize = 100;

fn path_of(id: ApprovalId) -> String {
    format!("/ui/approvals/{id}")
}

/// The visitor as an administrator, and the approval of that id; or the page that says which of them there is not.
fn found(human: &HumanPlane, visit: &Visit, id: &str) -> Result<(Administrator, Arc<Approval>), Response> {
    let who = visit
        .administrator()
        .ok_or_else(|| super::not_for_users(visit, ABOUT))?;
    let world = human.installation().store.world();
    let id = id.parse().ok();
    let approval = id.and_then(|id| world.approval(who.scope(), id)).cloned();
    let approval = approval.ok_or_else(|| unknown(visit))?;
    Ok((who, approval))
}

fn unknown(visit: &Visit) -> Response {
    super::refused_page(visit, &Refused::not_found("approval", "of that id"), ABOUT)
}

fn unclear() -> Refused {
    Refused::bad_request(
        "It is not clear what you said about what.",
        "Go back, load the page again, and say yes or no.",
    )
}

fn title(view: &ApprovalView) -> String {
    view.meaning.clone().unwrap_or_else(|| view.action.clone())
}

/// Yes and no. Whoever has not proved lately that it is they is led to that first.
fn ballot(visit: &Visit, view: &ApprovalView, verified: bool) -> Markup {
    if !verified {
        return html! {
            section aria-labelledby="decide" {
                h2 #decide { "Decide" }
                p {
                    a href=(format!("/ui/verify?to={}", path_of(view.id))) { "Verify that it is you" }
                    " first. Then say yes or no here."
                }
            }
        };
    }
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            p { "Yes lets exactly this request pass, once. No is final for this request." }
            form .ballot method="post" action=(format!("{}/vote", path_of(view.id))) {
                (Page::token(visit))
                input type="hidden" name="digest" value=(view.digest);
                button type="submit" name="vote" value="yes" { "Approve" }
                " "
                button type="submit" name="vote" value="no" .second { "Refuse" }
            }
        }
    }
}

/// A no after others have approved it: good until it is used.
fn against(visit: &Visit, view: &ApprovalView, verified: bool) -> Markup {
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            p { "Others have approved it, and it was not used yet. Your no ends it." }
            @if verified {
                form .ballot method="post" action=(format!("{}/vote", path_of(view.id))) {
                    (Page::token(visit))
                    input type="hidden" name="digest" value=(view.digest);
                    button type="submit" name="vote" value="no" .second { "Refuse" }
                }
            } @else {
                p { a href=(format!("/ui/verify?to={}", path_of(view.id))) { "Verify that it is you" } " first." }
            }
        }
    }
}

/// For whoever said yes by mistake, and for operators. It waits for no proof: it only stops.
fn taking_back(visit: &Visit, view: &ApprovalView) -> Markup {
    html! {
        form method="post" action=(format!("{}/withdraw", path_of(view.id))) {
            (Page::token(visit))
            button type="submit" .danger { "Take it back" }
        }
    }
}

/// The request, in our words.
fn request(view: &ApprovalView) -> Markup {
    html! {
        p {
            span .badge { (view.state.word()) } " "
            @if view.state == Standing::Pending { "Waits until " (Page::time(view.until_at)) "." }
            @else if view.state == Standing::Approved { "Good once, until " (Page::time(view.until_at)) "." }
        }
        dl .facts {
            dt { "What would be done" }
            dd { strong { (title(view)) } " (" code { (view.action) } " at " (view.service) ")" }
            dt { "To what" }
            dd { (view.resource_type) " " code { (others(&view.resource_id)) } }
            @if let Some(tenant) = &view.tenant { dt { "Whose data" } dd { (tenant) } }
            @for (name, value) in &view.arguments { dt { (name) } dd { code { (others(&plain(value))) } } }
            @if let Some(version) = &view.version { dt { "In version" } dd { code { (others(version)) } } }
            dt { "Request" }
            dd {
                @if let Some(service) = &view.asked_by { "asked by the service " strong { (service) } ", which makes or enforces it itself" }
                @else { code { (view.method) " " (others(&view.path)) } }
                br; span .hint { "and nothing but these bytes: " (view.content) }
            }
            dt { "Agent" }
            dd { strong { (view.agent) } ", owned by " (others(&view.agent_owner)) ". " (others(&view.agent_purpose)) }
            dt { "On behalf of, through" }
            dd { ol { @for party in &view.chain { li { (word(party.kind)) " " code { (others(&party.id)) } } } } }
            dt { "Task" }
            dd {
                code { (view.task) }
                @if let Some(kind) = &view.task_type { ", " (kind) }
                @if let Some(opener) = &view.opened_by { ", opened by " (others(opener)) }
            }
            dt { "Has read before" }
            dd {
                "data up to " (view.labels.sensitivity)
                @if !view.labels.domains.is_empty() { ", about " (view.labels.domains.join(", ")) }
                @if view.labels.untrusted.is_empty() { "; nothing that strangers can write" }
                @else { "; " strong { "what strangers can write: " (view.labels.untrusted.join(", ")) } }
            }
            dt { "Why it waits" }
            @for reason in &view.reasons { dd { (reason.sentence.unwrap_or_default()) " " code { (reason.code) } } }
            dt { "Who is asked" }
            @for need in &view.needs { dd { (need.quorum) " of " (need.approvers) ", " (need.given) " so far" } }
            @if !view.votes.is_empty() {
                dt { "Said so far" }
                @for vote in &view.votes { dd { @if vote.yes { "Yes" } @else { "No" } " by " (vote.by) } }
            }
            dt { "Asked lately" }
            dd {
                (view.lately.by_agent) " × by this agent within an hour, " (view.lately.by_task)
                " × by this task; waiting now: " (view.lately.waiting)
            }
        }
        @if !view.besides.is_empty() {
            section aria-labelledby="besides" {
                h2 #besides { "What is sent besides" }
                p .hint { "The agent's. Nobody said what it means: the contract bounds none of it, and the service may do something by it." }
                dl .facts.untrusted {
                    @for beside in &view.besides.shown {
                        dt { (others(&beside.place)) }
                        dd { code { (others(&beside.value)) } }
                    }
                    @if view.besides.more > 0 { dt { "and " (view.besides.more) " more" } dd { "that are not shown. Refuse what you cannot see." } }
                }
            }
        }
        @if let Some(said) = &view.said_by_agent {
            section aria-labelledby="said" {
                h2 #said { "What the agent says" }
                p .hint { "Its own words. Anybody whose text it has read may have put them there. They decide nothing." }
                blockquote .untrusted { (others(said)) }
            }
        }
    }
}

/// A value without the quotes of JSON where it is a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const fn word(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "user",
        ActorKind::AiAgent => "agent",
        ActorKind::Service => "service",
    }
}
