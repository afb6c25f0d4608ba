//! Guests that behave, and what a call gives back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{Fake, compiled, guests, limits, runtime, settings, task};
use mandate_runtime::bindings::tool_export::Request;
use mandate_runtime::{Description, End, Stop, contract};
use mandate_types::{Digest, GuestKind, Limits};

fn request(arguments: &str) -> Request {
    Request {
        name: "it".into(),
        arguments: arguments.into(),
        tenant: "default".into(),
        task: None,
        subject: None,
        settings: "{}".into(),
    }
}

#[tokio::test]
async fn an_agent_gets_its_task_and_reports() {
    let runtime = runtime(settings());
    let component = compiled(&runtime, guests::ECHO).await;
    assert!(
        component
            .imports()
            .iter()
            .any(|import| import == "mandate:system/log@1.0.0")
    );
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task(r#"{"a":1}"#),
        )
        .await;
    let report = ended.outcome.unwrap().unwrap();
    assert_eq!(report.output, r#"{"a":1}"#);
    assert_eq!((report.summary.as_str(), report.quality), ("hello", None));
    assert_eq!(ended.host.log, ["hello"]);
    assert_eq!(ended.peak_memory_bytes, 65_536);
}

#[tokio::test]
async fn a_tool_gets_its_arguments_and_answers() {
    let runtime = runtime(settings());
    let wasm = guests::tool(guests::TOOL_ECHO);
    let component = runtime
        .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
        .await
        .unwrap();
    let ended = runtime
        .call_tool(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            request("[1]"),
        )
        .await;
    assert_eq!(ended.outcome.unwrap().unwrap(), "[1]");
}

#[tokio::test]
async fn a_tool_is_not_run_as_an_agent() {
    let runtime = runtime(settings());
    let wasm = guests::tool(guests::TOOL_ECHO);
    let component = runtime
        .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
        .await
        .unwrap();
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task("{}"),
        )
        .await;
    assert!(matches!(ended.outcome, Err(End::Trap(_))));
}

#[tokio::test]
async fn guests_describe_themselves_without_the_host() {
    let runtime = runtime(settings());
    let agent = compiled(&runtime, guests::ECHO).await;
    let Description::Agent(agent) = runtime.describe(&agent).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (agent.summary.as_str(), agent.input.as_str()),
        ("a test guest", r#"{"type":"object"}"#)
    );
    let wasm = guests::tool(guests::TOOL_ECHO);
    let tool = runtime
        .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
        .await
        .unwrap();
    let Description::Tools(tools) = runtime.describe(&tool).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (tools[0].name.as_str(), tools[0].summary.as_str()),
        ("it", "a test tool")
    );
}

#[tokio::test]
async fn a_description_that_calls_the_host_is_none() {
    let runtime = runtime(settings());
    // Its start function runs before `describe` and logs.
    let body = r#"(func $start (call $log (i32.const 1) (i32.const 0) (i32.const 0))) (start $start)
                  (func (export "run") (param i32) (result i32) (unreachable))"#;
    let component = compiled(&runtime, body).await;
    let error = runtime.describe(&component).await.unwrap_err().to_string();
    assert!(error.contains("mandate:system/log"), "{error}");
}

#[tokio::test]
async fn every_interface_that_the_contract_promises_is_linked() {
    let imports: String = contract::supported()
        .iter()
        .filter(|(name, _)| {
            !["types/types", "system/log", "system/sleep"]
                .iter()
                .any(|own| name.ends_with(own))
        })
        .map(|(name, version)| format!("(import \"{name}@{version}.0\" (instance))\n"))
        .collect();
    let wasm = guests::agent_with(&imports, "", "", guests::ECHO);
    let component = runtime(settings());
    let component = component
        .compile(&Digest::of(&wasm), GuestKind::Agent, &wasm)
        .await
        .unwrap();
    assert_eq!(component.imports().len(), contract::supported().len());
}

