//! Notifications: planned once, due while their decision is pending, dropped when it is not.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;

fn planned(decision: &Decision, number: u32, due: i64) -> Notification {
    Notification {
        decision: decision.id.clone(),
        number,
        channel: format!("channel-{number}"),
        due_at: at(due),
        status: NotificationStatus::Planned,
        attempts: 0,
        error: None,
        delivered_at: None,
    }
}

pub async fn what_is_planned_is_due_until_it_is_delivered_or_answered(home: &Home) {
    let store = home.open().await;
    let (one, two) = (decision(), decision());
    let create = [&one, &two].map(|d| Write::CreateDecision(Box::new(d.clone())));
    store.commit(None, create.to_vec()).await.unwrap();
    let plan = |d: &Decision, times: &[i64]| {
        let all = times
            .iter()
            .zip(0..)
            .map(|(due, number)| planned(d, number, *due));
        Write::PlanNotifications(all.collect())
    };
    let writes = vec![plan(&one, &[10, 30]), plan(&two, &[20])];
    store.commit(None, writes).await.unwrap();
    // What is planned stays, also if somebody plans again.
    store.commit(None, vec![plan(&one, &[99])]).await.unwrap();
    assert_eq!(store.next_notification().await.unwrap(), Some(at(10)));
    let due = store.notifications_due(at(20), 10).await.unwrap();
    assert_eq!(due, [planned(&one, 0, 10), planned(&two, 0, 20)]);
    let failed = Notification {
        due_at: at(15),
        attempts: 1,
        error: Some("503".into()),
        ..planned(&one, 0, 10)
    };
    let change = |n: &Notification| vec![Write::ChangeNotification(Box::new(n.clone()))];
    store.commit(None, change(&failed)).await.unwrap();
    assert_eq!(store.next_notification().await.unwrap(), Some(at(15)));
    let delivered = Notification {
        status: NotificationStatus::Delivered,
        attempts: 2,
        error: None,
        delivered_at: Some(at(16)),
        ..failed.clone()
    };
    store.commit(None, change(&delivered)).await.unwrap();
    // What is delivered is not planned again by somebody who was slower.
    store.commit(None, change(&failed)).await.unwrap();
    let all = store.notifications(&one.id).await.unwrap();
    assert_eq!(all, [delivered, planned(&one, 1, 30)]);
    let denied = Write::ChangeDecision {
        id: two.id.clone(),
        from: &[DecisionStatus::Pending],
        live_at: None,
        change: Box::new(DecisionChange {
            status: Some(DecisionStatus::Denied),
            ..DecisionChange::default()
        }),
    };
    store.commit(None, vec![denied]).await.unwrap();
    for which in [one.id.clone(), two.id.clone()] {
        let drop = Write::DropNotifications(which);
        store.commit(None, vec![drop]).await.unwrap();
    }
    assert_eq!(store.next_notification().await.unwrap(), Some(at(30)));
    let status = |all: Vec<Notification>| all.iter().map(|n| n.status).collect::<Vec<_>>();
    let (of_one, of_two) = (
        store.notifications(&one.id).await.unwrap(),
        store.notifications(&two.id).await.unwrap(),
    );
    assert_eq!(
        status(of_one),
        [NotificationStatus::Delivered, NotificationStatus::Planned]
    );
    assert_eq!(status(of_two), [NotificationStatus::Dropped]);
}

pub async fn pending_decisions_that_nobody_was_told_of_are_found(home: &Home) {
    let store = home.open().await;
    let (told, untold, mut own, mut answered) = (decision(), decision(), decision(), decision());
    own.request.tool = "notify.send".into();
    answered.status = DecisionStatus::Approved;
    let create =
        [&told, &untold, &own, &answered].map(|d| Write::CreateDecision(Box::new(d.clone())));
    let mut writes = create.to_vec();
    writes.push(Write::PlanNotifications(vec![planned(&told, 0, 1)]));
    store.commit(None, writes).await.unwrap();
    let found = store.unnotified("notify.send", 10).await.unwrap();
    assert_eq!(found, [untold]);
}
