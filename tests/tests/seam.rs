//! The seam, seen from outside: what is not granted is denied and on record, a grant counts from
//! the next task, and the journal is whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Plugin, agent, tool};
use serde_json::{Value, json};

static HOST: Shared = Shared::new();

fn admin() -> Client {
    HOST.host().admin()
}

/// A plugin that owns a collection of this name.
fn owner(id: &str) -> Plugin {
    agent(id).manifest(&format!(
        "[capabilities.records]\nwrite = [\"{id}\"]\n[records.{id}]\nid = \"N-{{6}}\"\nschema = {{ type = \"object\" }}\n"
    ))
}

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

fn denied(step: &Value, capability: &str) -> String {
    assert_eq!(step["refused"], true, "{step}");
    assert_eq!(step["state"], "answered", "{step}");
    let told = step["answer"]["error"].to_string();
    assert!(told.to_lowercase().contains("denied"), "{told}");
    assert!(told.contains(capability), "{told}");
    told
}

/// Every capability, once.
fn everything(collection: &str) -> Vec<Do> {
    vec![
        Do::create(collection, "N-1", "{}"),
        Do::get(collection, "N-1"),
        Do::Update {
            collection: collection.into(),
            id: "N-1".into(),
            version: 1,
            body: "{}".into(),
        },
        Do::Delete {
            collection: collection.into(),
            id: "N-1".into(),
            version: 2,
        },
        Do::Find {
            collection: collection.into(),
        },
        Do::publish("happened", "{}"),
        Do::tool("helper.it", "{}"),
        Do::agent("assistant", "{}"),
        Do::submit("assistant", "{}"),
        Do::Offers,
        Do::Complete {
            prompt: "hello".into(),
            tools: vec![],
        },
        Do::Embed("hello".into()),
        Do::ReadTopology,
        Do::WriteTopology,
    ]
}

const ALL: [&str; 14] = [
    "records",
    "records",
    "records",
    "records",
    "records",
    "events",
    "invoke",
    "invoke",
    "invoke",
    "invoke",
    "llm",
    "llm",
    "telemetry",
    "telemetry",
];

fn asks_for_everything(collection: &str) -> String {
    format!(
        "[capabilities]\nevents = true\ntelemetry = [\"read\", \"write\"]\n\
         [capabilities.records]\nwrite = [\"{collection}\"]\n\
         [capabilities.invoke]\ntools = [\"helper.it\"]\nagents = [\"assistant\"]\ntasks = [\"assistant\"]\n\
         [capabilities.llm]\nclasses = [\"fast\", \"embed\"]\nmax_cost_per_task = 100000\n"
    )
}

