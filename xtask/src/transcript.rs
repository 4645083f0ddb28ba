//! Terminal transcripts in Markdown: what was typed, what came back. Reading them, and comparing with the truth.
//!
//! A block fenced as `console` holds commands (`$ …`, continued after a trailing backslash) and what they print.
//! In expected output `…` stands for any text, and a line that is only `…` for any number of lines. A line
//! `[exit N]` says how the command ended (0 if absent). In a command, `dec_…` is the last such id printed before.

/// One command of a transcript.
#[derive(Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The line of the file it stands on, from 1.
    pub line: usize,
    /// What is typed.
    pub command: String,
    /// What is printed, with `…`.
    pub expected: Vec<String>,
    /// The exit code.
    pub code: i32,
}

/// All commands of all `console` blocks, in order.
pub fn parse(markdown: &str) -> Result<Vec<Exchange>, String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut inside = false;
    let mut open_command = false;
    for (number, line) in markdown.lines().enumerate() {
        let line_number = number + 1;
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```console";
            open_command = false;
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            open_command = command.ends_with('\\');
            exchanges.push(Exchange {
                line: line_number,
                command: command.trim_end_matches('\\').to_owned(),
                expected: Vec::new(),
                code: 0,
            });
        } else if inside {
            let Some(last) = exchanges.last_mut() else {
                return Err(format!(
                    "line {line_number}: a console block begins with a command"
                ));
            };
            if open_command {
                open_command = line.ends_with('\\');
                last.command.push_str(line.trim_end_matches('\\').trim_start());
            } else if let Some(code) = line
                .strip_prefix("[exit ")
                .and_then(|rest| rest.strip_suffix(']'))
            {
                last.code = code
                    .parse()
                    .map_err(|_| format!("line {line_number}: [exit N]"))?;
            } else {
                last.expected.push(line.trim_end().to_owned());
            }
        }
    }
    Ok(exchanges)
}

/// The command with every `prefix_…` replaced by the last id of that prefix in `printed`.
pub fn fill_in(command: &str, printed: &str) -> Result<String, String> {
    let mut words = Vec::new();
    for word in command.split(' ') {
        let Some(prefix) = word.strip_suffix('…') else {
            words.push(word.to_owned());
            continue;
        };
        let id =
            last_id(prefix, printed).ok_or(format!("nothing printed before begins with \"{prefix}\""))?;
        words.push(id.to_owned());
    }
    Ok(words.join(" "))
}

/// The last word in `printed` that is `prefix` and 26 letters and digits.
fn last_id<'a>(prefix: &str, printed: &'a str) -> Option<&'a str> {
    printed
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .rfind(|word| word.strip_prefix(prefix).is_some_and(|rest| rest.len() == 26))
}

/// The first expected line that the output does not have in its place; `None` when all fits.
pub fn difference(expected: &[String], printed: &str) -> Option<String> {
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    let mut deepest = 0;
    if fits(expected, &printed, 0, &mut deepest) {
        return None;
    }
    Some(match expected.get(deepest) {
        Some(line) => format!("expected here: {line}"),
        None => "more was printed than the transcript shows".to_owned(),
    })
}

fn fits(expected: &[String], printed: &[&str], at: usize, deepest: &mut usize) -> bool {
    *deepest = (*deepest).max(at);
    match (expected.get(at).map(String::as_str), printed) {
        (None, rest) => rest.is_empty(),
        (Some("…"), rest) => (0..=rest.len()).any(|skip| fits(expected, &rest[skip..], at + 1, deepest)),
        (Some(_), []) => false,
        (Some(line), [first, rest @ ..]) => line_fits(line, first) && fits(expected, rest, at + 1, deepest),
    }
}

fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(place) = rest.find(part) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
text
```console
$ tabard run --as x -- \\
    curl -s y
  ✗ denied … decision dec_…
[exit 113]
$ tabard explain dec_…
…
```
```sh
$ not a transcript
```
";

    #[test]
    fn commands_expected_lines_and_exit_codes_are_read() {
        let exchanges = parse(PAGE).unwrap();
        assert_eq!(exchanges.len(), 2);
        assert_eq!(exchanges[0].command, "tabard run --as x -- curl -s y");
        assert_eq!((exchanges[0].line, exchanges[0].code), (3, 113));
        assert_eq!(exchanges[1].expected, ["…"]);
    }

    #[test]
    fn an_id_in_a_command_is_the_last_one_printed() {
        let printed = "dec_00000000000000000000000000 then (dec_01KC0000000000000000000000).";
        assert_eq!(
            fill_in("tabard explain dec_… -o json", printed).unwrap(),
            "tabard explain dec_01KC0000000000000000000000 -o json"
        );
        assert!(fill_in("tabard explain apr_…", printed).is_err());
    }

    #[test]
    fn output_that_lacks_a_line_or_has_one_too_many_is_found() {
        let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(difference(&expected("a … c\n…\nend"), "a b c\nx\ny\nend"), None);
        assert_eq!(
            difference(&expected("a"), "a\nb").as_deref(),
            Some("more was printed than the transcript shows")
        );
        assert_eq!(
            difference(&expected("a\nb"), "a").as_deref(),
            Some("expected here: b")
        );
        assert_eq!(
            difference(&expected("x …"), "y").as_deref(),
            Some("expected here: x …")
        );
        assert!(difference(&expected("ab…ba"), "aba").is_some());
    }
}
