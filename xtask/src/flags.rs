//! Flags of a command: `--name`, or `--name N` for those declared with a trailing `=`.

/// What was given. Unknown flags and bad numbers are refused when parsing.
pub struct Flags {
    given: Vec<(String, Option<u64>)>,
}

impl Flags {
    /// Parses `arguments`; `known` lists the flags, `"--rounds="` being one that takes a whole number.
    pub fn parse(arguments: &[String], known: &[&str]) -> Result<Self, String> {
        let mut given = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            if known.contains(&name) && inline.is_none() {
                given.push((name.to_owned(), None));
            } else if known.contains(&format!("{name}=").as_str()) {
                let value = inline.or_else(|| rest.next().cloned());
                let number = value.as_deref().and_then(|text| text.parse().ok());
                let number = number.ok_or(format!("{name} needs a whole number"))?;
                given.push((name.to_owned(), Some(number)));
            } else {
                return Err(format!(
                    "unknown option \"{argument}\"; known here: {}",
                    known.join(" ")
                ));
            }
        }
        Ok(Self { given })
    }

    /// Whether the flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| given == name)
    }

    /// The number given with the flag; the last one counts.
    pub fn number(&self, name: &str) -> Option<u64> {
        let last = self.given.iter().rev().find(|(given, _)| given == name);
        last.and_then(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, known: &[&str]) -> Result<Flags, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Flags::parse(&words, known)
    }

    #[test]
    fn numbers_come_after_a_space_or_an_equals_sign() {
        let known = ["--json", "--rounds="];
        assert_eq!(parse("--rounds 7", &known).unwrap().number("--rounds"), Some(7));
        let both = parse("--json --rounds=9", &known).unwrap();
        assert!(both.has("--json"));
        assert_eq!(both.number("--rounds"), Some(9));
    }

    #[test]
    fn a_misspelt_flag_is_refused() {
        assert!(parse("--jsn", &["--json"]).is_err());
        assert!(parse("--rounds many", &["--rounds="]).is_err());
        assert!(parse("--json=yes", &["--json"]).is_err());
    }
}
