//! Work that uses everything whose order matters in a crash: tools side by side, delegation,
//! records, child tasks, events and what they trigger, sleep, progress, a model.

use crate::{Client, Do, Plugin, Text, agent, tool};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The collections that the agents write to, except for [`SHARED`].
pub const COLLECTIONS: [&str; 3] = ["lines", "heard", SHARED];
/// Where one record is changed by many.
pub const SHARED: &str = "shared";
/// How often a `rival` tries to change that record.
pub const TRIES: u64 = 25;

fn line() -> Do {
    Do::Create {
        collection: "lines".to_owned(),
        id: None,
        body: Text::Input,
    }
}

/// The plugins; a task `worker` makes one `child`, one event and by it one `listener`.
pub fn plugins() -> Vec<Plugin> {
    let collection = |name: &str| {
        format!("[records.{name}]\nid = \"N-{{12}}\"\nschema = {{ type = \"object\" }}\n")
    };
    let may_write = |name: &str| format!("[capabilities.records]\nwrite = [\"{name}\"]\n");
    let side_by_side = (0..6).map(|n| {
        let name = ["echo.it", "scribe.it"][n % 2].to_owned();
        (name, format!("{{\"call\":{n}}}"))
    });
    vec![
        tool("echo", "none"),
        tool("scribe", "internal")
            .manifest(&may_write("lines"))
            .does([line()]),
        agent("helper").manifest(&may_write("lines")).does([
            line(),
            Do::Sleep(2),
            Do::Progress(0.5, "helping".into()),
            line(),
        ]),
        agent("child").manifest(&may_write("lines")).does([
            Do::Sleep(1),
            line(),
            Do::Progress(0.5, "growing".into()),
        ]),
        agent("listener")
            .manifest(&may_write("heard"))
            .manifest(&collection("heard"))
            .manifest("[[triggers.event]]\non = \"worker.noted\"\nkind = \"listener\"\ntitle = \"Hear\"")
            .does([Do::Create { collection: "heard".into(), id: None, body: Text::Input }]),
        agent("rival")
            .manifest(&may_write(SHARED))
            .manifest(&collection(SHARED))
            .does((1..=TRIES).map(|version| Do::Update {
                collection: SHARED.into(),
                id: "N-1".into(),
                version,
                body: Text::Input,
            })),
        agent("worker")
            .manifest("[capabilities]\nevents = true")
            .manifest(&may_write("lines"))
            .manifest("[capabilities.invoke]\ntools = [\"*\"]\nagents = [\"helper\"]\ntasks = [\"child\"]")
            .manifest("[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 100000")
            .manifest(&collection("lines"))
            .does([
                Do::Log("at work".into()),
                line(),
                Do::Progress(0.2, "begun".into()),
                Do::Tools(side_by_side.collect()),
                Do::Sleep(3),
                Do::agent("helper", Text::Input),
                Do::publish("noted", Text::Input),
                Do::submit("child", Text::Input),
                Do::Complete { prompt: "what next?".into(), tools: vec![] },
                Do::tool("scribe.it", Text::Input),
                Do::Progress(0.9, "nearly done".into()),
                line(),
            ])
            .answers(Text::Input),
    ]
}

/// Installs the plugins and makes the shared record.
pub async fn install(client: &Client) {
    for plugin in plugins() {
        let installed = client.install(plugin.file()).await;
        assert_eq!(installed["not_granted"], json!([]), "{installed}");
    }
    let path = format!("/api/v1/records/{SHARED}?id=N-1");
    client.post(&path, &json!({"n": 0})).await.expect(201);
}

/// What was asked of a host that may go away at any time, by the number of the request.
#[derive(Debug, Default)]
pub struct Asked {
    /// The task that the host accepted.
    pub accepted: BTreeMap<u64, String>,
    /// Requests whose answer never came.
    pub unknown: Vec<u64>,
}

/// Submits the `n`th task; an error is a connection that was lost.
///
/// # Errors
/// When the answer did not come.
pub async fn submit(client: &Client, n: u64) -> Result<crate::Answer, String> {
    let kind = if n % 10 == 9 { "rival" } else { "worker" };
    let body: Value = json!({"kind": kind, "input": {"n": n}, "priority": n % 10});
    let request = client
        .request(Method::POST, "/api/v1/tasks")
        .header("idempotency-key", format!("request-{n}"))
        .json(&body);
    client.try_send(request).await
}
