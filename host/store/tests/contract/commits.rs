//! Commits of many callers at once, and the events that come of them.

use crate::fixtures::*;
use futures::future::join_all;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

pub async fn one_of_many_fails_alone(home: &Home) {
    let store = home.open().await;
    let (.., root) = running(&*store).await;
    let taken = step(&root.id, 1, 0);
    store
        .commit(None, vec![Write::Step(Box::new(taken.clone()))])
        .await
        .unwrap();
    // All at once, so that most of them share a transaction of the database.
    let answers = join_all((0..60_u64).map(|n| {
        let mut writes = vec![happen(event("counted"))];
        writes.push(match n {
            20 => change(&TaskId::fresh(), TaskStatus::ALL, to(TaskStatus::Failed)),
            21 => Write::Step(Box::new(taken.clone())),
            22 => Write::Step(Box::new(step(&InvocationId::fresh(), 1, 0))),
            _ => Write::Step(Box::new(step(&root.id, n + 100, 0))),
        });
        store.commit(None, writes)
    }))
    .await;
    for (n, answer) in answers.iter().enumerate() {
        match n {
            20 | 22 => assert!(
                matches!(answer, Err(CommitError::NotFound(_))),
                "{answer:?}"
            ),
            21 => assert!(
                matches!(answer, Err(CommitError::StepExists { .. })),
                "{answer:?}"
            ),
            _ => assert_eq!(answer.as_ref().unwrap().events.len(), 1, "{n}: {answer:?}"),
        }
    }
    assert_eq!(store.steps(&root.id).await.unwrap().len(), 58);
    let mut numbers: Vec<_> = answers
        .iter()
        .flatten()
        .flat_map(|done| done.events.iter().map(|e| e.seq))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=57).collect::<Vec<_>>());
    assert_eq!(store.last_event().await.unwrap(), 57);
}

pub async fn a_commit_is_all_or_nothing(home: &Home) {
    let store = home.open().await;
    let notes = collection("notes");
    let task = task();
    let mut told = store.subscribe();
    let mut stale = record("notes", "N-1", json!({}));
    stale.version = 5;
    let writes = vec![
        declare(&notes),
        create(&task),
        put(&record("notes", "N-1", json!({}))),
        happen(event("x")),
        Write::Record(Box::new(RecordWrite::Update(stale))),
    ];
    let answer = store.commit(None, writes).await;
    assert!(
        matches!(answer, Err(CommitError::Conflict(_))),
        "{answer:?}"
    );
    assert_eq!(store.task(&task.id).await.unwrap(), None);
    assert_eq!(store.collections().await.unwrap(), []);
    assert_eq!(store.tenants().await.unwrap(), []);
    assert!(told.try_recv().is_err());
    // What the failed commit declared is not remembered either.
    let answer = store
        .commit(None, vec![put(&record("notes", "N-1", json!({})))])
        .await;
    assert!(
        matches!(answer, Err(CommitError::NotFound(_))),
        "{answer:?}"
    );
    store.commit(None, vec![create(&task)]).await.unwrap();
    assert_eq!(store.tenants().await.unwrap(), [TenantId::default()]);
}

pub async fn events_have_no_gap_with_many_writers(home: &Home) {
    let store = home.open().await;
    let mut told = store.subscribe();
    let writers = (0..50_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            for n in 0..10_u64 {
                let mut one = event("one");
                one.data = json!([writer, n]);
                let mut writes = vec![happen(one), happen(event("two"))];
                let fails = (writer + n) % 7 == 0;
                if fails {
                    let nobody = TaskId::fresh();
                    writes.push(change(&nobody, TaskStatus::ALL, to(TaskStatus::Failed)));
                }
                match store.commit(None, writes).await {
                    Ok(done) => {
                        assert!(!fails);
                        assert_eq!(done.events.len(), 2);
                        assert_eq!(done.events[0].seq + 1, done.events[1].seq);
                        mine.extend(done.events.iter().map(|e| e.seq));
                    }
                    Err(_) => assert!(fails),
                }
            }
            assert!(mine.is_sorted());
            mine
        })
    });
    let mut numbers = Vec::new();
    for writer in join_all(writers).await {
        numbers.extend(writer.unwrap());
    }
    numbers.sort_unstable();
    let count = numbers.len() as u64;
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    let query = EventQuery {
        limit: 5000,
        ..EventQuery::default()
    };
    let stored = store.events(&query).await.unwrap();
    assert_eq!(stored.iter().map(|e| e.seq).collect::<Vec<_>>(), numbers);
    for event in &stored {
        assert_eq!(
            *told.recv().await.unwrap(),
            *event,
            "published as stored, in order"
        );
    }
    assert!(told.try_recv().is_err());
}

