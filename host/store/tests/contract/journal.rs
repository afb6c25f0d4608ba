//! Executions, invocations, steps, logs and leases.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::json;

fn write(step: &Step) -> Write {
    Write::Step(Box::new(step.clone()))
}

pub async fn a_journal_reads_back_in_order(home: &Home) {
    let store = home.open().await;
    let (task, execution, mut root) = running(&*store).await;
    let mut child = invocation(&execution);
    child.id = InvocationId::derived(&root.id, 2, 1);
    child.parent = Some(root.id.clone());
    child.parent_step = Some(2);
    child.depth = 1;
    child.kind = GuestKind::Tool;
    child.started_at = at(2);
    let mut steps = vec![
        step(&root.id, 1, 0),
        step(&root.id, 2, 0),
        step(&root.id, 2, 1),
    ];
    steps[2].child = Some(child.id.clone());
    steps[1].refused = true;
    steps[1].answer = Some(json!({"error": {"denied": "no"}}));
    let ending = Ending {
        tenant: TenantId::default(),
        status: InvocationStatus::Failed,
        result: Some(json!({"r": 1})),
        error: Some(TaskError {
            kind: "trap".to_owned(),
            message: "m".to_owned(),
            retryable: false,
        }),
        ended_at: at(50),
        steps: 3,
        peak_memory_bytes: 1 << 20,
        cost_micro_usd: MicroUsd(9),
    };
    let lease = Lease {
        execution: execution.id.clone(),
        epoch: 1,
    };
    // Written in another order than that of the journal.
    let writes = vec![
        Write::StartInvocation(Box::new(child.clone())),
        write(&steps[2]),
        write(&steps[0]),
        write(&steps[1]),
        Write::EndInvocation {
            id: root.id.clone(),
            ending: Box::new(ending.clone()),
        },
    ];
    store.commit(Some(&lease), writes).await.unwrap();
    (root.status, root.result, root.error) = (ending.status, ending.result, ending.error);
    (root.ended_at, root.steps) = (Some(ending.ended_at), ending.steps);
    (root.peak_memory_bytes, root.cost_micro_usd) =
        (ending.peak_memory_bytes, ending.cost_micro_usd);
    assert_eq!(
        store.execution(&execution.id).await.unwrap().as_ref(),
        Some(&execution)
    );
    assert_eq!(
        store.executions(&task.id).await.unwrap(),
        std::slice::from_ref(&execution)
    );
    assert_eq!(
        store.invocation(&child.id).await.unwrap().as_ref(),
        Some(&child)
    );
    assert_eq!(
        store.invocations(&execution.id).await.unwrap(),
        [root.clone(), child]
    );
    assert_eq!(store.steps(&root.id).await.unwrap(), steps);
    assert_eq!(
        store.invocation(&InvocationId::fresh()).await.unwrap(),
        None
    );
    let nobody = Write::EndInvocation {
        id: InvocationId::fresh(),
        ending: Box::new(Ending {
            tenant: TenantId::default(),
            status: InvocationStatus::Failed,
            result: None,
            error: None,
            ended_at: at(1),
            steps: 0,
            peak_memory_bytes: 0,
            cost_micro_usd: MicroUsd::ZERO,
        }),
    };
    let answer = store.commit(None, vec![nobody]).await;
    assert!(
        matches!(answer, Err(CommitError::NotFound(_))),
        "{answer:?}"
    );
}

