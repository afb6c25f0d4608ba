//! Records and their collections.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

fn write(write: RecordWrite) -> Write {
    Write::Record(Box::new(write))
}

async fn ids(store: &dyn Store, collection: &Collection, query: &RecordQuery) -> Vec<String> {
    let page = store.find(collection, query).await.unwrap();
    page.items.into_iter().map(|record| record.id).collect()
}

pub async fn a_record_has_versions(home: &Home) {
    let store = home.open().await;
    let notes = collection("notes");
    let mut note = record("notes", "N-1'; --", json!({"status": "open"}));
    let early = store.commit(None, vec![put(&note)]).await;
    assert!(matches!(early, Err(CommitError::NotFound(_))), "{early:?}");
    store
        .commit(None, vec![declare(&notes), put(&note)])
        .await
        .unwrap();
    let taken = store.commit(None, vec![put(&note)]).await;
    assert!(matches!(taken, Err(CommitError::Conflict(_))), "{taken:?}");

    note.version = 2;
    note.body = json!({"status": "done"});
    note.updated_at = at(2);
    note.written_in = Some(InvocationId::fresh());
    let update = write(RecordWrite::Update(note.clone()));
    store.commit(None, vec![update.clone()]).await.unwrap();
    match store.commit(None, vec![update]).await {
        Err(CommitError::Conflict(text)) => assert!(text.contains("version 2"), "{text}"),
        other => panic!("{other:?}"),
    }
    let read = store.record("notes", &note.tenant, &note.id).await.unwrap();
    assert_eq!(read.as_ref(), Some(&note));

    let delete = |version| {
        write(RecordWrite::Delete {
            collection: "notes".to_owned(),
            tenant: note.tenant.clone(),
            id: note.id.clone(),
            version,
        })
    };
    let stale = store.commit(None, vec![delete(1)]).await;
    assert!(matches!(stale, Err(CommitError::Conflict(_))), "{stale:?}");
    store.commit(None, vec![delete(2)]).await.unwrap();
    let gone = store.commit(None, vec![delete(2)]).await;
    assert!(matches!(gone, Err(CommitError::NotFound(_))), "{gone:?}");
    assert_eq!(
        store.record("notes", &note.tenant, &note.id).await.unwrap(),
        None
    );
}

pub async fn a_declaration_changes_with_its_indexes(home: &Home) {
    let store = home.open().await;
    let mut notes = collection("notes");
    let one = record(
        "notes",
        "N-1",
        json!({"status": "open", "extra": "x", "title": "red apple"}),
    );
    store.commit(None, vec![put(&one)]).await.unwrap_err();
    store
        .commit(None, vec![declare(&notes), put(&one)])
        .await
        .unwrap();
    notes.indexed = vec![IndexedField {
        name: "extra".to_owned(),
        kind: FieldKind::Text,
    }];
    notes.full_text = vec!["title".to_owned()];
    notes.retired = true;
    store.commit(None, vec![declare(&notes)]).await.unwrap();
    assert_eq!(
        store.collections().await.unwrap(),
        std::slice::from_ref(&notes)
    );
    let mut query = find("notes");
    query.conditions = vec![Condition {
        field: "extra".to_owned(),
        comparison: Comparison::Equal,
        value: json!("x"),
    }];
    query.text = Some("apple".to_owned());
    assert_eq!(ids(&*store, &notes, &query).await, ["N-1"]);
    query.conditions[0].field = "status".to_owned();
    let answer = store.find(&notes, &query).await;
    assert!(matches!(answer, Err(StoreError::Query(_))), "{answer:?}");
}

