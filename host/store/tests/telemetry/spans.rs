//! Spans, and what they show: who calls whom, and how a service did.

use crate::fixtures::*;
use mandate_store::series::{Edge, Excess, SeriesStore, Span, SpanQuery};
use std::time::{Duration, Instant};

async fn add(store: &dyn SeriesStore, spans: Vec<Span>) {
    store
        .add_spans(&acme(), spans, Excess::Refuse)
        .await
        .unwrap();
}

fn edge(caller: &str, callee: &str) -> Edge {
    Edge {
        caller: caller.into(),
        callee: callee.into(),
    }
}

#[tokio::test]
async fn spans_are_found_and_the_same_span_is_there_once() {
    let home = Home::new().await;
    let store = &*home.store;
    let mut failed = span("t", "2", Some("1"), "b", 11);
    failed.error = true;
    let spans = vec![
        span("t", "1", None, "a", 10),
        failed.clone(),
        span("u", "1", None, "a", 12),
    ];
    add(store, spans.clone()).await;
    add(store, spans).await;
    let ids = |spans: Vec<Span>| -> Vec<(String, String)> {
        spans
            .into_iter()
            .map(|span| (span.trace_id, span.span_id))
            .collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let all = store.spans(&acme(), all_spans()).await.unwrap();
    assert_eq!(ids(all), [pair("t", "1"), pair("t", "2"), pair("u", "1")]);
    let newest = SpanQuery {
        limit: 2,
        ..all_spans()
    };
    let newest = store.spans(&acme(), newest).await.unwrap();
    assert_eq!(ids(newest), [pair("t", "2"), pair("u", "1")]);
    let errors = SpanQuery {
        errors_only: true,
        ..all_spans()
    };
    assert_eq!(store.spans(&acme(), errors).await.unwrap(), [failed]);
    let one = SpanQuery {
        trace_id: Some("t".into()),
        service: Some("a".into()),
        ..all_spans()
    };
    assert_eq!(
        ids(store.spans(&acme(), one).await.unwrap()),
        [pair("t", "1")]
    );
    // What is sent anew counts.
    let mut again = span("u", "1", None, "a", 12);
    again.duration_us = 7;
    add(store, vec![again]).await;
    let one = SpanQuery {
        trace_id: Some("u".into()),
        ..all_spans()
    };
    assert_eq!(store.spans(&acme(), one).await.unwrap()[0].duration_us, 7);
}

#[tokio::test]
async fn topology_is_what_was_given_and_what_was_seen() {
    let home = Home::new().await;
    let store = &home.store;
    let given = vec![edge("shop", "cart"), edge("cart", "db")];
    store.set_topology(&acme(), given).await.unwrap();
    let child = span("t", "2", Some("1"), "stock", 10);
    add(&**store, vec![child]).await;
    add(&**store, vec![span("t", "1", None, "shop", 10)]).await;
    let all = store.topology(&acme()).await.unwrap();
    assert_eq!(
        all,
        [
            edge("cart", "db"),
            edge("shop", "cart"),
            edge("shop", "stock")
        ]
    );
    store
        .set_topology(&acme(), vec![edge("shop", "stock")])
        .await
        .unwrap();
    assert_eq!(
        store.topology(&acme()).await.unwrap(),
        [edge("shop", "stock")]
    );
    assert!(store.topology(&tenant("other")).await.unwrap().is_empty());
    let many = (0..10_001).map(|n| edge("a", &format!("b{n}"))).collect();
    assert!(invalid(store.set_topology(&acme(), many).await).contains("10000 edges"));
}

/// The points of a golden signal, once there are any that satisfy.
async fn golden(
    store: &dyn SeriesStore,
    metric: &str,
    enough: impl Fn(&[(String, Vec<(i64, f64)>)]) -> bool,
) -> Vec<(String, Vec<(i64, f64)>)> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let found = read(store, query(metric)).await;
        if enough(&found) {
            return found;
        }
        assert!(Instant::now() < until, "{metric} did not come: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn golden_signals_are_derived_once_however_often_spans_come() {
    let home = Home::new().await;
    let mut spans: Vec<Span> = (0..4)
        .map(|n| span("t", &n.to_string(), None, "shop", 600 + n))
        .collect();
    spans[3].error = true;
    add(&*home.store, spans.clone()).await;
    let named = |metric: &str, statistic: &str| {
        format!("{metric}{{service=\"shop\", source=\"spans\", statistic={statistic:?}}}")
    };
    let some = |found: &[(String, Vec<(i64, f64)>)]| !found.is_empty();
    let found = golden(&*home.store, "availability", some).await;
    assert_eq!(
        found,
        [(named("availability", "Average"), vec![(600, 75.0)])]
    );
    let found = golden(&*home.store, "latency", some).await;
    assert_eq!(found.len(), 5);
    assert_eq!(found[4], (named("latency", "p99"), vec![(600, 0.2)]));
    // One more, and the others again.
    spans.push(span("t", "9", None, "shop", 650));
    add(&*home.store, spans).await;
    let five = |found: &[(String, Vec<(i64, f64)>)]| found[0].1 == [(600, 5.0)];
    golden(&*home.store, "requests", five).await;
}
