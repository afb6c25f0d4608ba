//! Log lines: each once, the newest so many, by service, severity and words.

use crate::fixtures::*;
use mandate_store::series::{Excess, LogQuery, SeriesStore, Severity};

async fn messages(store: &dyn SeriesStore, query: LogQuery) -> Vec<String> {
    let lines = store.logs(&acme(), query).await.unwrap();
    lines.into_iter().map(|line| line.message).collect()
}

#[tokio::test]
async fn lines_are_found_newest_told_in_order() {
    let home = Home::new().await;
    let mut lines = vec![
        line(30, "b", Severity::Error, "Connection refused"),
        line(10, "a", Severity::Info, "started"),
        line(20, "a", Severity::Warning, "connection slow"),
        line(40, "a", Severity::Debug, "idle"),
    ];
    lines[2].labels = vec![("event".into(), "deployment".into())];
    let store = &*home.store;
    store
        .add_logs(&acme(), lines.clone(), Excess::Refuse)
        .await
        .unwrap();
    // Sent again, they are the same lines.
    store
        .add_logs(&acme(), lines, Excess::Refuse)
        .await
        .unwrap();

    assert_eq!(
        messages(store, logs()).await,
        ["started", "connection slow", "Connection refused", "idle"]
    );
    let two = LogQuery { limit: 2, ..logs() };
    assert_eq!(messages(store, two).await, ["Connection refused", "idle"]);
    let a = LogQuery {
        service: Some("a".into()),
        at_least: Some(Severity::Info),
        ..logs()
    };
    assert_eq!(messages(store, a).await, ["started", "connection slow"]);
    let words = LogQuery {
        text: Some("CONNECT".into()),
        limit: 1,
        ..logs()
    };
    assert_eq!(messages(store, words).await, ["Connection refused"]);
    let part = LogQuery {
        range: range(20, 30),
        ..logs()
    };
    let found = store.logs(&acme(), part).await.unwrap();
    assert_eq!(
        found[0].labels,
        [("event".to_owned(), "deployment".to_owned())]
    );
    assert!(
        store
            .logs(&tenant("other"), logs())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(invalid(store.logs(&acme(), LogQuery { limit: 0, ..logs() }).await).contains("limit"));
}

#[tokio::test]
async fn words_are_searched_for_over_many_pages() {
    let home = Home::new().await;
    // Many lines of the same time: none may be lost between pages.
    let lines = (0..5_000).map(|n| line(n / 1_000, "a", Severity::Info, &format!("request {n}")));
    home.store
        .add_logs(&acme(), lines.collect(), Excess::Refuse)
        .await
        .unwrap();
    for wanted in ["0", "999", "4999"] {
        let query = LogQuery {
            text: Some(format!("request {wanted}")),
            limit: 5_000,
            ..logs()
        };
        let found = messages(&*home.store, query).await;
        assert!(found.contains(&format!("request {wanted}")), "{wanted}");
    }
    let all = LogQuery {
        text: Some("request".into()),
        limit: 10_000,
        ..logs()
    };
    assert_eq!(messages(&*home.store, all).await.len(), 5_000);
}
