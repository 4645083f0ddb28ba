//! Principals: who may administer, and by which ways they come in.
//!
//! A way in is added by its owner alone, with a one-time invite or from a session that was verified lately; an
//! administrator makes invites, names an exact account, and takes ways away. Nobody becomes a principal by logging in.

use crate::admin::Administrator;
use crate::draw::Draw;
use crate::inventory::Done;
use crate::plan::{OnceKind, Outcome, Plan, Precondition};
use crate::refusal::Cause;
use crate::session::{Visitor, refuse_visitor, spent};
use crate::world::{Account, Change, Invite, Passkey, Principal, Role, World};
use audit::event::{Human, Ruling};
use audit::{Event, EventKind};
use credential::webauthn::NewPasskey;
use credential::{IdTokenClaims, Verified};
use identity::{Digest, Name, OrgId, OrgScope, UnixTime};
use std::collections::BTreeSet;

/// How long an invite lives, in seconds: long enough to open a browser.
pub const INVITE_SECS: u64 = 15 * 60;
/// Most passkeys, and most accounts, of one principal.
const WAYS_MAX: usize = 20;
/// Longest label of a passkey in bytes.
pub const LABEL_BYTES_MAX: usize = 64;

/// What an administrator says about a principal.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What entries call them.
    pub name: Name,
    /// Their uid on the server's host, if they have one.
    pub uid: Option<u32>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// The one org they are to administer; `None` for as far as the administrator reaches.
    pub org: Option<OrgId>,
    /// How well we know that the uid is this human.
    pub assurance: String,
}

/// Adds a principal, with the administrator's own reach or that of one org in it, or gives the one of that name other roles and another uid. Ways
/// in that they have stay.
pub fn add(world: &World, who: &Administrator, wanted: Wanted, draw: &mut Draw<'_>) -> Outcome<Done> {
    let role = Role::Admin;
    let org = wanted.org.or(who.principal().org);
    if let Err(refused) = who.check_in_person(role, org, world, draw) {
        return refused;
    }
    let invalid = |code, message: &str, draw: &mut Draw<'_>| {
        let message = message.to_owned();
        who.refuse(Cause::Invalid { code, message }, role, world, draw)
    };
    let known = world.principal(&wanted.name);
    if known.is_some_and(|known| known.org != org) {
        return invalid("PRINCIPAL_TAKEN", "somebody has this name: choose another", draw);
    }
    let of_uid = wanted.uid.and_then(|uid| world.principal_with_uid(uid));
    if of_uid.is_some_and(|known| known.name != wanted.name) {
        return invalid(
            "UID_TAKEN",
            "another principal has this uid: remove it from them first",
            draw,
        );
    }
    if wanted.roles.is_empty() {
        return invalid(
            "PRINCIPAL_ROLES",
            "a principal needs a role: name at least one",
            draw,
        );
    }
    let principal = Principal {
        name: wanted.name,
        uid: wanted.uid.or_else(|| known.and_then(|known| known.uid)),
        roles: wanted.roles,
        org,
        assurance: wanted.assurance,
        accounts: known.map(|known| known.accounts.clone()).unwrap_or_default(),
        passkeys: known.map(|known| known.passkeys.clone()).unwrap_or_default(),
    };
    let roles: Vec<&str> = principal.roles.iter().map(|role| role.word()).collect();
    let mut event = who.event(EventKind::PrincipalAdded, role, world, draw);
    event.org = org;
    event.change_summary = vec![format!(
        "principal {} may: {}",
        draw.name(principal.name.as_str()),
        roles.join(", ")
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::nothing_made())
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::PrincipalAdded(principal)),
    )
}

