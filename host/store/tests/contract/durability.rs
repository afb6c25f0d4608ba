//! What stays, whatever happens to host and disk.

use crate::fixtures::*;
use mandate_store::*;
use serde_json::json;

pub async fn everything_is_there_after_reopening(home: &Home) {
    let notes = collection("notes");
    let (task, root) = {
        let store = home.open().await;
        let (task, _, root) = running(&*store).await;
        let writes = vec![
            declare(&notes),
            put(&record("notes", "N-1", json!({"status": "open"}))),
            Write::Step(Box::new(step(&root.id, 1, 0))),
            happen(event("a")),
            happen(event("b")),
        ];
        store.commit(None, writes).await.unwrap();
        (task, root)
    };
    let store = home.open().await;
    assert_eq!(store.task(&task.id).await.unwrap(), Some(task));
    assert_eq!(store.steps(&root.id).await.unwrap(), [step(&root.id, 1, 0)]);
    assert_eq!(store.last_event().await.unwrap(), 2);
    // What the writer knows is there too: the declaration, the number of the last event.
    let writes = vec![put(&record("notes", "N-2", json!({}))), happen(event("c"))];
    let done = store.commit(None, writes).await.unwrap();
    assert_eq!(done.events[0].seq, 3);
    assert_eq!(
        store
            .find(&notes, &find("notes"))
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

pub async fn a_second_host_is_told_who_is_there(home: &Home) {
    let store = home.open().await;
    match home.try_open().await {
        Err(StoreError::Unavailable(text)) => {
            assert!(
                text.contains(&format!("process {}", std::process::id())),
                "{text}"
            );
            assert!(text.contains("--data-dir"), "{text}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("two hosts on one data directory"),
    }
    store.check().await.unwrap();
}

pub async fn a_full_disk_refuses_and_loses_nothing(home: &Home) {
    let mut accepted = Vec::new();
    {
        let store = home.open_small(400).await;
        let mut told = store.subscribe();
        // Smaller ones too, until nothing fits whatever the number of pages was.
        for size in [20_000, 10] {
            loop {
                let mut task = task();
                task.input = json!("x".repeat(size));
                match store
                    .commit(None, vec![create(&task), happen(event("made"))])
                    .await
                {
                    Ok(_) => accepted.push(task),
                    Err(CommitError::Store(StoreError::Full(_))) => break,
                    Err(other) => panic!("{other:?}"),
                }
                assert!(accepted.len() < 1000, "the disk never gets full");
            }
        }
        assert!(!accepted.is_empty());
        assert!(matches!(store.check().await, Err(StoreError::Full(_))));
        assert!(store.task(&accepted[0].id).await.unwrap().is_some());
        let mut numbers = Vec::new();
        while let Ok(event) = told.try_recv() {
            numbers.push(event.seq);
        }
        assert_eq!(numbers, (1..=accepted.len() as u64).collect::<Vec<_>>());
    }
    // A host that starts while the disk is still full shows everything.
    {
        let store = home.open_small(400).await;
        assert!(matches!(store.check().await, Err(StoreError::Full(_))));
        for task in &accepted {
            assert_eq!(store.task(&task.id).await.unwrap().as_ref(), Some(task));
        }
    }
    let store = home.open().await;
    store.check().await.unwrap();
    let done = store
        .commit(None, vec![create(&task()), happen(event("made"))])
        .await
        .unwrap();
    assert_eq!(done.events[0].seq, accepted.len() as u64 + 1);
}

pub async fn a_check_writes(home: &Home) {
    let store = home.open().await;
    for _ in 0..3 {
        store.check().await.unwrap();
    }
    assert_eq!(store.last_event().await.unwrap(), 0);
}

pub async fn others_on_the_machine_cannot_read_it(home: &Home) {
    let store = home.open().await;
    store.check().await.unwrap();
    let modes = home.modes();
    let database: Vec<_> = modes
        .iter()
        .filter(|(name, _)| name.starts_with("mandate.db"))
        .collect();
    assert!(database.len() >= 2, "{modes:?}");
    assert!(database.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
}
