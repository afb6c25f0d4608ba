//! The ranking of real faults rests on what was measured: other names and another order change nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::eval::petshop::{Evaluation, evaluate};
use mandate_tests::eval::rename::{Names, renamed};
use mandate_tests::eval::split::Split;
use std::path::Path;
use std::process::Command;

/// Faults that are compared: of both kinds, and few, since a test must be quick.
const FAULTS: [&str; 4] = [
    "train/issue_0",
    "train/issue_3",
    "train/issue_4",
    "train/issue_7",
];

/// A split of the data; none, and a word about it, where the data are not.
fn split(name: &str) -> Option<Split> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/petshop")
        .join(name);
    if !dir.is_dir() {
        eprintln!("skipped: {} is not there", dir.display());
        return None;
    }
    let mut split = Split::read(&dir).unwrap();
    split
        .issues
        .retain(|issue| FAULTS.contains(&issue.name.as_str()));
    assert_eq!(split.issues.len(), FAULTS.len());
    Some(split)
}

fn rankings(all: &Evaluation) -> Vec<(&str, &[String])> {
    all.rows
        .iter()
        .map(|row| (row.issue.as_str(), row.ranking.as_slice()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_order_do_not_matter() {
    let Some(plain) = split("low_traffic") else {
        return;
    };
    let (other, names) = renamed(&plain, 20_260_731);
    let none = Names::default();
    let (plain, other) = tokio::join!(
        evaluate(&plain, &none, 2, |row| eprintln!("plain   {row}")),
        evaluate(&other, &names, 2, |row| eprintln!("renamed {row}")),
    );
    let (plain, other) = (plain.unwrap(), other.unwrap());
    assert_eq!(rankings(&plain), rankings(&other));
    assert!(
        plain
            .rows
            .iter()
            .all(|row| row.ranking.len() > 1 && row.note.is_none()),
        "{plain:?}"
    );
    assert_eq!(plain.score, other.score);
    assert!(
        plain.score.top_3() > plain.guess.top_3(),
        "{} against {}",
        plain.score,
        plain.guess
    );
}

#[test]
fn a_folder_that_is_no_split_is_refused_with_a_reason() {
    let empty = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (vec![empty.path().to_str().unwrap()], "graph.csv"),
        (vec!["/nonexistent"], "is not a folder"),
        (vec![], "which folder?"),
        (vec!["--rename", "x", "."], "--rename needs a whole number"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_petshop-eval"))
            .args(&arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(reason),
            "{arguments:?}: {said}"
        );
    }
}
