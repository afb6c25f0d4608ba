//! What was measured, as a table for people and as JSON for programs.

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;

/// In what a figure is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Microseconds,
    /// Memory.
    Bytes,
    /// A rate.
    PerSecond,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Microseconds => "microseconds",
            Self::Bytes => "bytes",
            Self::PerSecond => "per second",
        }
    }
}

/// One figure, and the floor it is compared with.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Of both figures.
    pub unit: Unit,
    /// Of the host.
    pub value: f64,
    /// Of the least that must be done; none where there is no such thing.
    pub floor: Option<f64>,
}

impl Measure {
    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    fn as_json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "unit": self.unit.as_str(),
            "value": rounded(self.value),
            "floor": self.floor.map(rounded),
            "ratio": self.ratio().map(|ratio| (ratio * 1_000.0).round() / 1_000.0),
        })
    }
}

/// Three digits after the point are more than any of this is worth.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The table's first line.
pub fn head() {
    line("name", "value", "floor", "ratio", "unit", "aim");
}

/// A line of the table, as soon as it is known.
pub fn row(name: &str, measure: &Measure, aim: &str) {
    let digits = usize::from(measure.value < 1_000.0);
    let shown = |value: Option<f64>, digits: usize| match value {
        Some(value) => format!("{value:.digits$}"),
        None => "–".to_owned(),
    };
    line(
        name,
        &shown(Some(measure.value), digits),
        &shown(measure.floor, digits),
        &shown(measure.ratio(), 2),
        measure.unit.as_str(),
        aim,
    );
}

fn line(name: &str, value: &str, floor: &str, ratio: &str, unit: &str, aim: &str) {
    let line = format!("{name:<22} {value:>12} {floor:>12} {ratio:>6}  {unit:<12}  {aim}");
    println!("{}", line.trim_end());
}

/// Writes what was measured in this run.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, measures: &[(&str, Measure)]) -> anyhow::Result<()> {
    let list: Vec<Value> = measures
        .iter()
        .map(|(name, measure)| measure.as_json(name))
        .collect();
    let mut text = serde_json::to_string_pretty(&list)?;
    text.push('\n');
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What `measure` finds, which is found once for all rows that tell of it.
///
/// # Errors
/// As `measure`.
pub fn once<T: Clone>(
    known: &Mutex<Option<T>>,
    measure: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut known = known
        .lock()
        .map_err(|_| anyhow!("an earlier measurement panicked"))?;
    if let Some(found) = known.as_ref() {
        return Ok(found.clone());
    }
    let found = measure()?;
    *known = Some(found.clone());
    Ok(found)
}

/// The middle one.
///
/// # Errors
/// When there is none.
pub fn median(mut values: Vec<f64>) -> anyhow::Result<f64> {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len() / 2)
        .copied()
        .context("nothing was measured")
}