pub async fn a_step_is_written_once_and_answered_once(home: &Home) {
    let store = home.open().await;
    let (.., root) = running(&*store).await;
    let mut intent = step(&root.id, 1, 0);
    (intent.state, intent.answer, intent.answered_at) = (StepState::Intended, None, None);
    store.commit(None, vec![write(&intent)]).await.unwrap();
    match store
        .commit(None, vec![write(&step(&root.id, 2, 0)), write(&intent)])
        .await
    {
        Err(CommitError::StepExists {
            invocation,
            sequence: 1,
            index: 0,
        }) => {
            assert_eq!(invocation, root.id);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        store.steps(&root.id).await.unwrap(),
        std::slice::from_ref(&intent)
    );
    let answer = |sequence| {
        Write::AnswerStep(Box::new(StepAnswer {
            invocation: root.id.clone(),
            sequence,
            index: 0,
            tenant: TenantId::default(),
            answer: json!({"ok": 5}),
            refused: false,
            cost_micro_usd: MicroUsd(3),
            answered_at: at(40),
            active_us: Some(2_500),
        }))
    };
    store.commit(None, vec![answer(1)]).await.unwrap();
    let twice = store.commit(None, vec![answer(1)]).await;
    assert!(matches!(twice, Err(CommitError::Conflict(_))), "{twice:?}");
    let unknown = store.commit(None, vec![answer(9)]).await;
    assert!(
        matches!(unknown, Err(CommitError::NotFound(_))),
        "{unknown:?}"
    );
    (intent.state, intent.answer) = (StepState::Answered, Some(json!({"ok": 5})));
    (intent.answered_at, intent.cost_micro_usd) = (Some(at(40)), MicroUsd(3));
    intent.active_us = Some(2_500);
    assert_eq!(store.steps(&root.id).await.unwrap(), [intent]);
}

pub async fn answers_of_one_commit_go_each_to_its_step(home: &Home) {
    const STEPS: u64 = 70;
    let store = home.open().await;
    let (.., root) = running(&*store).await;
    let intent = |sequence| Step {
        state: StepState::Intended,
        answer: None,
        answered_at: None,
        ..step(&root.id, sequence, 0)
    };
    let answer = |sequence: u64| {
        Write::AnswerStep(Box::new(StepAnswer {
            invocation: root.id.clone(),
            sequence,
            index: 0,
            tenant: TenantId::default(),
            answer: json!({ "ok": sequence }),
            refused: false,
            cost_micro_usd: MicroUsd(0),
            answered_at: at(40),
            active_us: Some(sequence),
        }))
    };
    // The last intents and their answers are new together.
    let intents = (1..=STEPS - 5).map(|n| write(&intent(n))).collect();
    store.commit(None, intents).await.unwrap();
    let late = (STEPS - 4..=STEPS).map(|n| write(&intent(n)));
    let all: Vec<Write> = late.chain((1..=STEPS).map(answer)).collect();
    let mut twice = all.clone();
    twice.push(answer(7));
    match store.commit(None, twice).await {
        Err(CommitError::Conflict(what)) => assert!(what.contains("step 7/0"), "{what}"),
        other => panic!("{other:?}"),
    }
    let unanswered = store.steps(&root.id).await.unwrap();
    assert!(unanswered.iter().all(|step| step.answer.is_none()));
    assert_eq!(unanswered.len() as u64, STEPS - 5);
    store.commit(None, all).await.unwrap();
    for step in store.steps(&root.id).await.unwrap() {
        assert_eq!(step.state, StepState::Answered);
        assert_eq!(step.answer, Some(json!({ "ok": step.sequence })));
        assert_eq!(step.active_us, Some(step.sequence));
    }
}

pub async fn steps_need_their_invocation(home: &Home) {
    let store = home.open().await;
    let answer = store
        .commit(None, vec![write(&step(&InvocationId::fresh(), 1, 0))])
        .await;
    assert!(
        matches!(answer, Err(CommitError::NotFound(_))),
        "{answer:?}"
    );
    let orphan = invocation(&execution(None));
    let answer = store
        .commit(None, vec![Write::StartInvocation(Box::new(orphan))])
        .await;
    assert!(
        matches!(answer, Err(CommitError::NotFound(_))),
        "{answer:?}"
    );
}

pub async fn steps_of_an_execution_page(home: &Home) {
    let store = home.open().await;
    let (_, execution, root) = running(&*store).await;
    let mut child = invocation(&execution);
    child.id = InvocationId::fresh();
    let mut writes = vec![Write::StartInvocation(Box::new(child.clone()))];
    let mut all = Vec::new();
    for n in 1..=12 {
        for invocation in [&root.id, &child.id] {
            let step = step(invocation, n, 0);
            writes.push(write(&step));
            all.push(step);
        }
    }
    store.commit(None, writes).await.unwrap();
    all.sort_by_key(|s| (s.at, s.invocation.clone(), s.sequence));
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store
            .execution_steps(&execution.id, 5, cursor.as_deref())
            .await
            .unwrap();
        seen.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let page = store.execution_steps(&execution.id, 5, None).await.unwrap();
    let foreign = store
        .execution_steps(&ExecutionId::fresh(), 5, page.cursor.as_deref())
        .await;
    assert!(matches!(foreign, Err(StoreError::Cursor)), "{foreign:?}");
}

pub async fn logs_are_found_newest_first(home: &Home) {
    let store = home.open().await;
    let line = |n: i64, name: &str| LogLine {
        at: at(n / 2),
        level: if n % 2 == 0 {
            LogLevel::Warn
        } else {
            LogLevel::Debug
        },
        message: format!("line {n}"),
        plugin: plugin(name),
        invocation: InvocationId::fresh(),
        task: None,
        subject: (n == 3).then(|| Subject::parse("notes/N-3").unwrap()),
        tenant: tenant(if n < 5 { "low" } else { "high" }),
    };
    let lines: Vec<_> = (0..10).map(|n| line(n, "a")).collect();
    let mut writes: Vec<_> = lines
        .iter()
        .map(|l| Write::Log(Box::new(l.clone())))
        .collect();
    writes.push(Write::Log(Box::new(line(99, "b"))));
    store.commit(None, writes).await.unwrap();
    let a = plugin("a");
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store
            .logs(None, Some(&a), None, None, 4, cursor.as_deref())
            .await
            .unwrap();
        seen.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, lines.iter().rev().cloned().collect::<Vec<_>>());
    let low = [tenant("low")];
    let page = store
        .logs(Some(&low), None, None, None, 100, None)
        .await
        .unwrap();
    assert_eq!(page.items.len(), 5);
    let subject = Subject::parse("notes/N-3").unwrap();
    let page = store
        .logs(None, None, None, Some(&subject), 100, None)
        .await
        .unwrap();
    assert_eq!(page.items, [lines[3].clone()]);
}