/// Removes a principal: their sessions end with it. The last administrator of the installation stays.
pub fn remove(
    world: &World,
    who: &Administrator,
    principal: &Principal,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, principal.org, world, draw) {
        return refused;
    }
    let is_admin = |it: &Principal| it.org.is_none() && it.roles.contains(&Role::Admin);
    let another = world
        .principals(OrgScope::Every)
        .any(|it| it.name != principal.name && is_admin(it));
    if is_admin(principal) && !another {
        let message = "nobody else administers the installation: add another admin first".to_owned();
        let code = "PRINCIPAL_LAST";
        return who.refuse(Cause::Invalid { code, message }, role, world, draw);
    }
    let mut event = who.event(EventKind::PrincipalRemoved, role, world, draw);
    event.org = principal.org;
    event.change_summary = vec![format!(
        "principal {} removed",
        draw.name(principal.name.as_str())
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::nothing_made())
            .expecting(Precondition::AtRevision(world.revision()))
            .changing(Change::PrincipalRemoved {
                name: principal.name.clone(),
            }),
    )
}

/// Makes a one-time link by which a principal enrols a way in. Only its digest comes here.
pub fn invite(
    world: &World,
    who: &Administrator,
    principal: &Principal,
    digest: Digest,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, principal.org, world, draw) {
        return refused;
    }
    let invite = Invite {
        digest,
        principal: principal.name.clone(),
        org: principal.org,
        expires_at: draw.now().plus_secs(INVITE_SECS),
    };
    let mut event = who.event(EventKind::InviteCreated, role, world, draw);
    event.org = principal.org;
    event.change_summary = vec![format!(
        "invite for principal {}, until {}",
        draw.name(principal.name.as_str()),
        invite.expires_at.rfc3339()
    )];
    Outcome::Granted(
        Plan::new(world.revision(), event, Done::nothing_made()).changing(Change::InviteCreated(invite)),
    )
}

/// Says that a principal comes in by an account at an identity provider: exactly this one.
pub fn link(
    world: &World,
    who: &Administrator,
    principal: &Principal,
    account: Account,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, principal.org, world, draw) {
        return refused;
    }
    if let Err((code, message)) = account_is_free(world, principal, &account) {
        let message = message.to_owned();
        return who.refuse(Cause::Invalid { code, message }, role, world, draw);
    }
    let event = who.event(EventKind::AccountLinked, role, world, draw);
    Outcome::Granted(linked(world, principal, account, None, event, draw))
}

/// Takes a way in from a principal. Sessions that it opened end.
pub fn unlink(
    world: &World,
    who: &Administrator,
    principal: &Principal,
    account: &Account,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let role = Role::Admin;
    if let Err(refused) = who.check_in_person(role, principal.org, world, draw) {
        return refused;
    }
    let mut event = who.event(EventKind::AccountUnlinked, role, world, draw);
    event.org = principal.org;
    event.change_summary = vec![format!(
        "principal {} comes in by {} no more",
        draw.name(principal.name.as_str()),
        account.issuer
    )];
    Outcome::Granted(Plan::new(world.revision(), event, Done::nothing_made()).changing(
        Change::AccountUnlinked {
            principal: principal.name.clone(),
            account: account.clone(),
        },
    ))
}

