//! What is in memory: which series there are, and of each the points that are in no full block yet.

use crate::series::{Key, Point};
use mandate_types::TenantId;
use std::collections::HashMap;

/// The newest points of a series.
#[derive(Default)]
pub(super) struct Head {
    /// In the order of time, each time once.
    pub(super) points: Vec<Point>,
    /// The block that holds a part of them, to be written anew.
    pub(super) open: Option<i64>,
    /// Whether there are points that are in no block.
    pub(super) dirty: bool,
}

impl Head {
    /// Adds sorted points; of points with the same time these count.
    pub(super) fn add(&mut self, new: &[Point]) {
        let Some(first) = new.first() else { return };
        self.dirty = true;
        if self.points.last().is_none_or(|last| last.time < first.time) {
            self.points.extend_from_slice(new);
            return;
        }
        let from = self.points.partition_point(|point| point.time < first.time);
        let tail = self.points.split_off(from);
        self.points.extend(merge(&tail, new));
    }
}

/// Two sorted lists as one; of points with the same time those of `newer`.
pub(super) fn merge(older: &[Point], newer: &[Point]) -> Vec<Point> {
    let mut all = Vec::with_capacity(older.len() + newer.len());
    let mut old = older.iter().copied().peekable();
    for new in newer {
        while let Some(point) = old.next_if(|point| point.time < new.time) {
            all.push(point);
        }
        old.next_if(|point| point.time == new.time);
        all.push(*new);
    }
    all.extend(old);
    all
}

/// A series.
pub(super) struct Entry {
    pub(super) tenant: TenantId,
    pub(super) key: Key,
    pub(super) head: Head,
}

/// The series of a tenant.
#[derive(Default)]
pub(super) struct Names {
    pub(super) ids: HashMap<Key, i64>,
    pub(super) metrics: HashMap<Box<str>, Vec<i64>>,
}

/// What is in memory.
#[derive(Default)]
pub(super) struct Heads {
    pub(super) series: HashMap<i64, Entry>,
    pub(super) tenants: HashMap<TenantId, Names>,
    /// Points in all heads together.
    pub(super) points: usize,
}

impl Heads {
    /// The number of a series.
    pub(super) fn id(&self, tenant: &TenantId, key: &Key) -> Option<i64> {
        self.tenants.get(tenant)?.ids.get(key).copied()
    }

    /// How many series a tenant has.
    pub(super) fn count(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).map_or(0, |names| names.ids.len())
    }

    /// Makes a series known.
    pub(super) fn insert(&mut self, id: i64, tenant: TenantId, key: Key) {
        let names = self.tenants.entry(tenant.clone()).or_default();
        names.ids.insert(key.clone(), id);
        match names.metrics.get_mut(key.metric()) {
            Some(ids) => ids.push(id),
            None => {
                names.metrics.insert(key.metric().into(), vec![id]);
            }
        }
        let head = Head::default();
        self.series.insert(id, Entry { tenant, key, head });
    }

    /// Forgets a series.
    pub(super) fn remove(&mut self, id: i64) {
        let Some(entry) = self.series.remove(&id) else {
            return;
        };
        self.points -= entry.head.points.len().min(self.points);
        let Some(names) = self.tenants.get_mut(&entry.tenant) else {
            return;
        };
        names.ids.remove(&entry.key);
        if let Some(ids) = names.metrics.get_mut(entry.key.metric()) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                names.metrics.remove(entry.key.metric());
            }
        }
        if names.ids.is_empty() {
            self.tenants.remove(&entry.tenant);
        }
    }

    /// Adds points to a series that is known; others are of a series that expired.
    pub(super) fn add(&mut self, id: i64, points: &[Point]) {
        if let Some(entry) = self.series.get_mut(&id) {
            let before = entry.head.points.len();
            entry.head.add(points);
            self.points += entry.head.points.len() - before;
        }
    }

    /// Takes the first `count` points of a series out of memory: they are in full blocks.
    pub(super) fn drop_first(&mut self, id: i64, count: usize) {
        if let Some(entry) = self.series.get_mut(&id) {
            let count = count.min(entry.head.points.len());
            entry.head.points.drain(..count);
            // What one large batch took is not needed any more.
            if entry.head.points.capacity() > 4 * super::block::FULL {
                entry.head.points.shrink_to_fit();
            }
            self.points -= count.min(self.points);
        }
    }

    /// The series of a metric that have these labels.
    pub(super) fn matching<'a>(
        &'a self,
        tenant: &TenantId,
        metric: &str,
        labels: &'a [(String, String)],
    ) -> impl Iterator<Item = (i64, &'a Entry)> {
        let ids = self
            .tenants
            .get(tenant)
            .and_then(|names| names.metrics.get(metric));
        ids.into_iter()
            .flatten()
            .filter_map(|id| Some((*id, self.series.get(id)?)))
            .filter(|(_, entry)| entry.key.has(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(list: &[(i64, f64)]) -> Vec<Point> {
        list.iter()
            .map(|(time, value)| Point {
                time: *time,
                value: *value,
            })
            .collect()
    }

    #[test]
    fn late_points_find_their_place_and_the_last_written_counts() {
        let mut head = Head::default();
        head.add(&points(&[(10, 1.0), (20, 1.0), (30, 1.0)]));
        head.add(&points(&[(5, 2.0), (20, 2.0), (40, 2.0)]));
        head.add(&points(&[(30, 3.0)]));
        assert_eq!(
            head.points,
            points(&[(5, 2.0), (10, 1.0), (20, 2.0), (30, 3.0), (40, 2.0)])
        );
    }

    #[test]
    fn what_is_forgotten_leaves_nothing() {
        let mut heads = Heads::default();
        let tenant = TenantId::default_tenant();
        let key = Key::new("m", &mut [("a", "1")]).unwrap();
        heads.insert(1, tenant.clone(), key.clone());
        heads.add(1, &points(&[(1, 1.0), (2, 1.0)]));
        heads.add(9, &points(&[(1, 1.0)]));
        assert_eq!((heads.points, heads.id(&tenant, &key)), (2, Some(1)));
        heads.drop_first(1, 1);
        assert_eq!(heads.points, 1);
        let labels = [("a".to_owned(), "2".to_owned())];
        assert_eq!(heads.matching(&tenant, "m", &labels).count(), 0);
        assert_eq!(heads.matching(&tenant, "m", &[]).count(), 1);
        heads.remove(1);
        assert!(heads.tenants.is_empty() && heads.series.is_empty() && heads.points == 0);
    }
}
