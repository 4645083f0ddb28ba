//! One group of keys, read key by key; what nobody asked for is a mistake.

use super::ManifestError;
use super::node::{Key, Node, Position, Value};
use std::cell::RefCell;

/// Every mistake found so far, and the file they are in.
#[derive(Debug)]
pub(super) struct Mistakes<'f> {
    pub(super) file: &'f str,
    pub(super) found: RefCell<Vec<ManifestError>>,
}

impl Mistakes<'_> {
    pub(super) fn add(
        &self,
        at: Position,
        path: &str,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
    ) {
        self.found.borrow_mut().push(ManifestError {
            file: self.file.to_owned(),
            line: at.line.max(1),
            column: at.column.max(1),
            path: path.to_owned(),
            what: what.into(),
            why: why.to_owned(),
            fix: fix.into(),
        });
    }
}

/// A group of keys and where it stands.
#[derive(Debug)]
pub(super) struct Group<'n> {
    pub(super) at: Position,
    pub(super) path: String,
    keys: &'n [(Key, Node)],
    mistakes: &'n Mistakes<'n>,
}

impl<'n> Group<'n> {
    /// `node` as a group with only `known` keys.
    pub(super) fn of(node: &'n Node, path: &str, known: &[&str], mistakes: &'n Mistakes<'n>) -> Option<Self> {
        let Value::Map(keys) = &node.value else {
            mistakes.add(
                node.at,
                path,
                format!("a group of keys is expected, this is {}", node.kind()),
                "each key of a manifest has one form",
                format!("write the keys {}", known.join(", ")),
            );
            return None;
        };
        let group = Self {
            at: node.at,
            path: path.to_owned(),
            keys,
            mistakes,
        };
        for (Key { at, name }, _) in keys {
            if !known.contains(&name.as_str()) {
                let near = known.iter().find(|word| is_near(word, name));
                let fix = near.map_or_else(
                    || format!("known keys here: {}", known.join(", ")),
                    |word| format!("did you mean \"{word}\"?"),
                );
                mistakes.add(
                    *at,
                    &group.path_of(name),
                    format!("unknown key \"{name}\""),
                    STRICT,
                    fix,
                );
            }
        }
        Some(group)
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(super) fn optional(&self, key: &str) -> Option<&'n Node> {
        self.keys
            .iter()
            .find(|(known, _)| known.name == key)
            .map(|(_, node)| node)
    }

    pub(super) fn required(&self, key: &str) -> Option<&'n Node> {
        let node = self.optional(key);
        if node.is_none() {
            let why = "a manifest has no hidden defaults for what decides";
            self.wrong(
                self.at,
                key,
                format!("\"{key}\" is missing"),
                why,
                format!("add \"{key}\""),
            );
        }
        node
    }

    pub(super) fn optional_text(&self, key: &str) -> Option<&'n str> {
        self.text_of(key, self.optional(key)?)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'n str> {
        self.text_of(key, self.required(key)?)
    }

    pub(super) fn text_of(&self, key: &str, node: &'n Node) -> Option<&'n str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        let what = format!("text is expected, this is {}", node.kind());
        self.wrong(
            node.at,
            key,
            what,
            "each key of a manifest has one form",
            "put the value in quotes",
        );
        None
    }

    /// A text that must parse.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        key: &str,
        fix: &str,
    ) -> Option<T> {
        let node = self.required(key)?;
        let text = self.text_of(key, node)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(
                    node.at,
                    key,
                    format!("{text:?} does not fit here"),
                    &error.to_string(),
                    fix,
                );
                None
            }
        }
    }

    pub(super) fn list(&self, key: &str, node: &'n Node) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        let what = format!("a list is expected, this is {}", node.kind());
        self.wrong(
            node.at,
            key,
            what,
            "each key of a manifest has one form",
            "write one \"- \" line an item",
        );
        &[]
    }

    pub(super) fn wrong(
        &self,
        at: Position,
        key: &str,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
    ) {
        self.mistakes.add(at, &self.path_of(key), what, why, fix);
    }

    pub(super) const fn mistakes(&self) -> &'n Mistakes<'n> {
        self.mistakes
    }
}

const STRICT: &str = "a misspelt key would silently not apply";

/// Whether one insertion, deletion or substitution, or case, separates two words.
fn is_near(known: &str, typed: &str) -> bool {
    let (known, typed) = (known.as_bytes(), typed.to_lowercase());
    let typed = typed.as_bytes();
    let same_front = known.iter().zip(typed).take_while(|(a, b)| a == b).count();
    let same_back = known
        .iter()
        .rev()
        .zip(typed.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    known.len().abs_diff(typed.len()) <= 1 && same_front + same_back + 1 >= known.len().max(typed.len())
}
