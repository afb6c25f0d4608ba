//! Money: no ceiling is exceeded whoever comes at once, each threshold of a budget is told once,
//! and what nobody knows the end of is booked in full.

use crate::fixtures::{Home, at, execution, plugin, tenant};
use mandate_store::*;
use mandate_types::*;

fn entry(id: &str, kind: SpendingKind, of: &Execution, reserved: i64) -> LedgerEntry {
    LedgerEntry {
        id: id.to_owned(),
        kind,
        tenant: tenant("acme"),
        plugin: Some(plugin("asks")),
        execution: of.id.clone(),
        task: None,
        decision: None,
        provider: None,
        model: None,
        reserved: MicroUsd(reserved),
        settled: None,
        uncertain: false,
        at: at(1_000),
        ended_at: None,
        scopes: vec![Scope::Host, Scope::Tenant(tenant("acme"))],
    }
}

fn reserve(entry: LedgerEntry, ceilings: &[Ceiling]) -> Write {
    Write::Reserve {
        entry: Box::new(entry),
        ceilings: ceilings.to_vec(),
    }
}

fn settle(id: &str, actual: i64) -> Write {
    Write::Settle {
        id: id.to_owned(),
        actual: MicroUsd(actual),
        uncertain: false,
        at: at(2_000),
    }
}

fn ceiling(name: &str, most: i64) -> Ceiling {
    Ceiling {
        name: name.to_owned(),
        scope: Scope::Tenant(tenant("acme")),
        since: at(0),
        most: MicroUsd(most),
        resets_at: None,
    }
}

fn percents(committed: &Committed) -> Vec<u64> {
    let of = |event: &std::sync::Arc<Event>| event.data["percent"].as_u64().unwrap();
    committed.events.iter().map(of).collect()
}

async fn spent(store: &SharedStore) -> (i64, i64) {
    let query = SpentQuery {
        scopes: "tenant/",
        since: at(0),
        tenants: None,
        limit: 10,
    };
    let all = store.spent_by_scope(&query).await.unwrap();
    all.first()
        .map_or((0, 0), |spent| (spent.settled.0, spent.reserved.0))
}

/// 300 at once, of odd sizes, of which a third is settled for less as soon as it is reserved.
pub async fn whoever_comes_at_once_no_ceiling_is_exceeded(home: &Home) {
    let store = home.open().await;
    let of = execution(None);
    let limit = ceiling("budget:pot", 10_007);
    let calls = (0..300_i64).map(|n| {
        let (store, of, limit) = (store.clone(), of.clone(), limit.clone());
        tokio::spawn(async move {
            let (id, amount) = (format!("e{n}"), 50 + n * 37 % 101);
            let entry = entry(&id, SpendingKind::Model, &of, amount);
            let reserved = store.commit(None, vec![reserve(entry, &[limit])]).await;
            match reserved {
                Ok(told) if n % 3 == 0 => {
                    store
                        .commit(None, vec![settle(&id, amount / 2)])
                        .await
                        .unwrap();
                    (amount / 2, percents(&told))
                }
                Ok(told) => (amount, percents(&told)),
                Err(CommitError::Exceeded { ceiling, spent }) => {
                    assert!(spent.0 + amount > ceiling.most.0 && spent <= ceiling.most);
                    (0, Vec::new())
                }
                Err(other) => panic!("{other}"),
            }
        })
    });
    let ends = futures::future::join_all(calls).await;
    let ends: Vec<_> = ends.into_iter().map(Result::unwrap).collect();
    let sum: i64 = ends.iter().map(|(amount, _)| amount).sum();
    let (settled, reserved) = spent(&store).await;
    assert_eq!(settled + reserved, sum);
    assert!(sum <= 10_007 && sum > 10_007 / 2, "{sum}");
    let mut told: Vec<u64> = ends.into_iter().flat_map(|(_, told)| told).collect();
    told.sort_unstable();
    assert!(
        [&[50, 80][..], &[50, 80, 100]].contains(&&told[..]),
        "{told:?}"
    );
}

