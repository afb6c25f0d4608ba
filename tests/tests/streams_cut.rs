//! Answers of models piece by piece that break off: what guests hear then, and what is billed,
//! whoever stops in the middle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::halting::{halt, resume};
use mandate_tests::model::{
    Model, PAID, asked, asks, hear, hears_all, is_booked_in_full, ledger, pulled, submit, told,
};
use mandate_tests::{Do, Host, agent};
use serde_json::json;

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

/// The kill switch ends the call too.
#[tokio::test]
async fn who_is_halted_in_the_middle_is_interrupted_and_billed_once() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    admin.install(asks("hears", hears_all()).file()).await;
    let task = submit(&admin, "hears").await;
    hear(&admin, &task, &model, "one ", "one ").await;
    halt(&admin, "host").await.expect(201);
    is_booked_in_full(&admin, &task).await;
    admin
        .until(|| async { (model.gone() == 1).then_some(()) })
        .await;
    resume(&admin, "host").await.ok();
    admin.reaches(&task, "succeeded").await;
    let pulls = pulled(&admin, &task).await;
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    assert!(pulls[1]["error"]["interrupted"].is_string(), "{pulls:?}");
    assert_eq!(model.asked(), 1);
    is_booked_in_full(&admin, &task).await;
}

/// Whoever was called is dropped together with its caller, and so is its call of a model.
#[tokio::test]
async fn who_is_cancelled_in_the_middle_pays_for_what_was_under_way() {
    let model = Model::start();
    let host = Host::with(&model.options(""));
    let admin = host.admin();
    admin.install(asks("hears", hears_all()).file()).await;
    let calls = agent("calls")
        .manifest("[capabilities.invoke]\nagents = [\"hears\"]")
        .does([Do::agent("hears", "{}")]);
    admin.install(calls.file()).await;
    let task = submit(&admin, "calls").await;
    hear(&admin, &task, &model, "one ", "one ").await;
    let cancel = format!("/api/v1/tasks/{task}/cancel");
    admin.post(&cancel, &json!({})).await.ok();
    admin.reaches(&task, "cancelled").await;
    is_booked_in_full(&admin, &task).await;
    admin
        .until(|| async { (model.gone() == 1).then_some(()) })
        .await;
}
