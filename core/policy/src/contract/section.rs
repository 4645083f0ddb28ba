//! Reads keys out of a [`Node`] tree, noting every mistake with its place instead of stopping at the first.

use super::error::{ContractError, ErrorCode};
use super::node::{Key, Node, Position, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The mistakes found so far, and the line of every key read.
pub(super) struct Notes<'a> {
    file: &'a str,
    pub(super) errors: Vec<ContractError>,
    pub(super) lines: BTreeMap<String, u32>,
}

/// Most mistakes reported at once: more is a wrong file, not a list to work through.
const ERRORS_MAX: usize = 100;

impl<'a> Notes<'a> {
    pub(super) const fn new(file: &'a str) -> Self {
        Self {
            file,
            errors: Vec::new(),
            lines: BTreeMap::new(),
        }
    }
    /// Notes one mistake.
    pub(super) fn note(
        &mut self,
        code: ErrorCode,
        at: Position,
        path: &str,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(ContractError {
                code,
                file: self.file.to_owned(),
                line: at.line.max(1),
                column: at.column.max(1),
                path: path.to_owned(),
                what: what.into(),
                why: why.into(),
                fix: fix.into(),
            });
        }
    }
    fn wrong_type(&mut self, node: &Node, path: &str, wanted: &str) {
        let found = node.kind();
        self.note(
            ErrorCode::WrongType,
            node.at,
            path,
            format!("found {found}"),
            format!("this key holds {wanted}"),
            format!("write {wanted} here"),
        );
    }
}

/// A group of keys, all of which are known.
pub(super) struct Section<'n> {
    pub(super) at: Position,
    pub(super) path: String,
    entries: &'n [(Key, Node)],
}

impl<'n> Section<'n> {
    /// Opens `node`; unknown keys are noted.
    pub(super) fn open(
        notes: &mut Notes<'_>,
        path: impl Into<String>,
        node: &'n Node,
        known: &[&str],
    ) -> Option<Self> {
        let path = path.into();
        let Value::Map(entries) = &node.value else {
            notes.wrong_type(node, &path, "a group of keys");
            return None;
        };
        let section = Self {
            at: node.at,
            path,
            entries,
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let fix = nearest(&key.name, known).map_or_else(
                    || format!("remove it; known here: {}", known.join(", ")),
                    |near| format!("did you mean \"{near}\"?"),
                );
                notes.note(
                    ErrorCode::UnknownKey,
                    key.at,
                    &section.child(&key.name),
                    format!("{:?} is not a key here", key.name),
                    "a key that is not understood could be a limit that would not hold",
                    fix.trim_end_matches('.'),
                );
            }
        }
        Some(section)
    }

    /// The path of a key of this section.
    pub(super) fn child(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, if it is there; its line is kept.
    pub(super) fn optional(&self, notes: &mut Notes<'_>, key: &str) -> Option<&'n Node> {
        let (at, node) = self.entries.iter().find(|(known, _)| known.name == key)?;
        notes.lines.insert(self.child(key), at.at.line);
        Some(node)
    }

    /// The value of `key`; its absence is noted.
    pub(super) fn required(&self, notes: &mut Notes<'_>, key: &str, why: &str) -> Option<&'n Node> {
        let found = self.optional(notes, key);
        if found.is_none() {
            notes.note(
                ErrorCode::MissingKey,
                self.at,
                &self.child(key),
                format!("the key \"{key}\" is missing"),
                why,
                format!("add \"{key}:\""),
            );
        }
        found
    }
}

/// Text, unchanged.
pub(super) fn text<'n>(notes: &mut Notes<'_>, path: &str, node: &'n Node) -> Option<&'n str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    notes.wrong_type(node, path, "text (put it in quotes)");
    None
}

/// Text that parses as `T`.
pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
) -> Option<T> {
    let text = text(notes, path, node)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            bad_value(
                notes,
                path,
                node,
                text,
                &error.to_string(),
                "write a value of that form",
            );
            None
        }
    }
}

