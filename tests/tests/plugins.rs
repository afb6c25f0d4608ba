//! Plugins on a running host: installed, upgraded, rolled back and removed while they work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::guest::Act;
use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, tool};
use serde_json::{Value, json};

static HOST: Shared = Shared::new();

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

/// A version of an agent that takes a while and says which it is.
fn version(name: &str, version: &str) -> Plugin {
    agent(name)
        .version(version)
        .does([Do::Progress(0.5, "half".into()), Do::Sleep(400)])
        .answers(format!("\"{version}\""))
}

async fn begun(client: &Client, kind: &str) -> Value {
    let task = client.submit(&json!({"kind": kind})).await;
    client
        .until(|| async { (client.task(id(&task)).await["progress"] == 0.5).then_some(()) })
        .await;
    task
}

#[tokio::test]
async fn what_runs_stays_with_its_version() {
    let client = HOST.host().admin();
    let installed = client
        .upload("?accept=true", version("turns", "1.0.0").file())
        .await;
    assert_eq!(installed.header("location"), "/api/v1/plugins/turns");
    let one = installed.expect(201);
    let old = begun(&client, "turns").await;
    let two = client
        .upload("?accept=true", version("turns", "2.0.0").file())
        .await
        .expect(200);
    assert_eq!(two["version"], "2.0.0");
    assert_eq!(two["previous"], one["digest"]);
    let new = client.submit(&json!({"kind": "turns"})).await;
    assert_eq!(client.ended(id(&old)).await["output"], "1.0.0");
    assert_eq!(client.ended(id(&new)).await["output"], "2.0.0");
    let running = begun(&client, "turns").await;
    let back = client
        .post("/api/v1/plugins/turns/rollback", &json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&back["version"], &back["digest"]),
        (&json!("1.0.0"), &one["digest"])
    );
    assert_eq!(client.ended(id(&running)).await["output"], "2.0.0");
    assert_eq!(client.run("turns", json!({})).await["output"], "1.0.0");
    // Back and forth.
    let forth = client
        .post("/api/v1/plugins/turns/rollback", &json!({}))
        .await
        .expect(200);
    assert_eq!(forth["version"], "2.0.0");
    for (task, digest) in [(&old, &one["digest"]), (&new, &two["digest"])] {
        let task = client.task(id(task)).await;
        let path = format!("/api/v1/executions/{}", task["execution"].as_str().unwrap());
        assert_eq!(
            &client.get(&path).await.ok()["invocations"][0]["digest"],
            digest
        );
    }
}

