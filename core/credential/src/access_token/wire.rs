//! Access token claims under their wire names.

use super::{AccessTokenClaims, Binding, DETAILS_MAX, EntryPlace, LIFETIME_SECS_MAX, SCOPE_BYTES_MAX};
use crate::act::{self, ActWire, NAME_BYTES_MAX};
use crate::agent_task::wire::DetailWire;
use crate::json::{self, Object};
use crate::{AgentTask, Rejection};
use identity::{
    Actor, ActorKind, AgentId, Assurance, Audience, DecisionId, Digest, FamilyId, InstanceId, Name, NodeId,
    OrgId, Revision, TaskId, Thumbprint, TokenId, UnixTime,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    sub_profile: ActorKind,
    /// Who vouches for `sub`, when it is not `iss` itself.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    sub_iss: Option<Cow<'a, str>>,
    aud: Audience,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: TokenId,
    fam: FamilyId,
    cnf: Object<Cnf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Object<Box<ActWire>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authorization_details: Vec<Object<DetailWire>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    scope: Option<Cow<'a, str>>,
    rev: Revision,
    #[serde(borrow)]
    entry: Object<Entry<'a>>,
    agt: AgentId,
    ins: InstanceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
    org: OrgId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tnt: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tsk: Option<TaskId>,
    /// Node, launch, code, signer.
    asr: [u8; 4],
    ctr: Digest,
    dec: DecisionId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    index: u64,
}

/// Exactly one of both.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cnf {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jkt: Option<Thumbprint>,
    #[serde(rename = "x5t#S256", default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Thumbprint>,
}

pub(super) fn to_wire(claims: &AccessTokenClaims) -> Claims<'_> {
    let origin = claims.chain.origin();
    let issuer = origin.map_or("", |actor| actor.issuer.as_str());
    Claims {
        iss: claims.issuer.as_str().into(),
        sub: origin.map_or("", |actor| actor.id.as_str()).into(),
        sub_profile: origin.map_or(ActorKind::Service, |actor| actor.kind),
        sub_iss: (issuer != claims.issuer).then(|| issuer.into()),
        aud: claims.audience.clone(),
        client_id: claims.client_id.as_str().into(),
        iat: claims.issued_at.secs(),
        nbf: claims.valid_from.secs(),
        exp: claims.expires_at.secs(),
        jti: claims.token,
        fam: claims.family,
        cnf: Object(match claims.binding {
            Binding::Key(jkt) => Cnf {
                jkt: Some(jkt),
                certificate: None,
            },
            Binding::Certificate(certificate) => Cnf {
                jkt: None,
                certificate: Some(certificate),
            },
        }),
        act: act::to_wire(&claims.chain),
        authorization_details: claims
            .details
            .iter()
            .map(|task| Object(DetailWire::from(task)))
            .collect(),
        scope: claims.scope.as_deref().map(Cow::from),
        rev: claims.revision,
        entry: Object(Entry {
            log: claims.entry.origin.as_str().into(),
            index: claims.entry.index,
        }),
        agt: claims.agent,
        ins: claims.instance,
        node: claims.node,
        org: claims.org,
        tnt: claims.tenant.clone(),
        tsk: claims.task,
        asr: {
            let Assurance {
                node,
                launch,
                code,
                signer,
            } = claims.assurance;
            [node, launch, code, signer]
        },
        ctr: claims.contract,
        dec: claims.decision,
    }
}

/// The same without the place of the entry.
pub(super) fn without_place(claims: &AccessTokenClaims) -> Claims<'_> {
    let entry = Object(Entry {
        log: "".into(),
        index: 0,
    });
    Claims {
        entry,
        ..to_wire(claims)
    }
}

pub(super) fn from_wire(wire: Claims<'_>) -> Result<AccessTokenClaims, Rejection> {
    let bounded = |text: &str, max: usize| !text.is_empty() && text.len() <= max;
    for (text, max, name) in [
        (&wire.iss, NAME_BYTES_MAX, "iss"),
        (&wire.client_id, NAME_BYTES_MAX, "client_id"),
        (&wire.entry.0.log, NAME_BYTES_MAX, "entry"),
    ] {
        if !bounded(text, max) {
            return Err(Rejection::BadClaim(name));
        }
    }
    for (date, name) in [(wire.iat, "iat"), (wire.nbf, "nbf"), (wire.exp, "exp")] {
        if !json::is_date(date) {
            return Err(Rejection::BadClaim(name));
        }
    }
    if wire.exp <= wire.iat || wire.exp - wire.iat > LIFETIME_SECS_MAX {
        return Err(Rejection::BadClaim("exp"));
    }
    if wire
        .scope
        .as_ref()
        .is_some_and(|scope| !bounded(scope, SCOPE_BYTES_MAX))
    {
        return Err(Rejection::BadClaim("scope"));
    }
    let binding = match (wire.cnf.0.jkt, wire.cnf.0.certificate) {
        (Some(jkt), None) => Binding::Key(jkt),
        (None, Some(certificate)) => Binding::Certificate(certificate),
        (Some(_), Some(_)) | (None, None) => return Err(Rejection::BadClaim("cnf")),
    };
    let [node, launch, code, signer] = wire.asr;
    if node > 5 || launch > 3 || code > 3 || signer > 2 {
        return Err(Rejection::BadClaim("asr"));
    }
    if wire.sub_iss.as_ref().is_some_and(|issuer| *issuer == wire.iss) {
        return Err(Rejection::BadClaim("sub_iss"));
    }
    let origin = Actor {
        kind: wire.sub_profile,
        issuer: wire.sub_iss.as_ref().unwrap_or(&wire.iss).to_string(),
        id: wire.sub.into_owned(),
    };
    if wire.authorization_details.len() > DETAILS_MAX {
        return Err(Rejection::BadClaim("authorization_details"));
    }
    let details = wire
        .authorization_details
        .into_iter()
        .map(|detail| AgentTask::try_from(detail.0));
    Ok(AccessTokenClaims {
        issuer: wire.iss.into_owned(),
        chain: act::from_wire(origin, wire.act).ok_or(Rejection::BadClaim("act"))?,
        audience: wire.aud,
        client_id: wire.client_id.into_owned(),
        issued_at: UnixTime::from_secs(wire.iat),
        valid_from: UnixTime::from_secs(wire.nbf),
        expires_at: UnixTime::from_secs(wire.exp),
        token: wire.jti,
        family: wire.fam,
        binding,
        details: details
            .collect::<Result<_, _>>()
            .map_err(|_| Rejection::BadClaim("authorization_details"))?,
        scope: wire.scope.map(Cow::into_owned),
        revision: wire.rev,
        entry: EntryPlace {
            origin: wire.entry.0.log.into_owned(),
            index: wire.entry.0.index,
        },
        agent: wire.agt,
        instance: wire.ins,
        node: wire.node,
        org: wire.org,
        tenant: wire.tnt,
        task: wire.tsk,
        assurance: Assurance {
            node,
            launch,
            code,
            signer,
        },
        contract: wire.ctr,
        decision: wire.dec,
    })
}
