//! Counting steps: what passed, what failed, what was skipped and why.

use crate::json;
use std::process::ExitCode;
use std::time::Instant;

/// How one step ended.
pub enum Ended {
    /// It did what it should.
    Passed,
    /// It could not be run here; the text says what is missing.
    Skipped(String),
}

/// One row of the result.
struct Row {
    name: String,
    secs: f64,
    ended: Result<Ended, String>,
}

/// The steps so far.
pub struct Tally {
    rows: Vec<Row>,
    ci: bool,
}

impl Tally {
    /// Nothing ran yet. Under `ci` a skipped step counts as failed.
    pub fn new(ci: bool) -> Self {
        Self { rows: Vec::new(), ci }
    }

    /// Runs one step and says how it ended.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Ended, String>) {
        eprintln!("── {name}");
        let begun = Instant::now();
        let ended = match work() {
            Ok(Ended::Skipped(why)) if self.ci => Err(format!("{why} (a skipped step fails under CI=true)")),
            other => other,
        };
        let secs = begun.elapsed().as_secs_f64();
        match &ended {
            Ok(Ended::Passed) => eprintln!("ok {name} ({secs:.1} s)"),
            Ok(Ended::Skipped(why)) => eprintln!("skipped {name}: {why}"),
            Err(why) => eprintln!("FAILED {name}: {why}"),
        }
        self.rows.push(Row {
            name: name.to_owned(),
            secs,
            ended,
        });
    }

    /// A step that either passes or fails.
    pub fn must(&mut self, name: &str, work: impl FnOnce() -> Result<(), String>) {
        self.step(name, || work().map(|()| Ended::Passed));
    }

    /// Repeats the failures for the reader, then prints the closing line (or the JSON object) to stdout.
    pub fn close(self, as_json: bool) -> ExitCode {
        for row in &self.rows {
            if let Err(why) = &row.ended {
                eprintln!("FAILED {}: {why}", row.name);
            }
        }
        let failed = self.rows.iter().filter(|row| row.ended.is_err()).count();
        let skipped = self
            .rows
            .iter()
            .filter(|row| matches!(row.ended, Ok(Ended::Skipped(_))))
            .count();
        let passed = self.rows.len() - failed - skipped;
        if as_json {
            println!("{}", self.to_json(passed, failed, skipped));
        } else {
            println!("steps: {passed} passed, {failed} failed, {skipped} skipped");
        }
        // Nothing run is not a success.
        if failed == 0 && passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn to_json(&self, passed: usize, failed: usize, skipped: usize) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let (outcome, why) = match &row.ended {
                    Ok(Ended::Passed) => ("passed", ""),
                    Ok(Ended::Skipped(why)) => ("skipped", why.as_str()),
                    Err(why) => ("failed", why.as_str()),
                };
                format!(
                    "{{\"name\":{},\"outcome\":\"{outcome}\",\"secs\":{:.3},\"why\":{}}}",
                    json::text(&row.name),
                    row.secs,
                    json::text(why)
                )
            })
            .collect();
        format!(
            "{{\"passed\":{passed},\"failed\":{failed},\"skipped\":{skipped},\"steps\":[{}]}}",
            rows.join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipping(ci: bool) -> Tally {
        let mut tally = Tally::new(ci);
        tally.must("one", || Ok(()));
        tally.step("two", || Ok(Ended::Skipped("no \"npm\"".to_owned())));
        tally
    }

    #[test]
    fn a_missing_tool_is_skipped_for_people_and_fails_in_ci() {
        let people = skipping(false).to_json(1, 0, 1);
        assert!(people.contains("\"outcome\":\"skipped\""), "{people}");
        assert!(people.contains("no \\\"npm\\\""), "{people}");
        assert!(skipping(true).rows.iter().any(|row| row.ended.is_err()));
    }
}
