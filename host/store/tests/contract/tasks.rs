//! Tasks.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;
use std::time::Duration;

pub async fn a_task_reads_back_as_written(home: &Home) {
    let store = home.open().await;
    let mut full = task();
    full.description = "'; DROP TABLE tasks; --".to_owned();
    full.target = Some("host-1".to_owned());
    full.session = Some("s".to_owned());
    full.subject = Some(Subject::parse("incidents/INC-1").unwrap());
    full.assigned_agents = vec![plugin("research")];
    full.status = TaskStatus::Waiting;
    full.waiting_for = Some(WaitReason::Approval);
    full.progress = Some(0.25);
    full.progress_message = Some("a quarter".to_owned());
    full.result = Some(json!({"a": [null, 1.5]}));
    full.output = Some(json!("text"));
    full.summary = Some("done".to_owned());
    full.quality_score = Some(0.9);
    full.success_rate = Some(1.0);
    full.cost_micro_usd = MicroUsd(12);
    full.duration_seconds = Some(1.5);
    full.metadata = json!({"k": "v"});
    full.error = Some(TaskError {
        kind: "trap".to_owned(),
        message: "why".to_owned(),
        retryable: true,
    });
    full.completed_at = Some(at(3));
    full.execution = Some(ExecutionId::fresh());
    full.attempts = 2;
    full.retries_left = 1;
    full.parent = Some(TaskId::fresh());
    full.depth = 1;
    full.created_in = Some(InvocationId::fresh());
    full.trigger = Some("event:7".to_owned());
    full.expires_at = Some(at(4));
    full.queued = false;
    let plain = task();
    store
        .commit(None, vec![create(&full), create(&plain)])
        .await
        .unwrap();
    for wanted in [&full, &plain] {
        assert_eq!(store.task(&wanted.id).await.unwrap().as_ref(), Some(wanted));
    }
    assert_eq!(store.task(&TaskId::fresh()).await.unwrap(), None);
    let again = store.commit(None, vec![create(&plain)]).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "{again:?}");
    assert_eq!(store.tenants().await.unwrap(), [TenantId::default()]);
}

pub async fn a_change_leaves_what_it_does_not_name(home: &Home) {
    let store = home.open().await;
    let mut task = task();
    task.summary = Some("old".to_owned());
    task.waiting_for = Some(WaitReason::Sleep);
    task.quality_score = Some(0.5);
    let changes = TaskChange {
        status: Some(TaskStatus::Succeeded),
        queued: Some(false),
        waiting_for: Some(None),
        progress: Some(1.0),
        result: Some(Some(json!([1]))),
        add_cost: MicroUsd(5),
        completed_at: Some(Some(at(8))),
        assigned_agents: Some(vec![plugin("a")]),
        updated_at: at(8),
        ..TaskChange::default()
    };
    let from = &[TaskStatus::Pending];
    store
        .commit(None, vec![create(&task), change(&task.id, from, changes)])
        .await
        .unwrap();
    let more = TaskChange {
        add_cost: MicroUsd(6),
        updated_at: at(9),
        ..TaskChange::default()
    };
    store
        .commit(None, vec![change(&task.id, TaskStatus::ALL, more)])
        .await
        .unwrap();

    task.status = TaskStatus::Succeeded;
    task.queued = false;
    task.waiting_for = None;
    task.progress = Some(1.0);
    task.result = Some(json!([1]));
    task.cost_micro_usd = MicroUsd(11);
    task.completed_at = Some(at(8));
    task.assigned_agents = vec![plugin("a")];
    task.updated_at = at(9);
    assert_eq!(store.task(&task.id).await.unwrap(), Some(task));
}

