//! A hostile guest for each limit: it ends, the error names the limit, and others go on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{Fake, OnSleep, compiled, guests, hit, limits, run, runtime, settings, task};
use mandate_runtime::{End, Settings, Stop};
use mandate_types::{LimitName, Limits};
use std::sync::Arc;
use std::time::Duration;

fn short() -> Limits {
    Limits {
        time_ms: 150,
        ..limits()
    }
}

#[tokio::test]
async fn an_endless_loop_ends_in_time_and_others_run_meanwhile() {
    // One thread for all guests: a loop that held it would starve the echo.
    let runtime = Arc::new(runtime(Settings {
        threads: Some(1),
        ..settings()
    }));
    let endless = compiled(&runtime, guests::LOOP).await;
    let echo = compiled(&runtime, guests::ECHO).await;
    let looping = {
        let runtime = Arc::clone(&runtime);
        tokio::spawn(async move {
            let limits = Limits {
                time_ms: 1_000,
                ..limits()
            };
            runtime
                .run_agent(&endless, Fake::default(), &limits, Stop::new(), task("{}"))
                .await
        })
    };
    let mut answered = 0;
    while !looping.is_finished() {
        let ended = runtime
            .run_agent(&echo, Fake::default(), &limits(), Stop::new(), task("{}"))
            .await;
        assert!(ended.outcome.is_ok());
        answered += 1;
    }
    let ended = looping.await.unwrap();
    assert_eq!(hit(&ended.outcome), (LimitName::TimeMs, 1_000));
    assert!(
        ended.elapsed >= Duration::from_millis(1_000),
        "{:?}",
        ended.elapsed
    );
    assert!(
        ended.elapsed < Duration::from_secs(8),
        "{:?}",
        ended.elapsed
    );
    assert!(
        answered >= 2,
        "only {answered} calls while another guest looped"
    );
}

#[tokio::test]
async fn an_endless_start_function_ends_in_time() {
    let ended = run(guests::START_LOOP, &short()).await;
    assert_eq!(hit(&ended.outcome), (LimitName::TimeMs, 150));
}

#[tokio::test]
async fn endless_recursion_ends() {
    let ended = run(guests::RECURSION, &limits()).await;
    assert_eq!(hit(&ended.outcome), (LimitName::StackBytes, 512 << 10));
}

#[tokio::test]
async fn several_memories_count_together() {
    let ended = run(guests::MEMORIES, &limits()).await;
    assert_eq!(hit(&ended.outcome), (LimitName::MemoryBytes, 8 << 20));
    assert!(ended.peak_memory_bytes <= 8 << 20 && ended.peak_memory_bytes > 7 << 20);
}

#[tokio::test]
async fn tables_count_as_memory() {
    let ended = run(guests::TABLE, &limits()).await;
    assert_eq!(hit(&ended.outcome), (LimitName::MemoryBytes, 8 << 20));
    // Beyond what one table can have, too.
    let ended = run(
        guests::TABLE,
        &Limits {
            memory_bytes: 512 << 20,
            ..limits()
        },
    )
    .await;
    assert_eq!(hit(&ended.outcome).0, LimitName::MemoryBytes);
}

#[tokio::test]
async fn a_grant_cannot_exceed_what_a_memory_can_have() {
    let body = r#"(func (export "run") (param i32) (result i32)
                    (drop (memory.grow (i32.const 60000))) (unreachable))"#;
    let ended = run(
        body,
        &Limits {
            memory_bytes: 8 << 30,
            ..limits()
        },
    )
    .await;
    assert_eq!(hit(&ended.outcome), (LimitName::MemoryBytes, 1 << 30));
}

#[tokio::test]
async fn a_guest_sees_only_its_own_maximum() {
    let body = r#"(memory $own 1 2)
                  (func (export "run") (param i32) (result i32)
                    (if (i32.ne (memory.grow $own (i32.const 5)) (i32.const -1)) (then unreachable))
                    (if (i32.ne (memory.grow $own (i32.const 1)) (i32.const 1)) (then unreachable))
                    (i32.const 1024))"#;
    let ended = run(body, &limits()).await;
    assert!(ended.outcome.is_ok(), "{:?}", ended.outcome);
}

#[tokio::test]
async fn a_long_argument_is_refused_before_it_is_copied() {
    let limits = Limits {
        memory_bytes: 2 << 30,
        ..limits()
    };
    let ended = run(guests::LONG_ARGUMENT, &limits).await;
    assert_eq!(
        hit(&ended.outcome),
        (LimitName::ArgumentBytes, limits.argument_bytes)
    );
    assert!(ended.host.log.is_empty());
}

#[tokio::test]
async fn a_long_result_is_refused() {
    let limits = Limits {
        memory_bytes: 64 << 20,
        ..limits()
    };
    for body in [guests::LONG_RESULT, guests::LONGER_RESULT] {
        let ended = run(body, &limits).await;
        assert_eq!(
            hit(&ended.outcome),
            (LimitName::ResultBytes, limits.result_bytes)
        );
    }
}

