//! An agent goes on in a new execution of the same task: journal, steps and time begin anew, money
//! and the pace at which it may do so do not, and no crash makes it begin twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, tool};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

static HOST: Shared = Shared::new();

/// An agent that keeps what it was given, and goes on with the second page until its last
/// execution.
fn pager(name: &str, executions: u32) -> Plugin {
    let sections = format!(
        "[capabilities.records]\nwrite = [\"{name}\"]\n[records.{name}]\nid = \"P-{{4}}\"\nschema = {{ type = \"object\" }}\n"
    );
    agent(name).manifest(&sections).does([
        Do::Create {
            collection: name.into(),
            id: None,
            body: mandate_tests::Text::Input,
        },
        Do::ContinueBefore(executions, r#"{"page":2}"#.into()),
    ])
}

async fn ended(client: &Client, kind: &str, input: Value) -> Value {
    let task = client.submit(&json!({"kind": kind, "input": input})).await;
    client.ended(task["id"].as_str().unwrap()).await
}

async fn executions(client: &Client, task: &Value) -> Vec<Value> {
    let path = format!("/api/v1/tasks/{}/executions", task["id"].as_str().unwrap());
    client.items(&path).await
}

async fn bodies(client: &Client, collection: &str) -> Vec<Value> {
    let mut all = client.all(&format!("/api/v1/records/{collection}?")).await;
    all.sort_by_key(|record| record["created_at"].as_str().map(str::to_owned));
    all.into_iter()
        .map(|record| record["body"].clone())
        .collect()
}

#[tokio::test]
async fn a_task_goes_on_in_new_executions_of_its_own() {
    let client = HOST.host().admin();
    client.install(pager("pager", 3).file()).await;
    let begun = Instant::now();
    let task = ended(&client, "pager", json!({"page": 1})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    // Not as fast as it can: each begins a second after the one before.
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(task["output"], json!({"page": 2}));
    assert_eq!(
        (&task["input"], &task["continuation"], &task["attempts"]),
        (&json!({"page": 1}), &json!({"page": 2}), &json!(3))
    );
    let all = executions(&client, &task).await;
    let attempts: Vec<_> = all.iter().map(|one| one["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    // Each has a journal of its own that begins at its beginning, and ends with the call.
    for (number, one) in all.iter().enumerate() {
        let path = format!("/api/v1/executions/{}", one["id"].as_str().unwrap());
        let invocations = client.get(&path).await.ok()["invocations"].clone();
        assert_eq!(invocations[0]["status"], "succeeded", "{invocations}");
        let input = json!({"page": if number == 0 { 1 } else { 2 }});
        assert_eq!(invocations[0]["input"], input);
        let steps = client.items(&format!("{path}/steps?limit=1000")).await;
        let asked: Vec<_> = steps.iter().map(|step| step["function"].clone()).collect();
        let expected = ["create", "continue-as-new"];
        assert_eq!(asked, expected[..if number == 2 { 1 } else { 2 }]);
        assert_eq!(steps[0]["sequence"], 1);
    }
    assert_eq!(
        bodies(&client, "pager").await,
        [json!({"page": 1}), json!({"page": 2}), json!({"page": 2})]
    );
    let events = client.events().await;
    let told = |kind: &str| {
        let of_task = |event: &&Value| event["task"] == task["id"] && event["kind"] == kind;
        events.iter().filter(of_task).count()
    };
    assert_eq!((told("task_continued"), told("task_completed")), (2, 1));
    // Who executes it anew begins at the beginning.
    let path = format!("/api/v1/tasks/{}/execute", task["id"].as_str().unwrap());
    client.post(&path, &json!({})).await.ok();
    let again = client.ended(task["id"].as_str().unwrap()).await;
    assert_eq!(again["output"], json!({"page": 1}), "{again}");
}

#[tokio::test]
async fn it_continues_once_wherever_the_host_dies() {
    for point in ["execution.before_end", "execution.after_end"] {
        let host = Host::start();
        let admin = host.admin();
        admin.install(pager("pager", 2).file()).await;
        let armed = Options {
            environment: vec![("MANDATE_CRASH_POINT".to_owned(), point.to_owned())],
            ..Options::default()
        };
        let host = Host::over(host.stop(), &armed);
        let task = host
            .admin()
            .submit(&json!({"kind": "pager", "input": {"page": 1}}))
            .await;
        let (status, data) = host.exited();
        assert!(!status.success(), "{point} was not passed");
        let host = Host::over(data, &Options::default());
        let admin = host.admin();
        let task = admin.ended(task["id"].as_str().unwrap()).await;
        assert_eq!(task["output"], json!({"page": 2}), "{point}: {task}");
        assert_eq!(executions(&admin, &task).await.len(), 2, "{point}");
        assert_eq!(bodies(&admin, "pager").await.len(), 2, "{point}");
    }
}

#[tokio::test]
async fn only_the_agent_of_a_task_goes_on_and_only_with_what_it_takes() {
    let client = HOST.host().admin();
    let on = || Do::ContinueBefore(9, "{}".into());
    client
        .install(tool("ends", "none").does([on()]).file())
        .await;
    client.install(agent("helps").does([on()]).file()).await;
    let asks = agent("asks")
        .manifest("[capabilities.invoke]\ntools = [\"ends.it\"]\nagents = [\"helps\"]")
        .does([Do::tool("ends.it", "{}"), Do::agent("helps", "{}")]);
    client.install(asks.file()).await;
    let task = ended(&client, "asks", json!({})).await;
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("succeeded"), &json!(1))
    );
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let refused: Vec<_> = steps
        .iter()
        .filter(|step| step["function"] == "continue-as-new")
        .collect();
    assert_eq!(refused.len(), 2, "{steps:?}");
    for step in refused {
        assert_eq!(step["refused"], true, "{step}");
        assert_eq!(
            step["answer"]["error"]["denied"]["capability"],
            "continuation"
        );
    }
    let strict = agent("strict")
        .input(json!({"type": "object", "required": ["page"]}))
        .does([on()]);
    client.install(strict.file()).await;
    let task = ended(&client, "strict", json!({"page": 1})).await;
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("succeeded"), &json!(1))
    );
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let told = steps[0]["answer"]["error"]["invalid"].as_str().unwrap();
    assert!(told.contains("page"), "{told}");
}
