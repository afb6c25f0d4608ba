//! Points: found by metric and labels, bounded, and each tenant's own.

use crate::fixtures::*;
use mandate_store::series::{Aggregation, Excess, PointBatch, SeriesSettings};
use std::time::Duration;

#[tokio::test]
async fn points_are_found_by_metric_labels_and_range() {
    let home = Home::new().await;
    let store = &*home.store;
    write(
        store,
        batch(
            "cpu",
            &[("service", "a"), ("zone", "1")],
            &[(10, 1.0), (20, 2.0)],
        ),
    )
    .await;
    write(
        store,
        batch("cpu", &[("service", "b"), ("zone", "1")], &[(10, 3.0)]),
    )
    .await;
    write(store, batch("memory", &[("service", "a")], &[(10, 4.0)])).await;

    let all = read(store, query("cpu")).await;
    let a = r#"cpu{service="a", zone="1"}"#.to_owned();
    let b = r#"cpu{service="b", zone="1"}"#.to_owned();
    assert_eq!(
        all,
        [
            (a.clone(), vec![(10, 1.0), (20, 2.0)]),
            (b, vec![(10, 3.0)])
        ]
    );

    let mut one = query("cpu");
    one.labels = vec![("zone".into(), "1".into()), ("service".into(), "a".into())];
    assert_eq!(read(store, one.clone()).await.len(), 1);
    one.labels.push(("host".into(), "x".into()));
    assert!(read(store, one).await.is_empty());

    let mut part = query("cpu");
    part.range = range(11, 21);
    // Series that match and have nothing in the range are not told.
    assert_eq!(read(store, part.clone()).await, [(a, vec![(20, 2.0)])]);
    part.range = range(11, 20);
    assert!(read(store, part).await.is_empty(), "the end is exclusive");
    assert!(read(store, query("nothing")).await.is_empty());
}

#[tokio::test]
async fn tenants_see_only_what_is_theirs() {
    let home = Home::new().await;
    let other = tenant("other");
    write(&*home.store, batch("cpu", &[], &[(1, 1.0)])).await;
    let theirs = home.store.points(&other, query("cpu")).await.unwrap();
    assert!(theirs.is_empty());
    let added = home
        .store
        .add_points(&other, batch("cpu", &[], &[(1, 9.0)]), Excess::Refuse);
    added.await.unwrap();
    assert_eq!(read(&*home.store, query("cpu")).await[0].1, [(1, 1.0)]);
}

#[tokio::test]
async fn many_points_are_summed_up_over_blocks_and_memory() {
    let home = Home::new().await;
    // Two full blocks and a rest, in pieces, so that some of it was sealed early.
    for piece in 0..10 {
        let points: Vec<(i64, f64)> = (0..500).map(|n| (piece * 500 + n, 1.0)).collect();
        write(&*home.store, batch("cpu", &[("service", "a")], &points)).await;
    }
    let mut sums = query("cpu");
    sums.range = range(0, 5_000);
    sums.aggregation = Aggregation::Sum;
    assert_eq!(read(&*home.store, sums.clone()).await[0].1, [(0, 5_000.0)]);
    sums.step = Duration::from_secs(1_000);
    let buckets: Vec<(i64, f64)> = (0..5).map(|n| (n * 1_000, 1_000.0)).collect();
    assert_eq!(read(&*home.store, sums).await[0].1, buckets);
}

#[tokio::test]
async fn what_would_be_too_much_is_refused_and_says_what_to_do() {
    let home = Home::new().await;
    for part in 0..2 {
        let points: Vec<(i64, f64)> = (0..60_000).map(|n| (part * 60_000 + n, 1.0)).collect();
        write(&*home.store, batch("cpu", &[], &points)).await;
    }
    let said = invalid(home.store.points(&acme(), query("cpu")).await);
    assert!(said.contains("step") && said.contains("range"), "{said}");
    let mut reduced = query("cpu");
    reduced.aggregation = Aggregation::Mean;
    assert_eq!(read(&*home.store, reduced.clone()).await.len(), 1);
    reduced.range = range(5, 5);
    assert!(invalid(home.store.points(&acme(), reduced.clone()).await).contains("end"));
    reduced.range = ALWAYS;
    reduced.aggregation = Aggregation::Quantile(1.5);
    assert!(invalid(home.store.points(&acme(), reduced).await).contains("quantile"));
}

fn services(count: usize) -> PointBatch {
    let mut batch = PointBatch::default();
    for number in 0..count {
        let name = format!("s{number}");
        batch.series("cpu", &mut [("service", &name)]).unwrap();
        batch.point(1_000_000, 1.0);
    }
    batch
}

#[tokio::test]
async fn a_tenant_has_at_most_so_many_series() {
    let settings = SeriesSettings {
        max_series: 10,
        ..for_ever()
    };
    let home = Home::with(settings).await;
    let refused = home
        .store
        .add_points(&acme(), services(11), Excess::Refuse)
        .await;
    let said = invalid(refused);
    assert!(
        said.contains("10 series") && said.contains("max_series"),
        "{said}"
    );
    assert!(
        read(&*home.store, query("cpu")).await.is_empty(),
        "nothing was written"
    );
    write(&*home.store, services(9)).await;
    let added = home
        .store
        .add_points(&acme(), services(12), Excess::LeaveOut)
        .await
        .unwrap();
    assert_eq!(added.left_out, 2);
    assert!(added.reason.unwrap().contains("max_series"));
    assert_eq!(read(&*home.store, query("cpu")).await.len(), 10);
    // What is there goes on, and other tenants have their own.
    write(&*home.store, services(10)).await;
    let other = tenant("other");
    let theirs = home.store.add_points(&other, services(10), Excess::Refuse);
    theirs.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_to_its_block_is_never_out_of_sight() {
    let home = Home::new().await;
    let store = home.store.clone();
    write(&*store, batch("cpu", &[], &[(0, 1.0)])).await;
    let writer = tokio::spawn(async move {
        for piece in 0..40 {
            let points: Vec<(i64, f64)> = (0..700).map(|n| (1 + piece * 700 + n, 1.0)).collect();
            write(&*store, batch("cpu", &[], &points)).await;
            if piece % 5 == 0 {
                store.settle().await.unwrap();
            }
        }
    });
    let mut count = query("cpu");
    count.aggregation = Aggregation::Count;
    let mut before = 0.0;
    while !writer.is_finished() {
        let now = read(&*home.store, count.clone()).await[0].1[0].1;
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    writer.await.unwrap();
    assert_eq!(read(&*home.store, count).await[0].1[0].1, 28_001.0);
}
