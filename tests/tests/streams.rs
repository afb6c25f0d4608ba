//! Answers of models piece by piece: what guests and those who follow a task hear, what is on
//! record of it, and who pays, wherever it breaks off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::model::{Model, PAID};
use mandate_tests::replays::replay;
use mandate_tests::{Client, Do, Host, Plugin, agent};
use serde_json::{Value, json};

/// What may be billed at most: at most so many tokens of input as the request has bytes, and 200.
const LEAST_RESERVED: i64 = 400;

/// An agent that is granted a model, and so much money for a task.
fn asks(name: &str, does: impl IntoIterator<Item = Do>) -> Plugin {
    agent(name)
        .manifest("[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000000")
        .does(does)
}

fn hears_all() -> [Do; 2] {
    [Do::Open("hello".into()), Do::PullAll(1)]
}

async fn submit(client: &Client, kind: &str) -> String {
    let task = client.submit(&json!({"kind": kind, "input": {}})).await;
    task["id"].as_str().unwrap().to_owned()
}

/// What each pull was told.
async fn pulled(client: &Client, task: &str) -> Vec<Value> {
    let steps = client.steps(task).await;
    let pulls = steps.into_iter().filter(|step| step["function"] == "pull");
    pulls.map(|step| step["answer"].clone()).collect()
}

/// The texts that those who follow the task were told.
async fn told(client: &Client, task: &str) -> Vec<String> {
    let path = format!("/api/v1/events?kinds=task_text&task={task}");
    let events = client.get(&path).await.ok()["items"].clone();
    let text = |event: &Value| event["data"]["text"].as_str().unwrap().to_owned();
    events.as_array().unwrap().iter().map(text).collect()
}

/// Lets the model say this, and waits until those who follow the task were told all of it.
async fn hear(client: &Client, task: &str, model: &Model, text: &str, so_far: &str) {
    model.say(text);
    client
        .until(|| async { (told(client, task).await.concat() == so_far).then_some(()) })
        .await;
}

async fn asked(client: &Client, model: &Model, times: usize) {
    client
        .until(|| async { (model.asked() == times).then_some(()) })
        .await;
}

async fn ledger(client: &Client, task: &str) -> Vec<Value> {
    client.all(&format!("/api/v1/ledger?task={task}&")).await
}

/// One entry, booked at its worst because nobody knows.
async fn is_booked_in_full(client: &Client, task: &str) {
    let entries = ledger(client, task).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(entry["uncertain"], true, "{entry}");
    assert_eq!(entry["settled"], entry["reserved"], "{entry}");
    assert!(
        entry["settled"].as_i64().unwrap() >= LEAST_RESERVED,
        "{entry}"
    );
}

#[tokio::test]
async fn pieces_come_in_order_and_the_end_has_all_of_them() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    let plugin = asks("hears", hears_all()).does([Do::Pull(1)]);
    admin.install(plugin.file()).await;
    let task = submit(&admin, "hears").await;
    hear(&admin, &task, &model, "one ", "one ").await;
    hear(&admin, &task, &model, "two ", "one two ").await;
    hear(&admin, &task, &model, "three", "one two three").await;
    model.end();
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let pulls = pulled(&admin, &task).await;
    // The pull after the end is no step.
    let [one, two, three, end] = &pulls[..] else {
        panic!("{pulls:?}");
    };
    let texts = [one, two, three].map(|pull| pull["ok"]["text"].as_str().unwrap());
    assert_eq!(texts, ["one ", "two ", "three"]);
    let answer = &end["ok"]["end"];
    assert_eq!(answer["message"]["text"], texts.concat());
    assert_eq!(
        (&answer["provider"], &answer["cost"]),
        (&json!("fake"), &json!(PAID))
    );
    assert_eq!(told(&admin, &task).await, texts);
    let entries = ledger(&admin, &task).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(
        (&entries[0]["settled"], &entries[0]["uncertain"]),
        (&json!(PAID), &json!(false))
    );
    let steps = admin.steps(&task).await;
    let costs: Vec<_> = steps.iter().map(|step| &step["cost_micro_usd"]).collect();
    assert_eq!(costs, [&json!(0), &json!(0), &json!(0), &json!(PAID)]);
    // A replay hears what is on record, and tells nobody.
    let path = format!("/api/v1/tasks/{task}/executions");
    let executions = admin.items(&path).await;
    let (all, same) = replay(&admin, &[executions[0]["id"].as_str().unwrap()]);
    assert!(same, "{all:?}");
    assert_eq!(told(&admin, &task).await, texts);
    // The request is on record once.
    let with_request = |step: &&Value| step["arguments"].get("request").is_some();
    assert_eq!(steps.iter().filter(with_request).count(), 1);
    assert_eq!(model.asked(), 1);
}

