//! Trust sources: which issuers outside may say who a user is, on an administrator's word.
//!
//! An issuer authenticates users for one org and gives nobody a right: what a user may do through agents is set beside
//! it ([`crate::user`]), or in a table that says what its words are worth ([`crate::claims`]). Its keys are stored as they were read; nothing that a token says leads to others.

use crate::admin::{Act, Administrator};
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::Outcome;
use crate::upstream::Origin;
use crate::user::{LIST_MAX, is_whole};
use crate::world::{Change, ClaimRights, DecisionPoint, Role, TrustSource, UserRight, World};
use audit::EventKind;
use credential::{Algorithm, Jwks, TokenClass};
use identity::{OrgId, OrgScope};

/// Longest issuer and audience in bytes: what fits into a token's claims everywhere.
const NAME_BYTES_MAX: usize = 255;
/// Largest set of keys in bytes. Every follower of the World keeps it; large issuers publish a dozen keys in 15 KiB.
pub const KEYS_BYTES_MAX: usize = 64 * 1024;

/// Trusts an issuer, or gives the one of that name another audience and other keys.
pub fn set_source(
    world: &World,
    who: &Administrator,
    mut source: TrustSource,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::TrustAdded,
        role: Role::Admin,
        org: source.org,
        in_person: true,
    };
    let keys = match checked(world, &source) {
        Ok(keys) => keys,
        Err((code, message)) => return who.refuse_act(&act, code, message, world, draw),
    };
    // Only what we can verify with, in our own spelling.
    source.keys = keys.to_json();
    let summary = format!(
        "users of {} are authenticated by {} keys, for the audience {}",
        source.issuer,
        keys.keys.len(),
        source.audience
    );
    let summary = match &source.rights {
        None => summary,
        Some(rights) => format!(
            "{summary}; {} values of {} are worth rights",
            rights.values.len(),
            rights.claim
        ),
    };
    let summary = match &source.pdp {
        None => summary,
        Some(point) => format!("{summary}; {} is asked what they may do", point.url),
    };
    who.act(&act, summary, Change::TrustSourceSet(source), world, draw)
}

fn checked(world: &World, source: &TrustSource) -> Result<Jwks, (&'static str, String)> {
    let plain = |text: &str| {
        (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !plain(&source.issuer) || !source.issuer.starts_with("https://") {
        let message =
            "an issuer is an https:// URL of at most 255 visible ASCII characters, as its tokens spell `iss`";
        return Err(("TRUST_ISSUER", message.to_owned()));
    }
    if world
        .founding()
        .is_some_and(|founding| founding.issuer == source.issuer)
    {
        let message = "this is the installation's own issuer: its tokens name agents, never users";
        return Err(("TRUST_ISSUER", message.to_owned()));
    }
    if !plain(&source.audience) {
        let message =
            "an audience has 1 to 255 visible ASCII characters: what the issuer writes into `aud` for us";
        return Err(("TRUST_AUDIENCE", message.to_owned()));
    }
    let unusable = |why: String| {
        (
            "TRUST_KEYS",
            format!("{why}: download the issuer's jwks_uri again"),
        )
    };
    if let Some(rights) = &source.rights {
        check_rights(world, source.org, rights).map_err(|message| ("TRUST_RIGHTS", message))?;
    }
    if let Some(point) = &source.pdp {
        check_point(point).map_err(|message| ("TRUST_PDP", message))?;
    }
    if source.keys.len() > KEYS_BYTES_MAX {
        return Err(unusable(format!(
            "the keys take more than {KEYS_BYTES_MAX} bytes"
        )));
    }
    let keys = Jwks::parse(source.keys.as_bytes()).map_err(|error| unusable(error.to_string()))?;
    if keys
        .verifying_keys(TokenClass::Foreign, &Algorithm::ALL)
        .is_empty()
    {
        return Err(unusable("no key of the set verifies signatures".to_owned()));
    }
    Ok(keys)
}

/// An endpoint that may be asked: what nobody can listen in on, in the one spelling that a connection goes to.
fn check_point(point: &DecisionPoint) -> Result<(), String> {
    let plain = point.url.len() <= NAME_BYTES_MAX && point.url.bytes().all(|byte| byte.is_ascii_graphic());
    let path = Origin::split(&point.url).map_err(|error| {
        format!("the decision point's endpoint is no usable URL: {error}; write it as in https://pdp.example/access/v1/evaluations")
    });
    let (_, path) = path?;
    if !plain || path.len() < 2 {
        return Err(format!(
            "the decision point is named by its access evaluations endpoint with a path, at most {NAME_BYTES_MAX} visible \
             ASCII characters, as in https://pdp.example/access/v1/evaluations"
        ));
    }
    match &point.authorities {
        Some(pem) if pem.len() > KEYS_BYTES_MAX => Err(format!(
            "its certificate authorities take more than {KEYS_BYTES_MAX} bytes"
        )),
        Some(_) | None => Ok(()),
    }
}

/// A table that says of each word what it is worth, and nothing of others.
fn check_rights(world: &World, org: OrgId, rights: &ClaimRights) -> Result<(), String> {
    let fits = |text: &str| {
        (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !rights.claim.starts_with('/') || !fits(&rights.claim) {
        return Err("a claim is named by a JSON Pointer, as in /scope or /realm_access/roles".to_owned());
    }
    let all: Vec<&UserRight> = rights.values.values().flatten().collect();
    if !(1..=LIST_MAX).contains(&rights.values.len())
        || !rights.values.keys().all(|value| fits(value))
        || all.len() > LIST_MAX
        || !all.iter().all(|right| is_whole(right))
    {
        return Err(format!(
            "1 to {LIST_MAX} values of visible ASCII characters, and at most {LIST_MAX} rights, each with 1 to \
             {LIST_MAX} agents, services and actions"
        ));
    }
    let mut agents = all.iter().flat_map(|right| &right.agents);
    match agents.find(|agent| world.agent_named(OrgScope::Only(org), org, agent).is_none()) {
        None => Ok(()),
        Some(unknown) => Err(format!(
            "no agent {unknown}: see `tabard agent list` for its right name"
        )),
    }
}

/// Trusts an issuer no more: its users cannot be acted for from the next request on, at gateways too.
pub fn remove_source(
    world: &World,
    who: &Administrator,
    org: OrgId,
    issuer: &str,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let act = Act {
        kind: EventKind::TrustRemoved,
        role: Role::Admin,
        org,
        in_person: true,
    };
    let summary = format!("users of {issuer} are authenticated no more");
    let change = Change::TrustSourceRemoved {
        org,
        issuer: issuer.to_owned(),
    };
    who.act(&act, summary, change, world, draw)
}