#[tokio::test]
async fn removing_stops_new_work_and_lets_go_on_what_runs() {
    let client = HOST.host().admin();
    client.install(version("leaves", "1.0.0").file()).await;
    let running = begun(&client, "leaves").await;
    let held = client
        .submit(&json!({"kind": "leaves", "execute": false}))
        .await;
    client.delete("/api/v1/plugins/leaves").await.expect(204);
    client.get("/api/v1/plugins/leaves").await.expect(404);
    client.get("/api/v1/agents/leaves").await.expect(404);
    let problem = client
        .post("/api/v1/tasks", &json!({"kind": "leaves"}))
        .await
        .expect(422);
    assert_eq!(problem["fields"][0]["field"], "/kind", "{problem}");
    assert_eq!(client.ended(id(&running)).await["output"], "1.0.0");
    client
        .post(&format!("/api/v1/tasks/{}/execute", id(&held)), &json!({}))
        .await
        .ok();
    let task = client.ended(id(&held)).await;
    assert_eq!(task["status"], "failed");
    assert!(
        task["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not installed"),
        "{task}"
    );
    client.delete("/api/v1/plugins/leaves").await.expect(404);
    client
        .post("/api/v1/plugins/leaves/rollback", &json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn quarantine_takes_no_new_work_until_it_is_lifted() {
    let client = HOST.host().admin();
    client.install(version("rests", "1.0.0").file()).await;
    let running = begun(&client, "rests").await;
    let quarantined = client
        .post("/api/v1/plugins/rests/quarantine", &json!({}))
        .await
        .ok();
    assert_eq!(quarantined["status"], "quarantined");
    let named = json!({"kind": "rests", "assigned_agents": ["rests"]});
    let problem = client.post("/api/v1/tasks", &named).await.expect(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("quarantined"),
        "{problem}"
    );
    assert_eq!(client.ended(id(&running)).await["status"], "succeeded");
    client
        .post("/api/v1/plugins/rests/activate", &json!({}))
        .await
        .ok();
    assert_eq!(client.run("rests", json!({})).await["status"], "succeeded");
}

#[tokio::test]
async fn one_file_can_be_installed_under_several_names_with_settings_of_their_own() {
    let client = HOST.host().admin();
    let plugin = tool("greeter", "none").manifest(
        "[settings]\ntype = \"object\"\nrequired = [\"greeting\"]\nadditionalProperties = false\n[settings.properties.greeting]\ntype = \"string\"\n",
    );
    let problem = client
        .upload("?accept=true", plugin.file())
        .await
        .expect(422);
    assert!(
        problem["detail"].as_str().unwrap().contains("greeting"),
        "{problem}"
    );
    client.get("/api/v1/plugins/greeter").await.expect(404);
    for (name, greeting) in [("polite", "Good%20day"), ("casual", "Hi")] {
        let query =
            format!("?accept=true&name={name}&settings=%7B%22greeting%22:%22{greeting}%22%7D");
        client.upload(&query, plugin.file()).await.expect(201);
        client
            .post(&format!("/api/v1/tools/{name}.it/call"), &json!({}))
            .await
            .ok();
    }
    assert_eq!(
        client.get("/api/v1/plugins/polite").await.ok()["settings"],
        json!({"greeting": "Good day"})
    );
    client
        .put("/api/v1/plugins/casual/settings", &json!({"greeting": 5}))
        .await
        .expect(422);
    client
        .put(
            "/api/v1/plugins/casual/settings",
            &json!({"greeting": "Hey"}),
        )
        .await
        .ok();
    assert_eq!(
        client.get("/api/v1/plugins/casual").await.ok()["settings"],
        json!({"greeting": "Hey"})
    );
    let (polite, casual) = (
        client.get("/api/v1/plugins/polite").await.ok(),
        client.get("/api/v1/plugins/casual").await.ok(),
    );
    assert_eq!(polite["digest"], casual["digest"]);
}

#[tokio::test]
async fn an_upgrade_does_not_grant_what_the_operator_did_not() {
    let client = HOST.host().admin();
    let installed = client.upload("", agent("grows").file()).await.expect(201);
    assert_eq!(installed["not_granted"], json!([]));
    let more = agent("grows")
        .version("0.2.0")
        .manifest("[capabilities]\nevents = true");
    let upgraded = client
        .upload("", more.does([Do::publish("more", "{}")]).file())
        .await
        .expect(200);
    assert_eq!(upgraded["not_granted"], json!(["publishing events"]));
    assert_eq!(
        upgraded["grant"]["capabilities"],
        installed["grant"]["capabilities"]
    );
    let task = client.run("grows", json!({})).await;
    assert_eq!(client.steps(id(&task)).await[0]["refused"], true);
}

#[tokio::test]
async fn a_collection_has_one_owner() {
    let client = HOST.host().admin();
    let owns = |id: &str| {
        agent(id).manifest("[records.treasure]\nid = \"T-{6}\"\nschema = { type = \"object\" }\n[routes]\ntreasure = { collection = \"treasure\" }")
    };
    client.install(owns("pirate").file()).await;
    let problem = client
        .upload("?accept=true", owns("thief").file())
        .await
        .expect(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("`pirate`"),
        "{problem}"
    );
    client.get("/api/v1/plugins/thief").await.expect(404);
    assert_eq!(
        client.get("/api/v1/records").await.ok()["items"][0]["owner"],
        "pirate"
    );
    client.delete("/api/v1/plugins/pirate").await.expect(204);
    client.install(owns("thief").file()).await;
    client
        .post("/api/v1/treasure", &json!({}))
        .await
        .expect(201);
}

#[tokio::test]
async fn what_is_installed_is_there_after_a_restart() {
    let host = Host::start();
    let client = host.admin();
    client.install(version("stays", "1.0.0").file()).await;
    client.install(version("stays", "2.0.0").file()).await;
    client.install(tool("helps", "none").file()).await;
    client
        .post("/api/v1/plugins/helps/quarantine", &json!({}))
        .await
        .ok();
    let before = client.items("/api/v1/plugins").await;
    let host = Host::over(host.stop(), &Options::default());
    let client = host.admin();
    assert_eq!(client.items("/api/v1/plugins").await, before);
    assert_eq!(client.run("stays", json!({})).await["output"], "2.0.0");
    client
        .post("/api/v1/plugins/stays/rollback", &json!({}))
        .await
        .expect(200);
    assert_eq!(client.run("stays", json!({})).await["output"], "1.0.0");
}

#[tokio::test]
async fn agents_and_tools_are_listed_with_their_schemas() {
    let client = HOST.host().admin();
    let schema = json!({"type": "object", "required": ["question"]});
    client
        .install(agent("oracle").input(schema.clone()).file())
        .await;
    client
        .install(tool("abacus", "none").input(schema.clone()).file())
        .await;
    let oracle = client.get("/api/v1/agents/oracle").await.ok();
    assert_eq!(oracle["input"], schema, "{oracle}");
    assert_eq!(oracle["kinds"], json!(["oracle"]));
    let abacus = client.get("/api/v1/tools/abacus.it").await.ok();
    assert_eq!(
        (&abacus["arguments"], &abacus["effects"]),
        (&schema, &json!("none"))
    );
    let names =
        |items: Vec<Value>| -> Vec<Value> { items.iter().map(|i| i["name"].clone()).collect() };
    assert!(names(client.items("/api/v1/agents").await).contains(&json!("oracle")));
    assert!(names(client.items("/api/v1/tools").await).contains(&json!("abacus.it")));
    client
        .post("/api/v1/tools/abacus.it/call", &json!({}))
        .await
        .expect(422);
    let answer = client
        .post("/api/v1/tools/abacus.it/call", &json!({"question": 6}))
        .await
        .ok();
    assert_eq!(answer["result"], json!({"question": 6}));
}

#[tokio::test]
async fn guests_of_the_previous_contract_work_as_before() {
    let client = HOST.host().admin();
    let echo = tool("old-echo", "none").for_previous_contract();
    client.install(echo.file()).await;
    let asks = "[capabilities.invoke]\ntools = [\"old-echo.*\"]";
    let old = agent("old-caller")
        .for_previous_contract()
        .manifest(asks)
        .does([Do::tool("old-echo.it", "7")]);
    client.install(old.file()).await;
    let task = client.run("old-caller", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(id(&task)).await;
    assert_eq!(steps[0]["answer"]["ok"]["output"], "7", "{steps:?}");
}

#[tokio::test]
async fn a_tool_called_with_reasons_keeps_them_on_record() {
    let client = HOST.host().admin();
    client.install(tool("reason-echo", "none").file()).await;
    let asks = "[capabilities.invoke]\ntools = [\"reason-echo.*\"]";
    let reasons = Act {
        name: "reason-echo.it".into(),
        arguments: "7".into(),
        why: "the queue is full".into(),
        cost: Some(5_000_000),
        gain: Some(-1),
        risk: Some(1),
        reversible: Some(false),
        confidence: Some(0.75),
        undo: Some("scale back".into()),
    };
    let wrong = Act {
        confidence: Some(1.5),
        ..reasons.clone()
    };
    let caller = agent("reasoner").manifest(asks).does([
        Do::Act(reasons),
        Do::act("reason-echo.it", "8", "because"),
        Do::Act(wrong),
    ]);
    client.install(caller.file()).await;
    let task = client.run("reasoner", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(id(&task)).await;
    assert_eq!(steps[0]["function"], "act");
    assert_eq!(steps[0]["answer"]["ok"]["output"], "7", "{steps:?}");
    let expected = json!({
        "why": "the queue is full", "cost": 5_000_000, "gain": -1, "risk": "medium",
        "reversible": false, "confidence": 0.75, "undo": "scale back",
    });
    assert_eq!(steps[0]["arguments"]["reasons"], expected);
    let expected = json!({
        "why": "because", "cost": null, "gain": null, "risk": null,
        "reversible": null, "confidence": null, "undo": null,
    });
    assert_eq!(steps[1]["arguments"]["reasons"], expected);
    let refused = steps[2]["answer"]["error"]["invalid"].as_str().unwrap();
    assert!(refused.starts_with("reasons.confidence"), "{refused}");
}

#[tokio::test]
async fn a_tool_that_estimates_is_accepted_so() {
    let client = HOST.host().admin();
    let able = tool("estimating", "reversible").estimates(2_500_000_000);
    client.install(able.file()).await;
    let told = client.get("/api/v1/plugins/estimating").await.expect(200);
    assert_eq!(told["grant"]["tools"]["it"]["cost"], "estimate", "{told}");
}
