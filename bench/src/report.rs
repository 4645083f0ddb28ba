//! What was measured, row by row; a row that was not says why.

use crate::effort::{Depth, Effort};
use crate::fault::Fault;
use crate::row::{self, Of, Row};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// The measurement of one row.
#[derive(Clone, Debug)]
pub(crate) enum Measured {
    /// In the row's unit, with the floor of the same run where there is one.
    Number {
        /// What it costs.
        value: f64,
        /// What it cannot cost less than.
        floor: Option<f64>,
        /// What the numbers were taken over.
        note: String,
    },
    /// There is no number, for something is not there to be measured: what.
    Nothing(String),
    /// There is no number, and there should be: why.
    Failed(String),
}

impl Measured {
    pub(crate) fn new(value: f64, floor: f64, note: impl Into<String>) -> Self {
        Self::Number {
            value,
            floor: Some(floor),
            note: note.into(),
        }
    }
    pub(crate) fn alone(value: f64, note: impl Into<String>) -> Self {
        Self::Number {
            value,
            floor: None,
            note: note.into(),
        }
    }
    pub(crate) fn failed(why: &Fault) -> Self {
        Self::Failed(format!("the measurement failed: {why}"))
    }
}

/// How the measurement of a row ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ended<'r> {
    Measured,
    /// It could not be made here: what is missing.
    Skipped(&'r str),
    /// It should have been.
    Failed(&'r str),
}

/// Rows with their measurements.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: HashMap<&'static str, Measured>,
}

impl Report {
    pub(crate) fn put(&mut self, row: &Row, measured: Measured) {
        self.rows.insert(row.name, measured);
    }

    /// Takes the outcome of one measurement in, which fills `rows` or says why it could not.
    pub(crate) fn take<const N: usize>(&mut self, rows: [&Row; N], outcome: Result<[Measured; N], Fault>) {
        match outcome {
            Ok(measured) => rows.iter().zip(measured).for_each(|(row, it)| self.put(row, it)),
            Err(why) => self.fail(rows, &why),
        }
    }

    /// `rows` could not be measured.
    pub(crate) fn fail<'r>(&mut self, rows: impl IntoIterator<Item = &'r Row>, why: &Fault) {
        for row in rows {
            self.put(row, Measured::failed(why));
        }
    }

    /// How each row ended that was asked for, in the order of the table. One that no measurement filled has failed.
    pub(crate) fn ended(&self, effort: Effort<'_>) -> Vec<(&'static str, Ended<'_>)> {
        let wanted = row::ALL.into_iter().filter(|row| effort.wants(&[row]));
        wanted
            .map(|row| {
                let ended = match self.rows.get(row.name) {
                    Some(Measured::Number { value, .. }) if value.is_finite() => Ended::Measured,
                    Some(Measured::Number { .. }) => Ended::Failed("what was measured is no number"),
                    Some(Measured::Nothing(why)) => Ended::Skipped(why),
                    Some(Measured::Failed(why)) => Ended::Failed(why),
                    None => Ended::Failed("no measurement fills this row"),
                };
                (row.name, ended)
            })
            .collect()
    }

    /// Which rows should have been measured and were not, and why.
    pub(crate) fn broken(&self, effort: Effort<'_>) -> Option<String> {
        let ended = self.ended(effort);
        let broken: Vec<String> = ended
            .iter()
            .filter_map(|(name, ended)| match ended {
                Ended::Failed(why) => Some(format!("{name} ({why})")),
                Ended::Measured | Ended::Skipped(_) => None,
            })
            .collect();
        let (some, all) = (broken.len(), ended.len());
        (some > 0).then(|| {
            format!(
                "{some} of {all} rows could not be measured: {}",
                broken.join(", ")
            )
        })
    }

    /// A line a row, for a program: how it ended and no number.
    pub(crate) fn write_ended(&self, effort: Effort<'_>, out: &mut impl Write) -> io::Result<()> {
        for (name, ended) in self.ended(effort) {
            match ended {
                Ended::Measured => writeln!(out, "ok {name}")?,
                Ended::Skipped(why) => writeln!(out, "skipped {name}: {}", in_one_line(why))?,
                Ended::Failed(why) => writeln!(out, "FAILED {name}: {}", in_one_line(why))?,
            }
        }
        Ok(())
    }

    /// The one object of `--json`.
    pub(crate) fn to_json(&self, depth: Depth) -> Value {
        let short = depth != Depth::Full;
        let paths: Vec<Value> = row::ALL.iter().map(|row| self.path(row)).collect();
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        json!({"paths": paths, "short": short, "cpus": cpus})
    }

    fn path(&self, row: &Row) -> Value {
        let budget_of = match row.of {
            Of::Ratio => "ratio",
            Of::Value => "value",
        };
        let mut path = json!({
            "name": row.name, "value": null, "unit": row.unit, "floor": null, "ratio": null,
            "budget": row.budget, "budget_of": budget_of,
        });
        let more = match self.rows.get(row.name) {
            Some(Measured::Number { value, floor, note }) => json!({
                "value": rounded(*value),
                "floor": floor.map(rounded),
                "ratio": floor.and_then(|floor| ratio(*value, floor)).map(rounded),
                "note": note,
            }),
            Some(Measured::Nothing(why) | Measured::Failed(why)) => json!({"why": why}),
            None => json!({"why": "not asked for"}),
        };
        if let (Some(path), Value::Object(more)) = (path.as_object_mut(), more) {
            path.extend(more);
        }
        path
    }

    /// For people.
    pub(crate) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<34} {:>10} {:>7} {:>10} {:>7}  budget",
            "path", "value", "unit", "floor", "ratio"
        )?;
        for row in row::ALL {
            let path = self.path(row);
            let number = |key: &str| {
                let number = path.get(key).and_then(Value::as_f64);
                number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"))
            };
            let text = |key: &str| {
                path.get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let (value, floor, ratio) = (number("value"), number("floor"), number("ratio"));
            let budget = match row.of {
                Of::Ratio => format!("{} x", row.budget),
                Of::Value => format!("{} {}", row.budget, row.unit),
            };
            writeln!(
                out,
                "{:<34} {value:>10} {:>7} {floor:>10} {ratio:>7}  {budget:<8} {}{}",
                row.name,
                row.unit,
                text("note"),
                text("why")
            )?;
        }
        Ok(())
    }
}

