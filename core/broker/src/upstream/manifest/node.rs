//! The text of a manifest as a tree, and what is said of a text that is none.

use super::ManifestError;
use policy::yaml::{self, Bounds, Unreadable};

pub(super) use policy::yaml::{Key, Node, Position, Value};

/// Largest manifest in bytes: [`super::super::route::ROUTES_MAX`] long routes fit.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

const BOUNDS: Bounds = Bounds {
    bytes_max: MANIFEST_BYTES_MAX,
    // An argument of a route is 4 levels down.
    depth_max: 12,
    nodes_max: 20_000,
};

/// Reads `bytes` as one YAML document.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Node, Box<ManifestError>> {
    yaml::tree(bytes, BOUNDS).map_err(|unreadable| {
        let (at, what, fix) = match unreadable {
            Unreadable::TooLarge(bytes) => (
                Position::default(),
                format!("the manifest has {bytes} bytes"),
                "shorten it, or declare several upstreams",
            ),
            Unreadable::NotText => (Position::default(), "the file is not UTF-8".to_owned(), "save it as UTF-8"),
            Unreadable::NotYaml { at, what } => (at, what, "correct the text at this place"),
        };
        Box::new(ManifestError {
            file: file.to_owned(),
            line: at.line.max(1),
            column: at.column.max(1),
            path: String::new(),
            what,
            why: "a manifest is plain UTF-8 YAML of at most 262144 bytes, without anchors, aliases, duplicate keys or fractions".into(),
            fix: fix.to_owned(),
        })
    })
}
