//! `/ui/me`: what acts for a user, who let it, what it did, and the button that stops it.

use super::others::others;
use super::{HumanPlane, Page, Posted, Visit};
use crate::admin::body::Asked;
use crate::admin::entries::Recorded;
use crate::admin::paging::{Cursor, Paged, page};
use crate::admin::refused::Refused;
use crate::settle::settle;
use audit::event::{Commitment, Ruling};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use broker::consent::{self, concerned, envelope};
use broker::world::{Account, Given, UserRight};
use broker::{Draw, Outcome, World};
use identity::{Name, OrgId, OrgScope, UnixTime};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{Query, UserKey};

/// Entries on one page of what an agent did.
const SHOWN: usize = 100;
/// What a refusal was about.
const ABOUT: &str = "what acts for you";

/// One agent that acts, or could act, for a user.
struct Acting {
    org: OrgId,
    org_name: String,
    agent: Name,
    /// Whether the org has an agent of that name.
    known: bool,
    purpose: String,
    rights: Vec<UserRight>,
    until: Option<UnixTime>,
    given: Option<Given>,
    asked: bool,
    stopped: bool,
}

impl Acting {
    /// Whether it can do anything at this moment.
    fn acts(&self) -> bool {
        !self.stopped && !self.rights.is_empty() && (!self.asked || self.given.is_some())
    }
}

/// Every org that trusts the issuer of an account.
fn orgs(world: &World, account: &Account) -> Vec<(OrgId, String)> {
    let sources = world.trust_sources(OrgScope::Every);
    let here = sources.filter(|source| source.issuer == account.issuer);
    let named = here.filter_map(|source| world.org(OrgScope::Only(source.org), source.org));
    named.map(|org| (org.id, org.name.to_string())).collect()
}

/// Everything that acts, or could act, for an account in those.
fn all(world: &World, account: &Account, now: UnixTime) -> Vec<Acting> {
    let mut all = Vec::new();
    for (org, org_name) in orgs(world, account) {
        let scope = OrgScope::Only(org);
        let user = world.user(scope, org, &account.issuer, &account.subject);
        let said = world.said(scope, org, &account.issuer, &account.subject);
        let consent = said.consent.as_deref();
        for agent in concerned(world, org, account) {
            let known = world.agent_named(scope, org, &agent);
            all.push(Acting {
                org,
                org_name: org_name.clone(),
                known: known.is_some(),
                purpose: known.map(|agent| agent.purpose.clone()).unwrap_or_default(),
                rights: envelope(world, org, account, &agent, now),
                until: user.map(|user| user.expires_at),
                given: consent.and_then(|consent| {
                    consent
                        .given
                        .iter()
                        .find(|given| given.agent == agent && now < given.expires_at)
                        .cloned()
                }),
                asked: said.asked,
                stopped: consent.is_some_and(|consent| consent.stopped.contains(&agent)),
                agent,
            });
        }
    }
    all
}

/// `/ui/me`.
pub(super) async fn show(State(human): State<Arc<HumanPlane>>, visit: Visit) -> Page {
    let page = Page::new("What acts for you").visiting(&visit);
    let Some(account) = visit.visitor().account() else {
        return page.body(&html! {
            p { "Agents act for users, who come in by an identity provider. You came in by a passkey." }
        });
    };
    let world = human.installation().store.world();
    let all = all(&world, account, human.now());
    page.body(&html! {
        @if all.is_empty() { p { "No agent can act for you." } }
        @for acting in &all { (card(&visit, acting, visit.visitor().is_verified(human.now()))) }
        @for (org, name) in orgs(&world, account) { (stop_another(&visit, org, &name)) }
    })
}

