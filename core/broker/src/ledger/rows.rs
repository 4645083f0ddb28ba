//! Maps as lists of pairs, for snapshots: their keys are no texts.

use identity::IdHasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::hash::Hash;

pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
    map: &HashMap<K, V, IdHasher>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_seq(map)
}

pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<HashMap<K, V, IdHasher>, D::Error>
where
    K: Deserialize<'de> + Eq + Hash,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
}