pub async fn a_change_needs_the_right_state(home: &Home) {
    let store = home.open().await;
    let task = task();
    store.commit(None, vec![create(&task)]).await.unwrap();
    let from = &[TaskStatus::Running, TaskStatus::Waiting];
    let writes = vec![
        happen(event("x")),
        change(&task.id, from, to(TaskStatus::Failed)),
    ];
    match store.commit(None, writes).await {
        Err(CommitError::TaskState {
            id,
            status: TaskStatus::Pending,
        }) => assert_eq!(id, task.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        store.last_event().await.unwrap(),
        0,
        "nothing of the commit was written"
    );
    let unknown = change(&TaskId::fresh(), TaskStatus::ALL, to(TaskStatus::Failed));
    let answer = store.commit(None, vec![unknown]).await;
    assert!(
        matches!(answer, Err(CommitError::NotFound(_))),
        "{answer:?}"
    );
}

pub async fn a_read_after_a_commit_sees_it(home: &Home) {
    let store = home.open().await;
    let task = task();
    store.commit(None, vec![create(&task)]).await.unwrap();
    let reader = {
        let (store, id) = (store.clone(), task.id.clone());
        tokio::spawn(async move {
            let mut last = 0;
            while last < 200 {
                let now = store.task(&id).await.unwrap().unwrap().attempts;
                assert!(now >= last, "a task went back from {last} to {now}");
                last = now;
            }
        })
    };
    for attempts in 1..=200 {
        let next = TaskChange {
            attempts: Some(attempts),
            updated_at: at(1),
            ..TaskChange::default()
        };
        store
            .commit(None, vec![change(&task.id, TaskStatus::ALL, next)])
            .await
            .unwrap();
        let read = store.task(&task.id).await.unwrap().unwrap();
        assert_eq!(read.attempts, attempts);
    }
    reader.await.unwrap();
}

pub async fn listings_filter_and_page(home: &Home) {
    let store = home.open().await;
    let mut all = Vec::new();
    for n in 0..25_i64 {
        let mut task = task();
        // Many of the same time, so that ties are broken.
        task.created_at = at(n / 10);
        task.tenant = tenant(if n % 2 == 0 { "even" } else { "odd" });
        task.kind = format!("kind{}", n % 3);
        task.assigned_agents = vec![plugin(if n == 7 { "seven" } else { "other" })];
        task.session = (n == 8).then(|| "talk".to_owned());
        task.subject = (n == 9).then(|| Subject::parse("notes/N-9").unwrap());
        if n == 10 {
            task.parent = Some(all.first().map(|t: &Task| t.id.clone()).unwrap());
            task.root = task.parent.clone().unwrap();
        }
        all.push(task);
    }
    store
        .commit(None, all.iter().map(create).collect())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut query = TaskQuery {
        limit: 7,
        ..TaskQuery::default()
    };
    loop {
        let page = store.tasks(&query).await.unwrap();
        assert!(page.items.len() <= 7);
        seen.extend(page.items);
        match page.cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    let mut wanted = all.clone();
    wanted.sort_by_key(|t| std::cmp::Reverse((t.created_at, t.id.clone())));
    assert_eq!(seen, wanted);

    let count = async |query: TaskQuery| {
        store
            .tasks(&TaskQuery {
                limit: 100,
                ..query
            })
            .await
            .unwrap()
            .items
            .len()
    };
    let any = TaskQuery::default;
    assert_eq!(
        count(TaskQuery {
            tenants: Some(vec![tenant("even")]),
            ..any()
        })
        .await,
        13
    );
    assert_eq!(
        count(TaskQuery {
            tenants: Some(vec![]),
            ..any()
        })
        .await,
        0
    );
    assert_eq!(
        count(TaskQuery {
            kind: Some("kind1".to_owned()),
            ..any()
        })
        .await,
        8
    );
    assert_eq!(
        count(TaskQuery {
            agent: Some(plugin("seven")),
            ..any()
        })
        .await,
        1
    );
    assert_eq!(
        count(TaskQuery {
            session: Some("talk".to_owned()),
            ..any()
        })
        .await,
        1
    );
    let subject = Some(Subject::parse("notes/N-9").unwrap());
    assert_eq!(count(TaskQuery { subject, ..any() }).await, 1);
    assert_eq!(
        count(TaskQuery {
            parent: Some(all[0].id.clone()),
            ..any()
        })
        .await,
        1
    );
    assert_eq!(
        count(TaskQuery {
            root: Some(all[0].id.clone()),
            ..any()
        })
        .await,
        2
    );
    assert_eq!(
        count(TaskQuery {
            created_by: Some(who("bob")),
            ..any()
        })
        .await,
        0
    );
    assert_eq!(
        count(TaskQuery {
            status: vec![TaskStatus::Failed],
            ..any()
        })
        .await,
        0
    );
    assert_eq!(
        count(TaskQuery {
            created_after: Some(at(1)),
            ..any()
        })
        .await,
        5
    );
    assert_eq!(
        count(TaskQuery {
            created_before: Some(at(1)),
            ..any()
        })
        .await,
        10
    );
    assert_eq!(
        store.task_counts().await.unwrap(),
        [(TaskStatus::Pending, 25)]
    );

    for bad in ["", "x", "' OR 1=1", "WyJsb2dzIl0"] {
        let query = TaskQuery {
            limit: 5,
            cursor: Some(bad.to_owned()),
            ..any()
        };
        assert!(
            matches!(store.tasks(&query).await, Err(StoreError::Cursor)),
            "{bad}"
        );
    }
}

pub async fn unfinished_are_ordered_by_priority(home: &Home) {
    let store = home.open().await;
    let make = |status, queued, priority, time| {
        let mut task = task();
        (task.status, task.queued, task.priority, task.created_at) =
            (status, queued, priority, at(time));
        task
    };
    let held = make(TaskStatus::Pending, false, 9, 0);
    let low = make(TaskStatus::Pending, true, 1, 0);
    let late = make(TaskStatus::Running, false, 5, 2);
    let early = make(TaskStatus::Pending, true, 5, 1);
    let done = make(TaskStatus::Succeeded, true, 9, 0);
    let all = [held, low, late, early, done];
    store
        .commit(None, all.iter().map(create).collect())
        .await
        .unwrap();
    let [_, low, late, early, _] = all;
    assert_eq!(store.unfinished().await.unwrap(), [early, late, low]);
}

pub async fn an_idempotency_key_makes_one_task(home: &Home) {
    let store = home.open().await;
    let key = |principal: &str, task: &Task, request: &[u8]| Write::IdempotencyKey {
        principal: who(principal),
        key: "k'1".to_owned(),
        request: Digest::of(request),
        task: task.id.clone(),
        at: at(0),
    };
    let (one, two, three) = (task(), task(), task());
    store
        .commit(None, vec![create(&one), key("ann", &one, b"r")])
        .await
        .unwrap();
    match store
        .commit(None, vec![create(&two), key("ann", &two, b"other")])
        .await
    {
        Err(CommitError::KeyUsed { task, request }) => {
            assert_eq!((task, request), (one.id.clone(), Digest::of(b"r")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.task(&two.id).await.unwrap(), None);
    store
        .commit(None, vec![create(&three), key("bob", &three, b"r")])
        .await
        .unwrap();
    let found = store.idempotent(&who("ann"), "k'1").await.unwrap();
    assert_eq!(found, Some((one.id, Digest::of(b"r"))));
    assert_eq!(store.idempotent(&who("ann"), "k").await.unwrap(), None);
}

pub async fn removing_a_task_removes_what_is_below(home: &Home) {
    let store = home.open().await;
    let (task, execution, invocation) = running(&*store).await;
    let line = LogLine {
        at: at(1),
        level: LogLevel::Info,
        message: "m".to_owned(),
        plugin: plugin("research"),
        invocation: invocation.id.clone(),
        task: Some(task.id.clone()),
        subject: None,
        tenant: TenantId::default(),
    };
    let below = vec![
        Write::Step(Box::new(step(&invocation.id, 1, 0))),
        Write::Log(Box::new(line)),
    ];
    store.commit(None, below).await.unwrap();
    let early = store
        .commit(None, vec![Write::DeleteTask(task.id.clone())])
        .await;
    assert!(
        matches!(early, Err(CommitError::TaskState { .. })),
        "{early:?}"
    );
    let end = change(&task.id, TaskStatus::ALL, to(TaskStatus::Failed));
    store
        .commit(None, vec![end, Write::DeleteTask(task.id.clone())])
        .await
        .unwrap();
    assert_eq!(store.task(&task.id).await.unwrap(), None);
    assert_eq!(store.execution(&execution.id).await.unwrap(), None);
    assert_eq!(store.invocation(&invocation.id).await.unwrap(), None);
    assert_eq!(store.steps(&invocation.id).await.unwrap(), []);
    assert_eq!(
        store
            .logs(None, None, Some(&task.id), None, 9, None)
            .await
            .unwrap()
            .items,
        []
    );
    let late = Lease {
        execution: execution.id.clone(),
        epoch: 1,
    };
    let answer = store.commit(Some(&late), vec![happen(event("x"))]).await;
    assert!(
        matches!(answer, Err(CommitError::LeaseLost(_))),
        "{answer:?}"
    );
}

pub async fn sweeping_removes_what_is_past_its_time(home: &Home) {
    let store = home.open().await;
    let day = Duration::from_secs(24 * 3600);
    let mut writes = Vec::new();
    let mut gone = Vec::new();
    for _ in 0..120 {
        let mut task = task();
        task.status = TaskStatus::Succeeded;
        task.expires_at = Some(at(10));
        writes.push(create(&task));
        gone.push(task);
    }
    let (mut unfinished, mut later, kept) = (task(), task(), task());
    unfinished.expires_at = Some(at(10));
    later.status = TaskStatus::Succeeded;
    later.expires_at = Some(at(12));
    for task in [&unfinished, &later, &kept] {
        writes.push(create(task));
    }
    writes.push(Write::IdempotencyKey {
        principal: who("ann"),
        key: "old".to_owned(),
        request: Digest::of(b""),
        task: kept.id.clone(),
        at: at(11).minus(day),
    });
    writes.push(Write::IdempotencyKey {
        principal: who("ann"),
        key: "older".to_owned(),
        request: Digest::of(b""),
        task: kept.id.clone(),
        at: at(10).minus(day),
    });
    store.commit(None, writes).await.unwrap();
    assert!(store.task(&gone[0].id).await.unwrap().is_some());
    assert_eq!(store.sweep(at(11)).await.unwrap(), 120);
    assert_eq!(store.sweep(at(11)).await.unwrap(), 0);
    assert_eq!(store.task(&gone[0].id).await.unwrap(), None);
    assert_eq!(
        store
            .task_counts()
            .await
            .unwrap()
            .iter()
            .map(|(_, n)| n)
            .sum::<u64>(),
        3
    );
    assert!(
        store
            .idempotent(&who("ann"), "old")
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        store
            .idempotent(&who("ann"), "older")
            .await
            .unwrap()
            .is_none()
    );
}

pub async fn a_short_lived_task_takes_all_invocations_with_it(home: &Home) {
    let store = home.open().await;
    let (task, execution, agent) = running(&*store).await;
    // The tool that it called, and what that called: more steps than one portion of the sweep.
    let tool = Invocation {
        id: InvocationId::fresh(),
        parent: Some(agent.id.clone()),
        parent_step: Some(1),
        depth: 1,
        kind: GuestKind::Tool,
        ..agent.clone()
    };
    let below = Invocation {
        id: InvocationId::fresh(),
        parent: Some(tool.id.clone()),
        depth: 2,
        ..tool.clone()
    };
    let mut writes = vec![
        Write::StartInvocation(Box::new(tool.clone())),
        Write::StartInvocation(Box::new(below.clone())),
        Write::Step(Box::new(step(&agent.id, 1, 0))),
    ];
    for sequence in 1..=6_000 {
        writes.push(Write::Step(Box::new(step(&tool.id, sequence, 0))));
    }
    writes.push(Write::Step(Box::new(step(&below.id, 1, 0))));
    let mut end = to(TaskStatus::Succeeded);
    end.expires_at = Some(Some(at(10)));
    writes.push(change(&task.id, TaskStatus::ALL, end));
    store.commit(None, writes).await.unwrap();
    // A task that was caused by it is a matter of its own.
    let mut caused = self::task();
    caused.parent = Some(task.id.clone());
    caused.root = task.id.clone();
    store.commit(None, vec![create(&caused)]).await.unwrap();

    assert_eq!(store.sweep(at(11)).await.unwrap(), 1);
    assert_eq!(store.task(&task.id).await.unwrap(), None);
    assert_eq!(store.execution(&execution.id).await.unwrap(), None);
    for invocation in [&agent, &tool, &below] {
        assert_eq!(store.invocation(&invocation.id).await.unwrap(), None);
        assert_eq!(store.steps(&invocation.id).await.unwrap(), []);
    }
    assert!(store.task(&caused.id).await.unwrap().is_some());
}
