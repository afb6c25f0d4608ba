//! What journals hold: sealed on disk, bound to its place, erased with its key.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};
use std::path::PathBuf;

const PLANTED: &str = "PLANTED-7f3a";

async fn raw(home: &Home) -> SqliteConnection {
    let file = home.path().join("mandate.db");
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.unwrap()
}

async fn change_by_hand(home: &Home, text: &'static str) {
    let mut conn = raw(home).await;
    sqlx::query(text).execute(&mut conn).await.unwrap();
}

async fn count(home: &Home, text: &'static str) -> i64 {
    let mut conn = raw(home).await;
    let row = sqlx::query(text).fetch_one(&mut conn).await.unwrap();
    row.get(0)
}

fn key_file(home: &Home, tenant: &str) -> PathBuf {
    home.path().join(format!("keys/{tenant}.key"))
}

/// A running execution of `tenant` whose steps hold `answers`.
async fn journal(store: &dyn Store, tenant: &str, answers: &[Value]) -> (Task, Invocation) {
    let (task, writes, root) = unwritten(tenant, answers);
    store.commit(None, writes).await.unwrap();
    (task, root)
}

fn unwritten(tenant: &str, answers: &[Value]) -> (Task, Vec<Write>, Invocation) {
    let mut task = task();
    task.tenant = self::tenant(tenant);
    task.status = TaskStatus::Running;
    let mut execution = execution(Some(&task.id));
    execution.tenant = task.tenant.clone();
    let root = invocation(&execution);
    let mut writes = vec![
        create(&task),
        Write::StartExecution(Box::new(execution)),
        Write::StartInvocation(Box::new(root.clone())),
    ];
    for (sequence, answer) in (1..).zip(answers) {
        let mut step = step(&root.id, sequence, 0);
        step.tenant = task.tenant.clone();
        step.answer = Some(answer.clone());
        writes.push(Write::Step(Box::new(step)));
    }
    (task, writes, root)
}

fn large(text: &str) -> Value {
    json!({"ok": text.repeat(2_000)})
}

fn ending(tenant: &TenantId, result: Value) -> Ending {
    Ending {
        tenant: tenant.clone(),
        status: InvocationStatus::Failed,
        result: Some(result),
        error: Some(TaskError {
            kind: "trap".to_owned(),
            message: PLANTED.repeat(200),
            retryable: false,
        }),
        ended_at: at(50),
        steps: 3,
        peak_memory_bytes: 1,
        cost_micro_usd: MicroUsd::ZERO,
    }
}