#[tokio::test]
async fn a_host_call_that_never_returns_is_cut_off() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::SLEEP).await;
    let host = Fake {
        on_sleep: OnSleep::Never,
        log: vec!["kept".into()],
        ..Fake::default()
    };
    let ended = runtime
        .run_agent(&component, host, &short(), Stop::new(), task("{}"))
        .await;
    assert_eq!(hit(&ended.outcome), (LimitName::TimeMs, 150));
    assert_eq!(ended.host.log, ["kept"]);
}

#[tokio::test]
async fn a_crash_is_told_with_the_name_of_the_function() {
    let ended = run(guests::TRAP, &limits()).await;
    let Err(End::Trap(text)) = ended.outcome else {
        panic!("{:?}", ended.outcome)
    };
    assert!(
        text.contains("unreachable") && text.contains("divide_the_indivisible"),
        "{text}"
    );
    assert!(!text.contains('/'), "a path: {text}");
}

#[tokio::test]
async fn a_text_that_is_none_is_the_guests_fault() {
    let ended = run(guests::NOT_UTF8, &limits()).await;
    let Err(End::Trap(text)) = ended.outcome else {
        panic!("{:?}", ended.outcome)
    };
    assert!(text.contains("utf-8"), "{text}");
}

#[tokio::test]
async fn the_host_can_ask_for_an_end() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::CHATTER).await;
    let host = Fake {
        most_lines: Some(3),
        ..Fake::default()
    };
    let ended = runtime
        .run_agent(&component, host, &limits(), Stop::new(), task("{}"))
        .await;
    assert_eq!(hit(&ended.outcome), (LimitName::LogBytes, 5));
    assert_eq!(ended.host.log.len(), 3);
}

#[tokio::test]
async fn a_fault_of_the_host_is_not_the_end_of_it() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::SLEEP).await;
    let host = Fake {
        on_sleep: OnSleep::Panic,
        log: vec!["kept".into()],
        ..Fake::default()
    };
    let ended = runtime
        .run_agent(&component, host, &limits(), Stop::new(), task("{}"))
        .await;
    assert!(
        matches!(ended.outcome, Err(End::Trap(_))),
        "{:?}",
        ended.outcome
    );
    assert_eq!(ended.host.log, ["kept"]);
    let echo = compiled(&runtime, guests::ECHO).await;
    let ended = runtime
        .run_agent(&echo, Fake::default(), &limits(), Stop::new(), task("{}"))
        .await;
    assert!(ended.outcome.is_ok());
}

#[tokio::test]
async fn stop_ends_a_guest_that_computes_and_one_that_waits() {
    let runtime = runtime(settings());
    for body in [guests::LOOP, guests::SLEEP] {
        let component = compiled(&runtime, body).await;
        let (asleep, mut slept) = tokio::sync::mpsc::unbounded_channel();
        let host = Fake {
            on_sleep: OnSleep::Never,
            asleep: Some(asleep),
            ..Fake::default()
        };
        let stop = Stop::new();
        let (limits, waits) = (limits(), body == guests::SLEEP);
        let call = runtime.run_agent(&component, host, &limits, stop.clone(), task("{}"));
        let stopper = async {
            if waits {
                slept.recv().await.unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.stop("halted");
            stop.stop("too late");
        };
        let (ended, ()) = tokio::join!(call, stopper);
        assert_eq!(ended.outcome.unwrap_err(), End::Stopped("halted".into()));
    }
}

#[tokio::test]
async fn a_guest_does_not_start_once_stopped() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::ECHO).await;
    let stop = Stop::new();
    stop.stop("halted");
    let ended = runtime
        .run_agent(&component, Fake::default(), &limits(), stop, task("{}"))
        .await;
    assert_eq!(ended.outcome.unwrap_err(), End::Stopped("halted".into()));
    assert!(ended.host.log.is_empty());
}

#[tokio::test]
async fn a_guest_without_a_caller_ends() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::SLEEP).await;
    let (asleep, mut slept) = tokio::sync::mpsc::unbounded_channel();
    let host = Fake {
        on_sleep: OnSleep::Never,
        asleep: Some(asleep),
        ..Fake::default()
    };
    let limits = limits();
    let call = runtime.run_agent(&component, host, &limits, Stop::new(), task("{}"));
    tokio::select! {
        _ = call => panic!("nobody answers it"),
        _ = slept.recv() => {}
    }
    // The host implementation goes with the guest, and with it the other end of the channel.
    assert_eq!(slept.recv().await, None);
}

#[tokio::test]
async fn handles_that_cost_the_host_memory_are_bounded() {
    let wasm = guests::agent_with(
        "(type $resource (resource (rep i32)))",
        "(core func $new (canon resource.new $resource))",
        r#"(export "new" (func $new))"#,
        r#"(import "host" "new" (func $new (param i32) (result i32)))
           (func (export "run") (param i32) (result i32)
             (loop $again (drop (call $new (i32.const 1))) (br $again))
             (unreachable))"#,
    );
    let runtime = runtime(settings());
    let digest = mandate_types::Digest::of(&wasm);
    let kind = mandate_types::GuestKind::Agent;
    let component = runtime.compile(&digest, kind, &wasm).await.unwrap();
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task("{}"),
        )
        .await;
    let Err(End::Trap(text)) = ended.outcome else {
        panic!("{:?}", ended.outcome)
    };
    assert!(text.contains("handle limit"), "{text}");
}
