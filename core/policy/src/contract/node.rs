//! The text of a contract as a tree, and what is said of a text that is none.

use super::error::{ContractError, ErrorCode};
use crate::yaml::{self, Bounds, Unreadable};

pub(super) use crate::yaml::{Key, Node, Position, Value};

/// Largest contract in bytes: a hundred times a long one, and small enough to parse in a few milliseconds.
pub const BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting: the deepest key of a contract is 6 levels down; the rest is slack for later sections.
pub const DEPTH_MAX: usize = 16;
/// Most values and keys of one contract: bounds what the reader allocates.
pub const NODES_MAX: usize = 20_000;

const BOUNDS: Bounds = Bounds {
    bytes_max: BYTES_MAX,
    depth_max: DEPTH_MAX,
    nodes_max: NODES_MAX,
};

/// Reads `bytes` as one YAML document.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Node, Box<ContractError>> {
    yaml::tree(bytes, BOUNDS).map_err(|unreadable| {
        let (code, at, what, why, fix) = match unreadable {
            Unreadable::TooLarge(bytes) => (
                ErrorCode::TooLarge,
                Position::default(),
                format!("the contract has {bytes} bytes"),
                "a contract has at most 262144 bytes",
                "split the work over several agents, or shorten lists",
            ),
            Unreadable::NotText => (
                ErrorCode::NotReadable,
                Position::default(),
                "the contract is not UTF-8 text".to_owned(),
                "a contract is read by people",
                "save the file as UTF-8",
            ),
            Unreadable::NotYaml { at, what } => (
                ErrorCode::NotReadable,
                at,
                what,
                "a contract is plain YAML without anchors, aliases, merge keys, duplicate keys or fractions, at most 16 levels deep",
                "correct the text at this place",
            ),
        };
        Box::new(ContractError {
            code,
            file: file.to_owned(),
            line: at.line.max(1),
            column: at.column.max(1),
            path: String::new(),
            what,
            why: why.to_owned(),
            fix: fix.to_owned(),
        })
    })
}