/// Who enrols a way in, for themselves.
#[derive(Debug, Clone)]
pub enum Enrolling<'a> {
    /// Whoever holds this invite.
    Invited(&'a Digest),
    /// Somebody with a session, verified lately.
    Visiting(&'a Visitor),
}

/// Enrols a passkey for its owner. The challenge is spent, and so is the invite.
pub fn enrol(
    world: &World,
    by: &Enrolling<'_>,
    passkey: &Verified<NewPasskey>,
    challenge: &[u8],
    label: &str,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let (principal, event) = match enroller(world, by, EventKind::PasskeyEnrolled, draw) {
        Ok(enroller) => enroller,
        Err(refused) => return refused,
    };
    let new = passkey.claims();
    let code = if world.principal_with_passkey(&new.id).is_some() {
        Some("PASSKEY_TAKEN")
    } else if principal.passkeys.len() >= WAYS_MAX {
        Some("PASSKEYS_FULL")
    } else {
        None
    };
    if let Some(code) = code {
        return refuse(world, by, code, draw);
    }
    let passkey = Passkey {
        id: new.id.clone(),
        key: new.key.clone(),
        counter: new.counter,
        label: tidy(label),
        enrolled_at: draw.now(),
        may_be_copied: new.may_be_copied,
    };
    let mut event = event;
    event.org = principal.org;
    event.change_summary = vec![format!(
        "principal {} enrolled a passkey",
        draw.name(principal.name.as_str())
    )];
    let mut plan = Plan::new(world.revision(), event, Done::nothing_made())
        .expecting(Precondition::AtRevision(world.revision()))
        .expecting(spent(challenge, draw.now()));
    if let Enrolling::Invited(invite) = by {
        plan = plan.expecting(unused(invite, draw.now()));
    }
    Outcome::Granted(plan.changing(Change::PasskeyEnrolled {
        principal: principal.name.clone(),
        passkey,
        spent: by.invite(),
    }))
}

/// Links the account that an identity provider has just logged in, for its owner. The nonce is spent, and so is the
/// invite.
pub fn enrol_account(
    world: &World,
    by: &Enrolling<'_>,
    login: &Verified<IdTokenClaims>,
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let (principal, event) = match enroller(world, by, EventKind::AccountLinked, draw) {
        Ok(enroller) => enroller,
        Err(refused) => return refused,
    };
    let claims = login.claims();
    let account = Account {
        issuer: claims.issuer.clone(),
        subject: claims.subject.clone(),
    };
    if let Err((code, _)) = account_is_free(world, &principal, &account) {
        return refuse(world, by, code, draw);
    }
    let mut plan = linked(world, &principal, account, by.invite(), event, draw)
        .expecting(spent(claims.nonce.as_bytes(), draw.now()));
    if let Enrolling::Invited(invite) = by {
        plan = plan.expecting(unused(invite, draw.now()));
    }
    Outcome::Granted(plan)
}

/// Takes a passkey away from its owner, on their own wish. Sessions that it opened end.
pub fn remove_passkey(
    world: &World,
    visitor: &Visitor,
    credential: &[u8],
    draw: &mut Draw<'_>,
) -> Outcome<Done> {
    let by = Enrolling::Visiting(visitor);
    let (principal, mut event) = match enroller(world, &by, EventKind::PasskeyRemoved, draw) {
        Ok(enroller) => enroller,
        Err(refused) => return refused,
    };
    if principal.passkey(credential).is_none() {
        return refuse_visitor(world, visitor, "PASSKEY_OF_ANOTHER", draw);
    }
    event.org = principal.org;
    event.change_summary = vec![format!(
        "principal {} removed a passkey",
        draw.name(principal.name.as_str())
    )];
    Outcome::Granted(Plan::new(world.revision(), event, Done::nothing_made()).changing(
        Change::PasskeyRemoved {
            principal: principal.name.clone(),
            credential: credential.to_vec(),
        },
    ))
}

impl Enrolling<'_> {
    fn invite(&self) -> Option<Digest> {
        match self {
            Self::Invited(digest) => Some(**digest),
            Self::Visiting(_) => None,
        }
    }
}

/// Whom a living invite is for.
pub fn invited<'w>(world: &'w World, invite: &Digest, now: UnixTime) -> Option<&'w Principal> {
    let invite = world.invite(invite).filter(|invite| now < invite.expires_at)?;
    world.principal(&invite.principal).map(AsRef::as_ref)
}

