//! Callers that nobody could identify: counted, one entry for each source and second, so that nobody can fill the disk
//! by being refused.

use crate::draw::Draw;
use crate::plan::Plan;
use crate::world::World;
use audit::EventKind;
use identity::UnixTime;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What one source was refused within one second: how often, by code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its network address, or `others` for all beyond those that are told apart.
    pub source: String,
    /// The second.
    pub at: UnixTime,
    /// Times by code.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Records it.
pub fn counted(world: &World, refused: &Refused, draw: &mut Draw<'_>) -> Plan<()> {
    let mut event = draw.event(EventKind::RefusalsCounted, world.revision());
    let counts: Map<String, Value> = refused
        .counts
        .iter()
        .map(|(code, times)| ((*code).to_owned(), (*times).into()))
        .collect();
    event.detail.insert("counts".to_owned(), counts.into());
    event
        .detail
        .insert("second".to_owned(), refused.at.rfc3339().into());
    event
        .detail
        .insert("source".to_owned(), refused.source.clone().into());
    Plan::new(world.revision(), event, ())
}
