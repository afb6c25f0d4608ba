//! Points on their way in, gathered by series: a name that comes with every point is kept once.

use super::{Key, LabelError, Point};
use std::collections::HashMap;

/// Points of any series.
#[derive(Clone, Debug, Default)]
pub struct PointBatch {
    places: HashMap<Key, usize>,
    series: Vec<(Key, Vec<Point>)>,
    /// The place of the last point's series: points often come in runs.
    last: usize,
    scratch: Vec<u8>,
    points: usize,
    missing: u64,
}

impl PointBatch {
    /// Chooses the series for the points that follow; the labels are sorted.
    ///
    /// # Errors
    /// [`LabelError`]
    pub fn series(&mut self, metric: &str, labels: &mut [(&str, &str)]) -> Result<(), LabelError> {
        Key::write(metric, labels, &mut self.scratch)?;
        let same = self
            .series
            .get(self.last)
            .is_some_and(|(key, _)| key.as_bytes() == self.scratch);
        if same {
            return Ok(());
        }
        if let Some(place) = self.places.get(self.scratch.as_slice()) {
            self.last = *place;
            return Ok(());
        }
        let key = Key::from_bytes(&self.scratch);
        self.last = self.series.len();
        self.places.insert(key.clone(), self.last);
        self.series.push((key, Vec::new()));
        Ok(())
    }

    /// A point of the series chosen last. A value that is not finite is a missing one: it is left
    /// out and counted.
    pub fn point(&mut self, time: i64, value: f64) {
        if !value.is_finite() {
            self.missing += 1;
            return;
        }
        if let Some((_, points)) = self.series.get_mut(self.last) {
            points.push(Point { time, value });
            self.points += 1;
        }
    }

    /// How many points there are.
    pub fn points(&self) -> usize {
        self.points
    }

    /// How many values were missing.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// By series, each in the order of time; of those with the same time only the last that came.
    pub(crate) fn sorted(mut self) -> Vec<(Key, Vec<Point>)> {
        self.series.retain(|(_, points)| !points.is_empty());
        for (_, points) in &mut self.series {
            if !points.is_sorted_by(|a, b| a.time < b.time) {
                // Stable, so that the last of those with the same time stays the last.
                points.sort_by_key(|point| point.time);
                keep_last(points);
            }
        }
        self.series
    }
}

/// Of sorted points with the same time, keeps the last.
pub(crate) fn keep_last(points: &mut Vec<Point>) {
    points.reverse();
    points.dedup_by_key(|point| point.time);
    points.reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_gathered_sorted_and_the_last_of_a_time_counts() {
        let mut batch = PointBatch::default();
        batch.series("m", &mut [("a", "1")]).unwrap();
        batch.point(5, 1.0);
        batch.point(3, 2.0);
        batch.series("n", &mut []).unwrap();
        batch.point(1, f64::NAN);
        batch.series("m", &mut [("a", "1")]).unwrap();
        batch.point(5, 3.0);
        assert_eq!((batch.points(), batch.missing()), (3, 1));
        let sorted = batch.sorted();
        assert_eq!(sorted.len(), 1, "a series without points is none");
        let points: Vec<_> = sorted[0].1.iter().map(|p| (p.time, p.value)).collect();
        assert_eq!(points, [(3, 2.0), (5, 3.0)]);
    }
}
