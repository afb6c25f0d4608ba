//! What is past its time goes, what is too much goes from the oldest on, and what goes leaves room.

use crate::fixtures::*;
use mandate_store::series::{Edge, Excess, SeriesSettings, Severity};
use mandate_types::Timestamp;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn week() -> SeriesSettings {
    SeriesSettings {
        retention: Some(7 * DAY),
        max_series: 3,
        ..SeriesSettings::default()
    }
}

fn now() -> i64 {
    Timestamp::now().micros() / 1_000_000
}

#[tokio::test]
async fn what_is_older_than_what_is_kept_is_refused_or_left_out() {
    let home = Home::with(week()).await;
    let (old, new) = (now() - 8 * 86_400, now());
    let both = || batch("m", &[], &[(old, 1.0), (new, 2.0)]);
    let said = invalid(home.store.add_points(&acme(), both(), Excess::Refuse).await);
    assert!(
        said.contains("7 days") && said.contains("retention_days"),
        "{said}"
    );
    let added = home
        .store
        .add_points(&acme(), both(), Excess::LeaveOut)
        .await
        .unwrap();
    assert_eq!(added.left_out, 1);
    assert_eq!(read(&*home.store, query("m")).await[0].1, [(new, 2.0)]);
    let lines = vec![line(old, "a", Severity::Info, "x")];
    assert!(
        home.store
            .add_logs(&acme(), lines, Excess::Refuse)
            .await
            .is_err()
    );
    let spans = vec![span("t", "1", None, "a", old)];
    assert!(
        home.store
            .add_spans(&acme(), spans, Excess::Refuse)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_is_past_its_time_goes_and_leaves_room() {
    let home = Home::with(week()).await;
    let (store, start) = (&home.store, now());
    let points: Vec<(i64, f64)> = (0..3_000).map(|n| (start + n, 1.0)).collect();
    write(&**store, batch("m", &[("service", "a")], &points)).await;
    write(&**store, batch("m", &[("service", "b")], &[(start, 1.0)])).await;
    store.settle().await.unwrap();
    write(&**store, batch("m", &[("service", "c")], &[(start, 1.0)])).await;
    let lines = vec![line(start, "a", Severity::Info, "x")];
    store
        .add_logs(&acme(), lines, Excess::Refuse)
        .await
        .unwrap();
    let spans = vec![
        span("t", "1", None, "a", start),
        span("t", "2", Some("1"), "b", start),
    ];
    store
        .add_spans(&acme(), spans, Excess::Refuse)
        .await
        .unwrap();
    let given = Edge {
        caller: "x".into(),
        callee: "y".into(),
    };
    store
        .set_topology(&acme(), vec![given.clone()])
        .await
        .unwrap();
    assert_eq!(store.topology(&acme()).await.unwrap().len(), 2);

    assert_eq!(store.sweep(Timestamp::now()).await.unwrap(), 0);
    assert_eq!(read(&**store, query("m")).await.len(), 3);
    let later = seconds(start).plus(8 * DAY);
    assert!(
        store.sweep(later).await.unwrap() >= 5,
        "blocks, a line, spans"
    );
    assert!(read(&**store, query("m")).await.is_empty());
    assert!(store.logs(&acme(), logs()).await.unwrap().is_empty());
    assert!(store.spans(&acme(), all_spans()).await.unwrap().is_empty());
    assert_eq!(
        store.topology(&acme()).await.unwrap(),
        [given],
        "what was given stays"
    );
    // Three other series fit now, also after a crash.
    let after = home.after_a_crash().await;
    for store in [store, &after.store] {
        for service in ["d", "e", "f"] {
            write(
                &**store,
                batch("m", &[("service", service)], &[(start, 1.0)]),
            )
            .await;
        }
        assert_eq!(read(&**store, query("m")).await.len(), 3);
    }
}

#[tokio::test]
async fn when_there_is_too_much_the_oldest_goes() {
    let settings = SeriesSettings {
        max_bytes: 2 << 20,
        ..for_ever()
    };
    let home = Home::with(settings).await;
    // Lines that do not compress: some 8 MiB.
    let text = "x".repeat(1_000);
    for part in 0..8 {
        let lines = (0..1_000).map(|n| {
            line(
                part * 1_000 + n,
                "a",
                Severity::Info,
                &format!("{n} {text}"),
            )
        });
        home.store
            .add_logs(&acme(), lines.collect(), Excess::Refuse)
            .await
            .unwrap();
    }
    assert!(home.store.sweep(Timestamp::now()).await.unwrap() > 0);
    let mut query = logs();
    query.limit = 10_000;
    let left = home.store.logs(&acme(), query).await.unwrap();
    assert!(!left.is_empty() && left.len() < 3_000, "{}", left.len());
    assert_eq!(
        left.last().unwrap().time,
        seconds(7_999),
        "the newest stays"
    );
    let times: Vec<_> = left.iter().map(|line| line.time.micros()).collect();
    assert_eq!(times.len() as i64, 8_000 - times[0] / 1_000_000, "no gap");
}