pub async fn nothing_of_a_journal_can_be_read_on_disk(home: &Home) {
    let store = home.open().await;
    let tenant = tenant("acme");
    let (task, mut writes, _) = unwritten("acme", &[]);
    let (Write::StartExecution(execution), Write::StartInvocation(root)) =
        (writes[1].clone(), &mut writes[2])
    else {
        panic!("{writes:?}");
    };
    root.input = json!({"q": PLANTED});
    root.seed = [PLANTED, PLANTED, PLANTED].concat().into_bytes();
    let root = root.clone();
    let mut small = step(&root.id, 1, 0);
    small.tenant = tenant.clone();
    small.arguments = json!({"a": PLANTED});
    small.arguments_digest = json::digest(&small.arguments);
    small.answer = Some(json!({"ok": PLANTED}));
    let mut large = Step {
        sequence: 2,
        arguments: self::large(PLANTED),
        answer: Some(self::large(PLANTED)),
        ..small.clone()
    };
    large.arguments_digest = json::digest(&large.arguments);
    let mut intent = Step {
        sequence: 3,
        ..small.clone()
    };
    (intent.state, intent.answer, intent.answered_at) = (StepState::Intended, None, None);
    for step in [&small, &large, &intent] {
        writes.push(Write::Step(Box::new(step.clone())));
    }
    store.commit(None, writes).await.unwrap();
    let ending = ending(&tenant, self::large(PLANTED));
    let writes = vec![
        Write::AnswerStep(Box::new(StepAnswer {
            invocation: root.id.clone(),
            sequence: 3,
            index: 0,
            tenant,
            answer: json!({"ok": PLANTED}),
            refused: false,
            cost_micro_usd: MicroUsd(7),
            answered_at: at(100),
            active_us: None,
        })),
        Write::EndInvocation {
            id: root.id.clone(),
            ending: Box::new(ending.clone()),
        },
    ];
    store.commit(None, writes).await.unwrap();
    // It reads back as it was, ...
    intent = Step {
        state: small.state,
        answer: small.answer.clone(),
        answered_at: small.answered_at,
        ..intent
    };
    let steps = [small.clone(), large, intent];
    assert_eq!(store.steps(&root.id).await.unwrap(), steps);
    let read = store.invocation(&root.id).await.unwrap().unwrap();
    assert_eq!((&read.input, &read.seed), (&root.input, &root.seed));
    assert_eq!((read.result, read.error), (ending.result, ending.error));
    let page = store
        .execution_steps(&execution.id, 10, None)
        .await
        .unwrap();
    assert_eq!(page.items, steps);
    assert!(store.task(&task.id).await.unwrap().is_some());
    // ... and nobody else can read it: neither the words, nor a digest by which they could be guessed.
    let mut looked_at = 0;
    for file in std::fs::read_dir(home.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for words in [PLANTED, small.arguments_digest.as_str()] {
            let words = words.as_bytes();
            let found = bytes.windows(words.len()).any(|window| window == words);
            assert!(!found, "{}", path.display());
        }
        looked_at += usize::from(path.to_str().unwrap().contains("mandate.db"));
    }
    assert!(looked_at >= 2);
    use std::os::unix::fs::PermissionsExt as _;
    let key = std::fs::metadata(key_file(home, "acme")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

pub async fn a_value_is_read_only_where_it_was_written(home: &Home) {
    let store = home.open().await;
    let answers = [json!({"ok": 1}), json!({"ok": 2}), large("a"), large("b")];
    let (_, root) = journal(&*store, "acme", &answers).await;
    assert_eq!(store.steps(&root.id).await.unwrap().len(), 4);
    // Each is the undoing of itself.
    for swap in [
        "WITH s AS MATERIALIZED (SELECT sequence, answer FROM steps) UPDATE steps SET answer = \
         (SELECT answer FROM s WHERE s.sequence = 3 - steps.sequence) WHERE sequence < 3",
        "WITH s AS MATERIALIZED (SELECT sequence, answer FROM steps) UPDATE steps SET answer = \
         (SELECT answer FROM s WHERE s.sequence = 7 - steps.sequence) WHERE sequence > 2",
        "WITH c AS MATERIALIZED (SELECT number, bytes FROM contents) UPDATE contents SET bytes = \
         (SELECT bytes FROM c WHERE c.number <> contents.number)",
        "UPDATE steps SET arguments = answer, answer = arguments WHERE sequence = 1",
    ] {
        change_by_hand(home, swap).await;
        let read = store.steps(&root.id).await;
        assert!(
            matches!(read, Err(StoreError::Corrupt(_))),
            "{swap}: {read:?}"
        );
        change_by_hand(home, swap).await;
        assert!(store.steps(&root.id).await.is_ok(), "{swap}");
    }
    change_by_hand(home, "DELETE FROM contents").await;
    let read = store.steps(&root.id).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
}

pub async fn a_key_that_is_not_there_is_named_and_concerns_one_tenant(home: &Home) {
    let (mine, theirs) = {
        let store = home.open().await;
        let mine = journal(&*store, "acme", &[json!({"ok": 1})]).await.1;
        (mine, journal(&*store, "other", &[json!({"ok": 1})]).await.1)
    };
    let (file, away) = (key_file(home, "acme"), home.path().join("away"));
    let named = |error: StoreError| match error {
        StoreError::Key(text) => assert!(text.contains("keys/acme.key"), "{text}"),
        other => panic!("{other:?}"),
    };
    for wrong in [None, Some([1_u8; 32].as_slice()), Some(b"short".as_slice())] {
        std::fs::rename(&file, &away).unwrap();
        if let Some(bytes) = wrong {
            std::fs::write(&file, bytes).unwrap();
        }
        let store = home.open().await;
        named(store.steps(&mine.id).await.unwrap_err());
        named(store.invocation(&mine.id).await.unwrap_err());
        match store.commit(None, unwritten("acme", &[]).1).await {
            Err(CommitError::Store(error)) => named(error),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.steps(&theirs.id).await.unwrap().len(), 1);
        journal(&*store, "other", &[json!({"ok": 2})]).await;
        // Once the file is back, it goes on without a restart.
        std::fs::rename(&away, &file).unwrap();
        assert_eq!(store.steps(&mine.id).await.unwrap().len(), 1);
        let again = journal(&*store, "acme", &[json!({"ok": 3})]).await.1;
        assert_eq!(store.steps(&again.id).await.unwrap().len(), 1);
    }
}

fn erase(name: &str) -> Vec<Write> {
    vec![Write::EraseJournals {
        tenant: tenant(name),
        at: at(70),
    }]
}

pub async fn erased_journals_cannot_be_read(home: &Home) {
    let answers = [json!({"ok": 1}), large("a")];
    let (mine, theirs, after);
    {
        let store = home.open().await;
        (_, mine) = journal(&*store, "acme", &answers).await;
        (_, theirs) = journal(&*store, "other", &answers).await;
        store.commit(None, erase("acme")).await.unwrap();
        assert!(!key_file(home, "acme").exists());
        (_, after) = journal(&*store, "acme", &answers).await;
        assert!(key_file(home, "acme").exists());
    }
    for _ in 0..2 {
        let store = home.open().await;
        let gone = StoreError::Erased(tenant("acme")).to_string();
        assert_eq!(store.steps(&mine.id).await.unwrap_err().to_string(), gone);
        assert_eq!(
            store.invocation(&mine.id).await.unwrap_err().to_string(),
            gone
        );
        let page = store
            .execution_steps(&mine.execution, 10, None)
            .await
            .unwrap();
        assert_eq!(page.items.len(), 2);
        for step in page.items {
            assert!(step.erased);
            assert_eq!((step.arguments, step.answer), (Value::Null, None));
        }
        let left = store.invocations(&mine.execution).await.unwrap();
        assert!(left[0].erased && left[0].input.is_null() && left[0].seed.is_empty());
        // Others, and what came after, are as they were.
        for root in [&theirs, &after] {
            let read = store.steps(&root.id).await.unwrap();
            assert!(
                read.iter()
                    .map(|step| step.answer.clone().unwrap())
                    .eq(answers.clone())
            );
        }
    }
    // One whose key was lost can be given up too, and one that never had any.
    std::fs::remove_file(key_file(home, "acme")).unwrap();
    let store = home.open().await;
    store.commit(None, erase("acme")).await.unwrap();
    store.commit(None, erase("nobody")).await.unwrap();
    assert!(matches!(
        store.steps(&after.id).await,
        Err(StoreError::Erased(_))
    ));
    journal(&*store, "acme", &answers).await;
}

pub async fn a_key_that_was_to_be_destroyed_is_not_used_again(home: &Home) {
    let mine;
    let file = key_file(home, "acme");
    let key = {
        let store = home.open().await;
        (_, mine) = journal(&*store, "acme", &[json!({"ok": 1})]).await;
        let key = std::fs::read(&file).unwrap();
        store.commit(None, erase("acme")).await.unwrap();
        key
    };
    // As if the host had ended before it came to the file.
    std::fs::write(&file, &key).unwrap();
    let store = home.open().await;
    assert!(!file.exists());
    std::fs::write(&file, &key).unwrap();
    journal(&*store, "acme", &[json!({"ok": 2})]).await;
    assert_ne!(std::fs::read(&file).unwrap(), key);
    assert!(matches!(
        store.steps(&mine.id).await,
        Err(StoreError::Erased(_))
    ));
}

pub async fn rows_from_before_read_back(home: &Home) {
    let store = home.open().await;
    let (_, root) = journal(&*store, "acme", &[json!({"ok": 1}), json!({"ok": 2})]).await;
    change_by_hand(
        home,
        "UPDATE steps SET arguments = '{\"a\":1}', answer = '{\"ok\":\"before\"}', \
         arguments_digest = '00000000000000000000000000000000000000000000000000000000000000aa' WHERE sequence = 1",
    )
    .await;
    change_by_hand(
        home,
        "UPDATE invocations SET input = '[1]', seed = x'00ff', result = '2', error = NULL",
    )
    .await;
    let steps = store.steps(&root.id).await.unwrap();
    assert_eq!(steps[0].arguments, json!({"a": 1}));
    assert_eq!(steps[0].answer, Some(json!({"ok": "before"})));
    assert!(steps[0].arguments_digest.as_str().ends_with("00aa"));
    assert_eq!(steps[1].answer, Some(json!({"ok": 2})));
    let read = store.invocation(&root.id).await.unwrap().unwrap();
    assert_eq!((read.input, read.result), (json!([1]), Some(json!(2))));
    assert_eq!(read.seed, [0, 255]);
}

pub async fn a_large_value_is_kept_once_per_tenant_and_goes_with_its_last_row(home: &Home) {
    let store = home.open().await;
    let same = large("x");
    let (first, root) = journal(&*store, "acme", &[same.clone(), same.clone()]).await;
    let (second, kept) = journal(&*store, "acme", &[same.clone(), large("y")]).await;
    let (other, _) = journal(&*store, "other", std::slice::from_ref(&same)).await;
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 3);
    assert_eq!(
        count(home, "SELECT count(DISTINCT digest) FROM contents").await,
        3
    );
    assert_eq!(count(home, "SELECT max(refs) FROM contents").await, 3);
    let delete = |task: &Task| {
        vec![
            change(&task.id, TaskStatus::ALL, to(TaskStatus::Succeeded)),
            Write::DeleteTask(task.id.clone()),
        ]
    };
    store.commit(None, delete(&first)).await.unwrap();
    assert_eq!(store.steps(&root.id).await.unwrap(), []);
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 3);
    let read = store.steps(&kept.id).await.unwrap();
    assert_eq!(read[0].answer, Some(same.clone()));
    // One that cannot be written leaves nothing behind.
    let (_, mut writes, _) = unwritten("acme", &[same.clone(), large("z")]);
    writes.push(Write::DeleteTask(TaskId::fresh()));
    store.commit(None, writes).await.unwrap_err();
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 3);
    store.commit(None, delete(&second)).await.unwrap();
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 1);
    store.commit(None, delete(&other)).await.unwrap();
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 0);
}