pub async fn a_threshold_is_told_once_per_period_and_limit(home: &Home) {
    let store = home.open().await;
    let of = execution(None);
    let mut budget = ceiling("budget:b", 100);
    let mut n = 0;
    let mut take = async |amount: i64, budget: &Ceiling, when: Timestamp| {
        n += 1;
        let mut entry = entry(&format!("e{n}"), SpendingKind::Effect, &of, amount);
        entry.at = when;
        let writes = vec![reserve(entry, std::slice::from_ref(budget))];
        percents(&store.commit(None, writes).await.unwrap())
    };
    assert_eq!(take(49, &budget, at(1)).await, [0_u64; 0]);
    assert_eq!(take(1, &budget, at(2)).await, [50], "exactly half is half");
    assert_eq!(take(1, &budget, at(3)).await, [0_u64; 0]);
    // A limit that changed is another budget.
    budget.most = MicroUsd(102);
    assert_eq!(take(0, &budget, at(4)).await, [50]);
    assert_eq!(take(49, &budget, at(5)).await, [80]);
    // The next period: what was before does not count.
    budget.since = at(10);
    assert_eq!(take(10, &budget, at(11)).await, [0_u64; 0]);
    assert_eq!(take(92, &budget, at(12)).await, [50, 80, 100]);
    assert_eq!(take(0, &budget, at(13)).await, [0_u64; 0]);
    // What has no room is told as used up, once.
    let none = |at| Write::Exhausted {
        ceiling: Box::new(ceiling("budget:other", 100)),
        spent: MicroUsd(60),
        tenant: tenant("acme"),
        task: None,
        at,
    };
    let told = store.commit(None, vec![none(at(1)), none(at(2))]).await;
    assert_eq!(percents(&told.unwrap()), [100]);
    let acts = store
        .acts(&ActQuery {
            acts: vec![Act::BUDGET_WARNING.to_owned()],
            limit: 100,
            ..ActQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(acts.items.len(), 7);
}

pub async fn events_of_the_writer_are_numbered_among_the_others(home: &Home) {
    let store = home.open().await;
    let of = execution(None);
    let mut live = store.subscribe();
    let budget = ceiling("budget:b", 100);
    let entry = entry("e", SpendingKind::Effect, &of, 90);
    let writes = vec![
        Write::Event(Box::new(crate::fixtures::event("before"))),
        reserve(entry, &[budget]),
        Write::Event(Box::new(crate::fixtures::event("after"))),
    ];
    let told = store.commit(None, writes).await.unwrap();
    let kinds: Vec<_> = told
        .events
        .iter()
        .map(|it| (it.seq, it.kind.as_str()))
        .collect();
    let warning = EventKind::BUDGET_WARNING;
    let expected = [(1, "before"), (2, warning), (3, warning), (4, "after")];
    assert_eq!(kinds, expected);
    let stored = store
        .events(&EventQuery {
            limit: 10,
            ..EventQuery::default()
        })
        .await
        .unwrap();
    let stored: Vec<_> = stored.iter().map(|it| (it.seq, it.kind.as_str())).collect();
    assert_eq!(stored, expected);
    for (seq, _) in expected {
        assert_eq!(live.recv().await.unwrap().seq, seq);
    }
}

pub async fn what_is_taken_over_in_the_middle_of_a_model_call_is_booked(home: &Home) {
    let store = home.open().await;
    let of = execution(None);
    let writes = vec![
        Write::StartExecution(Box::new(of.clone())),
        reserve(entry("done", SpendingKind::Model, &of, 10), &[]),
        reserve(entry("lost", SpendingKind::Model, &of, 20), &[]),
        reserve(entry("effect", SpendingKind::Effect, &of, 40), &[]),
        settle("done", 3),
    ];
    store.commit(None, writes).await.unwrap();
    let take = Write::TakeExecution {
        id: of.id.clone(),
        epoch: 2,
    };
    store.commit(None, vec![take]).await.unwrap();
    let ledger = store
        .ledger(&LedgerQuery {
            limit: 10,
            ..LedgerQuery::default()
        })
        .await
        .unwrap();
    let found = |id: &str| ledger.items.iter().find(|it| it.id == id).unwrap();
    assert_eq!(
        (found("done").settled, found("done").uncertain),
        (Some(MicroUsd(3)), false)
    );
    assert_eq!(
        (found("lost").settled, found("lost").uncertain),
        (Some(MicroUsd(20)), true)
    );
    assert_eq!(found("effect").ended_at, None, "an effect is asked about");
    assert_eq!(spent(&store).await, (23, 40));
    // Levels of autonomy count effects.
    let over = [(Scope::Tenant(tenant("acme")), at(0))];
    assert_eq!(store.spent(&over).await.unwrap(), [MicroUsd(40)]);
    let autonomy = ceiling("autonomy:tenant", 41);
    let one = entry("one", SpendingKind::Effect, &of, 1);
    store
        .commit(None, vec![reserve(one, std::slice::from_ref(&autonomy))])
        .await
        .unwrap();
    let more = entry("more", SpendingKind::Effect, &of, 1);
    let refused = store.commit(None, vec![reserve(more, &[autonomy])]).await;
    assert!(
        matches!(refused, Err(CommitError::Exceeded { .. })),
        "{refused:?}"
    );
}

pub async fn a_clients_call_that_a_stop_cut_off_is_booked_in_full(home: &Home) {
    let of = execution(None);
    {
        let store = home.open().await;
        let mut own = entry("own", SpendingKind::Model, &of, 10);
        own.plugin = None;
        let others = entry("a-plugins", SpendingKind::Model, &of, 20);
        let writes = vec![reserve(own, &[]), reserve(others, &[])];
        store.commit(None, writes).await.unwrap();
    }
    let store = home.open().await;
    let query = LedgerQuery {
        kind: Some(SpendingKind::Model),
        limit: 10,
        ..LedgerQuery::default()
    };
    let ledger = store.ledger(&query).await.unwrap();
    let found = |id: &str| ledger.items.iter().find(|it| it.id == id).unwrap();
    let own = found("own");
    assert_eq!((own.settled, own.uncertain), (Some(MicroUsd(10)), true));
    let others = found("a-plugins");
    assert_eq!(others.settled, None, "its execution is taken over");
}
