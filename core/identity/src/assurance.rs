//! How well an identity is proven: four dimensions and one summary level.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The summary of an [`Assurance`], 0 (asserted) to 5 (hardware-rooted node as well).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Level {
    /// The caller says so.
    #[default]
    Asserted,
    /// The kernel vouches for the uid; another process of the same uid can take the agent over.
    Uid,
    /// Launched by a node agent, and out of reach of other processes of the same uid.
    Isolated,
    /// Isolated, and its code was measured on storage that cannot change.
    Measured,
    /// Measured, and signed by somebody the registration names.
    Signed,
    /// Signed, on a node whose hardware vouches for it.
    Hardware,
}

impl Level {
    /// What the level means, in a few words that are true at that level.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Asserted => "asserted",
            Self::Uid => "uid only, not isolated",
            Self::Isolated => "launcher-bound, isolated",
            Self::Measured => "measured, immutable",
            Self::Signed => "measured, signed",
            Self::Hardware => "hardware-rooted",
        }
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}
impl TryFrom<u8> for Level {
    type Error = &'static str;
    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Ok(match number {
            0 => Self::Asserted,
            1 => Self::Uid,
            2 => Self::Isolated,
            3 => Self::Measured,
            4 => Self::Signed,
            5 => Self::Hardware,
            _ => return Err("an assurance level is a number from 0 to 5"),
        })
    }
}
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(*self))
    }
}

/// The assurance vector. Each dimension is judged alone; the summary is what all of them together support.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Assurance {
    /// How the node proved itself: 0 asserted, 1 same machine or join token, 2 platform document, 5 hardware quote.
    pub node: u8,
    /// How the process was bound: 0 asserted, 1 uid by the kernel, 2 launched by us (pidfd) but not isolated,
    /// 3 launched and confined (it reaches nobody else), 4 sealed as well (nobody of its uid reaches it).
    pub launch: u8,
    /// How its code was measured: 0 not, 1 executable only, 2 every root of its launch spec, 3 on immutable storage.
    pub code: u8,
    /// Who vouches for the code: 0 nobody, 1 a registered digest, 2 a signature of a named signer.
    pub signer: u8,
}

impl Assurance {
    /// The highest level that every dimension supports.
    pub const fn level(self) -> Level {
        match self {
            Self { launch: 0, .. } => Level::Asserted,
            Self { launch: 1 | 2, .. } => Level::Uid,
            Self { code: 0..=2, .. } => Level::Isolated,
            Self { signer: 0 | 1, .. } => Level::Measured,
            Self { node: 0..=4, .. } => Level::Signed,
            Self { .. } => Level::Hardware,
        }
    }
    /// The weaker of both in each dimension: what a chain of two supports.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            node: self.node.min(other.node),
            launch: self.launch.min(other.launch),
            code: self.code.min(other.code),
            signer: self.signer.min(other.signer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_needs_every_dimension_below_it() {
        let level = |node, launch, code, signer| {
            Assurance {
                node,
                launch,
                code,
                signer,
            }
            .level()
        };
        assert_eq!(level(5, 0, 3, 2), Level::Asserted);
        assert_eq!(level(5, 2, 3, 2), Level::Uid);
        assert_eq!(level(1, 3, 2, 2), Level::Isolated);
        assert_eq!(level(1, 3, 3, 1), Level::Measured);
        assert_eq!(level(1, 3, 3, 2), Level::Signed);
        assert_eq!(level(5, 3, 3, 2), Level::Hardware);
    }

    #[test]
    fn a_chain_is_as_strong_as_its_weakest_link() {
        let strong = Assurance {
            node: 5,
            launch: 3,
            code: 3,
            signer: 2,
        };
        let weak = Assurance {
            node: 1,
            launch: 1,
            code: 0,
            signer: 0,
        };
        assert_eq!(strong.min(weak), weak);
    }
}