pub async fn a_lost_lease_writes_nothing(home: &Home) {
    let store = home.open().await;
    let (_, execution, root) = running(&*store).await;
    let lease = |epoch| Lease {
        execution: execution.id.clone(),
        epoch,
    };
    store
        .commit(Some(&lease(1)), vec![write(&step(&root.id, 1, 0))])
        .await
        .unwrap();
    let take = |epoch| Write::TakeExecution {
        id: execution.id.clone(),
        epoch,
    };
    store.commit(None, vec![take(2)]).await.unwrap();
    let late = store
        .commit(Some(&lease(1)), vec![write(&step(&root.id, 2, 0))])
        .await;
    assert!(matches!(late, Err(CommitError::LeaseLost(_))), "{late:?}");
    store
        .commit(Some(&lease(2)), vec![write(&step(&root.id, 2, 0))])
        .await
        .unwrap();
    let again = store.commit(None, vec![take(2)]).await;
    assert!(matches!(again, Err(CommitError::LeaseLost(_))), "{again:?}");
    let unknown = Write::TakeExecution {
        id: ExecutionId::fresh(),
        epoch: 1,
    };
    let unknown = store.commit(None, vec![unknown]).await;
    assert!(
        matches!(unknown, Err(CommitError::NotFound(_))),
        "{unknown:?}"
    );
    assert_eq!(store.steps(&root.id).await.unwrap().len(), 2);
    assert_eq!(
        store
            .execution(&execution.id)
            .await
            .unwrap()
            .unwrap()
            .lease_epoch,
        2
    );

    // One of two hosts wins, and the loser's writes of the same moment are not there.
    let takes = futures::future::join_all(
        (0..8).map(|_| store.commit(None, vec![take(3), happen(event("taken"))])),
    )
    .await;
    assert_eq!(takes.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(store.last_event().await.unwrap(), 1);
}

pub async fn calls_without_a_task_are_kept_for_a_day(home: &Home) {
    let store = home.open().await;
    let (of_task, kept, _) = running(&*store).await;
    let mut writes = Vec::new();
    let mut calls = Vec::new();
    for started in [10, 20] {
        let call = Execution {
            started_at: at(started),
            ..execution(None)
        };
        let root = invocation(&call);
        writes.push(Write::StartExecution(Box::new(call.clone())));
        writes.push(Write::StartInvocation(Box::new(root.clone())));
        writes.push(Write::Step(Box::new(step(&root.id, 1, 0))));
        calls.push((call.id, root.id));
    }
    store.commit(None, writes).await.unwrap();
    let day = std::time::Duration::from_hours(24);
    assert_eq!(store.sweep(at(15).plus(day)).await.unwrap(), 0, "no task");
    assert_eq!(store.execution(&calls[0].0).await.unwrap(), None);
    assert_eq!(store.steps(&calls[0].1).await.unwrap(), Vec::new());
    assert!(store.execution(&calls[1].0).await.unwrap().is_some());
    assert_eq!(store.steps(&calls[1].1).await.unwrap().len(), 1);
    // The journal of a task is kept as long as the task.
    store.sweep(at(15).plus(day * 1_000)).await.unwrap();
    assert!(store.execution(&kept.id).await.unwrap().is_some());
    assert!(store.task(&of_task.id).await.unwrap().is_some());
}

pub async fn journals_of_finished_tasks_go_by_age(home: &Home) {
    let store = home.open().await;
    let (done, gone, root) = running(&*store).await;
    let (goes_on, unfinished, _) = running(&*store).await;
    let (late, kept, _) = running(&*store).await;
    let ended = |task: &Task, micros| {
        let mut end = to(TaskStatus::Succeeded);
        end.completed_at = Some(Some(at(micros)));
        change(&task.id, TaskStatus::ALL, end)
    };
    let mut writes = vec![ended(&done, 10), ended(&late, 20)];
    // More than one portion.
    writes.extend((1..=6_000).map(|n| write(&step(&root.id, n, 0))));
    store.commit(None, writes).await.unwrap();
    assert_eq!(store.forget_journals(at(10)).await.unwrap(), 0);
    assert_eq!(store.forget_journals(at(20)).await.unwrap(), 1);
    assert_eq!(store.execution(&gone.id).await.unwrap(), None);
    assert_eq!(store.steps(&root.id).await.unwrap(), []);
    assert!(store.task(&done.id).await.unwrap().is_some());
    for execution in [&unfinished, &kept] {
        assert!(store.execution(&execution.id).await.unwrap().is_some());
    }
    // Of a task that goes on in a new execution, the one before that.
    let present = execution(Some(&goes_on.id));
    let mut next = to(TaskStatus::Running);
    next.execution = Some(present.id.clone());
    let writes = vec![
        Write::StartExecution(Box::new(present.clone())),
        change(&goes_on.id, TaskStatus::ALL, next),
    ];
    store.commit(None, writes).await.unwrap();
    assert_eq!(store.forget_journals(at(20)).await.unwrap(), 1);
    assert_eq!(store.execution(&unfinished.id).await.unwrap(), None);
    for execution in [present, kept] {
        assert!(store.execution(&execution.id).await.unwrap().is_some());
    }
}
