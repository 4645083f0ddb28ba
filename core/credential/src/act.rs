//! The actor chain on the wire: `sub` is where it began, nested `act` claims are who acts since, the outermost being
//! the current actor (RFC 8693 section 4.1, with `sub_profile` of the OAuth actor profile draft).
//!
//! A hop holds `iss`, `sub` and `sub_profile` and nothing else: an `exp` or `aud` inside would mean nothing and
//! might be believed.

use crate::json::Object;
use identity::{Actor, ActorChain, ActorKind, CHAIN_DEPTH_MAX};
use serde::{Deserialize, Serialize};

/// Longest `iss` or `sub` in bytes: the longest SPIFFE ID.
pub(crate) const NAME_BYTES_MAX: usize = 2048;

/// One `act` object.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActWire {
    iss: String,
    sub: String,
    sub_profile: ActorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Object<Box<Self>>>,
}

/// The nested `act` of `chain`: absent when the originating principal acts itself.
pub(crate) fn to_wire(chain: &ActorChain) -> Option<Object<Box<ActWire>>> {
    chain.actors().iter().skip(1).fold(None, |inner, actor| {
        Some(Object(Box::new(ActWire {
            iss: actor.issuer.clone(),
            sub: actor.id.clone(),
            sub_profile: actor.kind,
            act: inner,
        })))
    })
}

/// The chain of `origin` and the nested actors. `None` if it is too deep, loops, or names nobody somewhere.
pub(crate) fn from_wire(origin: Actor, act: Option<Object<Box<ActWire>>>) -> Option<ActorChain> {
    let mut newest_first = Vec::new();
    let mut hop = act;
    while let Some(Object(wire)) = hop {
        if newest_first.len() + 1 == CHAIN_DEPTH_MAX {
            return None;
        }
        newest_first.push(Actor {
            kind: wire.sub_profile,
            issuer: wire.iss,
            id: wire.sub,
        });
        hop = wire.act;
    }
    newest_first.push(origin);
    newest_first.reverse();
    let named = |text: &str| !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    if newest_first
        .iter()
        .any(|actor| !named(&actor.issuer) || !named(&actor.id))
    {
        return None;
    }
    ActorChain::try_from(newest_first).ok()
}
