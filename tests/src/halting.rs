//! The kill switch, and agents whose records show how far they came.

use crate::{Answer, Client};
use serde_json::{Value, json};

/// Halts what `scope` names.
pub async fn halt(client: &Client, scope: &str) -> Answer {
    let body = json!({"scope": scope, "reason": "a runaway"});
    client.post("/api/v1/halt", &body).await
}

/// Ends that halt.
pub async fn resume(client: &Client, scope: &str) -> Answer {
    client
        .post("/api/v1/resume", &json!({"scope": scope}))
        .await
}

/// What the manifest says of an agent that notes.
pub fn notebook(name: &str) -> String {
    format!(
        "[capabilities.records]\nwrite = [\"{name}\"]\n[records.{name}]\nid = \"N-{{12}}\"\nschema = {{ type = \"object\" }}\n"
    )
}

/// Submits a task of this kind, and says its id.
pub async fn submit(client: &Client, kind: &str) -> String {
    let task = client.submit(&json!({"kind": kind, "input": {}})).await;
    task["id"].as_str().unwrap().to_owned()
}

/// How much is noted in a collection.
pub async fn notes(client: &Client, collection: &str) -> usize {
    let path = format!("/api/v1/records/{collection}?");
    client.all(&path).await.len()
}

/// Waits until the agent has noted so many.
pub async fn noted(client: &Client, collection: &str, many: usize) {
    client
        .until(|| async { (notes(client, collection).await >= many).then_some(()) })
        .await;
}

/// It waits for the end of a halt.
pub fn waits_for_halt(task: &Value) {
    assert_eq!(
        (&task["status"], &task["waiting_for"]),
        (&json!("waiting"), &json!("halt")),
        "{task}"
    );
    assert_eq!(task["waits"][0]["kind"], "halt", "{task}");
}
