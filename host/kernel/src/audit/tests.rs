//! What a start makes of what it finds, and that what is sealed stays so.

use super::*;
use mandate_store::{ActQuery, open_embedded};
use mandate_types::PrincipalName;
use tempfile::TempDir;

fn new() -> Write {
    Write::Audit(Box::new(NewAct {
        actor: PrincipalName::parse("ann").unwrap().into(),
        ..own(Act::TOKEN_CREATED, json!({"n": 1}))
    }))
}

/// The acts by which the host put something on record, in order.
async fn told(store: &SharedStore) -> Vec<String> {
    let query = ActQuery {
        actor: Some(Actor::host().to_string()),
        oldest_first: true,
        limit: 100,
        ..ActQuery::default()
    };
    let acts = store.acts(&query).await.unwrap().items;
    acts.into_iter().map(|act| act.act).collect()
}

#[tokio::test]
async fn acts_are_sealed_and_a_start_adds_none() {
    let dir = TempDir::new().unwrap();
    let store = open_embedded(dir.path()).await.unwrap();
    let audit = Audit::open(store.clone(), dir.path()).await.unwrap();
    assert_eq!(told(&store).await, [Act::AUDIT_KEY_MADE]);
    store.commit(None, vec![new(), new()]).await.unwrap();
    let head = audit.seal().await.unwrap();
    assert_eq!(head.seq, 3);
    assert_eq!(
        store.last_sealed().await.unwrap(),
        Some((3, head.hash.clone()))
    );
    assert_eq!(audit.seal().await.unwrap(), head);
    let again = Audit::open(store.clone(), dir.path()).await.unwrap();
    let now = again.seal().await.unwrap();
    assert_eq!((now.seq, &now.hash), (3, &head.hash));
    let found = verify_directory(dir.path(), vec![("this".to_owned(), now)], None).await;
    assert_eq!(found.unwrap().verified.acts, 3);
}

#[tokio::test]
async fn an_end_between_head_and_database_is_no_fault() {
    let dir = TempDir::new().unwrap();
    let store = open_embedded(dir.path()).await.unwrap();
    let audit = Audit::open(store.clone(), dir.path()).await.unwrap();
    store.commit(None, vec![new(), new()]).await.unwrap();
    // What a sealer does first, and no more.
    let sealed = audit.head.lock().await.clone();
    let mut hash = sealed.hash.clone();
    for act in store.acts_after(sealed.seq, 10).await.unwrap() {
        hash = chain::link(&hash, &act.unwrap());
    }
    let ahead = chain::sign(&audit.key, 3, hash);
    audit.directory.put_head(&ahead).unwrap();
    let found = verify_directory(dir.path(), Vec::new(), None).await;
    assert_eq!(found.unwrap().verified.unsigned, 0);
    let again = Audit::open(store.clone(), dir.path()).await.unwrap();
    assert_eq!(told(&store).await, [Act::AUDIT_KEY_MADE]);
    assert_eq!(again.seal().await.unwrap().hash, ahead.hash);
    assert_eq!(store.last_sealed().await.unwrap().unwrap().0, 3);
}

#[tokio::test]
async fn what_was_not_sealed_in_time_is_told_at_the_next_start() {
    let dir = TempDir::new().unwrap();
    let store = open_embedded(dir.path()).await.unwrap();
    Audit::open(store.clone(), dir.path()).await.unwrap();
    store.commit(None, vec![new(), new()]).await.unwrap();
    Audit::open(store.clone(), dir.path()).await.unwrap();
    assert_eq!(
        told(&store).await,
        [Act::AUDIT_KEY_MADE, Act::AUDIT_SEALED_LATE]
    );
}

#[tokio::test]
async fn a_head_that_does_not_fit_is_told_and_kept() {
    let dir = TempDir::new().unwrap();
    let store = open_embedded(dir.path()).await.unwrap();
    let audit = Audit::open(store.clone(), dir.path()).await.unwrap();
    let sealed = audit.head.lock().await.clone();
    let further = chain::sign(&audit.key, 9, sealed.hash.clone());
    let other = chain::sign(&audit.key, sealed.seq, Digest::of(b"another"));
    let mut forged = sealed.clone();
    forged.at = Timestamp::from_micros(0);
    let foreign = chain::sign(&SigningKey::from_bytes(&[1; 32]), 1, sealed.hash);
    for (head, why) in [
        (further, "ends at act"),
        (other, "is another"),
        (forged, "wrong signature"),
        (foreign, "another key"),
    ] {
        let dir = TempDir::new().unwrap();
        let store = open_embedded(dir.path()).await.unwrap();
        std::fs::write(dir.path().join("audit.key"), audit.key.to_bytes()).unwrap();
        let beside = Directory::new(dir.path());
        beside.put_head(&head).unwrap();
        if why != "ends at act" {
            store.commit(None, vec![new()]).await.unwrap();
            let hash = chain::link(&chain::beginning(), &first(&store).await);
            store
                .commit(None, vec![Write::SealActs(vec![(1, hash)])])
                .await
                .unwrap();
        }
        Audit::open(store.clone(), dir.path()).await.unwrap();
        assert_eq!(told(&store).await, [Act::AUDIT_MISMATCH], "{why}");
        let last = store
            .acts(&ActQuery {
                limit: 1,
                ..ActQuery::default()
            })
            .await
            .unwrap();
        assert!(last.items[0].data.contains(why), "{}", last.items[0].data);
        let fault = verify_directory(dir.path(), Vec::new(), None)
            .await
            .unwrap_err();
        assert!(fault.to_string().contains("audit.head."), "{fault}");
    }
}

async fn first(store: &SharedStore) -> mandate_store::AuditedAct {
    let acts = store.acts_after(0, 1).await.unwrap();
    acts.into_iter().next().unwrap().unwrap()
}
