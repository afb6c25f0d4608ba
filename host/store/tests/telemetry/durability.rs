//! What was accepted is there after a crash, once, with the value that was written last; damage
//! costs what was damaged and no more.

use crate::fixtures::*;
use sqlx::{Connection as _, SqliteConnection};
use std::collections::BTreeMap;

/// A small generator: the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self, most: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % most).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_last_written_value_is_there_once() {
    for seed in [1, 7, 42] {
        let mut random = Random(seed);
        let mut home = Home::new().await;
        let mut wanted: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        for round in 0..60 {
            let service = ["a", "b", "c"][usize::try_from(random.next(3)).unwrap()];
            // Small and large batches, in and out of order, over the same times again and again.
            let count = [1, 10, 700, 5_000][usize::try_from(random.next(4)).unwrap()];
            let from = random.next(6_000);
            let points: Vec<(i64, f64)> = (0..count)
                .map(|n| {
                    let time = if random.next(2) == 0 {
                        from + n
                    } else {
                        random.next(8_000)
                    };
                    (time, (round * 10_000 + n) as f64)
                })
                .collect();
            let series = wanted
                .entry(format!("m{{service={service:?}}}"))
                .or_default();
            series.extend(points.iter().copied());
            write(&*home.store, batch("m", &[("service", service)], &points)).await;
            match random.next(12) {
                0 => home.store.settle().await.unwrap(),
                1 | 2 => home = home.after_a_crash().await,
                _ => {}
            }
        }
        for home in [home.after_a_crash().await, home] {
            let found = read(&*home.store, query("m")).await;
            assert_eq!(found.len(), wanted.len());
            for (name, points) in found {
                let same = points.iter().eq(wanted[&name]
                    .iter()
                    .map(|(t, v)| (*t, *v))
                    .collect::<Vec<_>>()
                    .iter());
                assert!(same, "seed {seed}: {name} differs");
            }
        }
    }
}

#[tokio::test]
async fn lines_spans_and_topology_survive_a_crash() {
    use mandate_store::series::{Edge, Excess, Severity};
    let home = Home::new().await;
    let (store, acme) = (&home.store, acme());
    let lines = vec![line(1, "a", Severity::Info, "x")];
    store.add_logs(&acme, lines, Excess::Refuse).await.unwrap();
    let spans = vec![span("t", "1", None, "a", 1)];
    store.add_spans(&acme, spans, Excess::Refuse).await.unwrap();
    let edge = Edge {
        caller: "x".into(),
        callee: "y".into(),
    };
    store.set_topology(&acme, vec![edge]).await.unwrap();
    let after = home.after_a_crash().await;
    assert_eq!(after.store.logs(&acme, logs()).await.unwrap().len(), 1);
    assert_eq!(
        after.store.spans(&acme, all_spans()).await.unwrap().len(),
        1
    );
    // A child of a span from before is still an edge.
    let child = vec![span("t", "2", Some("1"), "b", 2)];
    after
        .store
        .add_spans(&acme, child, Excess::Refuse)
        .await
        .unwrap();
    let edges = after.store.topology(&acme).await.unwrap();
    let edges: Vec<_> = edges
        .iter()
        .map(|e| (e.caller.as_str(), e.callee.as_str()))
        .collect();
    assert_eq!(edges, [("a", "b"), ("x", "y")]);
}

async fn damage(home: &Home, statement: &'static str) -> Home {
    let damaged = tempfile::tempdir().unwrap();
    copy(home.dir.path(), damaged.path());
    let url = format!("sqlite:{}", damaged.path().join("telemetry.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let done = sqlx::query(statement).execute(&mut conn).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{statement}");
    conn.close().await.unwrap();
    let store = mandate_store::open_telemetry(damaged.path(), for_ever())
        .await
        .unwrap();
    Home {
        dir: damaged,
        store,
        settings: for_ever(),
    }
}

#[tokio::test]
async fn a_damaged_row_costs_its_points_and_nothing_else() {
    let home = Home::new().await;
    write(&*home.store, batch("m", &[], &[(1, 1.0)])).await;
    write(&*home.store, batch("m", &[], &[(2, 2.0)])).await;
    let torn = "UPDATE ahead SET data = substr(data, 1, length(data) - 3) WHERE seq = 1";
    let after = damage(&home, torn).await;
    assert_eq!(read(&*after.store, query("m")).await[0].1, [(2, 2.0)]);
    // It goes on, and what comes is kept.
    write(&*after.store, batch("m", &[], &[(3, 3.0)])).await;
    let again = after.after_a_crash().await;
    assert_eq!(
        read(&*again.store, query("m")).await[0].1,
        [(2, 2.0), (3, 3.0)]
    );
}

#[tokio::test]
async fn a_damaged_block_costs_its_points_and_nothing_else() {
    let home = Home::new().await;
    let points: Vec<(i64, f64)> = (0..4_100).map(|n| (n, 1.0)).collect();
    write(&*home.store, batch("m", &[], &points)).await;
    home.store.settle().await.unwrap();
    let zeroes =
        "UPDATE blocks SET data = zeroblob(length(data)) WHERE id = (SELECT MIN(id) FROM blocks)";
    let after = damage(&home, zeroes).await;
    let left = read(&*after.store, query("m")).await;
    assert_eq!((left[0].1.len(), left[0].1[0].0), (4_100 - 2_048, 2_048));
    let open = "UPDATE blocks SET data = x'00' WHERE open = 1";
    let after = damage(&home, open).await;
    assert_eq!(read(&*after.store, query("m")).await[0].1.len(), 4_096);
}
