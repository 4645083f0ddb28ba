//! `/v1/principals`: who may administer, and by which ways they come in.

use super::Plane;
use super::agents::Applied;
use super::body::{Path, Strict};
use super::caller::Caller;
use super::refused::Refused;
use crate::entropy::random;
use crate::settle::settle;
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::principal::{self, INVITE_SECS};
use broker::world::{Account, Principal, Role};
use credential::sha256;
use http::StatusCode;
use identity::{Digest, Name, OrgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::Recorded;

/// How well we know a person by a uid that an administrator assigned.
const ASSURANCE: &str = "uid";

/// A principal as it is asked for. It gets the asker's own reach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: Name,
    #[serde(default)]
    uid: Option<u32>,
    roles: BTreeSet<Role>,
    /// The one org they are to administer, by name.
    #[serde(default)]
    org: Option<Name>,
}

/// An account at an identity provider.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountWire {
    issuer: String,
    subject: String,
}

/// A principal with their ways in.
#[derive(Debug, Serialize)]
pub(super) struct PrincipalView {
    name: Name,
    uid: Option<u32>,
    roles: BTreeSet<Role>,
    org: Option<OrgId>,
    assurance: String,
    accounts: Vec<AccountWire>,
    passkeys: Vec<PasskeyView>,
}

/// A passkey, without its key.
#[derive(Debug, Serialize)]
struct PasskeyView {
    label: String,
    enrolled_at: String,
    may_be_copied: bool,
}

/// A one-time link, in the only answer that holds it.
#[derive(Debug, Serialize)]
pub(super) struct Invited {
    name: Name,
    /// The code by itself, for a browser that does not follow the link.
    code: String,
    /// The link.
    url: String,
    expires_at: String,
    revision: u64,
    entry: String,
}

pub(super) async fn list(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
) -> Result<Json<Vec<PrincipalView>>, Refused> {
    caller.looks(&plane).await?;
    let world = plane.installation.store.world();
    Ok(Json(
        world.principals(caller.scope()).map(|it| view(it)).collect(),
    ))
}

pub(super) async fn add(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Strict(wanted): Strict<Wanted>,
) -> Result<Json<Applied>, Refused> {
    if wanted.roles.is_empty() {
        let fix = "Add --role viewer, auditor, operator, author, approver or admin.";
        return Err(Refused::bad_request("A principal needs a role.", fix));
    }
    let world = plane.installation.store.world();
    let of_org = wanted.org.map(|name| {
        world
            .org_named(caller.scope(), &name)
            .map(|org| org.id)
            .ok_or_else(|| Refused::not_found("org", name.as_str()))
    });
    let org = of_org.transpose()?.or(caller.who.principal().org);
    let wanted = principal::Wanted {
        org,
        name: wanted.name,
        uid: wanted.uid,
        roles: wanted.roles,
        assurance: ASSURANCE.to_owned(),
    };
    let recorded = settle(&plane.installation, org, |world, draw| {
        principal::add(world, &caller.who, wanted.clone(), draw)
    })
    .await?;
    Ok(applied(&wanted.name, &recorded))
}

pub(super) async fn remove(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Applied>, Refused> {
    let principal = find(&plane, &caller, &name)?;
    let recorded = settle(&plane.installation, principal.org, |world, draw| {
        principal::remove(world, &caller.who, &principal, draw)
    })
    .await?;
    Ok(applied(&principal.name, &recorded))
}

pub(super) async fn invite(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Invited>, Refused> {
    let installation = &plane.installation;
    let principal = find(&plane, &caller, &name)?;
    let people = installation.config.people.as_ref().ok_or_else(|| {
        Refused::new(
            StatusCode::CONFLICT,
            "PEOPLE_NOWHERE",
            "This server has no pages for people.",
            "Its configuration has no [people] section.",
            "Add the section (docs/reference/config.md), restart the server, and invite again.",
        )
    })?;
    let secret = random::<32>().map_err(|error| Refused::unavailable(&error.to_string()))?;
    let code = URL_SAFE_NO_PAD.encode(secret);
    let digest = Digest::from_bytes(sha256(code.as_bytes()));
    let recorded = settle(installation, principal.org, |world, draw| {
        principal::invite(world, &caller.who, &principal, digest, draw)
    })
    .await?;
    Ok(Json(Invited {
        name: principal.name.clone(),
        // A fragment: browsers send it to no server, so it stands in no log.
        url: people.url.endpoint(&format!("/ui/invite#{code}")),
        code,
        expires_at: installation.clock.now().plus_secs(INVITE_SECS).rfc3339(),
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    }))
}

pub(super) async fn link(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
    Strict(account): Strict<AccountWire>,
) -> Result<Json<Applied>, Refused> {
    let principal = find(&plane, &caller, &name)?;
    let account = Account::from(account);
    let recorded = settle(&plane.installation, principal.org, |world, draw| {
        principal::link(world, &caller.who, &principal, account.clone(), draw)
    })
    .await?;
    Ok(applied(&principal.name, &recorded))
}

pub(super) async fn unlink(
    State(plane): State<Arc<Plane>>,
    caller: Caller,
    Path(name): Path<String>,
    Strict(account): Strict<AccountWire>,
) -> Result<Json<Applied>, Refused> {
    let principal = find(&plane, &caller, &name)?;
    let account = Account::from(account);
    if !principal.accounts.contains(&account) {
        return Err(Refused::not_found("account", &account.subject));
    }
    let recorded = settle(&plane.installation, principal.org, |world, draw| {
        principal::unlink(world, &caller.who, &principal, &account, draw)
    })
    .await?;
    Ok(applied(&principal.name, &recorded))
}

/// A principal in the caller's reach, for one who may see it.
fn find(plane: &Plane, caller: &Caller, name: &str) -> Result<Arc<Principal>, Refused> {
    let world = plane.installation.store.world();
    let found = world
        .principals(caller.scope())
        .find(|principal| principal.name.as_str() == name)
        .cloned();
    found.ok_or_else(|| Refused::not_found("principal", name))
}

fn applied<P>(name: &Name, recorded: &Recorded<P>) -> Json<Applied> {
    Json(Applied {
        name: name.to_string(),
        id: None,
        revision: recorded.revision().0,
        entry: recorded.entry().to_string(),
    })
}

fn view(principal: &Principal) -> PrincipalView {
    let passkeys = principal.passkeys.iter().map(|passkey| PasskeyView {
        label: passkey.label.clone(),
        enrolled_at: passkey.enrolled_at.rfc3339(),
        may_be_copied: passkey.may_be_copied,
    });
    PrincipalView {
        name: principal.name.clone(),
        uid: principal.uid,
        roles: principal.roles.clone(),
        org: principal.org,
        assurance: principal.assurance.clone(),
        accounts: principal
            .accounts
            .iter()
            .cloned()
            .map(AccountWire::from)
            .collect(),
        passkeys: passkeys.collect(),
    }
}

impl From<AccountWire> for Account {
    fn from(wire: AccountWire) -> Self {
        Self {
            issuer: wire.issuer,
            subject: wire.subject,
        }
    }
}

impl From<Account> for AccountWire {
    fn from(account: Account) -> Self {
        Self {
            issuer: account.issuer,
            subject: account.subject,
        }
    }
}