pub async fn events_are_filtered(home: &Home) {
    let store = home.open().await;
    let task = TaskId::fresh();
    let subject = Subject::parse("notes/N-1").unwrap();
    let mut writes = Vec::new();
    for n in 0..10 {
        let mut new = event(if n % 2 == 0 { "even" } else { "odd" });
        new.tenant = tenant(if n < 3 { "low" } else { "high" });
        new.task = (n == 4).then(|| task.clone());
        new.subject = (n == 5).then(|| subject.clone());
        writes.push(happen(new));
    }
    store.commit(None, writes).await.unwrap();
    let numbers = async |query: EventQuery| -> Vec<u64> {
        let query = EventQuery {
            limit: query.limit.max(1),
            ..query
        };
        store
            .events(&query)
            .await
            .unwrap()
            .iter()
            .map(|e| e.seq)
            .collect()
    };
    let any = || EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    assert_eq!(numbers(EventQuery { after: 7, ..any() }).await, [8, 9, 10]);
    assert_eq!(
        numbers(EventQuery {
            after: 2,
            limit: 2,
            ..any()
        })
        .await,
        [3, 4]
    );
    assert_eq!(
        numbers(EventQuery {
            tenants: Some(vec![tenant("low")]),
            ..any()
        })
        .await,
        [1, 2, 3]
    );
    let odd = vec!["odd".to_owned(), "other".to_owned()];
    assert_eq!(
        numbers(EventQuery {
            kinds: odd,
            ..any()
        })
        .await,
        [2, 4, 6, 8, 10]
    );
    assert_eq!(
        numbers(EventQuery {
            task: Some(task),
            ..any()
        })
        .await,
        [5]
    );
    assert_eq!(
        numbers(EventQuery {
            subject: Some(subject),
            ..any()
        })
        .await,
        [6]
    );
    assert_eq!(
        numbers(EventQuery {
            newest_first: true,
            to: Some(8),
            limit: 3,
            ..any()
        })
        .await,
        [8, 7, 6]
    );
}

/// Old ones go, and the oldest beyond the most; what is kept has no gap, and numbers go on.
pub async fn only_the_oldest_events_are_forgotten(home: &Home) {
    let store = home.open().await;
    assert_eq!(store.first_event().await.unwrap(), 1);
    // More than one portion, and one that came late with an early time.
    let times = (0..5_000).map(|n| if n == 4_500 { 1 } else { n });
    let writes = times
        .map(|n| {
            let mut new = event("tick");
            new.time = at(n);
            happen(new)
        })
        .collect();
    store.commit(None, writes).await.unwrap();
    let kept = async || -> (u64, u64, usize) {
        let query = EventQuery {
            limit: 10_000,
            ..EventQuery::default()
        };
        let events = store.events(&query).await.unwrap();
        assert!(events.windows(2).all(|two| two[0].seq + 1 == two[1].seq));
        let first = store.first_event().await.unwrap();
        (first, store.last_event().await.unwrap(), events.len())
    };
    assert_eq!(store.forget_events(at(0), 10_000).await.unwrap(), 0);
    assert_eq!(store.forget_events(at(4_400), 10_000).await.unwrap(), 4_400);
    assert_eq!(kept().await, (4_401, 5_000, 600));
    assert_eq!(store.forget_events(at(0), 100).await.unwrap(), 500);
    assert_eq!(kept().await, (4_901, 5_000, 100));
    assert_eq!(store.forget_events(at(9_000), 100).await.unwrap(), 100);
    assert_eq!(kept().await, (5_001, 5_000, 0));
    store
        .commit(None, vec![happen(event("tick"))])
        .await
        .unwrap();
    assert_eq!(kept().await, (5_001, 5_001, 1));
}

pub async fn writes_of_one_commit_see_each_other(home: &Home) {
    let store = home.open().await;
    let task = task();
    let execution = execution(Some(&task.id));
    let root = invocation(&execution);
    let mut intent = step(&root.id, 1, 0);
    (intent.state, intent.answer, intent.answered_at) = (StepState::Intended, None, None);
    let mut note = record("notes", "N-1", json!({"status": "a"}));
    let first = put(&note);
    note.version = 2;
    note.body = json!({"status": "b"});
    let lease = Lease {
        execution: execution.id.clone(),
        epoch: 1,
    };
    let writes = vec![
        declare(&collection("notes")),
        create(&task),
        Write::StartExecution(Box::new(execution.clone())),
        Write::StartInvocation(Box::new(root.clone())),
        Write::Step(Box::new(intent)),
        Write::AnswerStep(Box::new(StepAnswer {
            invocation: root.id.clone(),
            sequence: 1,
            index: 0,
            tenant: TenantId::default(),
            answer: json!({"ok": 1}),
            refused: false,
            cost_micro_usd: MicroUsd::ZERO,
            answered_at: at(3),
            active_us: None,
        })),
        first,
        Write::Record(Box::new(RecordWrite::Update(note.clone()))),
        change(&task.id, &[TaskStatus::Pending], to(TaskStatus::Running)),
        Write::TakeExecution {
            id: execution.id.clone(),
            epoch: 2,
        },
    ];
    store.commit(Some(&lease), writes).await.unwrap();
    let read = store.task(&task.id).await.unwrap().unwrap();
    assert_eq!(read.status, TaskStatus::Running);
    assert_eq!(
        store.steps(&root.id).await.unwrap()[0].state,
        StepState::Answered
    );
    assert_eq!(
        store.record("notes", &note.tenant, "N-1").await.unwrap(),
        Some(note)
    );
    assert_eq!(
        store
            .execution(&execution.id)
            .await
            .unwrap()
            .unwrap()
            .lease_epoch,
        2
    );
}
