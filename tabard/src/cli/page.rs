//! What people and programs see: tables or JSON on stdout, everything else on stderr.

use super::{Color, Failure, Form, Globals};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// The two streams of a command, and how it was asked to use them.
#[derive(Debug)]
pub(crate) struct Page {
    stdout: std::io::Stdout,
    form: Form,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
}

/// What a word means, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// Look here.
    Strong,
    /// Beside the point.
    Faint,
}

impl Page {
    pub(crate) fn new(globals: &Globals) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = |terminal: bool| match globals.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        };
        Self {
            stdout: std::io::stdout(),
            form: globals.output,
            quiet: globals.quiet,
            colour_out: colour(std::io::stdout().is_terminal()),
            colour_err: colour(std::io::stderr().is_terminal()),
        }
    }

    /// Whether data is wanted for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Text on stdout. A reader that went away ends nothing but the output.
    pub(crate) fn out(&self, text: &str) -> bool {
        let mut stdout = self.stdout.lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .is_ok()
    }

    /// A line on stdout.
    pub(crate) fn line(&self, text: &str) -> bool {
        self.out(&format!("{text}\n"))
    }

    /// A value on stdout.
    pub(crate) fn json(&self, value: &Value) {
        self.line(&format!("{value:#}"));
    }

    /// A line for people, unless they want quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            Self::err(text);
        }
    }

    /// A failure, always.
    pub(crate) fn failure(&self, failure: &Failure) {
        Self::err(&failure.text(|text| painted(self.colour_err, Tone::Bad, text)));
    }

    fn err(text: &str) {
        // Nobody can be told that stderr is closed.
        drop(std::io::stderr().lock().write_all(format!("{text}\n").as_bytes()));
    }

    /// A word for stdout.
    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        painted(self.colour_out, tone, text)
    }

    /// Columns with a head, widths by their content; the last column runs on.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count());
            cells
                .chain(head.get(column).map(|name| name.chars().count()))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let text = |row: &[String]| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head: Vec<String> = head.iter().map(|name| name.to_uppercase()).collect();
        self.line(&self.tone(Tone::Faint, &text(&head)));
        for row in rows {
            self.line(&text(row));
        }
    }
}

fn painted(colour: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Strong => "1",
        Tone::Faint => "2",
    };
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A member as text, whatever it is; a dash where there is nothing.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => other.to_string(),
    }
}

/// The elements of a list member.
pub(crate) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Legible: what an agent, an upstream or the author of a contract wrote steers no terminal, and looks like nothing else.
pub(crate) fn plain(text: &str) -> String {
    identity::legible::legible(text)
}

/// The texts of a list member.
pub(crate) fn texts(value: &Value, name: &str) -> Vec<String> {
    let texts = items(value, name).iter().filter_map(Value::as_str);
    texts.map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let value = serde_json::json!({"path": "/a\u{1b}[2Jb\n", "lines": ["10\u{202e}01", 7]});
        assert_eq!(text(&value, "path"), "/a[U+001B][2Jb[U+000A]");
        assert_eq!(texts(&value, "lines"), ["10[U+202E]01"]);
        assert_eq!(text(&value, "none"), "-");
    }
}
