//! What is not a component of this host's contract is refused with a reason; compiling is bounded.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use common::{Fake, guests, limits, runtime, settings, task};
use mandate_runtime::{CompileError, CompileLimits, Component, Origin, Runtime, Settings, Stop};
use mandate_types::{Digest, GuestKind};
use std::time::Duration;

async fn compile(runtime: &Runtime<Fake>, wasm: &[u8]) -> Result<Component<Fake>, CompileError> {
    runtime
        .compile(&Digest::of(wasm), GuestKind::Agent, wasm)
        .await
}

async fn refused(settings: Settings, wasm: &[u8]) -> CompileError {
    match compile(&runtime(settings), wasm).await {
        Ok(_) => panic!("it was compiled"),
        Err(error) => error,
    }
}

fn in_child(limits: CompileLimits) -> Settings {
    Settings {
        compile_command: Some(vec![env!("CARGO_BIN_EXE_compile-worker").into()]),
        compile_limits: limits,
        ..settings()
    }
}

fn both_ways() -> [Settings; 2] {
    [settings(), in_child(CompileLimits::default())]
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said() {
    let whole = guests::agent(guests::ECHO);
    let mut broken = whole.clone();
    broken[9] = 0xff;
    for settings in both_ways() {
        let core = wat::parse_str("(module)").unwrap();
        assert!(matches!(
            refused(settings.clone(), &core).await,
            CompileError::CoreModule
        ));
        assert!(matches!(
            refused(settings.clone(), b"hello world").await,
            CompileError::NotWasm
        ));
        let error = refused(settings.clone(), &whole[..whole.len() - 20]).await;
        assert!(matches!(error, CompileError::Truncated(_)), "{error}");
        let error = refused(settings.clone(), &broken).await;
        assert!(
            matches!(error, CompileError::Invalid(_) | CompileError::Truncated(_)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_not_deterministic_is_not_compiled() {
    let body = r#"(func (export "run") (param i32) (result i32)
        (i8x16.extract_lane_u 0 (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0))))"#;
    let error = refused(settings(), &guests::agent(body)).await;
    assert!(error.to_string().contains("relaxed SIMD"), "{error}");
    let body = r#"(memory $shared 1 1 shared)
        (func (export "run") (param i32) (result i32) (unreachable))"#;
    let error = refused(settings(), &guests::agent(body)).await;
    assert!(matches!(error, CompileError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn a_newer_contract_is_refused_with_what_the_host_supports() {
    let imports = r#"(import "mandate:records/records@9.9.9" (instance))"#;
    let wasm = guests::agent_with(imports, "", "", guests::ECHO);
    let error = refused(settings(), &wasm).await.to_string();
    assert!(
        error.contains(
            "imports mandate:records/records@9.9.9, this host supports mandate:records/records 1.0"
        ),
        "{error}"
    );
    let imports = r#"(import "wasi:sockets/tcp@0.2.0" (instance))"#;
    let wasm = guests::agent_with(imports, "", "", guests::ECHO);
    let error = refused(settings(), &wasm).await.to_string();
    assert!(error.contains("wasi:sockets/tcp@0.2.0"), "{error}");
}

#[tokio::test]
async fn a_function_that_the_contract_has_not_is_named() {
    let imports = r#"(import "mandate:system/clock@1.0.0" (instance (export "alarm" (func))))"#;
    let wasm = guests::agent_with(imports, "", "", guests::ECHO);
    let error = refused(settings(), &wasm).await;
    assert!(matches!(error, CompileError::Link(_)), "{error}");
    assert!(error.to_string().contains("alarm"), "{error}");
}

#[tokio::test]
async fn a_tool_is_not_taken_for_an_agent() {
    let error = refused(settings(), &guests::tool(guests::TOOL_ECHO))
        .await
        .to_string();
    assert!(
        error.contains("does not export mandate:agent/agent 1.0"),
        "{error}"
    );
}

#[tokio::test]
async fn a_child_compiles_what_this_process_runs() {
    let runtime = runtime(in_child(CompileLimits::default()));
    let component = compile(&runtime, &guests::agent(guests::ECHO))
        .await
        .unwrap();
    let ended = runtime
        .run_agent(
            &component,
            Fake::default(),
            &limits(),
            Stop::new(),
            task("[]"),
        )
        .await;
    assert_eq!(ended.outcome.unwrap().unwrap().output, "[]");
}

#[tokio::test]
async fn a_compile_bomb_is_stopped_by_each_limit() {
    let bomb = guests::compile_bomb(300_000);
    let limits = CompileLimits {
        time: Duration::from_secs(1),
        ..CompileLimits::default()
    };
    let error = refused(in_child(limits), &bomb).await;
    assert!(
        matches!(error, CompileError::Limit { limit: "time", .. }),
        "{error}"
    );
    let limits = CompileLimits {
        memory_bytes: 96 << 20,
        ..CompileLimits::default()
    };
    // Enough for an honest component: it is the bomb that is refused.
    let honest = compile(
        &runtime(in_child(limits.clone())),
        &guests::agent(guests::ECHO),
    )
    .await;
    assert!(honest.is_ok(), "{:?}", honest.err());
    let error = refused(in_child(limits), &bomb).await;
    assert!(
        matches!(
            error,
            CompileError::Limit {
                limit: "memory",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("96 MiB"), "{error}");
    let limits = CompileLimits {
        artifact_bytes: 1_000,
        ..CompileLimits::default()
    };
    for settings in [
        in_child(limits.clone()),
        Settings {
            compile_limits: limits,
            ..settings()
        },
    ] {
        let error = refused(settings, &guests::agent(guests::ECHO)).await;
        assert!(
            matches!(
                error,
                CompileError::Limit {
                    limit: "code size",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_named() {
    let settings = Settings {
        compile_command: Some(vec!["no-such-compiler".into()]),
        ..settings()
    };
    let error = refused(settings, &guests::agent(guests::ECHO)).await;
    assert!(
        matches!(&error, CompileError::Worker(text) if text.contains("no-such-compiler")),
        "{error}"
    );
}

#[tokio::test]
async fn code_is_compiled_once_and_never_trusted_without_its_mac() {
    let dir = tempfile::tempdir().unwrap();
    let cached = || Settings {
        cache_dir: Some(dir.path().to_owned()),
        cache_key: [3; 32],
        ..settings()
    };
    let wasm = guests::agent(guests::ECHO);
    let origin = async |settings| compile(&runtime(settings), &wasm).await.unwrap().origin();
    assert_eq!(origin(cached()).await, Origin::Compiled);
    assert_eq!(origin(cached()).await, Origin::Cached);
    let file = std::fs::read_dir(dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(origin(cached()).await, Origin::Compiled);
    assert_eq!(origin(cached()).await, Origin::Cached);
    assert_eq!(
        origin(Settings {
            cache_key: [4; 32],
            ..cached()
        })
        .await,
        Origin::Compiled
    );
}
