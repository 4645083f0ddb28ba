//! One sentence a key that differs, with its direction by the declared order of that key.

use std::collections::BTreeSet;
use std::fmt;

/// What a change does to what an agent may do. What cannot be compared is a widening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// Nothing: words for people, or the same said differently.
    Neutral,
    /// It may do less.
    Narrowing,
    /// It may do more, or nothing shows that it may not.
    Widening,
}

impl Direction {
    /// The spelling in records and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Narrowing => "narrowing",
            Self::Widening => "widening",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One key that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The key, as in `Contract::line`.
    pub path: String,
    /// What the change of it does.
    pub direction: Direction,
    /// What that means, in words.
    pub sentence: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.direction, self.sentence, self.path)
    }
}

/// In which direction more of something is wider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wider {
    More,
    Less,
}

/// The sentences so far.
#[derive(Default, Debug)]
pub(super) struct Lines(Vec<Difference>);

impl Lines {
    pub(super) fn add(&mut self, path: &str, direction: Direction, sentence: impl Into<String>) {
        self.0.push(Difference {
            path: path.to_owned(),
            direction,
            sentence: sentence.into(),
        });
    }

    /// A key whose order says that `more` of it is wider, or narrower.
    pub(super) fn ordered<T: Ord + fmt::Display>(
        &mut self,
        path: &str,
        (old, new): (&T, &T),
        wider: Wider,
        what: &str,
    ) {
        let direction = match (old.cmp(new), wider) {
            (std::cmp::Ordering::Equal, _) => return,
            (std::cmp::Ordering::Less, Wider::More) | (std::cmp::Ordering::Greater, Wider::Less) => {
                Direction::Widening
            }
            _ => Direction::Narrowing,
        };
        self.add(path, direction, format!("{what} {new} instead of {old}"));
    }

    /// A limit that may be left out, which is wider than any.
    pub(super) fn at_most<T: Ord + fmt::Display>(
        &mut self,
        path: &str,
        (old, new): (Option<&T>, Option<&T>),
        what: &str,
    ) {
        match (old, new) {
            (None, None) => {}
            (Some(old), Some(new)) => self.ordered(path, (old, new), Wider::More, what),
            (Some(old), None) => {
                let sentence = format!("{what} no longer limited, was {old}");
                self.add(path, Direction::Widening, sentence);
            }
            (None, Some(new)) => {
                let sentence = format!("{what} {new} instead of unlimited");
                self.add(path, Direction::Narrowing, sentence);
            }
        }
    }

    /// A set: what was added, and what was taken away.
    pub(super) fn set<T: Ord + fmt::Display>(
        &mut self,
        path: &str,
        (old, new): (&BTreeSet<T>, &BTreeSet<T>),
        wider: Wider,
        (added, removed): (&str, &str),
    ) {
        let (more, less) = match wider {
            Wider::More => (Direction::Widening, Direction::Narrowing),
            Wider::Less => (Direction::Narrowing, Direction::Widening),
        };
        let fresh = list(new.difference(old));
        if !fresh.is_empty() {
            self.add(path, more, format!("{added} {fresh}"));
        }
        let gone = list(old.difference(new));
        if !gone.is_empty() {
            self.add(path, less, format!("{removed} {gone}"));
        }
    }

    /// Words for people: nothing depends on them.
    pub(super) fn words<T: PartialEq>(&mut self, path: &str, (old, new): (&T, &T), what: &str) {
        if old != new {
            self.add(path, Direction::Neutral, what);
        }
    }

    /// Whether anything was said of `key` or of what is below it.
    pub(super) fn speaks_of(&self, key: &str) -> bool {
        self.0.iter().any(|line| {
            line.path
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Whether anything but words was said of `key` or of what is below it.
    pub(super) fn alters(&self, key: &str) -> bool {
        self.0.iter().any(|line| {
            let below = line.path.strip_prefix(key);
            line.direction != Direction::Neutral
                && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// All of them, widenings first, each in the order of the contract.
    pub(super) fn done(mut self) -> Vec<Difference> {
        self.0.sort_by_key(|line| std::cmp::Reverse(line.direction));
        self.0
    }
}

/// The items, as people list them.
pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