fn in_one_line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `None` for a floor of nothing.
fn ratio(value: f64, floor: f64) -> Option<f64> {
    (floor > 0.0).then(|| value / floor)
}

/// Three digits after the point: more would be noise.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_every_report_and_an_empty_one_says_why() {
        let mut report = Report::default();
        report.put(&row::DECISION, Measured::new(30.0, 20.0, "n"));
        report.put(&row::DECISION_HTTP, Measured::Nothing("no".into()));
        report.take([&row::START, &row::RSS], Err("broken".into()));
        let json = report.to_json(Depth::Short);
        let paths = json["paths"].as_array().unwrap();
        assert_eq!(paths.len(), row::ALL.len());
        let of = |name: &str| paths.iter().find(|path| path["name"] == name).unwrap();
        assert_eq!(of("decision_in_process")["ratio"], 1.5);
        assert_eq!(of("decision_in_process")["budget"], 2.5);
        assert!(of("decision_in_process").get("why").is_none());
        for path in paths.iter().filter(|path| path["value"].is_null()) {
            assert!(
                path["why"].is_string() && path["ratio"].is_null() && path["floor"].is_null(),
                "{path}"
            );
        }
        assert_eq!(of("rss_100k_agents")["why"], "the measurement failed: broken");
    }

    #[test]
    fn a_row_that_broke_is_told_from_one_whose_peer_is_not_there_and_one_that_was_forgotten() {
        let mut report = Report::default();
        report.put(&row::DECISION, Measured::new(30.0, 20.0, "n"));
        report.put(&row::DECISION_HTTP, Measured::new(f64::NAN, 20.0, "n"));
        report.put(&row::DECISION_CERBOS, Measured::Nothing("not installed".into()));
        report.take([&row::DECISION_STATE], Err("broken".into()));
        let effort = Effort {
            depth: Depth::Smoke,
            only: "decision_",
        };
        let ended = report.ended(effort);
        assert_eq!(
            ended,
            [
                ("decision_in_process", Ended::Measured),
                (
                    "decision_all_state_p99",
                    Ended::Failed("the measurement failed: broken")
                ),
                (
                    "decision_100_to_100k_agents",
                    Ended::Failed("no measurement fills this row")
                ),
                (
                    "decision_over_http",
                    Ended::Failed("what was measured is no number")
                ),
                ("decision_over_http_cerbos", Ended::Skipped("not installed")),
            ]
        );
        let broken = report.broken(effort).unwrap();
        assert!(
            broken.starts_with("3 of 5 rows could not be measured: decision_all_state_p99 (the"),
            "{broken}"
        );
        let mut out = Vec::new();
        report.write_ended(effort, &mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        assert!(
            lines.starts_with("ok decision_in_process\nFAILED decision_all_state_p99: the"),
            "{lines}"
        );
        assert!(
            lines.ends_with("skipped decision_over_http_cerbos: not installed\n"),
            "{lines}"
        );
    }

    #[test]
    fn a_run_of_rows_that_are_all_measured_or_skipped_is_not_broken() {
        let mut report = Report::default();
        report.put(&row::START, Measured::alone(120.0, ""));
        let effort = Effort {
            depth: Depth::Smoke,
            only: "start",
        };
        assert_eq!(report.broken(effort), None);
    }

    #[test]
    fn a_number_without_a_floor_has_no_ratio() {
        let mut report = Report::default();
        report.put(&row::START, Measured::alone(120.0, ""));
        report.put(&row::APPEND, Measured::new(1.0, 0.0, ""));
        let json = report.to_json(Depth::Full);
        let paths = json["paths"].as_array().unwrap();
        let of = |name: &str| paths.iter().find(|path| path["name"] == name).unwrap();
        assert_eq!(
            (
                &of("start_100k_agents")["value"],
                &of("start_100k_agents")["ratio"]
            ),
            (&json!(120.0), &Value::Null)
        );
        assert_eq!(of("log_append_durable")["ratio"], Value::Null);
        let mut table = Vec::new();
        report.write_table(&mut table).unwrap();
        assert_eq!(
            String::from_utf8(table).unwrap().lines().count(),
            row::ALL.len() + 1
        );
    }
}
