//! The same split with other names and in another order: whoever ranks by what was measured does not notice.

use super::split::Split;
use super::table::Table;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Other names for all components.
#[derive(Clone, Debug, Default)]
pub struct Names {
    new: BTreeMap<String, String>,
    old: BTreeMap<String, String>,
}

impl Names {
    /// The new name of a component.
    pub fn new_of<'a>(&'a self, old: &'a str) -> &'a str {
        self.new.get(old).map_or(old, String::as_str)
    }

    /// The name that a component had.
    pub fn old_of<'a>(&'a self, new: &'a str) -> &'a str {
        self.old.get(new).map_or(new, String::as_str)
    }
}

/// Gives every component a random name, and shuffles the graph and the columns.
pub fn renamed(split: &Split, seed: u64) -> (Split, Names) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut all: Vec<&str> = split.components.iter().map(String::as_str).collect();
    for table in tables(split) {
        all.extend(table.components());
    }
    all.extend(split.issues.iter().map(|issue| issue.target.node.as_str()));
    let mut names = Names::default();
    for old in all {
        if names.new.contains_key(old) {
            continue;
        }
        let new = loop {
            let name = format!("{:016x}", random.next_u64());
            if !names.old.contains_key(&name) {
                break name;
            }
        };
        names.old.insert(new.clone(), old.to_owned());
        names.new.insert(old.to_owned(), new);
    }
    let mut other = split.clone();
    for component in &mut other.components {
        *component = names.new_of(component).to_owned();
    }
    for (caller, callee) in &mut other.edges {
        *caller = names.new_of(caller).to_owned();
        *callee = names.new_of(callee).to_owned();
    }
    shuffle(&mut other.components, &mut random);
    shuffle(&mut other.edges, &mut random);
    rename_table(&mut other.baseline, &names, &mut random);
    for issue in &mut other.issues {
        issue.target.node = names.new_of(&issue.target.node).to_owned();
        rename_table(&mut issue.metrics, &names, &mut random);
    }
    (other, names)
}

fn tables(split: &Split) -> impl Iterator<Item = &Table> {
    std::iter::once(&split.baseline).chain(split.issues.iter().map(|issue| &issue.metrics))
}

fn rename_table(table: &mut Table, names: &Names, random: &mut ChaCha8Rng) {
    for ((component, ..), _) in &mut table.series {
        *component = names.new_of(component).to_owned();
    }
    shuffle(&mut table.series, random);
}

/// Fisher and Yates. The bias of the remainder is of no matter here.
fn shuffle<T>(list: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..list.len()).rev() {
        let other = random.next_u64() % (last as u64 + 1);
        list.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_order_change() {
        let names = ["a", "b", "c", "d", "e"];
        let series = |name: &str, value: f64| {
            let key = (name.to_owned(), "latency".to_owned(), "p99".to_owned());
            (key, vec![(300.0, value)])
        };
        let split = Split {
            components: names.map(str::to_owned).to_vec(),
            edges: vec![("a".into(), "b".into()), ("b".into(), "c".into())],
            baseline: Table {
                series: names
                    .iter()
                    .zip(1_u8..)
                    .map(|(name, n)| series(name, f64::from(n)))
                    .collect(),
                times: vec![300.0],
            },
            issues: Vec::new(),
        };
        let (other, names) = renamed(&split, 7);
        assert_ne!(other, renamed(&split, 8).0, "the seed counts");
        assert_eq!(other, renamed(&split, 7).0, "and nothing else");
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        assert!(
            other
                .components
                .iter()
                .all(|name| !split.components.contains(name))
        );
        let back = other
            .components
            .iter()
            .map(|name| names.old_of(name).to_owned());
        assert_eq!(sorted(back.collect()), split.components);
        for (key, points) in &split.baseline.series {
            let new = (
                names.new_of(&key.0).to_owned(),
                key.1.clone(),
                key.2.clone(),
            );
            assert!(other.baseline.series.contains(&(new, points.clone())));
        }
        for (caller, callee) in &split.edges {
            let edge = (
                names.new_of(caller).to_owned(),
                names.new_of(callee).to_owned(),
            );
            assert!(other.edges.contains(&edge));
        }
    }
}
