//! Ten thousand random sequences of everything that a plugin can call, by agents and tools with
//! different grants: whatever they try, a server outside of the host hears of nothing that no
//! decision allowed.
//!
//! `MANDATE_SEED` repeats a run, `MANDATE_SEQUENCES` makes it longer or shorter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::attack::{ALONE, Ground, PASSING, Sequence};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::time::SystemTime;

/// So many sequences share a tenant, and are looked at together.
const BATCH: usize = 500;

/// Letters in any order, some of which pass others on.
fn script() -> impl Strategy<Value = String> {
    let alone: Vec<char> = ALONE.chars().collect();
    // People are slow, and an end is an end: a few of these are enough.
    let alone = prop_oneof![
        12 => select(alone).prop_map(|c| if "uyD".contains(c) { 'b' } else { c }),
        1 => select(vec!['u', 'y', 'D']),
    ];
    let op = alone.prop_map(String::from);
    let op = op.prop_recursive(2, 8, 3, |inner| {
        let passing: Vec<char> = PASSING.chars().collect();
        let dear = prop_oneof![8 => Just(false), 1 => Just(true)];
        (select(passing), dear, prop::collection::vec(inner, 0..4)).prop_map(|(c, dear, ops)| {
            // What always asks a human is rarer, too.
            let c = match c {
                'n' | 'A' if !dear => 'k',
                'p' if !dear => 'o',
                c => c,
            };
            format!("{c}({})", ops.concat())
        })
    });
    prop::collection::vec(op, 1..6).prop_map(|ops| ops.concat())
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let who = prop_oneof![
        10 => Just("hostile"),
        2 => Just("beggar"),
        1 => select(vec!["reader.it", "writer.it", "payer.it", "guesser.it"]),
    ];
    let cancelled = prop::bool::weighted(0.1);
    (who, script(), cancelled).prop_map(|(who, script, cancelled)| Sequence {
        who,
        script,
        cancelled,
    })
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// The least of what fails: the half of them that fails alone, as long as one does, and of that
/// the simplest.
fn reduced<T: ValueTree<Value = Sequence>>(
    mut trees: Vec<T>,
    mut reason: String,
    fails: impl Fn(&[Sequence]) -> Option<String>,
) -> (String, Vec<Sequence>) {
    let now = |trees: &[T]| trees.iter().map(ValueTree::current).collect::<Vec<_>>();
    while trees.len() > 1 {
        let other = trees.split_off(trees.len() / 2);
        if let Some(why) = fails(&now(&trees)) {
            reason = why;
        } else if let Some(why) = fails(&now(&other)) {
            (trees, reason) = (other, why);
        } else {
            // It takes some of both.
            trees.extend(other);
            break;
        }
    }
    for at in 0..trees.len() {
        for _ in 0..30 {
            if !trees[at].simplify() {
                break;
            }
            while fails(&now(&trees)).is_none() && trees[at].complicate() {}
        }
    }
    (reason, now(&trees))
}

#[test]
fn whatever_is_tried_in_whatever_order_nothing_happens_without_a_decision() {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let seed = number("MANDATE_SEED").unwrap_or_else(|| u64::try_from(now).unwrap());
    println!("MANDATE_SEED={seed}");
    let sequences = usize::try_from(number("MANDATE_SEQUENCES").unwrap_or(10_000)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let ground = runtime.block_on(Ground::new());
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let attack = |batch: &[Sequence]| runtime.block_on(ground.attack(batch)).err();
    let one = sequence();
    for begun in (0..sequences).step_by(BATCH) {
        let many = BATCH.min(sequences - begun);
        let trees = (0..many).map(|_| one.new_tree(&mut runner).unwrap());
        let trees: Vec<_> = trees.collect();
        let batch: Vec<Sequence> = trees.iter().map(ValueTree::current).collect();
        if let Some(reason) = attack(&batch) {
            println!("{reason}");
            let (reason, least) = reduced(trees, reason, attack);
            panic!("MANDATE_SEED={seed}: {reason}, with {least:?}");
        }
    }
    let totals = ground.totals();
    println!("{totals:?}");
    // Something was tried, and something was had: otherwise this would show nothing.
    if sequences >= 5_000 {
        for what in [
            "payer b",
            "payer c",
            "payer d",
            "launcher b",
            "guesser b",
            "denied",
            "cancelled",
        ] {
            assert!(
                totals.get(what).is_some_and(|n| *n > 0),
                "no {what}: {totals:?}"
            );
        }
    }
    runtime.block_on(async {
        let admin = ground.host.admin();
        admin.get("/ready").await.expect(200);
        assert_eq!(admin.metric("mandate_tasks_running").await, 0.0);
        let events = "/api/v1/events?kinds=beggar.attacked,reader.attacked,vault.attacked";
        assert_eq!(admin.items(events).await, Vec::<Value>::new());
        let text = admin.get("/metrics").await.text;
        for route in ["/api/v1/resume", "/health"] {
            let route = format!("route=\"{route}\"");
            assert!(!text.contains(&route), "the host called itself: {text}");
        }
    });
    let bad = |line: &String| line.contains("panicked") || line.contains("Corrupt");
    assert!(
        !ground.host.log().iter().any(bad),
        "the host did not take it well"
    );
}
