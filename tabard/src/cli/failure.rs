//! How a command fails: a code, what, why and a fix on stderr, and one of the promised exit codes.

use crate::context::ContextError;
use serde_json::Value;
use std::process::ExitCode;

/// The promised exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Something failed that is none of the below.
    Error = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A contract, a role or a revocation says no.
    Denied = 3,
    /// Nothing but a human's yes is missing.
    Pending = 4,
    /// Nobody answers.
    Unreachable = 6,
    /// What it was to be done with has ended, or was revoked.
    Over = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    what: String,
    why: Option<String>,
    fix: Option<String>,
    decision: Option<String>,
    places: Vec<String>,
    exit: Exit,
}

impl Failure {
    /// An error with a code and what is wrong.
    pub(crate) fn new(code: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            what: what.into(),
            why: None,
            fix: None,
            decision: None,
            places: Vec::new(),
            exit: Exit::Error,
        }
    }
    /// The code, for tests.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
    /// Why.
    #[must_use]
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into()).filter(|why| !why.is_empty());
        self
    }
    /// What to do.
    #[must_use]
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into()).filter(|fix| !fix.is_empty());
        self
    }
    /// Another exit code than 1.
    #[must_use]
    pub(crate) const fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
    /// Places in a document, one line each.
    #[must_use]
    pub(crate) fn at(mut self, places: impl IntoIterator<Item = String>) -> Self {
        self.places.extend(places);
        self
    }
    /// The exit code.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// A problem document of the admin plane.
    pub(crate) fn of_problem(status: u16, problem: &Value) -> Self {
        let text = |name: &str| {
            problem
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let code = Some(text("code")).filter(|code| !code.is_empty());
        let mut failure = Self::new(code.unwrap_or_else(|| format!("HTTP_{status}")), text("title"))
            .because(text("detail"))
            .fix(text("fix"));
        failure.decision = problem.get("decision").and_then(Value::as_str).map(str::to_owned);
        failure.exit = match status {
            403 => Exit::Denied,
            503 => Exit::Unreachable,
            _ => Exit::Error,
        };
        let mistakes = problem
            .get("mistakes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        failure.at(mistakes.map(|mistake| {
            let text = |name: &str| mistake.get(name).and_then(Value::as_str).unwrap_or_default();
            let number = |name: &str| mistake.get(name).and_then(Value::as_u64).unwrap_or_default();
            let path = Some(text("path")).filter(|path| !path.is_empty());
            let at = path.map(|path| format!(" at {path}")).unwrap_or_default();
            format!(
                "{}:{}:{}{at}: {}; {}. Fix: {}.",
                text("file"),
                number("line"),
                number("column"),
                text("what"),
                text("why"),
                text("fix")
            )
        }))
    }

    /// The text for stderr, without a line feed at its end.
    pub(crate) fn text(&self, paint: impl Fn(&str) -> String) -> String {
        let mut lines = vec![format!("{} {}", paint(&format!("✗ {}", self.code)), self.what)];
        lines.extend(self.places.iter().map(|place| format!("  {place}")));
        let labelled = [
            ("why", self.why.clone()),
            ("fix", self.fix.clone()),
            (
                "explain",
                self.decision.as_ref().map(|id| format!("tabard explain {id}")),
            ),
        ];
        for (label, text) in labelled {
            lines.extend(text.map(|text| format!("  {:<9}{text}", format!("{label}:"))));
        }
        lines.join("\n")
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let (code, fix, exit) = match &error {
            ContextError::NoFile(_) => (
                "NO_CONTEXT",
                "Start one with `tabard dev`; it writes the context for every other terminal of yours.",
                Exit::Unreachable,
            ),
            ContextError::Unknown { .. } => ("UNKNOWN_CONTEXT", "Choose one with --context.", Exit::Usage),
            ContextError::Name(..) => ("CONTEXT_NAME", "Choose another name.", Exit::Usage),
            ContextError::NoHome => (
                "NO_HOME",
                "Set TABARD_CONFIG_DIR to a folder of yours.",
                Exit::Error,
            ),
            ContextError::Malformed { .. } | ContextError::Io { .. } => (
                "CONTEXT_FILE",
                "Repair or remove the file; a server writes it again.",
                Exit::Error,
            ),
        };
        Self::new(code, error.to_string()).fix(fix).ending(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_the_server_becomes_a_message_with_places_and_an_exit_code() {
        let problem = serde_json::json!({
            "status": 422, "code": "DOCUMENT_INVALID", "title": "The manifest has 1 mistake.", "detail": "Nothing of it was applied.",
            "fix": "Correct the places below.",
            "mistakes": [{"file": "a.yaml", "line": 3, "column": 5, "path": "owner", "what": "owner is empty", "why": "somebody answers", "fix": "fill it in"}]
        });
        let failure = Failure::of_problem(422, &problem);
        assert_eq!(failure.exit(), Exit::Error);
        assert_eq!(
            failure.text(str::to_owned),
            "✗ DOCUMENT_INVALID The manifest has 1 mistake.\n  a.yaml:3:5 at owner: owner is empty; somebody answers. Fix: fill it in.\n  why:     Nothing of it was applied.\n  fix:     Correct the places below."
        );
    }

    #[test]
    fn a_refusal_by_role_ends_with_3_and_its_decision() {
        let problem = serde_json::json!({"code": "ADMIN_ROLE", "title": "No.", "decision": "dec_1"});
        let failure = Failure::of_problem(403, &problem);
        assert_eq!(failure.exit(), Exit::Denied);
        assert!(
            failure
                .text(str::to_owned)
                .ends_with("explain: tabard explain dec_1")
        );
    }
}
