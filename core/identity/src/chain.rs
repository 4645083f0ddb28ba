//! The actor chain: on whose behalf, through whom (RFC 8693 section 4.1).

use serde::{Deserialize, Serialize};

/// Longest chain a contract gets without asking for more.
pub const CHAIN_DEPTH_DEFAULT: usize = 4;
/// Longest chain at all: bounds the token's size and the number of evaluations.
pub const CHAIN_DEPTH_MAX: usize = 8;

/// What kind of party stands in a chain (`sub_profile` on the wire).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A human.
    User,
    /// An AI agent.
    AiAgent,
    /// A service or trigger.
    Service,
}

/// One party of a chain.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// Its kind.
    pub kind: ActorKind,
    /// Who vouches for the id.
    pub issuer: String,
    /// The stable id: a SPIFFE ID for agents and services, the issuer's subject for users.
    pub id: String,
}

/// Why actors do not form a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// More than [`CHAIN_DEPTH_MAX`] parties.
    #[error("a chain has at most 8 parties")]
    TooDeep,
    /// The same party twice.
    #[error("the same party stands in the chain twice")]
    Loop,
}

/// The originating principal first, the current actor last. Never empty, never longer than [`CHAIN_DEPTH_MAX`],
/// nobody in it twice. It only ever grows, and only the broker extends it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Actor>", into = "Vec<Actor>")]
pub struct ActorChain(Vec<Actor>);

impl ActorChain {
    /// A chain of one: the originating principal acts itself.
    pub fn starting_with(actor: Actor) -> Self {
        Self(vec![actor])
    }
    /// The same chain with `actor` as the new current actor.
    pub fn extended(&self, actor: Actor) -> Result<Self, ChainError> {
        let mut actors = self.0.clone();
        actors.push(actor);
        Self::try_from(actors)
    }
    /// The originating principal (`sub`).
    pub fn origin(&self) -> Option<&Actor> {
        self.0.first()
    }
    /// The current actor (the outermost `act`).
    pub fn current(&self) -> Option<&Actor> {
        self.0.last()
    }
    /// All parties, originating principal first.
    pub fn actors(&self) -> &[Actor] {
        &self.0
    }
    /// Number of parties.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}

impl TryFrom<Vec<Actor>> for ActorChain {
    type Error = ChainError;
    fn try_from(actors: Vec<Actor>) -> Result<Self, ChainError> {
        if actors.is_empty() || actors.len() > CHAIN_DEPTH_MAX {
            return Err(ChainError::TooDeep);
        }
        let repeated = |(place, actor): (usize, &Actor)| {
            actors
                .iter()
                .take(place)
                .any(|before| before.issuer == actor.issuer && before.id == actor.id)
        };
        if actors.iter().enumerate().any(repeated) {
            return Err(ChainError::Loop);
        }
        Ok(Self(actors))
    }
}

impl From<ActorChain> for Vec<Actor> {
    fn from(chain: ActorChain) -> Self {
        chain.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(id: &str) -> Actor {
        Actor {
            kind: ActorKind::AiAgent,
            issuer: "https://issuer".into(),
            id: id.into(),
        }
    }

    #[test]
    fn a_chain_only_grows_and_never_loops() {
        let chain = ActorChain::starting_with(actor("a"))
            .extended(actor("b"))
            .unwrap();
        assert_eq!(chain.current().map(|a| a.id.as_str()), Some("b"));
        assert_eq!(chain.extended(actor("a")), Err(ChainError::Loop));
    }

    #[test]
    fn a_chain_has_a_hard_limit() {
        let mut chain = ActorChain::starting_with(actor("0"));
        for id in 1..CHAIN_DEPTH_MAX {
            chain = chain.extended(actor(&id.to_string())).unwrap();
        }
        assert_eq!(chain.extended(actor("z")), Err(ChainError::TooDeep));
    }
}
