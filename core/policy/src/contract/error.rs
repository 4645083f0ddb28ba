//! What is wrong with a contract: where, what, why and how to put it right.

use std::fmt;

/// One mistake in a contract. A publisher sees all of them at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractError {
    /// Which rule was broken.
    pub code: ErrorCode,
    /// The name the caller gave to the text, usually its file name.
    pub file: String,
    /// One-based line.
    pub line: u32,
    /// One-based column, in characters.
    pub column: u32,
    /// The key, written from the top: `grants[0].actions`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// Why that is refused.
    pub why: String,
    /// What to write instead.
    pub fix: String,
}

/// The rules of the contract loader and compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// More bytes than [`super::BYTES_MAX`].
    TooLarge,
    /// Not UTF-8, not YAML, a duplicate key, an anchor or alias, or too deeply nested.
    NotReadable,
    /// A key that this version does not know.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A list where text was expected, and the like.
    WrongType,
    /// Right type, but not a value this key can hold.
    BadValue,
    /// The same grant id, window or list entry twice.
    Duplicate,
    /// More entries than the limit that the message names.
    TooMany,
    /// A grant that depends on what the agent or an upstream merely says.
    AssertedFact,
    /// The policy engine refused what was compiled from it.
    NotCompilable,
}

impl ErrorCode {
    /// The stable spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "TOO_LARGE",
            Self::NotReadable => "NOT_READABLE",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::MissingKey => "MISSING_KEY",
            Self::WrongType => "WRONG_TYPE",
            Self::BadValue => "BAD_VALUE",
            Self::Duplicate => "DUPLICATE",
            Self::TooMany => "TOO_MANY",
            Self::AssertedFact => "ASSERTED_FACT",
            Self::NotCompilable => "NOT_COMPILABLE",
        }
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file,
            self.line,
            self.column,
            self.code.as_str()
        )?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}; {}. Fix: {}.", self.what, self.why, self.fix)
    }
}

impl std::error::Error for ContractError {}
