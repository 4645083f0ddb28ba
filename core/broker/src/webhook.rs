//! Webhooks: which endpoints of others are told that people are asked, and what they said.
//!
//! A message carries no authority: it names an approval and the page where people decide, and neither opens anything.
//! What an administrator decides here is where our server sends requests to, so addresses of this machine and of private
//! networks take an administrator of the installation: for one org's they are somebody else's network.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{Outcome, Plan, Precondition};
use crate::upstream::{Host, Origin, Reach, reach};
use crate::world::{Change, Person, Role, Webhook, World};
use audit::EventKind;
use audit::event::Why;
use identity::{ApprovalId, Name, OrgId, OrgScope, WebhookId};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most webhooks of one org.
pub const WEBHOOKS_MAX: usize = 8;
/// Most private addresses that one is named with.
const ADDRESSES_MAX: usize = 8;
/// Longest URL in bytes.
const URL_BYTES_MAX: usize = 1024;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Under which its secret was sealed.
    pub id: WebhookId,
    /// Whose approvals.
    pub org: OrgId,
    /// What to call it.
    pub name: Name,
    /// Where.
    pub url: String,
    /// Addresses of private networks that its host may have.
    pub addresses: BTreeSet<IpAddr>,
}

fn act(kind: EventKind, org: OrgId) -> Act {
    Act {
        // From here on something of the org leaves it, again and again.
        in_person: kind == EventKind::WebhookAdded,
        kind,
        role: Role::Admin,
        org,
    }
}

/// Registers an endpoint.
pub fn add(world: &World, who: &Administrator, wish: Wish, draw: &mut Draw<'_>) -> Outcome<Done> {
    let adding = act(EventKind::WebhookAdded, wish.org);
    let scope = OrgScope::Only(wish.org);
    if world.webhook_named(scope, wish.org, &wish.name).is_some() {
        let message = format!(
            "there is a webhook {}: remove it first, or choose another name",
            wish.name
        );
        return who.refuse_act(&adding, "WEBHOOK_NAME", message, world, draw);
    }
    if world.webhooks(scope).count() >= WEBHOOKS_MAX {
        let message = format!("an org has at most {WEBHOOKS_MAX} webhooks: remove one");
        return who.refuse_act(&adding, "WEBHOOK_TOO_MANY", message, world, draw);
    }
    let place = match Place::of(&wish) {
        Ok(place) => place,
        Err((code, message)) => return who.refuse_act(&adding, code, message, world, draw),
    };
    if !place.addresses.is_empty() && who.scope() != OrgScope::Every {
        let message =
            "this machine and its private networks are the installation's: ask an administrator of it"
                .to_owned();
        return who.refuse_act(&adding, "WEBHOOK_ADDRESS", message, world, draw);
    }
    // The path may be what the receiver tells senders by: it stays out of the record.
    let summary = format!("webhook {} ({}) at {}", wish.name, wish.id, place.origin);
    let webhook = Webhook {
        id: wish.id,
        org: wish.org,
        name: wish.name,
        url: wish.url,
        addresses: place.addresses,
        by: Person::of(who.principal()),
        added_at: draw.now(),
    };
    who.act(&adding, summary, Change::WebhookAdded(webhook), world, draw)
}

/// Tells it nothing more.
pub fn remove(world: &World, who: &Administrator, webhook: &Webhook, draw: &mut Draw<'_>) -> Outcome<Done> {
    let summary = format!("webhook {} ({}) removed", webhook.name, webhook.id);
    let change = Change::WebhookRemoved {
        org: webhook.org,
        name: webhook.name.clone(),
    };
    who.act(
        &act(EventKind::WebhookRemoved, webhook.org),
        summary,
        change,
        world,
        draw,
    )
}

/// Lets a message be sent to it that says nothing.
pub fn test(world: &World, who: &Administrator, webhook: &Webhook, draw: &mut Draw<'_>) -> Outcome<Done> {
    let testing = act(EventKind::WebhookTested, webhook.org);
    if let Err(refused) = who.check(testing.role, Some(webhook.org), world, draw) {
        return refused;
    }
    let mut event = who.event(testing.kind, testing.role, world, draw);
    event.org = Some(webhook.org);
    event
        .detail
        .insert("webhook".into(), webhook.id.to_string().into());
    let revision = world.revision();
    Outcome::Granted(
        Plan::new(revision, event, Done::nothing_made()).expecting(Precondition::AtRevision(revision)),
    )
}

/// A message that was given up.
#[derive(Debug, Clone, Copy)]
pub struct Undelivered<'a> {
    /// What about.
    pub approval: ApprovalId,
    /// What it would have told: the state that the approval came to.
    pub state: &'a str,
    /// How often it was tried; 0 where too many waited already.
    pub attempts: u32,
    /// Why the last one failed, as a class.
    pub why: &'a str,
}

/// Records that a message was given up: once a message, however often it was tried.
pub fn failed(world: &World, webhook: &Webhook, what: &Undelivered<'_>, draw: &mut Draw<'_>) -> Plan<Done> {
    let mut event = draw.event(EventKind::WebhookFailed, world.revision());
    event.org = Some(webhook.org);
    event.why = Some(Why {
        approval: Some(what.approval),
        ..Why::default()
    });
    for (name, value) in [
        ("webhook", webhook.id.to_string().into()),
        ("name", webhook.name.as_str().into()),
        ("state", what.state.into()),
        ("attempts", what.attempts.into()),
        ("error", what.why.into()),
    ] {
        event.detail.insert(name.into(), value);
    }
    Plan::new(world.revision(), event, Done::nothing_made())
}

/// Where a webhook may be.
struct Place {
    origin: Origin,
    addresses: BTreeSet<IpAddr>,
}

impl Place {
    fn of(wish: &Wish) -> Result<Self, (&'static str, String)> {
        let plain = wish.url.len() <= URL_BYTES_MAX && wish.url.bytes().all(|byte| byte.is_ascii_graphic());
        let (origin, _) = Origin::split(&wish.url).map_err(|error| ("WEBHOOK_URL", error.to_string()))?;
        if !plain {
            let message = format!("a URL has at most {URL_BYTES_MAX} visible ASCII characters");
            return Err(("WEBHOOK_URL", message));
        }
        if wish.addresses.len() > ADDRESSES_MAX {
            let message = format!("at most {ADDRESSES_MAX} addresses are named");
            return Err(("WEBHOOK_ADDRESS", message));
        }
        let mut addresses = wish.addresses.clone();
        // Written out in the URL is named, too.
        addresses.extend(match origin.host {
            Host::V4(v4) => vec![IpAddr::V4(v4)],
            Host::V6(v6) => vec![IpAddr::V6(v6)],
            Host::Name(_) if origin.host.is_loopback() => {
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            Host::Name(_) => Vec::new(),
        });
        if let Some(never) = addresses.iter().find(|it| reach(**it) == Reach::Never) {
            let message = format!(
                "{never} is link-local, multicast, reserved or a cloud's metadata service: it is never connected to"
            );
            return Err(("WEBHOOK_ADDRESS", message));
        }
        // What anybody can reach needs no name.
        addresses.retain(|it| reach(*it) != Reach::Public);
        Ok(Self { origin, addresses })
    }
}

#[cfg(test)]
mod tests;
