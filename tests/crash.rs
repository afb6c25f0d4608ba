//! `make crash`: the host is killed at every named point, at its first passings, and whatever is
//! left must be what a run leaves that was never killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use futures::StreamExt;
use mandate_store::crash::POINTS;
use mandate_tests::points::run;

/// Of each point, so many passings.
const PASSINGS: u32 = 4;
/// Hosts at the same time.
const AT_ONCE: usize = 4;

#[tokio::main]
async fn main() {
    let named = std::env::args().nth(1);
    let points: Vec<String> = match named {
        Some(point) => vec![point],
        None => POINTS
            .iter()
            .flat_map(|point| (1..=PASSINGS).map(move |nth| format!("{point}:{nth}")))
            .collect(),
    };
    let expected = run(&[]).await;
    println!("without a crash: {:?}", expected.left);
    assert!(
        expected.wrong.is_empty(),
        "without a crash: {:?}",
        expected.wrong
    );
    let runs = points.into_iter().map(|point| async move {
        let run = run(&[&point]).await;
        (point, run)
    });
    let mut runs = futures::stream::iter(runs).buffered(AT_ONCE);
    let (mut passed, mut different) = (0, 0);
    while let Some((point, run)) = runs.next().await {
        if run.deaths == 0 {
            println!("{point:28} is not passed so often");
            continue;
        }
        passed += 1;
        if run.left == expected.left && run.wrong.is_empty() {
            println!("{point:28} the same");
        } else {
            different += 1;
            println!("{point:28} DIFFERENT: {:?} {:?}", run.wrong, run.left);
        }
    }
    println!("{passed} points, {different} differences");
    std::process::exit(i32::from(different > 0));
}
