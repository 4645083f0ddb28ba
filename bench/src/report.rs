//! What was measured, row by row; a row that was not says why.

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
    /// There is no number, and why.
    Nothing(String),
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
}

/// Rows with their measurements.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: HashMap<&'static str, Measured>,
    failed: bool,
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
        self.failed = true;
        for row in rows {
            self.put(row, Measured::Nothing(format!("the measurement failed: {why}")));
        }
    }

    /// Whether a measurement failed that should not have.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// The one object of `--json`.
    pub(crate) fn to_json(&self, short: bool) -> Value {
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
            Some(Measured::Nothing(why)) => json!({"why": why}),
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
        let json = report.to_json(true);
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
        assert!(report.has_failed());
    }

    #[test]
    fn a_number_without_a_floor_has_no_ratio() {
        let mut report = Report::default();
        report.put(&row::START, Measured::alone(120.0, ""));
        report.put(&row::APPEND, Measured::new(1.0, 0.0, ""));
        let json = report.to_json(false);
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