pub async fn one_owner(home: &Home) {
    let store = home.open().await;
    let mut notes = collection("notes");
    store.commit(None, vec![declare(&notes)]).await.unwrap();
    notes.owner = plugin("thief");
    match store.commit(None, vec![declare(&notes)]).await {
        Err(CommitError::Conflict(text)) => assert!(text.contains("incident-triage"), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub async fn full_text_finds_all_words(home: &Home) {
    let store = home.open().await;
    let mut notes = collection("notes");
    notes.full_text = vec!["title".to_owned(), "text".to_owned()];
    let mut one = record(
        "notes",
        "N-1",
        json!({"title": "Disk full", "text": "on Zürich-3"}),
    );
    let two = record("notes", "N-2", json!({"title": "disk fine"}));
    store
        .commit(None, vec![declare(&notes), put(&one), put(&two)])
        .await
        .unwrap();
    let search = async |text: &str| {
        let mut query = find("notes");
        query.text = Some(text.to_owned());
        query.order = Some(Order {
            field: "id".to_owned(),
            descending: false,
        });
        ids(&*store, &notes, &query).await
    };
    assert_eq!(search("disk").await, ["N-1", "N-2"]);
    assert_eq!(search("full DISK").await, ["N-1"]);
    assert_eq!(search("zurich").await, ["N-1"]);
    assert_eq!(search("  ").await, ["N-1", "N-2"]);
    // None of these is a syntax error, and none has a meaning beyond its words.
    for odd in [
        "\"",
        "disk\"",
        "NEAR(",
        "disk AND",
        "a:b",
        "*",
        "-full",
        "\0",
        "disk OR full",
        "^",
    ] {
        let found = search(odd).await;
        assert!(
            found.len() < 2 || odd == "disk\"",
            "{odd:?} found {found:?}"
        );
    }
    one.version = 2;
    one.body = json!({"title": "resolved"});
    store
        .commit(None, vec![write(RecordWrite::Update(one.clone()))])
        .await
        .unwrap();
    assert_eq!(search("full").await, Vec::<String>::new());
    assert_eq!(search("resolved").await, ["N-1"]);
    let delete = RecordWrite::Delete {
        collection: "notes".to_owned(),
        tenant: one.tenant.clone(),
        id: one.id.clone(),
        version: 2,
    };
    store.commit(None, vec![write(delete)]).await.unwrap();
    assert_eq!(search("resolved").await, Vec::<String>::new());
    let plain = collection("plain");
    let mut query = find("plain");
    query.text = Some("x".to_owned());
    let answer = store.find(&plain, &query).await;
    assert!(matches!(answer, Err(StoreError::Query(_))), "{answer:?}");
}

pub async fn tenants_are_apart(home: &Home) {
    let store = home.open().await;
    let notes = collection("notes");
    let mut ours = record("notes", "N-1", json!({"status": "ours"}));
    ours.tenant = tenant("ours");
    let mut theirs = record("notes", "N-1", json!({"status": "theirs"}));
    theirs.tenant = tenant("theirs");
    store
        .commit(None, vec![declare(&notes), put(&ours), put(&theirs)])
        .await
        .unwrap();
    let read = store.record("notes", &tenant("ours"), "N-1").await.unwrap();
    assert_eq!(read, Some(ours.clone()));
    assert_eq!(
        store
            .record("notes", &tenant("nobody"), "N-1")
            .await
            .unwrap(),
        None
    );
    for (tenants, wanted) in [
        (None, 2),
        (Some(vec![tenant("ours")]), 1),
        (Some(vec![tenant("ours"), tenant("theirs")]), 2),
        (Some(vec![]), 0),
    ] {
        let query = RecordQuery {
            tenants,
            ..find("notes")
        };
        assert_eq!(
            store.find(&notes, &query).await.unwrap().items.len(),
            wanted
        );
    }
    assert_eq!(
        store.tenants().await.unwrap(),
        [tenant("ours"), tenant("theirs")]
    );
}

pub async fn names_cannot_be_sql(home: &Home) {
    let store = home.open().await;
    let good = collection("notes");
    store
        .commit(
            None,
            vec![declare(&good), put(&record("notes", "N", json!({})))],
        )
        .await
        .unwrap();
    for bad in [
        "x'; DROP TABLE records; --",
        "",
        "Upper",
        "a-b",
        "a\"b",
        "é",
        "9a",
    ] {
        let name = collection(bad);
        let mut field = collection("other");
        field.indexed[0].name = bad.to_owned();
        let mut text = collection("other");
        text.full_text = vec![bad.to_owned()];
        for wrong in [name, field, text] {
            let answer = store.commit(None, vec![declare(&wrong)]).await;
            assert!(
                matches!(answer, Err(CommitError::Store(StoreError::Query(_)))),
                "{bad}: {answer:?}"
            );
            let query = RecordQuery {
                order: Some(Order {
                    field: bad.to_owned(),
                    descending: false,
                }),
                ..find("notes")
            };
            let answer = store.find(&wrong, &query).await;
            assert!(
                matches!(answer, Err(StoreError::Query(_))),
                "{bad}: {answer:?}"
            );
        }
    }
    let mut own = collection("other");
    own.indexed[0].name = "created_at".to_owned();
    let answer = store.commit(None, vec![declare(&own)]).await;
    assert!(
        matches!(answer, Err(CommitError::Store(StoreError::Query(_)))),
        "{answer:?}"
    );
    assert_eq!(
        store.collections().await.unwrap(),
        std::slice::from_ref(&good)
    );
    assert_eq!(ids(&*store, &good, &find("notes")).await, ["N"]);
}
