//! Test guests: components assembled from a few lines of WAT, without a guest toolchain.
//!
//! Other crates' tests include this file with `#[path]`.

#![allow(dead_code)] // each test binary uses a part

const AGENT: &str = include_str!("../guests/agent.template");
const TOOL: &str = include_str!("../guests/tool.template");
const ESTIMATE: &str = include_str!("../guests/estimate.template");

/// An agent whose core code is `body`; see `guests/agent.template` for what it can use.
pub fn agent(body: &str) -> Vec<u8> {
    agent_with("", "", "", body)
}

/// An agent with more component-level `imports`, their core functions (`lower`) and the names
/// under which the body imports these from `host` (`exports`).
pub fn agent_with(imports: &str, lower: &str, exports: &str, body: &str) -> Vec<u8> {
    let text = AGENT
        .replace(";; IMPORTS", imports)
        .replace(";; LOWER", lower)
        .replace(";; EXPORTS", exports)
        .replace(";; BODY", body);
    wat::parse_str(text).unwrap()
}

/// A plugin with one tool `it` whose core code is `body`; see `guests/tool.template`.
pub fn tool(body: &str) -> Vec<u8> {
    wat::parse_str(TOOL.replace(";; BODY", body)).unwrap()
}

/// The same with a core function `estimate` in the body, of the contract's version `version`.
pub fn estimating_tool(version: &str, body: &str) -> Vec<u8> {
    let estimate = ESTIMATE.replace("VERSION", version);
    wat::parse_str(
        TOOL.replace(";; BODY", body)
            .replace(";; ESTIMATE", &estimate),
    )
    .unwrap()
}

/// An agent that logs `hello` and reports its input.
pub const ECHO: &str = include_str!("../guests/echo.wat");
/// An agent that computes for ever.
pub const LOOP: &str = include_str!("../guests/loop.wat");
/// An agent that calls itself for ever.
pub const RECURSION: &str = include_str!("../guests/recursion.wat");
/// An agent that grows three memories.
pub const MEMORIES: &str = include_str!("../guests/memories.wat");
/// An agent that grows a table.
pub const TABLE: &str = include_str!("../guests/table.wat");
/// An agent that passes a GiB.
pub const LONG_ARGUMENT: &str = include_str!("../guests/long-argument.wat");
/// An agent that waits for the host.
pub const SLEEP: &str = include_str!("../guests/sleep.wat");
/// An agent that reports two MiB.
pub const LONG_RESULT: &str = include_str!("../guests/long-result.wat");
/// An agent that reports sixteen MiB.
pub const LONGER_RESULT: &str = include_str!("../guests/longer-result.wat");
/// An agent that crashes.
pub const TRAP: &str = include_str!("../guests/trap.wat");
/// An agent that logs for ever.
pub const CHATTER: &str = include_str!("../guests/chatter.wat");
/// An agent that passes a text that is none.
pub const NOT_UTF8: &str = include_str!("../guests/not-utf8.wat");
/// An agent that computes for ever while it is instantiated.
pub const START_LOOP: &str = include_str!("../guests/start-loop.wat");
/// A tool that answers its arguments.
pub const TOOL_ECHO: &str = r#"
    (func (export "call") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 1032) (local.get 2))
      (i32.store (i32.const 1036) (local.get 3))
      (i32.const 1024))"#;

/// A component with one function of `steps` additions: a little file, a lot of work to compile.
pub fn compile_bomb(steps: usize) -> Vec<u8> {
    let mut body = String::from(
        r#"(func (export "run") (param i32) (result i32) (local i64 i64)
           (local.set 1 (i64.extend_i32_u (local.get 0)))"#,
    );
    for step in 0..steps {
        body.push_str(&format!(
            "(local.set {} (i64.add (i64.mul (local.get 1) (local.get 2)) (i64.load (i32.wrap_i64 (local.get {})))))\n",
            1 + step % 2,
            2 - step % 2
        ));
    }
    body.push_str("(i32.wrap_i64 (local.get 1)))");
    agent(&body)
}
