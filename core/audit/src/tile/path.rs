//! Paths of tiles and entry bundles.

use super::{TILE_HEIGHT, TILE_WIDTH};
use std::fmt;
use std::str::FromStr;

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TileKind {
    /// Hashes of the tile level 0 to 7; a tree of 2^64 entries has no level 8.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// The path of one tile or bundle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TilePath {
    /// What is there.
    pub kind: TileKind,
    /// Its place within the level.
    pub index: u64,
    /// Number of hashes or entries, 1 to 256. Below 256 the path ends in `.p/<width>`.
    pub width: u16,
}

/// Why a text is not a [`TilePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tile's path is tile/<level or \"entries\">/<index in groups of three digits>[.p/<width 1 to 255>]"
)]
pub struct TilePathError;

/// Highest level of tiles: 8 times 8 tree levels are 64.
const LEVEL_MAX: u8 = 7;
/// [`TILE_WIDTH`] as a width.
const WIDTH_FULL: u16 = 256;

impl TilePath {
    /// A full tile or bundle.
    pub const fn full(kind: TileKind, index: u64) -> Self {
        Self {
            kind,
            index,
            width: WIDTH_FULL,
        }
    }
    /// The same one, full.
    #[must_use]
    pub const fn completed(self) -> Self {
        Self::full(self.kind, self.index)
    }
    /// Whether it is full.
    pub const fn is_full(self) -> bool {
        self.width == WIDTH_FULL
    }
    /// The tile `index` of a tree of `size` entries as wide as it is there; none where the tree has no such tile.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        let hashes = size.checked_shr(level * TILE_HEIGHT).unwrap_or(0);
        let width = hashes
            .saturating_sub(index.checked_mul(TILE_WIDTH)?)
            .min(TILE_WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }
    /// Every tile of hashes of a tree of `size` entries, level by level, from the left.
    pub fn of_tree(size: u64) -> impl Iterator<Item = Self> {
        (0..=LEVEL_MAX).flat_map(move |level| {
            let kind = TileKind::Hashes(level);
            (0..).map_while(move |index| Self::in_tree(kind, index, size))
        })
    }
    /// Every entry bundle of a tree of `size` entries, from the left.
    pub fn bundles_of_tree(size: u64) -> impl Iterator<Item = Self> {
        (0..).map_while(move |index| Self::in_tree(TileKind::Entries, index, size))
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let groups = self.index.max(1).ilog(1000);
        for group in (1..=groups).rev() {
            write!(f, "x{:03}/", self.index / 1000_u64.pow(group) % 1000)?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;
    /// Only the one spelling that [`fmt::Display`] gives.
    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let rest = text.strip_prefix("tile/").ok_or(TilePathError)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().map_err(|_| TilePathError)?),
        };
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => (digits, width.parse().map_err(|_| TilePathError)?),
            None => (rest, WIDTH_FULL),
        };
        let digits: String = digits.chars().filter(|c| !matches!(c, 'x' | '/')).collect();
        let path = Self {
            kind,
            index: digits.parse().map_err(|_| TilePathError)?,
            width,
        };
        let level_exists = !matches!(kind, TileKind::Hashes(level) if level > LEVEL_MAX);
        let width_exists = (1..=WIDTH_FULL).contains(&width);
        if level_exists && width_exists && path.to_string() == text {
            Ok(path)
        } else {
            Err(TilePathError)
        }
    }
}
