//! Tools that say what a call would cost: in a sandbox of their own, quickly or not at all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{Fake, guests, runtime, settings};
use mandate_runtime::bindings::estimate_export::CallCost;
use mandate_runtime::bindings::types::types::Error;
use mandate_runtime::{CompileError, Component, End, Runtime};
use mandate_types::{Digest, GuestKind, LimitName};

const MEMORY: u64 = 1 << 20;

async fn compile(
    runtime: &Runtime<Fake>,
    version: &str,
    estimate: &str,
) -> Result<Component<Fake>, CompileError> {
    let body = format!("{}\n{estimate}", guests::TOOL_ECHO);
    let wasm = guests::estimating_tool(version, &body);
    runtime
        .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
        .await
}

async fn estimate(body: &str) -> Result<Option<Result<CallCost, Error>>, End> {
    let runtime = runtime(settings());
    let code =
        format!("(func (export \"estimate\") (param i32 i32 i32 i32 i32 i32) (result i32) {body})");
    let component = compile(&runtime, "1.1.0", &code).await.unwrap();
    runtime
        .estimate(&component, MEMORY, "it".into(), "[7]".into(), "{}".into())
        .await
        .map_err(|error| error.0)
}

fn limit(end: &End) -> Option<LimitName> {
    match end {
        End::Limit(hit) => Some(hit.limit),
        _ => None,
    }
}

#[tokio::test]
async fn a_tool_says_what_a_call_costs_and_why() {
    // Its reason is its arguments.
    let told = estimate(
        "(i64.store (i32.const 1032) (i64.const 2500000000))
         (i32.store8 (i32.const 1052) (i32.const 1))
         (i32.store (i32.const 1056) (local.get 2))
         (i32.store (i32.const 1060) (local.get 3))
         (i32.const 1024)",
    );
    let expected = CallCost {
        cost: 2_500_000_000,
        undo: None,
        why: Some("[7]".into()),
    };
    assert_eq!(told.await.unwrap().unwrap(), Ok(expected));
}

#[tokio::test]
async fn a_tool_may_say_that_it_cannot_know() {
    let told = estimate(
        "(i32.store8 (i32.const 1024) (i32.const 1))
         (i32.store8 (i32.const 1032) (i32.const 2))
         (i32.store (i32.const 1040) (local.get 2))
         (i32.store (i32.const 1044) (local.get 3))
         (i32.const 1024)",
    );
    assert_eq!(
        told.await.unwrap().unwrap(),
        Err(Error::Invalid("[7]".into()))
    );
}

#[tokio::test]
async fn an_estimate_is_bounded_in_time_memory_and_words() {
    let endless = estimate("(loop $again (br $again)) (i32.const 0)").await;
    assert_eq!(limit(&endless.unwrap_err()), Some(LimitName::TimeMs));
    let greedy = estimate("(drop (memory.grow (i32.const 64))) (i32.const 1024)").await;
    assert_eq!(limit(&greedy.unwrap_err()), Some(LimitName::MemoryBytes));
    let trapped = estimate("unreachable").await;
    assert!(matches!(trapped, Err(End::Trap(_))), "{trapped:?}");
    let wordy = estimate(
        "(i32.store8 (i32.const 1052) (i32.const 1))
         (i32.store (i32.const 1056) (i32.const 0))
         (i32.store (i32.const 1060) (i32.const 40000))
         (i32.const 1024)",
    );
    let end = wordy.await.unwrap_err();
    assert_eq!(limit(&end), Some(LimitName::ResultBytes), "{end}");
}

#[tokio::test]
async fn a_tool_without_the_export_estimates_nothing() {
    let runtime = runtime(settings());
    let wasm = guests::tool(guests::TOOL_ECHO);
    let component = runtime
        .compile(&Digest::of(&wasm), GuestKind::Tool, &wasm)
        .await
        .unwrap();
    let told = runtime
        .estimate(&component, MEMORY, "it".into(), "{}".into(), "{}".into())
        .await
        .unwrap();
    assert_eq!(told, None);
}

#[tokio::test]
async fn an_export_of_a_newer_contract_is_refused() {
    let runtime = runtime(settings());
    let code =
        "(func (export \"estimate\") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0))";
    for version in ["9.9.9", "1.2.0"] {
        let refused = compile(&runtime, version, code).await.err().unwrap();
        let text = refused.to_string();
        assert!(
            matches!(refused, CompileError::Contract(_)) && text.contains(version),
            "{text}"
        );
    }
}
