//! Queries of records: comparing, ordering, paging.

use crate::fixtures::*;
use mandate_store::*;
use serde_json::{Value, json};

fn condition(field: &str, comparison: Comparison, value: Value) -> Condition {
    Condition {
        field: field.to_owned(),
        comparison,
        value,
    }
}

async fn notes(home: &Home) -> (SharedStore, Collection) {
    let store = home.open().await;
    let notes = collection("notes");
    let bodies = [
        json!({"status": "open", "weight": 1, "open": true, "tags": ["a", "b"]}),
        json!({"status": "open", "weight": 2.5, "open": false, "tags": []}),
        json!({"status": "shut", "weight": 10, "open": false, "tags": ["b"]}),
        json!({"weight": -3}),
    ];
    let mut writes = vec![declare(&notes)];
    for (n, body) in (1_i64..).zip(bodies) {
        let mut record = record("notes", &format!("N-{n}"), body);
        record.created_at = at(n);
        record.updated_at = at(n);
        writes.push(put(&record));
    }
    store.commit(None, writes).await.unwrap();
    (store, notes)
}

pub async fn conditions_compare_by_kind(home: &Home) {
    use Comparison::*;
    let (store, notes) = notes(home).await;
    let cases: Vec<(Condition, &[u8])> = vec![
        (condition("status", Equal, json!("open")), &[1, 2]),
        (condition("status", NotEqual, json!("open")), &[3, 4]),
        (condition("status", Equal, json!(null)), &[4]),
        (condition("status", NotEqual, json!(null)), &[1, 2, 3]),
        (condition("status", OneOf, json!(["shut", "lost"])), &[3]),
        (condition("status", OneOf, json!([])), &[]),
        (condition("status", Equal, json!("' OR '1'='1")), &[]),
        (condition("weight", Less, json!(2.5)), &[1, 4]),
        (condition("weight", AtMost, json!(2.5)), &[1, 2, 4]),
        (condition("weight", Greater, json!(2)), &[2, 3]),
        (condition("weight", AtLeast, json!(10)), &[3]),
        (condition("weight", Equal, json!(1.0)), &[1]),
        (condition("open", Equal, json!(false)), &[2, 3]),
        (condition("tags", Contains, json!("b")), &[1, 3]),
        (condition("id", Equal, json!("N-2")), &[2]),
        (condition("version", AtLeast, json!(2)), &[]),
        (
            condition("created_at", Greater, json!(at(2).to_string())),
            &[3, 4],
        ),
        (
            condition("updated_at", AtMost, json!(at(1).to_string())),
            &[1],
        ),
    ];
    for (wanted, expected) in cases {
        let query = RecordQuery {
            conditions: vec![wanted.clone()],
            order: Some(Order {
                field: "id".to_owned(),
                descending: false,
            }),
            ..find("notes")
        };
        let page = store.find(&notes, &query).await.unwrap();
        let found: Vec<_> = page.items.into_iter().map(|record| record.id).collect();
        let expected: Vec<_> = expected.iter().map(|n| format!("N-{n}")).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
    // All conditions must hold, and the newest come first.
    let query = RecordQuery {
        conditions: vec![
            condition("open", Equal, json!(false)),
            condition("weight", Greater, json!(0)),
        ],
        ..find("notes")
    };
    let page = store.find(&notes, &query).await.unwrap();
    assert_eq!(
        page.items.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(),
        ["N-3", "N-2"]
    );
    assert_eq!(page.cursor, None);
}

pub async fn wrong_queries_say_what_is_right(home: &Home) {
    use Comparison::*;
    let (store, notes) = notes(home).await;
    for (wrong, says) in [
        (condition("colour", Equal, json!("red")), "`status`"),
        (condition("id) OR (1=1", Equal, json!("x")), "`created_at`"),
        (condition("status", Equal, json!(5)), "a text"),
        (condition("weight", Less, json!("5")), "a number"),
        (condition("weight", Less, json!(null)), "a number"),
        (condition("open", Equal, json!(1)), "true or false"),
        (
            condition("created_at", Less, json!("yesterday")),
            "RFC 3339",
        ),
        (condition("tags", Equal, json!("a")), "contains"),
        (condition("status", Contains, json!("a")), "contains"),
        (condition("status", OneOf, json!("open")), "a list"),
        (condition("status", OneOf, json!(["open", 3])), "a text"),
        (
            condition("status", OneOf, json!(vec!["x"; 1000])),
            "at most",
        ),
    ] {
        let query = RecordQuery {
            conditions: vec![wrong.clone()],
            ..find("notes")
        };
        match store.find(&notes, &query).await {
            Err(StoreError::Query(text)) => assert!(text.contains(says), "{wrong:?}: {text}"),
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    for field in ["tags", "colour", "status; DROP TABLE records"] {
        let order = Some(Order {
            field: field.to_owned(),
            descending: true,
        });
        let answer = store
            .find(
                &notes,
                &RecordQuery {
                    order,
                    ..find("notes")
                },
            )
            .await;
        assert!(
            matches!(answer, Err(StoreError::Query(_))),
            "{field}: {answer:?}"
        );
    }
}

async fn walk(store: &dyn Store, notes: &Collection, mut query: RecordQuery) -> Vec<Record> {
    let mut seen = Vec::new();
    loop {
        let page = store.find(notes, &query).await.unwrap();
        assert!(page.items.len() <= query.limit as usize);
        seen.extend(page.items);
        match page.cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return seen,
        }
        assert!(seen.len() < 1000, "the pages do not end");
    }
}

pub async fn pages_cover_everything_once(home: &Home) {
    let store = home.open().await;
    let notes = collection("notes");
    let mut writes = vec![declare(&notes)];
    for n in 0..60_i64 {
        // Ties, missing fields, whole and broken numbers, negative ones.
        let mut body = json!({"status": format!("s{}", n % 4), "open": n % 2 == 0});
        if n % 5 != 0 {
            body["weight"] = if n % 3 == 0 {
                json!(n - 30)
            } else {
                json!((n - 30) as f64 / 7.0)
            };
        }
        let mut record = record("notes", &format!("N-{n:02}"), body);
        record.created_at = at(n / 8);
        record.tenant = tenant(if n % 2 == 0 { "even" } else { "odd" });
        writes.push(put(&record));
    }
    store.commit(None, writes).await.unwrap();
    for field in [
        "status",
        "weight",
        "open",
        "id",
        "version",
        "created_at",
        "updated_at",
    ] {
        for descending in [false, true] {
            let order = Some(Order {
                field: field.to_owned(),
                descending,
            });
            let query = RecordQuery {
                order,
                limit: 7,
                ..find("notes")
            };
            let seen = walk(&*store, &notes, query.clone()).await;
            let mut ids: Vec<_> = seen.iter().map(|r| r.id.clone()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!((seen.len(), ids.len()), (60, 60), "{field} {descending}");
            if field == "weight" {
                let mut weights: Vec<_> = seen.iter().map(|r| r.body["weight"].as_f64()).collect();
                if descending {
                    weights.reverse();
                }
                assert!(weights.is_sorted(), "{weights:?}");
            }
            let odd = RecordQuery {
                tenants: Some(vec![tenant("odd")]),
                ..query
            };
            assert_eq!(walk(&*store, &notes, odd).await.len(), 30);
        }
    }
    let newest = walk(
        &*store,
        &notes,
        RecordQuery {
            limit: 9,
            ..find("notes")
        },
    )
    .await;
    assert!(
        newest
            .iter()
            .map(|r| std::cmp::Reverse(r.created_at))
            .is_sorted()
    );
}

pub async fn cursors_are_tied_to_their_listing(home: &Home) {
    let (store, notes) = notes(home).await;
    let page = store
        .find(
            &notes,
            &RecordQuery {
                limit: 2,
                ..find("notes")
            },
        )
        .await
        .unwrap();
    let cursor = page.cursor.unwrap();
    let with = |cursor: &str, order: Option<Order>| RecordQuery {
        cursor: Some(cursor.to_owned()),
        order,
        limit: 2,
        ..find("notes")
    };
    let page = store.find(&notes, &with(&cursor, None)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let ascending = Some(Order {
        field: "created_at".to_owned(),
        descending: false,
    });
    let mut wrong = vec![with(&cursor, ascending)];
    for broken in ["", "x", "AAAA", "' OR 1=1 --", &cursor[..cursor.len() - 2]] {
        wrong.push(with(broken, None));
    }
    for query in wrong {
        let answer = store.find(&notes, &query).await;
        assert!(
            matches!(answer, Err(StoreError::Cursor)),
            "{:?}: {answer:?}",
            query.cursor
        );
    }
    let other = collection("other");
    let answer = store.find(&other, &with(&cursor, None)).await;
    assert!(matches!(answer, Err(StoreError::Cursor)), "{answer:?}");
}