#[tokio::test]
async fn it_takes_the_same_grant_as_a_whole_answer() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    let embeds = "[capabilities.llm]\nclasses = [\"embed\"]\nmax_cost_per_task = 1000000";
    let denied = agent("denied").manifest(embeds).does(hears_all());
    admin.install(denied.file()).await;
    let task = submit(&admin, "denied").await;
    admin.ended(&task).await;
    let steps = admin.steps(&task).await;
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0]["refused"], true, "{}", steps[0]);
    assert_eq!(steps[0]["answer"]["error"]["denied"]["capability"], "llm");
    let little = "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 399";
    let poor = agent("poor").manifest(little).does(hears_all());
    admin.install(poor.file()).await;
    let task = submit(&admin, "poor").await;
    admin.ended(&task).await;
    let pulls = pulled(&admin, &task).await;
    assert_eq!(pulls, [json!({"error": {"budget-exhausted": null}})]);
    assert_eq!(model.asked(), 0);
}

#[tokio::test]
async fn at_most_sixteen_are_open() {
    let model = Model::start();
    model.say("yes");
    model.end();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    let open = || Do::Open("hello".into());
    // The seventeenth has no number; the next that is opened has it.
    let plugin = asks("opens", (0..17).map(|_| open())).does([
        Do::PullAll(17),
        Do::Close(3),
        open(),
        Do::PullAll(17),
        Do::PullAll(1),
    ]);
    admin.install(plugin.file()).await;
    let task = submit(&admin, "opens").await;
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let steps = admin.steps(&task).await;
    let mut answers: Vec<_> = steps
        .iter()
        .map(|step| step["arguments"]["answer"].as_u64().unwrap())
        .collect();
    answers.dedup();
    assert_eq!(answers, [17, 1]);
    assert_eq!(model.asked(), 2);
}

#[tokio::test]
async fn a_provider_that_breaks_off_is_an_interruption() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    let plugin = asks("hears", hears_all()).does([Do::Pull(1)]);
    admin.install(plugin.file()).await;
    let task = submit(&admin, "hears").await;
    hear(&admin, &task, &model, "one ", "one ").await;
    model.cut();
    admin.ended(&task).await;
    let pulls = pulled(&admin, &task).await;
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    assert!(pulls[1]["error"]["interrupted"].is_string(), "{pulls:?}");
    assert_eq!(model.asked(), 1);
    is_booked_in_full(&admin, &task).await;
    let steps = admin.steps(&task).await;
    let entry = &ledger(&admin, &task).await[0];
    assert_eq!(steps[1]["cost_micro_usd"], entry["settled"]);
}

#[tokio::test]
async fn killed_after_a_piece_it_is_interrupted_and_billed_once() {
    let model = Model::start();
    let options = model.options("");
    let host = Host::with(&options);
    let admin = host.admin();
    admin.install(asks("hears", hears_all()).file()).await;
    let task = submit(&admin, "hears").await;
    hear(&admin, &task, &model, "one ", "one ").await;
    let host = Host::over(host.kill(), &options);
    let admin = host.admin();
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let pulls = pulled(&admin, &task).await;
    assert_eq!(
        pulls,
        [
            json!({"ok": {"text": "one "}}),
            json!({"error": {"interrupted": "the host stopped in the middle of the answer"}}),
        ]
    );
    assert_eq!(told(&admin, &task).await, ["one "]);
    assert_eq!(model.asked(), 1);
    is_booked_in_full(&admin, &task).await;
}

/// Who waits holds nothing meanwhile, also no call.
#[tokio::test]
async fn who_parks_in_the_middle_is_interrupted_and_billed_once() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let (admin, ann) = (host.admin(), host.principal("ann", "approver", &[]).await);
    let does = [
        Do::Open("hello".into()),
        Do::Pull(1),
        Do::Ask("Well?".into()),
        Do::PullAll(1),
    ];
    let plugin = asks("parks", does).manifest("[capabilities]\nhuman = true");
    admin.install(plugin.file()).await;
    let task = submit(&admin, "parks").await;
    asked(&admin, &model, 1).await;
    model.say("one ");
    admin.reaches(&task, "waiting").await;
    is_booked_in_full(&admin, &task).await;
    let question = admin.items("/api/v1/questions").await.remove(0);
    let path = format!(
        "/api/v1/questions/{}/answer",
        question["id"].as_str().unwrap()
    );
    ann.post(&path, &json!({"answer": "yes"})).await.ok();
    admin.reaches(&task, "succeeded").await;
    let pulls = pulled(&admin, &task).await;
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    assert!(pulls[1]["error"]["interrupted"].is_string(), "{pulls:?}");
    assert_eq!(told(&admin, &task).await, ["one "]);
    assert_eq!(model.asked(), 1);
    is_booked_in_full(&admin, &task).await;
}