#[tokio::test]
async fn an_agent_without_grants_is_denied_everything_and_that_is_on_record() {
    let client = admin();
    client.install(tool("helper", "none").file()).await;
    client.install(agent("assistant").file()).await;
    client.install(owner("vault").file()).await;
    let plugin = agent("beggar")
        .manifest(&asks_for_everything("vault"))
        .does(everything("vault"));
    client.upload("", plugin.file()).await.expect(201);
    let task = client.run("beggar", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(id(&task)).await;
    assert_eq!(steps.len(), ALL.len(), "{steps:?}");
    for (step, capability) in steps.iter().zip(ALL) {
        denied(step, capability);
    }
    assert!(client.items("/api/v1/records/vault").await.is_empty());
    let path = format!("/api/v1/events?limit=1000&task={}", id(&task));
    let kinds: Vec<_> = client
        .items(&path)
        .await
        .iter()
        .map(|e| e["kind"].clone())
        .collect();
    assert!(!kinds.contains(&json!("beggar.happened")), "{kinds:?}");
    assert!(
        client
            .items(&format!("/api/v1/tasks?parent={}", id(&task)))
            .await
            .is_empty()
    );
    // The same agent, once it may: nothing of that is denied.
    client
        .put("/api/v1/plugins/beggar/grant", &json!({"accept": true}))
        .await
        .ok();
    let task = client.run("beggar", json!({})).await;
    for step in client.steps(id(&task)).await {
        assert_eq!(step["refused"], false, "{step}");
        assert_eq!(step["state"], "answered", "{step}");
    }
    let path = format!("/api/v1/events?task={}&kinds=beggar.happened", id(&task));
    assert_eq!(client.items(&path).await.len(), 1);
}

#[tokio::test]
async fn a_tool_that_declares_no_effects_has_none() {
    let client = admin();
    client.install(owner("ledger").file()).await;
    client.install(agent("errand").file()).await;
    client.install(tool("scribe", "internal").file()).await;
    let capabilities = "[capabilities]\nevents = true\n[capabilities.records]\nwrite = [\"ledger\"]\n\
         [capabilities.invoke]\ntools = [\"scribe.it\"]\nagents = [\"errand\"]\ntasks = [\"errand\"]";
    let does = [
        Do::Find {
            collection: "ledger".into(),
        },
        Do::create("ledger", "N-1", "{}"),
        Do::publish("happened", "{}"),
        Do::submit("errand", "{}"),
        Do::tool("scribe.it", "{}"),
        Do::agent("errand", "{}"),
        Do::Offers,
    ];
    client
        .install(
            tool("meek", "none")
                .manifest(capabilities)
                .does(does.clone())
                .file(),
        )
        .await;
    let called = client
        .post("/api/v1/tools/meek.it/call", &json!({}))
        .await
        .ok();
    let path = format!(
        "/api/v1/executions/{}/steps",
        called["execution"].as_str().unwrap()
    );
    let steps = client.items(&path).await;
    assert_eq!(steps.len(), 7);
    assert_eq!(
        steps[0]["refused"], false,
        "reading is what it may: {}",
        steps[0]
    );
    for step in &steps[1..4] {
        let told = denied(step, "effects");
        assert!(
            told.contains("`none`") && told.contains("`internal`"),
            "{told}"
        );
    }
    denied(&steps[4], "invoke");
    denied(&steps[5], "invoke");
    assert_eq!(steps[6]["answer"]["ok"], json!([]), "and it is not tempted");
    assert!(client.items("/api/v1/records/ledger").await.is_empty());
    // One that declares them has them.
    client
        .install(
            tool("bold", "internal")
                .manifest(capabilities)
                .does(does)
                .file(),
        )
        .await;
    let called = client
        .post("/api/v1/tools/bold.it/call", &json!({}))
        .await
        .ok();
    let path = format!(
        "/api/v1/executions/{}/steps",
        called["execution"].as_str().unwrap()
    );
    for step in client
        .items(&path)
        .await
        .iter()
        .filter(|step| step["depth"].is_null())
    {
        assert_eq!(step["refused"], false, "{step}");
    }
    assert_eq!(client.items("/api/v1/records/ledger").await.len(), 1);
}

#[tokio::test]
async fn effects_outside_of_the_host_wait_for_a_decision() {
    let client = admin();
    client
        .install(tool("launcher", "irreversible").file())
        .await;
    let waits = client
        .post("/api/v1/tools/launcher.it/call", &json!({}))
        .await
        .expect(202);
    assert_eq!(waits["waiting"], true, "{waits}");
    let plugin = agent("general")
        .manifest("[capabilities.invoke]\ntools = [\"launcher.it\"]")
        .does([Do::tool("launcher.it", "{}")]);
    client.install(plugin.file()).await;
    let task = client.submit(&json!({"kind": "general"})).await;
    let task = client.reaches(id(&task), "waiting").await;
    assert_eq!(task["waiting_for"], "approval", "{task}");
}

#[tokio::test]
async fn a_narrower_grant_counts_from_the_next_task() {
    let client = admin();
    client.install(owner("shelf").file()).await;
    let plugin = agent("keeper")
        .manifest("[capabilities]\nevents = true\n[capabilities.records]\nwrite = [\"shelf\"]")
        .does([
            Do::Find {
                collection: "shelf".into(),
            },
            Do::publish("looked", "{}"),
        ]);
    let installed = client.install(plugin.file()).await;
    assert_eq!(installed["not_granted"], json!([]), "{installed}");
    let task = client.run("keeper", json!({})).await;
    let refused = |steps: Vec<Value>| -> Vec<bool> {
        steps
            .iter()
            .map(|step| step["refused"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(refused(client.steps(id(&task)).await), [false, false]);
    let mut grant = installed["grant"].clone();
    let generation = grant["generation"].as_u64().unwrap();
    grant["capabilities"]["events"] = json!(false);
    let narrowed = client
        .put("/api/v1/plugins/keeper/grant", &grant)
        .await
        .ok();
    assert_eq!(narrowed["grant"]["generation"], generation + 1);
    assert_eq!(narrowed["not_granted"], json!(["publishing events"]));
    let task = client.run("keeper", json!({})).await;
    let steps = client.steps(id(&task)).await;
    assert_eq!(refused(steps.clone()), [false, true]);
    denied(&steps[1], "events");
    let path = format!("/api/v1/executions/{}", task["execution"].as_str().unwrap());
    let tree = client.get(&path).await.ok();
    assert_eq!(tree["invocations"][0]["grant_generation"], generation + 1);
    // The generation that was read is not the present one any more.
    client
        .put("/api/v1/plugins/keeper/grant", &grant)
        .await
        .expect(412);
}

#[tokio::test]
async fn a_grant_beyond_the_manifest_is_refused() {
    let client = admin();
    let installed = client.install(agent("modest").file()).await;
    let mut grant = installed["grant"].clone();
    grant["capabilities"] =
        json!({"events": true, "records": {"read": ["everything"], "write": []}});
    let problem = client
        .put("/api/v1/plugins/modest/grant", &grant)
        .await
        .expect(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("publishing events") && detail.contains("`everything`"),
        "{detail}"
    );
    let now = client.get("/api/v1/plugins/modest").await.ok();
    assert_eq!(now["grant"], installed["grant"], "nothing changed");
}

#[tokio::test]
async fn a_limit_in_the_grant_counts() {
    let client = admin();
    let plugin = agent("walker").does([Do::Repeat(10, Box::new(Do::Sleep(0)))]);
    let installed = client.install(plugin.file()).await;
    assert_eq!(client.run("walker", json!({})).await["status"], "succeeded");
    let mut grant = installed["grant"].clone();
    grant["limits"]["steps"] = json!(4);
    client
        .put("/api/v1/plugins/walker/grant", &grant)
        .await
        .ok();
    let task = client.run("walker", json!({})).await;
    assert_eq!(task["error"]["kind"], "limit", "{task}");
    assert!(
        task["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`steps` = 4"),
        "{task}"
    );
}

#[tokio::test]
async fn guests_see_the_records_of_their_tasks_tenant_only() {
    let client = admin();
    let plugin = owner("drawer").does([
        Do::create("drawer", "N-1", mandate_tests::Text::Input),
        Do::Find {
            collection: "drawer".into(),
        },
        Do::get("drawer", "N-other"),
    ]);
    client.install(plugin.file()).await;
    let blue = HOST.host().principal("blue", "client", &["blue"]).await;
    let red = HOST.host().principal("red", "client", &["red"]).await;
    red.post("/api/v1/records/drawer?id=N-other", &json!({"of": "red"}))
        .await
        .expect(201);
    for (who, of) in [(&blue, "blue"), (&red, "red")] {
        let task = who.run("drawer", json!({"of": of})).await;
        assert_eq!(task["tenant"], of, "{task}");
        let steps = who.steps(id(&task)).await;
        assert!(
            steps[0]["answer"].get("ok").is_some(),
            "the same id in each tenant: {steps:?}"
        );
        let found = steps[1]["answer"].to_string();
        let foreign = if of == "blue" {
            "\\\"red\\\""
        } else {
            "\\\"blue\\\""
        };
        assert!(!found.contains(foreign), "{found}");
        assert_eq!(
            steps[2]["answer"].get("ok").is_some(),
            of == "red",
            "{}",
            steps[2]
        );
    }
    let own = blue.get("/api/v1/records/drawer/N-1").await.ok();
    assert_eq!(own["body"], json!({"of": "blue"}));
    blue.get("/api/v1/records/drawer/N-other").await.expect(404);
    assert_eq!(blue.items("/api/v1/records/drawer").await.len(), 1);
    assert_eq!(
        client.items("/api/v1/records/drawer").await.len(),
        3,
        "who has all tenants sees all"
    );
}

#[tokio::test]
async fn the_journal_is_whole() {
    let client = admin();
    client.install(owner("diary").file()).await;
    client.install(tool("clerk", "none").file()).await;
    let calls = (0..5)
        .map(|n| ("clerk.it".to_owned(), format!("{{\"n\":{n}}}")))
        .collect();
    let plugin = agent("author")
        .manifest("[capabilities.records]\nwrite = [\"diary\"]\n[capabilities.invoke]\ntools = [\"clerk.it\"]")
        .does([
            Do::create("diary", "N-1", "{\"day\":1}"),
            Do::create("diary", "N-1", "{\"day\":2}"),
            Do::Tools(calls),
            Do::get("diary", "N-2"),
            Do::tool("nobody.it", "{}"),
            Do::Sleep(1),
        ]);
    client.install(plugin.file()).await;
    let task = client.run("author", json!({})).await;
    let steps = client.steps(id(&task)).await;
    let root = &client
        .get(&format!(
            "/api/v1/executions/{}",
            task["execution"].as_str().unwrap()
        ))
        .await
        .ok()["invocations"][0];
    let mut own: Vec<&Value> = steps
        .iter()
        .filter(|step| step["invocation"] == root["id"])
        .collect();
    own.sort_by_key(|step| (step["sequence"].as_u64(), step["index"].as_u64()));
    let places: Vec<(u64, u64)> = own
        .iter()
        .map(|step| {
            (
                step["sequence"].as_u64().unwrap(),
                step["index"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (1, 0),
            (2, 0),
            (3, 0),
            (3, 1),
            (3, 2),
            (3, 3),
            (3, 4),
            (4, 0),
            (5, 0),
            (6, 0)
        ]
    );
    for step in &own {
        assert_eq!(step["state"], "answered", "{step}");
        assert_eq!(
            step["arguments_digest"].as_str().unwrap().len(),
            64,
            "{step}"
        );
        assert!(
            step["answered_at"].as_str().unwrap() >= step["at"].as_str().unwrap(),
            "{step}"
        );
    }
    assert_eq!(own[0]["effects"], "internal");
    assert!(
        own[1]["answer"]["error"]
            .to_string()
            .to_lowercase()
            .contains("conflict"),
        "{}",
        own[1]
    );
    assert_ne!(own[2]["arguments_digest"], own[3]["arguments_digest"]);
    for (n, step) in own[2..7].iter().enumerate() {
        assert!(step["child"].is_string(), "{step}");
        let answer = step["answer"]["ok"]["output"].as_str().unwrap();
        assert_eq!(
            answer,
            format!("{{\"n\":{n}}}"),
            "results in the order of the calls"
        );
    }
    let record = client.get("/api/v1/records/diary/N-1").await.ok();
    assert_eq!(record["written_in"], root["id"]);
    assert_eq!(record["body"], json!({"day": 1}));
    assert_eq!(root["steps"], 10);
}
