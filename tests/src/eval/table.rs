//! Measurements as CloudWatch exports them: three header rows (component, metric, statistic), then a row per interval.

use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Of what a series is: component, metric (`latency`, …), statistic (`Average`, `p99`, `Sum`, …).
pub type Key = (String, String, String);

/// A file of measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Columns with at least one value, in the order of the file: seconds since 1970, and what was measured then. What
    /// was not measured is not there.
    pub series: Vec<(Key, Vec<(f64, f64)>)>,
    /// The times of the rows in seconds since 1970, ascending.
    pub times: Vec<f64>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no such table; the message names the file and the row.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is not a table of metrics", path.display()))
    }

    /// Parses a file's bytes.
    ///
    /// # Errors
    /// When it is no such table; the message names the row.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let (mut headers, mut rows) = (Vec::new(), Vec::new());
        for (number, record) in records(bytes).enumerate() {
            let record = record?;
            match record.get(0).and_then(moment) {
                Some(time) => rows.push((time, record)),
                None if rows.is_empty() => headers.push(record),
                None if record.iter().all(|cell| cell.trim().is_empty()) => {}
                None => bail!("row {} does not begin with a time", number + 1),
            }
        }
        if rows.is_empty() {
            bail!("no row begins with a time in seconds since 1970");
        }
        rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let keys = keys(&headers)?;
        // A column that is there twice is one series: where both have a value, the first one counts.
        let mut series: Vec<(Key, BTreeMap<u64, f64>)> = Vec::new();
        let mut places = BTreeMap::new();
        for (column, key) in keys {
            let place = *places.entry(key.clone()).or_insert_with(|| {
                series.push((key, BTreeMap::new()));
                series.len() - 1
            });
            for (time, record) in &rows {
                if let Some(value) = record.get(column).and_then(number) {
                    // Times are positive, so their bits are in their order.
                    series[place].1.entry(time.to_bits()).or_insert(value);
                }
            }
        }
        let points = |map: BTreeMap<u64, f64>| {
            map.into_iter()
                .map(|(time, value)| (f64::from_bits(time), value))
                .collect::<Vec<_>>()
        };
        let mut times: Vec<f64> = rows.iter().map(|(time, _)| *time).collect();
        times.dedup();
        Ok(Self {
            series: series
                .into_iter()
                .map(|(key, map)| (key, points(map)))
                .filter(|(_, points)| !points.is_empty())
                .collect(),
            times,
        })
    }

    /// The time that it covers: from its first row to the end of its last one's interval.
    pub fn window(&self) -> (f64, f64) {
        let first = self.times.first().copied().unwrap_or_default();
        let last = self.times.last().copied().unwrap_or_default();
        (first, last + self.interval())
    }

    /// Seconds between two rows: the median, since rows may be missing.
    fn interval(&self) -> f64 {
        let mut gaps: Vec<f64> = self
            .times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or(300.0)
    }

    /// Components that were measured.
    pub fn components(&self) -> BTreeSet<&str> {
        self.series
            .iter()
            .map(|((name, ..), _)| name.as_str())
            .collect()
    }
}

/// The rows of a file, whatever their lengths.
pub(super) fn records(bytes: &[u8]) -> impl Iterator<Item = csv::Result<csv::StringRecord>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes)
        .into_records()
}

/// What the columns are, by the three header rows.
fn keys(headers: &[csv::StringRecord]) -> anyhow::Result<Vec<(usize, Key)>> {
    let header = |name: &str, position: usize| {
        let named = |row: &&csv::StringRecord| row.get(0).is_some_and(|first| first.trim() == name);
        let found = headers.iter().find(named).or_else(|| headers.get(position));
        found.with_context(|| format!("header row {} (`{name}`) is missing", position + 1))
    };
    let rows = [
        header("microservice", 0)?,
        header("metric", 1)?,
        header("statistic", 2)?,
    ];
    let mut keys = Vec::new();
    for column in 1..rows[0].len() {
        let [component, metric, statistic] =
            rows.map(|row| row.get(column).unwrap_or_default().trim().to_owned());
        if component.is_empty() || metric.is_empty() || statistic.is_empty() {
            bail!(
                "column {} lacks a component, metric or statistic",
                column + 1
            );
        }
        keys.push((column, (component, metric, statistic)));
    }
    Ok(keys)
}

/// A moment in seconds since 1970.
fn moment(cell: &str) -> Option<f64> {
    number(cell).filter(|seconds| *seconds > 0.0)
}

/// A measured value; empty cells and what is no finite number are missing.
fn number(cell: &str) -> Option<f64> {
    let number: f64 = cell.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "microservice,a,b,a\nmetric,latency,requests,latency\nstatistic,p99,Sum,p99\n";

    #[test]
    fn empty_cells_are_missing_and_columns_that_are_there_twice_are_one() {
        let text = format!("{HEAD}unix_timestamp,,,\n600.0,,NaN,3\n300.0,1.5,,2\n900,,,\n");
        let table = Table::parse(text.as_bytes()).unwrap();
        let key = ("a".into(), "latency".into(), "p99".into());
        assert_eq!(table.series, [(key, vec![(300.0, 1.5), (600.0, 3.0)])]);
        assert_eq!(table.window(), (300.0, 1200.0));
    }

    #[test]
    fn what_is_no_table_says_where() {
        let said = |text: &str| format!("{:#}", Table::parse(text.as_bytes()).unwrap_err());
        assert!(said("").contains("no row begins with a time"));
        assert!(said("300,1\n").contains("`microservice`"));
        assert!(said(&format!("{HEAD}300,1,,\nlater,2,,\n")).contains("row 5"));
        assert!(said("microservice,a\nmetric,\nstatistic,p99\n300,1\n").contains("column 2"));
    }
}
