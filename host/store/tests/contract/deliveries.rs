//! What was delivered to webhooks.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

fn delivery(key: Option<&str>) -> Delivery {
    Delivery {
        id: DeliveryId::fresh(),
        plugin: plugin("inbox"),
        webhook: "in".to_owned(),
        tenant: tenant("acme"),
        principal: who("ann"),
        key: key.map(|key| Digest::of(key.as_bytes())),
        status: DeliveryStatus::Accepted,
        attempts: 0,
        body: json!({"n": 1}),
        answer: None,
        at: at(5),
        ended_at: None,
    }
}

fn new(delivery: &Delivery) -> Write {
    Write::CreateDelivery(Box::new(delivery.clone()))
}

fn changed(delivery: &Delivery) -> Write {
    Write::ChangeDelivery(Box::new(delivery.clone()))
}

fn key_of(delivery: &Delivery) -> DeliveryKey {
    DeliveryKey {
        plugin: delivery.plugin.clone(),
        webhook: delivery.webhook.clone(),
        tenant: delivery.tenant.clone(),
        key: delivery.key.clone().unwrap(),
    }
}

pub async fn a_delivery_is_kept_once_and_ends_once(home: &Home) {
    let store = home.open().await;
    let mut one = delivery(Some("a"));
    store.commit(None, vec![new(&one)]).await.unwrap();
    assert_eq!(store.delivery(&one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(
        store.delivered(&key_of(&one)).await.unwrap(),
        Some(one.clone())
    );
    let again = store.commit(None, vec![new(&delivery(Some("a")))]).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "{again:?}");
    // Of another tenant, or without a key, it is another.
    let mut theirs = delivery(Some("a"));
    theirs.tenant = tenant("other");
    let (first, second) = (delivery(None), delivery(None));
    store
        .commit(None, vec![new(&theirs), new(&first), new(&second)])
        .await
        .unwrap();
    assert_eq!(store.undelivered().await.unwrap().len(), 4);
    one.attempts = 1;
    store.commit(None, vec![changed(&one)]).await.unwrap();
    one.status = DeliveryStatus::Done;
    one.body = json!(null);
    one.answer = Some(json!({"result": 7}));
    one.ended_at = Some(at(9));
    store.commit(None, vec![changed(&one)]).await.unwrap();
    assert_eq!(
        store.delivered(&key_of(&one)).await.unwrap(),
        Some(one.clone())
    );
    let late = store.commit(None, vec![changed(&one)]).await;
    assert!(matches!(late, Err(CommitError::NotFound(_))), "{late:?}");
    let left = store.undelivered().await.unwrap();
    assert!(left.len() == 3 && left.iter().all(|delivery| delivery.id != one.id));
}

pub async fn a_key_can_be_given_back(home: &Home) {
    let store = home.open().await;
    let mut failed = delivery(Some("a"));
    let key = key_of(&failed);
    store.commit(None, vec![new(&failed)]).await.unwrap();
    failed.key = None;
    failed.status = DeliveryStatus::Failed;
    store.commit(None, vec![changed(&failed)]).await.unwrap();
    assert_eq!(store.delivered(&key).await.unwrap(), None);
    store
        .commit(None, vec![new(&delivery(Some("a")))])
        .await
        .unwrap();
}

pub async fn ended_deliveries_are_forgotten_after_a_day(home: &Home) {
    let store = home.open().await;
    let (mut done, open) = (delivery(Some("a")), delivery(Some("b")));
    store
        .commit(None, vec![new(&done), new(&open)])
        .await
        .unwrap();
    done.status = DeliveryStatus::Done;
    store.commit(None, vec![changed(&done)]).await.unwrap();
    let day = 24 * 3_600 * 1_000_000;
    store.sweep(at(day)).await.unwrap();
    assert!(store.delivery(&done.id).await.unwrap().is_some());
    store.sweep(at(day + 6)).await.unwrap();
    assert_eq!(store.delivery(&done.id).await.unwrap(), None);
    assert_eq!(store.undelivered().await.unwrap(), [open]);
}