fn card(visit: &Visit, acting: &Acting, verified: bool) -> Markup {
    let id = format!("{}-{}", acting.org, acting.agent);
    html! {
        section .card aria-labelledby=(id) {
            h2 #(id) { (acting.agent) " " span .badge { (acting.org_name) } }
            @if !acting.purpose.is_empty() { p { (others(&acting.purpose)) } }
            p {
                @if acting.acts() { strong .good { "It may act for you." } }
                @else if acting.stopped { strong .bad { "You stopped it." } }
                @else if acting.rights.is_empty() { strong { "It can do nothing for you at this moment." } }
                @else { strong { "It waits for your yes." } }
            }
            @if acting.rights.is_empty() { p .hint { "Your organisation lets it do nothing for you now. That can change; once stopped, it stays stopped until you say yes." } }
            @else { (rights(&acting.rights)) }
            dl .facts {
                dt { "Who let it" }
                dd {
                    @match (&acting.given, acting.asked) {
                        (Some(given), _) => { "you, on " (Page::time(given.given_at)) ", until " (Page::time(given.expires_at)) }
                        (None, false) => "a rule of your organisation",
                        (None, true) => "nobody yet",
                    }
                }
                @if let Some(until) = acting.until { dt { "The organisation's word ends" } dd { (Page::time(until)) } }
            }
            @if acting.known { p { a href=(format!("/ui/me/{}/{}", acting.org, acting.agent)) { "What " (acting.agent) " did for you" } } }
            @if !acting.stopped { (stop(visit, acting)) }
            @if acting.acts() || acting.rights.is_empty() {}
            @else if verified { (give(visit, acting)) }
            @else {
                p { a href="/ui/verify?to=/ui/me" { "Verify that it is you" } ", then you can let " (acting.agent) " act for you." }
            }
        }
    }
}

