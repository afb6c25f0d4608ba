//! Answers of models piece by piece: what guests and those who follow a task hear, what is on
//! record of it, and what it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::model::{
    Model, PAID, asks, hear, hears_all, is_booked_in_full, ledger, pulled, submit, told,
};
use mandate_tests::replays::replay;
use mandate_tests::{Do, Host, agent};
use serde_json::{Value, json};

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

#[tokio::test]
async fn what_was_thought_beside_a_stream_goes_back_over_a_crash() {
    let model = Model::start();
    model.think("it greets; ");
    model.think("so do I");
    model.say("good ");
    model.say("morning");
    model.end();
    let mut options = model.options("");
    options.config = options.config.replace(
        "models = { fast",
        "quirks = [\"thoughts-back\"]\nmodels = { fast",
    );
    let host = Host::with(&options);
    let turns = |said: &[&str]| Do::GoOn(said.iter().map(|text| (*text).to_owned()).collect());
    let plugin = asks("talks", hears_all()).does([
        // The host is killed here.
        Do::Ask("Well?".into()),
        turns(&["hello", "good morning", "and now?"]),
        Do::PullAll(2),
        // Nobody thought this, or not here.
        turns(&["hello", "good evening", "and now?"]),
        Do::PullAll(3),
        turns(&["hi", "good morning", "and now?"]),
        Do::PullAll(4),
    ]);
    let plugin = plugin.manifest("[capabilities]\nhuman = true");
    host.admin().install(plugin.file()).await;
    let task = submit(&host.admin(), "talks").await;
    host.admin().reaches(&task, "waiting").await;
    let host = Host::over(host.kill(), &options);
    let (admin, ann) = (host.admin(), host.principal("ann", "approver", &[]).await);
    let question = admin.items("/api/v1/questions").await.remove(0);
    let path = format!(
        "/api/v1/questions/{}/answer",
        question["id"].as_str().unwrap()
    );
    ann.post(&path, &json!({"answer": "yes"})).await.ok();
    let ended = admin.ended(&task).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let thought = |n: usize| model.heard(n)[1]["reasoning_content"].clone();
    let thoughts = [1, 2, 3].map(thought);
    assert_eq!(thoughts, ["it greets; so do I", " ", " "]);
    assert_eq!(model.asked(), 4);
    // No guest, no follower hears what was thought.
    let pulls = pulled(&admin, &task).await;
    let ends = pulls.iter().filter(|pull| pull["ok"]["end"].is_object());
    assert_eq!(ends.count(), 4, "{pulls:?}");
    assert!(!told(&admin, &task).await.concat().contains("greets"));
}
