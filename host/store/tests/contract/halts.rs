//! Halts: what they refuse, and who waits for their end.

use crate::fixtures::*;
use mandate_store::*;
use mandate_types::*;

fn halt(scope: &str) -> Halt {
    Halt {
        scope: scope.parse().unwrap(),
        reason: "a runaway".to_owned(),
        by: who("ann"),
        at: at(5),
    }
}

fn put(scope: &str) -> Write {
    Write::PutHalt(Box::new(halt(scope)))
}

fn task_of(tenant_name: &str) -> Task {
    Task {
        tenant: tenant(tenant_name),
        ..task()
    }
}

fn unless_halted(of: &str, plugins: &[&str]) -> Vec<Write> {
    let plugins = plugins.iter().map(|name| plugin(name)).collect();
    let condition = Write::NotHalted {
        tenant: tenant(of),
        plugins,
    };
    vec![Write::CreateTask(Box::new(task_of(of))), condition]
}

pub async fn what_is_halted_is_not_written(home: &Home) {
    let store = home.open().await;
    store.commit(None, vec![put("tenant/acme")]).await.unwrap();
    store.commit(None, vec![put("plugin/shell")]).await.unwrap();
    for (of, plugins, by) in [
        ("acme", &["text"][..], "tenant/acme"),
        ("beta", &["text", "shell"], "plugin/shell"),
    ] {
        match store.commit(None, unless_halted(of, plugins)).await {
            Err(CommitError::Halted(found)) => assert_eq!(*found, halt(by)),
            other => panic!("{other:?}"),
        }
    }
    store
        .commit(None, unless_halted("beta", &["text"]))
        .await
        .unwrap();
    let all = store.tasks(&TaskQuery::default()).await.unwrap().items;
    assert_eq!(all.len(), 1, "nothing of a refused commit is written");
    let remove = Write::RemoveHalt("tenant/acme".parse().unwrap());
    store.commit(None, vec![remove]).await.unwrap();
    store
        .commit(None, unless_halted("acme", &[]))
        .await
        .unwrap();
    store.commit(None, vec![put("host")]).await.unwrap();
    let refused = store.commit(None, unless_halted("beta", &[])).await;
    assert!(
        matches!(refused, Err(CommitError::Halted(_))),
        "{refused:?}"
    );
}

pub async fn halts_are_there_after_reopening(home: &Home) {
    let store = home.open().await;
    store.commit(None, vec![put("host")]).await.unwrap();
    let again = store.commit(None, vec![put("host")]).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "{again:?}");
    drop(store);
    let store = home.open().await;
    assert_eq!(store.halts().await.unwrap(), [halt("host")]);
    let refused = store.commit(None, unless_halted("acme", &[])).await;
    assert!(
        matches!(refused, Err(CommitError::Halted(_))),
        "{refused:?}"
    );
    let remove = Write::RemoveHalt(HaltScope::Host);
    store.commit(None, vec![remove.clone()]).await.unwrap();
    let again = store.commit(None, vec![remove]).await;
    assert!(matches!(again, Err(CommitError::NotFound(_))), "{again:?}");
    assert!(store.halts().await.unwrap().is_empty());
}

pub async fn halted_tasks_are_those_that_wait_for_the_end_of_a_halt(home: &Home) {
    let store = home.open().await;
    let mut halted = task_of("acme");
    halted.status = TaskStatus::Waiting;
    halted.waiting_for = Some(WaitReason::Halt);
    let mut asked = task_of("acme");
    asked.status = TaskStatus::Waiting;
    asked.waiting_for = Some(WaitReason::Approval);
    let mut cancelled = task_of("acme");
    cancelled.status = TaskStatus::Cancelled;
    cancelled.waiting_for = Some(WaitReason::Halt);
    let all = [&halted, &asked, &cancelled];
    let writes = all.map(|task| Write::CreateTask(Box::new(task.clone())));
    store.commit(None, writes.to_vec()).await.unwrap();
    assert_eq!(store.halted_tasks().await.unwrap(), [halted]);
}