#[tokio::test]
async fn wasi_shows_the_hosts_time_and_chance() {
    let imports = r#"
        (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))"#;
    let lower = r#"(core func $random' (canon lower (func $random "get-random-u64")))
                   (core func $now' (canon lower (func $clock "now")))"#;
    let exports = r#"(export "random" (func $random')) (export "now" (func $now'))"#;
    let body = r#"
        (import "host" "random" (func $random (result i64)))
        (import "host" "now" (func $now (result i64)))
        (func (export "run") (param i32) (result i32)
          (if (i64.ne (call $random) (i64.const 0x0707070707070707)) (then unreachable))
          (if (i64.ne (call $now) (i64.const 1000)) (then unreachable))
          (if (i64.ne (call $now) (i64.const 2000)) (then unreachable))
          (i32.const 1024))"#;
    let runtime = runtime(settings());
    let wasm = guests::agent_with(imports, lower, exports, body);
    let component = runtime
        .compile(&Digest::of(&wasm), GuestKind::Agent, &wasm)
        .await
        .unwrap();
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task("{}"),
        )
        .await;
    assert_eq!(ended.outcome.unwrap().unwrap().output, "");
}

#[tokio::test]
async fn nothing_is_left_of_an_instance() {
    // Counts in its memory and in a global; a second instance must begin at zero.
    let body = r#"
        (global $runs (mut i32) (i32.const 0))
        (func (export "run") (param i32) (result i32)
          (if (i32.add (global.get $runs) (i32.load (i32.const 2000))) (then unreachable))
          (global.set $runs (i32.const 1))
          (i32.store (i32.const 2000) (i32.const 1))
          (i32.const 1024))"#;
    let runtime = runtime(settings());
    let component = compiled(&runtime, body).await;
    for _ in 0..50 {
        let ended = runtime
            .run_agent(
                &component,
                Fake::default(),
                &limits(),
                Stop::new(),
                task("{}"),
            )
            .await;
        assert!(ended.outcome.is_ok(), "{:?}", ended.outcome);
    }
}

#[tokio::test]
async fn a_full_host_says_so() {
    let runtime = std::sync::Arc::new(runtime(mandate_runtime::Settings {
        max_instances: 1,
        ..settings()
    }));
    let component = compiled(&runtime, guests::SLEEP).await;
    let (asleep, mut slept) = tokio::sync::mpsc::unbounded_channel();
    let host = Fake {
        on_sleep: common::OnSleep::Never,
        asleep: Some(asleep),
        ..Fake::default()
    };
    let (stop, first) = (Stop::new(), std::sync::Arc::clone(&runtime));
    let waiting = {
        let (component, stop) = (component.clone(), stop.clone());
        tokio::spawn(async move {
            first
                .run_agent(&component, host, &Limits::default(), stop, task("{}"))
                .await
        })
    };
    slept.recv().await.unwrap();
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task("{}"),
        )
        .await;
    assert!(
        matches!(ended.outcome, Err(End::Full(_))),
        "{:?}",
        ended.outcome
    );
    stop.stop("enough");
    assert_eq!(
        waiting.await.unwrap().outcome.unwrap_err(),
        End::Stopped("enough".into())
    );
}

#[tokio::test]
async fn calls_from_the_guests_threads_stay_there() {
    let runtime = std::sync::Arc::new(runtime(settings()));
    let component = compiled(&runtime, guests::ECHO).await;
    let inner = std::sync::Arc::clone(&runtime);
    let names = runtime.spawn(async move {
        let before = std::thread::current().id();
        let ended = inner
            .run_agent(
                &component,
                Fake::default(),
                &limits(),
                Stop::new(),
                task("{}"),
            )
            .await;
        (
            ended.outcome.unwrap().unwrap().output,
            before == std::thread::current().id(),
        )
    });
    // A quick guest never leaves its task, so the thread cannot have changed.
    assert_eq!(names.await.unwrap(), ("{}".to_owned(), true));
}