#[tokio::test]
async fn killed_before_a_piece_it_is_asked_again() {
    let model = Model::start();
    let options = model.options("");
    let host = Host::with(&options);
    let admin = host.admin();
    admin.install(asks("hears", hears_all()).file()).await;
    let task = submit(&admin, "hears").await;
    asked(&admin, &model, 1).await;
    let host = Host::over(host.kill(), &options);
    model.say("yes");
    model.end();
    let admin = host.admin();
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let pulls = pulled(&admin, &task).await;
    let last = &pulls.last().unwrap()["ok"]["end"];
    assert_eq!(last["message"]["text"], "yes", "{pulls:?}");
    assert_eq!(model.asked(), 2);
    let mut entries = ledger(&admin, &task).await;
    entries.sort_by_key(|entry| entry["uncertain"].as_bool());
    let [paid, lost] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(
        (&paid["settled"], &paid["uncertain"]),
        (&json!(PAID), &json!(false))
    );
    assert_eq!(
        (&lost["settled"], &lost["uncertain"]),
        (&lost["reserved"], &json!(true))
    );
}

/// The call ends with whoever asked, and what nobody knows is booked in full at once.
#[tokio::test]
async fn who_does_not_hear_the_end_pays_for_what_was_under_way() {
    let leaves = asks("leaves", [Do::Open("hello".into()), Do::Pull(1)]);
    let closes = asks(
        "closes",
        [
            Do::Open("hello".into()),
            Do::Pull(1),
            Do::Close(1),
            Do::Pull(1),
            // It is settled while the guest goes on.
            Do::Ask("Well?".into()),
        ],
    )
    .manifest("[capabilities]\nhuman = true");
    let crashes = asks("crashes", [Do::Open("hello".into()), Do::Pull(1), Do::Trap]);
    for (plugin, kind, status) in [
        (leaves, "leaves", "succeeded"),
        (closes, "closes", "waiting"),
        (crashes, "crashes", "failed"),
    ] {
        let model = Model::start();
        let host = Host::with(&model.options(""));
        let admin = host.admin();
        admin.install(plugin.file()).await;
        let task = submit(&admin, kind).await;
        asked(&admin, &model, 1).await;
        model.say("one ");
        admin.reaches(&task, status).await;
        let pulls = pulled(&admin, &task).await;
        assert_eq!(pulls, [json!({"ok": {"text": "one "}})], "{kind}");
        is_booked_in_full(&admin, &task).await;
        admin
            .until(|| async { (model.gone() == 1).then_some(()) })
            .await;
    }
}

/// What came while the guest did something else is settled for what it cost, heard or not.
#[tokio::test]
async fn a_call_that_ended_unheard_costs_what_it_cost() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    let does = [Do::Open("hello".into()), Do::Pull(1), Do::Sleep(1_000)];
    admin.install(asks("leaves", does).file()).await;
    let task = submit(&admin, "leaves").await;
    asked(&admin, &model, 1).await;
    model.say("one ");
    model.end();
    admin
        .until(|| async {
            let entries = ledger(&admin, &task).await;
            (entries[0]["settled"] == PAID).then_some(())
        })
        .await;
    assert_eq!(admin.task(&task).await["status"], "running");
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let entries = ledger(&admin, &task).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["uncertain"], false, "{entries:?}");
}

#[tokio::test]
async fn a_budget_without_room_asks_a_human_as_for_a_whole_answer() {
    let model = Model::start();
    model.say("yes");
    model.end();
    let host = Host::with(&model.options(""));
    let (admin, ann) = (host.admin(), host.principal("ann", "approver", &[]).await);
    let etag = admin.get("/api/v1/policy").await.header("etag").to_owned();
    let text =
        "[[budget]]\nname = \"thinking\"\nscope = \"tenant\"\nwindow = \"day\"\nlimit = 0.000399";
    let request = admin.request(reqwest::Method::PUT, "/api/v1/policy");
    let request = request
        .header("if-match", etag)
        .json(&json!({"text": text}));
    admin.send(request).await.ok();
    admin.install(asks("hears", hears_all()).file()).await;
    let task = submit(&admin, "hears").await;
    let waiting = admin.reaches(&task, "waiting").await;
    assert_eq!(waiting["waiting_for"], "budget", "{waiting}");
    assert_eq!(model.asked(), 0);
    let pending = admin.items("/api/v1/decisions?status=pending").await;
    assert_eq!(pending[0]["tool"], "mandate:llm-stream.pull", "{pending:?}");
    let path = format!("/api/v1/decisions/{}", pending[0]["id"].as_str().unwrap());
    ann.post(&format!("{path}/approve"), &json!({})).await.ok();
    admin.reaches(&task, "succeeded").await;
    let done = admin.get(&path).await.ok();
    assert_eq!(
        (&done["status"], &done["actual_cost"]),
        (&json!("done"), &json!(PAID)),
        "{done}"
    );
    let pulls = pulled(&admin, &task).await;
    let last = &pulls.last().unwrap()["ok"]["end"];
    assert_eq!(last["message"]["text"], "yes", "{pulls:?}");
}
