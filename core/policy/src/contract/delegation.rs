//! The `delegation` key: on whose behalf the agent acts, and to whom it may pass work on.

use super::node::Node;
use super::read::{NAMES_MAX, whole};
use super::section::{Notes, Section, integer, parsed, set, truth};
use super::terms::NameText;
use identity::{CHAIN_DEPTH_DEFAULT, CHAIN_DEPTH_MAX, Name};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// On whose behalf the agent acts, and to whom it may pass work on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Delegation {
    /// The agents, by name within the org, that may act on this one's behalf with what it may do itself.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub may_delegate_to: BTreeSet<Name>,
    /// Most parties in a chain that this agent is part of, the user included.
    #[schemars(default = "Delegation::depth_default", range(min = 1, max = 8))]
    pub max_depth: u8,
    /// Whom it acts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalfOf>,
}

/// Whom the agent acts for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OnBehalfOf {
    /// Whether a user has to stand at the beginning of the chain.
    #[schemars(default)]
    pub require_user: bool,
    /// The groups of which the user has to be in one; without this key any user.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(default, with = "BTreeSet<NameText>", length(max = 100))]
    pub groups: BTreeSet<Name>,
}

impl Delegation {
    /// Most parties in a chain when the contract does not say.
    pub fn depth_default() -> u8 {
        u8::try_from(CHAIN_DEPTH_DEFAULT).unwrap_or_default()
    }
}

impl Default for Delegation {
    fn default() -> Self {
        Self {
            may_delegate_to: BTreeSet::new(),
            max_depth: Self::depth_default(),
            on_behalf_of: None,
        }
    }
}

pub(super) fn delegation_terms(notes: &mut Notes<'_>, node: &Node) -> Option<Delegation> {
    let known = ["may_delegate_to", "max_depth", "on_behalf_of"];
    let section = Section::open(notes, "delegation", node, &known)?;
    let to = section
        .optional(notes, "may_delegate_to")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, "delegation.may_delegate_to", node, NAMES_MAX, parsed)
        });
    let deepest = i64::try_from(CHAIN_DEPTH_MAX).unwrap_or_default();
    let max_depth = section
        .optional(notes, "max_depth")
        .map_or(Some(i64::from(Delegation::depth_default())), |node| {
            integer(notes, "delegation.max_depth", node, 1..=deepest)
        });
    let on_behalf_of = section
        .optional(notes, "on_behalf_of")
        .map(|node| on_behalf_of_terms(notes, node));
    Some(Delegation {
        may_delegate_to: to?,
        max_depth: u8::try_from(max_depth?).ok()?,
        on_behalf_of: whole(on_behalf_of)?,
    })
}

fn on_behalf_of_terms(notes: &mut Notes<'_>, node: &Node) -> Option<OnBehalfOf> {
    let path = "delegation.on_behalf_of";
    let section = Section::open(notes, path, node, &["require_user", "groups"])?;
    let require_user = section
        .optional(notes, "require_user")
        .map_or(Some(false), |node| {
            truth(notes, &section.child("require_user"), node)
        });
    let groups = section
        .optional(notes, "groups")
        .map_or(Some(BTreeSet::new()), |node| {
            set(notes, &section.child("groups"), node, NAMES_MAX, parsed)
        });
    Some(OnBehalfOf {
        require_user: require_user?,
        groups: groups?,
    })
}