fn enroller<P>(
    world: &World,
    by: &Enrolling<'_>,
    kind: EventKind,
    draw: &mut Draw<'_>,
) -> Result<(Principal, Event), Outcome<P>> {
    match by {
        Enrolling::Invited(invite) => {
            let Some(principal) = invited(world, invite, draw.now()) else {
                return Err(refuse(world, by, "INVITE_WORTHLESS", draw));
            };
            let mut event = draw.event(kind, world.revision());
            event.human = Some(Human {
                name: Some(draw.name(principal.name.as_str())),
                assurance: Some("invite".to_owned()),
                ..Human::default()
            });
            Ok((principal.clone(), event))
        }
        Enrolling::Visiting(visitor) => {
            if !visitor.is_verified(draw.now()) {
                return Err(refuse_visitor(world, visitor, "ADMIN_NOT_VERIFIED", draw));
            }
            // As it is now, and not as it was when the request came.
            let name = visitor.principal().map(|principal| &principal.name);
            let Some(principal) = name.and_then(|name| world.principal(name)) else {
                return Err(refuse_visitor(world, visitor, "SESSION_NOT_PRINCIPAL", draw));
            };
            let mut event = draw.event(kind, world.revision());
            event.human = Some(visitor.human(draw));
            Ok((Principal::clone(principal), event))
        }
    }
}

fn refuse<P>(world: &World, by: &Enrolling<'_>, code: &'static str, draw: &mut Draw<'_>) -> Outcome<P> {
    match by {
        Enrolling::Visiting(visitor) => refuse_visitor(world, visitor, code, draw),
        Enrolling::Invited(_) => {
            let message = match code {
                "PASSKEY_TAKEN" => "this passkey is enrolled already: use another authenticator",
                "ACCOUNT_TAKEN" => "this account belongs to another principal: use one of your own",
                "INVITE_WORTHLESS" => "the invite was used, or is over: ask for another",
                _ => "there are too many ways in: remove one first",
            };
            let cause = Cause::Invalid {
                code,
                message: message.to_owned(),
            };
            let mut event = draw.event(EventKind::AdminRefused, world.revision());
            let refusal = crate::Refusal::new(draw.id(), cause);
            let mut decision = audit::event::Decision::new(refusal.decision(), Ruling::Deny);
            decision.reasons = refusal.codes();
            event.decision = Some(decision);
            Outcome::Refused(Plan::new(world.revision(), event, refusal))
        }
    }
}

fn account_is_free(
    world: &World,
    principal: &Principal,
    account: &Account,
) -> Result<(), (&'static str, &'static str)> {
    let plain = |text: &str| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    if !plain(&account.issuer) || !plain(&account.subject) {
        return Err((
            "ACCOUNT_FORM",
            "issuer and subject have 1 to 255 bytes, spelt as the provider's ID tokens spell `iss` and `sub`",
        ));
    }
    if world
        .principal_with_account(account)
        .is_some_and(|owner| owner.name != principal.name)
    {
        return Err((
            "ACCOUNT_TAKEN",
            "this account belongs to another principal: remove it from them first",
        ));
    }
    if principal.accounts.len() >= WAYS_MAX {
        return Err(("ACCOUNTS_FULL", "there are too many ways in: remove one first"));
    }
    Ok(())
}

fn linked(
    world: &World,
    principal: &Principal,
    account: Account,
    spent: Option<Digest>,
    mut event: Event,
    draw: &Draw<'_>,
) -> Plan<Done> {
    event.org = principal.org;
    event.change_summary = vec![format!(
        "principal {} comes in by an account of {}",
        draw.name(principal.name.as_str()),
        account.issuer
    )];
    Plan::new(world.revision(), event, Done::nothing_made())
        .expecting(Precondition::AtRevision(world.revision()))
        .changing(Change::AccountLinked {
            principal: principal.name.clone(),
            account,
            spent,
        })
}

fn unused(invite: &Digest, now: UnixTime) -> Precondition {
    Precondition::Unused {
        kind: OnceKind::Invite,
        key: *invite.as_bytes(),
        until: now.plus_secs(INVITE_SECS),
    }
}

/// A label as it is kept: one line, of a bounded length, never empty.
fn tidy(label: &str) -> String {
    let mut tidy = String::new();
    for letter in label.trim().chars().filter(|letter| !letter.is_control()) {
        if tidy.len() + letter.len_utf8() > LABEL_BYTES_MAX {
            break;
        }
        tidy.push(letter);
    }
    if tidy.is_empty() {
        tidy.push_str("passkey");
    }
    tidy
}
