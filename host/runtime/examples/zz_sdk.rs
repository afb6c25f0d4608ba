#![allow(warnings, clippy::all)]
#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use mandate_runtime::Stop;
use mandate_types::{Digest, GuestKind, Limits};
#[tokio::main]
async fn main() {
    let rt = runtime(settings());
    let limits = Limits { memory_bytes: 8 << 20, ..Limits::default() };
    let wasm = std::fs::read("/tmp/panicky.component").unwrap();
    let c = rt.compile(&Digest::of(&wasm), GuestKind::Agent, &wasm).await.unwrap();
    let e = rt.run_agent(&c, Fake::default(), &limits, Stop::new(), task(r#"{"question":"panic"}"#)).await;
    println!("{:?} log {:?}", e.outcome, e.host.log);
}
