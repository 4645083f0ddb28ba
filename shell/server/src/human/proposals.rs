//! `/ui/proposals`: contracts that wait for a second person, and the page on which one publishes or turns down.
//!
//! A yes takes somebody who is there, so a terminal and a process are refused it ([`broker::succession::agree`]). The page shows
//! what was recorded with the proposal: what the comparison found, in sentences, and the contract as its author wrote it.

use super::others::others;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::refused::Refused;
use crate::settle::settle;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use broker::admin::Administrator;
use broker::succession::{agree, withdraw};
use broker::world::{Person, Proposal, Role};
use identity::Digest;
use maud::{Markup, html};
use std::sync::Arc;

/// What a refusal was about.
const ABOUT: &str = "a proposed contract";

/// Where people decide on a proposal. The hash stands there without its prefix: a colon is in no path of ours.
pub(crate) fn path_of(hash: &Digest) -> String {
    format!("/ui/proposals/{}", hash.hex())
}

/// `/ui/proposals`.
pub(super) async fn list(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Response {
    let Some(who) = visit.administrator() else {
        return super::not_for_users(&visit, ABOUT);
    };
    let (world, now) = (human.installation().store.world(), human.now());
    let mut known: Vec<&Arc<Proposal>> = world.proposals(who.scope()).collect();
    known.sort_by_key(|it| (!it.is_open(now), it.proposed_at));
    let waiting = known.iter().filter(|it| it.is_open(now)).count();
    Page::new("Proposed contracts")
        .visiting(&visit)
        .body(&html! {
            p {
                "A contract that lets an agent do more is in force once somebody else has looked at it. "
                @match waiting { 0 => "Nothing waits.", 1 => "One waits for a second person.", _ => { (waiting) " wait for a second person." } }
            }
            @if !known.is_empty() {
                table {
                    thead { tr {
                        th scope="col" { "Contract" } th scope="col" { "Proposed by" } th scope="col" { "It widens" }
                        th scope="col" { "State" } th scope="col" { "Until" }
                    } }
                    tbody {
                        @for it in &known {
                            tr {
                                td data-label="Contract" { a href=(path_of(&it.contract.hash)) { (name(it)) } }
                                td data-label="Proposed by" { (it.by.name) }
                                td data-label="It widens" { (others(&in_short(it))) }
                                td data-label="State" { span .badge { @if it.is_open(now) { "waits" } @else { "over" } } }
                                td data-label="Until" { (Page::time(it.expires_at)) }
                            }
                        }
                    }
                }
            }
        })
        .into_response()
}

/// `/ui/proposals/{hash}`.
pub(super) async fn show(
    State(human): State<Arc<HumanPlane>>,
    visit: Visit,
    Path(hash): Path<String>,
) -> Response {
    let (who, proposal) = match found(&human, &visit, &hash) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (world, now) = (human.installation().store.world(), human.now());
    let contract = &proposal.contract;
    let over = proposal.over.iter().map(|hash| {
        let known = world.contract(who.scope(), hash);
        known.map_or_else(|| hash.to_string(), |it| format!("{}@{}", it.name, it.version))
    });
    let over: Vec<String> = over.collect();
    Page::new(format!("Publish {}?", name(&proposal)))
        .visiting(&visit)
        .body(&html! {
            dl .facts {
                dt { "Proposed by" }
                dd { strong { (proposal.by.name) } ", " (Page::time(proposal.proposed_at)) }
                dt { "In the place of" }
                dd { (over.join(", ")) }
                @if let Some(commit) = &contract.commit { dt { "From the commit" } dd { code { (commit) } } }
                dt { "Hash" }
                dd { code { (contract.hash) } }
                dt { "Waits until" }
                dd { (Page::time(proposal.expires_at)) }
            }
            section aria-labelledby="widens" {
                h2 #widens { "What an agent could do that it cannot now" }
                ul { @for line in said(&proposal, WIDENING) { li { strong { (others(line)) } } } }
                @for line in said(&proposal, EXAMPLE) { p .hint { "For example: " (others(line)) } }
            }
            @if said(&proposal, NARROWING).chain(said(&proposal, NEUTRAL)).next().is_some() {
                section aria-labelledby="else" {
                    h2 #else { "What else changes" }
                    ul {
                        @for line in said(&proposal, NARROWING) { li { "less: " (others(line)) } }
                        @for line in said(&proposal, NEUTRAL) { li { (others(line)) } }
                    }
                }
            }
            (ballot(&visit, &who, &proposal, proposal.is_open(now), visit.visitor().is_verified(now)))
            section aria-labelledby="source" {
                h2 #source { "The contract, as its author wrote it" }
                pre tabindex="0" aria-labelledby="source" { code { (others(&contract.source)) } }
            }
        })
        .into_response()
}

/// `/ui/proposals/{hash}/publish`.
pub(super) async fn publish(
    State(human): State<Arc<HumanPlane>>,
    Path(hash): Path<String>,
    posted: Posted,
) -> Response {
    let visit = &posted.visit;
    let (who, proposal) = match found(&human, visit, &hash) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (org, wanted) = (proposal.contract.org, proposal.contract.hash);
    let shown = posted
        .form
        .one("shown")
        .and_then(|shown| shown.parse::<Digest>().ok());
    let Some(shown) = shown else {
        let refused = Refused::bad_request(
            "It is not clear what you looked at.",
            "Go back, and load the page again.",
        );
        return super::refused_page(visit, &refused, ABOUT);
    };
    let published = settle(human.installation(), Some(org), |world, draw| {
        agree(world, &who, org, &wanted, &shown, draw)
    });
    match published.await {
        Ok(recorded) => Page::new(format!("{} is published", name(&proposal)))
            .visiting(visit)
            .body(&html! {
                p .good { "It takes the place of what was in force, as entry " code { (recorded.entry().to_string()) } " says." }
                p { "An agent is under it from when its manifest names it." }
                p { a href="/ui/proposals" { "Back to what waits" } }
            })
            .into_response(),
        Err(why) => super::refused_page(visit, &Refused::from(why), ABOUT),
    }
}

/// `/ui/proposals/{hash}/withdraw`.
pub(super) async fn turn_down(
    State(human): State<Arc<HumanPlane>>,
    Path(hash): Path<String>,
    posted: Posted,
) -> Response {
    let visit = &posted.visit;
    let (who, proposal) = match found(&human, visit, &hash) {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (org, wanted) = (proposal.contract.org, proposal.contract.hash);
    let withdrawn = settle(human.installation(), Some(org), |world, draw| {
        withdraw(world, &who, org, &wanted, draw)
    });
    super::go_on(visit, withdrawn.await, "/ui/proposals", ABOUT)
}

/// How the comparison begins its sentences, by what they are about.
const WIDENING: &str = "widening: ";
const NARROWING: &str = "narrowing: ";
const NEUTRAL: &str = "neutral: ";
const EXAMPLE: &str = "example: ";

/// The sentences of one kind, without its name.
fn said<'p>(proposal: &'p Proposal, kind: &'p str) -> impl Iterator<Item = &'p str> {
    proposal
        .sentences
        .iter()
        .filter_map(move |sentence| sentence.strip_prefix(kind))
}

/// The first thing that it widens, and how many more there are.
fn in_short(proposal: &Proposal) -> String {
    let mut widens = said(proposal, WIDENING);
    let first = widens.next().unwrap_or_default();
    match widens.count() {
        0 => first.to_owned(),
        more => format!("{first}; and {more} more"),
    }
}

fn name(proposal: &Proposal) -> String {
    format!("{}@{}", proposal.contract.name, proposal.contract.version)
}

/// The visitor as an administrator, and the proposal of that hash; or the page that says which of them there is not.
fn found(human: &HumanPlane, visit: &Visit, hash: &str) -> Result<(Administrator, Arc<Proposal>), Response> {
    let who = visit
        .administrator()
        .ok_or_else(|| super::not_for_users(visit, ABOUT))?;
    let wanted: Option<Digest> = format!("sha256:{hash}").parse().ok();
    let world = human.installation().store.world();
    let proposal = world
        .proposals(who.scope())
        .find(|it| Some(it.contract.hash) == wanted)
        .cloned();
    let proposal = proposal.ok_or_else(|| {
        let refused = Refused::not_found("proposed contract", "of that hash");
        super::refused_page(visit, &refused, ABOUT)
    })?;
    Ok((who, proposal))
}

/// Publish and turn down, for whoever may; for everybody else why they may not. The use case judges it again.
fn ballot(visit: &Visit, who: &Administrator, proposal: &Proposal, open: bool, verified: bool) -> Markup {
    let may = [Role::Approver, Role::Author]
        .iter()
        .any(|role| who.may(*role, proposal.contract.org));
    let own = !Person::of(who.principal()).is_another_than(&proposal.by);
    let path = path_of(&proposal.contract.hash);
    html! {
        section aria-labelledby="decide" {
            h2 #decide { "Decide" }
            @if !open { p { "It is over. Its author can propose it again." } }
            @else if !may { p { "It takes the role approver or author." } }
            @else if own {
                p { "You proposed it: somebody else has to publish it." }
                (button(visit, &format!("{path}/withdraw"), "Take it back", "quiet"))
            } @else if !verified {
                p { a href=(format!("/ui/verify?to={path}")) { "Verify that it is you" } " first. Then publish it here, or turn it down." }
            } @else {
                p { "By publishing it you say that you looked at what it widens." }
                div .ballot {
                    form method="post" action=(format!("{path}/publish")) {
                        (Page::token(visit))
                        input type="hidden" name="shown" value=(proposal.digest());
                        button type="submit" .yes { "Publish" }
                    }
                    (button(visit, &format!("{path}/withdraw"), "Turn it down", "second"))
                }
            }
        }
    }
}

fn button(visit: &Visit, action: &str, says: &str, class: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (Page::token(visit))
            button type="submit" class=(class) { (says) }
        }
    }
}
