//! What guests saw, and whether they see the same when they are replayed.

use crate::Client;
use crate::host::binary;
use serde_json::Value;
use std::process::{Command, Output};

/// Runs the binary for the host of `client`, and with its token.
pub fn mandate(client: &Client, arguments: &[&str]) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .env("MANDATE_URL", client.url())
        .env("MANDATE_TOKEN", client.token())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    output
}

/// What `mandate replay` says of each invocation, and whether it left with 0.
pub fn replay(client: &Client, arguments: &[&str]) -> (Vec<Value>, bool) {
    let output = mandate(client, &[&["replay", "--json"], arguments].concat());
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let all = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", text(&output.stdout), text(&output.stderr)));
    (all, output.status.success())
}

/// The bits that the guests of a task showed, in order: random, time, NaN, …
pub async fn shown(client: &Client, task: &Value) -> Vec<String> {
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let asked = steps
        .iter()
        .filter(|step| step["arguments"]["collection"] == "seen");
    asked
        .map(|step| step["arguments"]["id"].as_str().unwrap().to_owned())
        .collect()
}