fn rights(rights: &[UserRight]) -> Markup {
    let list = |names: &BTreeSet<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
    html! {
        table {
            thead { tr { th scope="col" { "It may" } th scope="col" { "At" } th scope="col" { "For the tenants" } } }
            tbody {
                @for right in rights {
                    tr {
                        td data-label="It may" { (list(&right.actions)) }
                        td data-label="At" { (right.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                        td data-label="For the tenants" { @if right.tenants.is_empty() { "none" } @else { (list(&right.tenants)) } }
                    }
                }
            }
        }
    }
}

fn stop(visit: &Visit, acting: &Acting) -> Markup {
    html! {
        form method="post" action="/ui/me/stop" {
            (Page::token(visit))
            input type="hidden" name="org" value=(acting.org.to_string());
            input type="hidden" name="agent" value=(acting.agent.as_str());
            button type="submit" .danger { "Stop " (acting.agent) }
        }
    }
}

/// A stop is never refused, so it takes no entry in the list either: one may know of an agent before the org says so.
fn stop_another(visit: &Visit, org: OrgId, name: &str) -> Markup {
    let field = format!("another-{org}");
    html! {
        section .card aria-labelledby=(format!("{field}-title")) {
            h2 #(format!("{field}-title")) { "Another agent " span .badge { (name) } }
            p { "An agent that is not listed here can be stopped as well, before it ever does anything for you." }
            form method="post" action="/ui/me/stop" {
                (Page::token(visit))
                input type="hidden" name="org" value=(org.to_string());
                label for=(field) { "Its name" }
                input #(field) name="agent" autocomplete="off" spellcheck="false" required;
                button type="submit" .danger { "Stop it" }
            }
        }
    }
}

fn give(visit: &Visit, acting: &Acting) -> Markup {
    let field = format!("days-{}-{}", acting.org, acting.agent);
    html! {
        form method="post" action="/ui/me/give" {
            (Page::token(visit))
            input type="hidden" name="org" value=(acting.org.to_string());
            input type="hidden" name="agent" value=(acting.agent.as_str());
            label for=(field) { "For how long" }
            select #(field) name="days" {
                option value="1" { "one day" }
                option value="30" selected { "30 days" }
                option value="90" { "90 days" }
            }
            button type="submit" { "Let " (acting.agent) " act for me" }
        }
    }
}

/// Lets an agent act for the user.
pub(super) async fn let_it(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    let days = posted.form.one("days").and_then(|days| days.parse::<u64>().ok());
    let secs = days.unwrap_or_default().saturating_mul(86_400);
    say(&human, &posted, |world, org, agent, draw| {
        consent::give(world, posted.visit.visitor(), org, agent, secs, draw)
    })
    .await
}

/// Stops it.
pub(super) async fn stop_it(State(human): State<Arc<HumanPlane>>, posted: Posted) -> Response {
    say(&human, &posted, |world, org, agent, draw| {
        consent::stop(world, posted.visit.visitor(), org, agent, draw)
    })
    .await
}

/// Records what the user says about the agent that the form names.
async fn say<T>(
    human: &HumanPlane,
    posted: &Posted,
    decide: impl Fn(&World, OrgId, &Name, &mut Draw<'_>) -> Outcome<T>,
) -> Response {
    let Some((org, agent)) = named(posted) else {
        return nobody(&posted.visit);
    };
    let said = settle(human.installation(), Some(org), |world, draw| {
        decide(world, org, &agent, draw)
    });
    super::go_on(&posted.visit, said.await, "/ui/me", ABOUT)
}

fn named(posted: &Posted) -> Option<(OrgId, Name)> {
    let org = posted.form.one("org")?.parse().ok()?;
    Some((org, posted.form.one("agent")?.parse().ok()?))
}

fn nobody(visit: &Visit) -> Response {
    super::refused_page(visit, &Refused::not_found("agent", "of this name"), ABOUT)
}

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Older {
    before: Option<String>,
}

/// `/ui/me/{org}/{agent}`: what it did for this very user, page by page. Of other users' doings nothing is shown.
pub(super) async fn history(
    State(human): State<Arc<HumanPlane>>,
    visit: Visit,
    Path((org, agent)): Path<(String, String)>,
    Asked(older): Asked<Older>,
) -> Response {
    let (Ok(org), Ok(agent)) = (org.parse::<OrgId>(), agent.parse::<Name>()) else {
        return nobody(&visit);
    };
    let Some(account) = visit.visitor().account().cloned() else {
        return nobody(&visit);
    };
    let Ok(from) = older.before.as_deref().map_or(Ok(Cursor::default()), str::parse) else {
        let refused = Refused::bad_request("There is no such page.", "Begin with the newest one.");
        return super::refused_page(&visit, &refused, ABOUT);
    };
    let first = older.before.is_none();
    match did(&human, org, &agent, &account, from).await {
        Ok(did) => Page::new(format!("What {agent} did for you"))
            .visiting(&visit)
            .body(&table(&did, &format!("/ui/me/{org}/{agent}"), first))
            .into_response(),
        Err(refused) => super::refused_page(&visit, &refused, ABOUT),
    }
}

/// One page of it, newest first.
async fn did(
    human: &HumanPlane,
    org: OrgId,
    agent: &Name,
    account: &Account,
    from: Cursor,
) -> Result<Paged, Refused> {
    let (installation, now) = (human.installation(), human.now());
    let world = installation.store.world();
    let scope = OrgScope::Only(org);
    let trusted = world.trust_source(scope, org, &account.issuer).is_some();
    let known = world.agent_named(scope, org, agent).filter(|_| trusted);
    let known = known.ok_or_else(|| Refused::not_found("agent", "of this name"))?;
    let names = installation
        .keys
        .names()
        .of(Some(org), now)
        .map_err(|error| Refused::unavailable(&error.to_string()))?;
    let me = names.commit(Commitment::USER, &account.subject).to_string();
    let mut query = Query::of(scope);
    query.agent = Some(known.id);
    query.user = Some(UserKey::of(&account.issuer, &me));
    query.limit = SHOWN;
    let mut did = page(&human.admin, query, from).await?;
    // The index says where to look, the entry says whose it is.
    did.entries.retain(|it| {
        let first = it.parsed.event.chain.first();
        first.is_some_and(|link| link.id == me && link.iss == account.issuer)
    });
    Ok(did)
}

fn table(did: &Paged, path: &str, first: bool) -> Markup {
    let entries: &[Recorded] = &did.entries;
    html! {
        p { a href="/ui/me" { "Back to what acts for you" } }
        @if entries.is_empty() && did.next.is_none() {
            p { @if first { "Nothing is in the record of this server." } @else { "Nothing older is in the record of this server." } }
        }
        @if !entries.is_empty() {
            table {
                thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Where" } th scope="col" { "Outcome" } } }
                tbody {
                    @for it in entries {
                        @let event = &it.parsed.event;
                        tr {
                            td data-label="When" { (Page::time(event.at)) }
                            td data-label="What" {
                                @let said = event.why.as_ref().and_then(|why| why.business_action.as_deref());
                                @let action = event.what.as_ref().and_then(|what| what.action.as_deref());
                                (said.or(action).unwrap_or(event.kind.as_str()))
                            }
                            td data-label="Where" { (event.what.as_ref().and_then(|what| what.audience.as_ref()).map(ToString::to_string).unwrap_or_default()) }
                            td data-label="Outcome" {
                                @match event.decision.as_ref().map(|decision| decision.outcome) {
                                    Some(Ruling::Allow) => span .good { "allowed" },
                                    Some(_) => span .bad { "refused" },
                                    None => "recorded",
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !first || did.next.is_some() {
            p {
                @if !first { a href=(path) { "Newest" } " " }
                @if let Some(next) = &did.next { a href=(format!("{path}?before={next}")) { "Older" } }
                @else { "This is the oldest." }
            }
        }
        p .hint { "Calls that a gateway on another host let pass are in that gateway's own record." }
    }
}
