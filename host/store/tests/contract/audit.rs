//! Acts: numbered with the deed, found again, chained, and not changed unnoticed.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

fn act(actor: &str, act: &'static str, subject: &str, for_whom: Option<&str>) -> NewAct {
    NewAct {
        at: at(1),
        actor: who(actor).into(),
        act,
        subject: subject.to_owned(),
        tenant: for_whom.map(tenant),
        data: json!({"n": 0.1, "text": "it's \"quoted\"\nand é"}),
    }
}

fn write(act: NewAct) -> Write {
    Write::Audit(Box::new(act))
}

async fn all(store: &dyn Store) -> Vec<AuditedAct> {
    let read = store.acts_after(0, 1000).await.unwrap();
    read.into_iter().map(Result::unwrap).collect()
}

pub async fn acts_are_numbered_in_the_transaction_of_the_deed(home: &Home) {
    let store = home.open().await;
    let mut written = store.acts_written();
    assert_eq!(*written.borrow_and_update(), 0);
    let made = || write(act("ann", Act::TOKEN_CREATED, "principal/bob", None));
    store.commit(None, vec![made(), made()]).await.unwrap();
    assert_eq!(*written.borrow_and_update(), 2);
    // What does not happen has no act, and no number.
    let refused = vec![made(), Write::RemovePrincipal(who("nobody"))];
    store.commit(None, refused).await.unwrap_err();
    assert!(!written.has_changed().unwrap());
    drop(store);
    let store = home.open().await;
    assert_eq!(*store.acts_written().borrow(), 2);
    let commits = (0..20).map(|_| store.commit(None, vec![made()]));
    for done in futures::future::join_all(commits).await {
        done.unwrap();
    }
    let acts = all(&*store).await;
    let numbers: Vec<u64> = acts.iter().map(|act| act.seq).collect();
    assert_eq!(numbers, (1..=22).collect::<Vec<_>>());
    let first = &acts[0];
    assert_eq!((first.actor.as_str(), first.at), ("ann", at(1)));
    assert_eq!(first.tenant, None);
    assert_eq!(
        first.data,
        json!({"n": 0.1, "text": "it's \"quoted\"\nand é"}).to_string()
    );
}

pub async fn acts_are_found_by_who_what_when_and_for_whom(home: &Home) {
    let store = home.open().await;
    let later = NewAct {
        at: at(50),
        ..act("bob", Act::PLUGIN_REMOVED, "plugin/x", Some("acme"))
    };
    let writes = vec![
        write(act("ann", Act::PLUGIN_INSTALLED, "plugin/x", None)),
        write(act("ann", Act::GRANT_CHANGED, "plugin/y", Some("acme"))),
        write(act("bob", Act::GRANT_CHANGED, "plugin/x", Some("other"))),
        write(later),
    ];
    store.commit(None, writes).await.unwrap();
    let found = async |change: &dyn Fn(&mut ActQuery)| {
        let mut query = ActQuery {
            limit: 10,
            ..ActQuery::default()
        };
        change(&mut query);
        let page = store.acts(&query).await.unwrap();
        page.items.iter().map(|act| act.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(&|_| {}).await, [4, 3, 2, 1]);
    assert_eq!(found(&|q| q.oldest_first = true).await, [1, 2, 3, 4]);
    assert_eq!(found(&|q| q.actor = Some("ann".to_owned())).await, [2, 1]);
    let changed = Act::GRANT_CHANGED.to_owned();
    assert_eq!(found(&|q| q.acts = vec![changed.clone()]).await, [3, 2]);
    let x = || Some("plugin/x".to_owned());
    assert_eq!(found(&|q| q.subject = x()).await, [4, 3, 1]);
    assert_eq!(
        found(&|q| q.tenants = Some(vec![tenant("acme")])).await,
        [4, 2]
    );
    assert_eq!(found(&|q| q.tenants = Some(vec![])).await, [0_u64; 0]);
    assert_eq!(found(&|q| q.since = Some(at(2))).await, [4]);
    assert_eq!(found(&|q| q.until = Some(at(50))).await, [3, 2, 1]);
    let mut query = ActQuery {
        subject: x(),
        limit: 2,
        ..ActQuery::default()
    };
    let first = store.acts(&query).await.unwrap();
    query.cursor = first.cursor;
    let second = store.acts(&query).await.unwrap();
    assert_eq!((second.items.len(), second.items[0].seq), (1, 1));
    assert!(second.cursor.is_none());
}

pub async fn hashes_are_kept_beside_what_they_are_of(home: &Home) {
    let store = home.open().await;
    assert_eq!(store.last_sealed().await.unwrap(), None);
    let made = || write(act("ann", Act::TOKEN_CREATED, "principal/bob", None));
    let writes = (0..3).map(|_| made()).collect();
    store.commit(None, writes).await.unwrap();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let seal = Write::SealActs(vec![(1, one.clone()), (2, two.clone())]);
    store.commit(None, vec![seal]).await.unwrap();
    assert_eq!(store.last_sealed().await.unwrap(), Some((2, two.clone())));
    let hashes: Vec<_> = all(&*store).await.into_iter().map(|a| a.hash).collect();
    assert_eq!(hashes, [Some(one), Some(two), None]);
    // A reader beside the host sees the same.
    let beside = read_audit(home.path());
    assert_eq!(beside.last_sealed().await.unwrap().unwrap().0, 2);
    assert_eq!(beside.acts_after(1, 10).await.unwrap().len(), 2);
}

pub async fn a_changed_act_is_told_by_its_number(home: &Home) {
    let store = home.open().await;
    let made = || write(act("ann", Act::TOKEN_CREATED, "principal/bob", None));
    let writes = (0..6).map(|_| made()).collect();
    store.commit(None, writes).await.unwrap();
    for spoilt in [
        "UPDATE audit SET actor = x'00ff' WHERE seq = 2",
        "UPDATE audit SET at = 'yesterday' WHERE seq = 3",
        "UPDATE audit SET data = data || ' ' WHERE seq = 4",
        "UPDATE audit SET hash = 'abc' WHERE seq = 5",
        "UPDATE audit SET subject = CAST(x'ff' AS TEXT) WHERE seq = 6",
    ] {
        home.by_hand(spoilt).await;
    }
    let read = store.acts_after(0, 10).await.unwrap();
    let numbers: Vec<_> = read
        .iter()
        .map(|act| act.as_ref().map(|act| act.seq).map_err(|bad| bad.seq))
        .collect();
    assert_eq!(numbers, [Ok(1), Err(2), Err(3), Err(4), Err(5), Err(6)]);
}