pub async fn an_end_that_comes_twice_lets_go_of_the_first(home: &Home) {
    let store = home.open().await;
    let (task, root) = journal(&*store, "acme", &[]).await;
    for text in ["a", "b", "b"] {
        let end = Write::EndInvocation {
            id: root.id.clone(),
            ending: Box::new(ending(&task.tenant, large(text))),
        };
        store.commit(None, vec![end]).await.unwrap();
    }
    assert_eq!(count(home, "SELECT count(*) FROM contents").await, 1);
    assert_eq!(count(home, "SELECT max(refs) FROM contents").await, 1);
    let read = store.invocation(&root.id).await.unwrap().unwrap();
    assert_eq!(read.result, Some(large("b")));
}

pub async fn a_step_for_another_tenant_is_refused(home: &Home) {
    let store = home.open().await;
    let (_, root) = journal(&*store, "acme", &[]).await;
    let mut foreign = step(&root.id, 1, 0);
    foreign.tenant = tenant("other");
    let refused = store
        .commit(None, vec![Write::Step(Box::new(foreign))])
        .await;
    assert!(
        matches!(refused, Err(CommitError::NotFound(_))),
        "{refused:?}"
    );
    let end = Write::EndInvocation {
        id: root.id.clone(),
        ending: Box::new(ending(&tenant("other"), json!(1))),
    };
    let refused = store.commit(None, vec![end]).await;
    assert!(
        matches!(refused, Err(CommitError::NotFound(_))),
        "{refused:?}"
    );
}