/// One of a few words.
pub(super) fn word<T: Copy + fmt::Display>(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
    words: &[T],
) -> Option<T> {
    let text = text(notes, path, node)?;
    let found = words.iter().copied().find(|word| word.to_string() == text);
    if found.is_none() {
        let spelled: Vec<String> = words.iter().map(ToString::to_string).collect();
        let refs: Vec<&str> = spelled.iter().map(String::as_str).collect();
        let fix = nearest(text, &refs).map_or_else(
            || "choose one of these".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        bad_value(
            notes,
            path,
            node,
            text,
            &format!("this key holds one of {}", spelled.join(", ")),
            &fix,
        );
    }
    found
}

/// `true` or `false`.
pub(super) fn truth(notes: &mut Notes<'_>, path: &str, node: &Node) -> Option<bool> {
    if let Value::Bool(value) = node.value {
        return Some(value);
    }
    notes.wrong_type(node, path, "true or false");
    None
}

/// A whole number within `range`.
pub(super) fn integer(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let Value::Integer(number) = node.value else {
        notes.wrong_type(node, path, "a whole number");
        return None;
    };
    if range.contains(&number) {
        return Some(number);
    }
    let why = format!(
        "this key holds a whole number from {} to {}",
        range.start(),
        range.end()
    );
    bad_value(
        notes,
        path,
        node,
        &number.to_string(),
        &why,
        "write a number in that range",
    );
    None
}

/// The items of a list of 1 to `max`, each with its path. A single value is not a list.
pub(super) fn items<'n>(
    notes: &mut Notes<'_>,
    path: &str,
    node: &'n Node,
    max: usize,
) -> Option<impl Iterator<Item = (String, &'n Node)> + use<'n>> {
    let Value::List(list) = &node.value else {
        notes.wrong_type(node, path, "a list");
        return None;
    };
    if list.is_empty() {
        let why = "an empty list permits nothing and looks as if it permitted everything";
        bad_value(
            notes,
            path,
            node,
            "[]",
            why,
            "name at least one value, or remove the key if it is optional",
        );
        return None;
    }
    if list.len() > max {
        notes.note(
            ErrorCode::TooMany,
            node.at,
            path,
            format!("the list has {} entries", list.len()),
            format!("this list has at most {max}"),
            "shorten it, or split the contract",
        );
        return None;
    }
    let path = path.to_owned();
    Some(
        list.iter()
            .enumerate()
            .map(move |(place, item)| (format!("{path}[{place}]"), item)),
    )
}

/// A list of 1 to `max` different values, read by `read`.
pub(super) fn set<T: Ord>(
    notes: &mut Notes<'_>,
    path: &str,
    node: &Node,
    max: usize,
    mut read: impl FnMut(&mut Notes<'_>, &str, &Node) -> Option<T>,
) -> Option<std::collections::BTreeSet<T>> {
    let mut set = std::collections::BTreeSet::new();
    let mut whole = true;
    for (path, item) in items(notes, path, node, max)? {
        match read(notes, &path, item) {
            Some(value) => {
                if !set.insert(value) {
                    duplicate(notes, &path, item.at, "this entry");
                }
            }
            None => whole = false,
        }
    }
    whole.then_some(set)
}

/// Notes a value that its key cannot hold.
pub(super) fn bad_value(notes: &mut Notes<'_>, path: &str, node: &Node, found: &str, why: &str, fix: &str) {
    let shown: String = found.chars().take(80).collect();
    notes.note(
        ErrorCode::BadValue,
        node.at,
        path,
        format!("found {shown:?}"),
        why,
        fix,
    );
}

/// Notes something that stands there twice.
pub(super) fn duplicate(notes: &mut Notes<'_>, path: &str, at: Position, what: &str) {
    notes.note(
        ErrorCode::Duplicate,
        at,
        path,
        format!("{what} stands here for the second time"),
        "two of the same leave open which one holds",
        "remove one of them",
    );
}

/// The known word closest to `word`, when it is close enough to be a slip.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .min()
        .filter(|(slips, candidate)| *slips <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements between two words (Levenshtein), the longer cut at 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, a) in left.chars().take(64).enumerate() {
        let mut above_left = place;
        let mut left_of = place + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&right) {
            let above = *slot;
            let replaced = above_left + usize::from(a != *b);
            *slot = replaced.min(above + 1).min(left_of + 1);
            above_left = above;
            left_of = *slot;
        }
        if let Some(first) = row.first_mut() {
            *first = place + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("acions", &["actions", "services"]), Some("actions"));
        assert_eq!(nearest("budgets", &["actions", "services"]), None);
    }
}
