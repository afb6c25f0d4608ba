//! Approvals cannot be abused: whatever is tried with one has an answer of its own, and nothing happens by it that a
//! human did not let happen. Each attack goes the whole way: an agent that asks, the API, and what the tool did.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::asked::{Asked, pay, refused};
use mandate_tests::counting::Counting;
use mandate_tests::host::{DataDir, Shared};
use mandate_tests::{Client, Do, Host, Options};
use mandate_types::DecisionId;
use reqwest::Method;
use serde_json::json;
use sqlx::ConnectOptions as _;

/// For attacks that concern nobody else.
static HOST: Shared = Shared::new();

async fn halt(admin: &Client, verb: &str) {
    let body = match verb {
        "halt" => json!({"scope": "host", "reason": "a test"}),
        _ => json!({"scope": "host"}),
    };
    admin.post(&format!("/api/v1/{verb}"), &body).await.ok();
}

#[tokio::test]
async fn twice() {
    let asked = Asked::on(HOST.host(), "twice").await;
    asked.approve().await.ok();
    refused(
        asked.approve().await,
        409,
        "decision-answered",
        "`twice-ann` approved it at",
    );
    let denied = asked.answer(&asked.ann, "deny", json!({})).await;
    refused(denied, 409, "decision-answered", "an answer stands");
    asked.paid().await;
    refused(
        asked.approve().await,
        409,
        "decision-answered",
        "what came of it",
    );
}

#[tokio::test]
async fn after_its_time() {
    let host = Host::start();
    let admin = host.admin();
    let put = admin
        .request(Method::PUT, "/api/v1/policy")
        .header("if-match", "\"0\"");
    let text = "[approvals]\nexpires_after = \"1s\"\nrepeat_after = \"1s\"\n";
    admin.send(put.json(&json!({"text": text}))).await.ok();
    let asked = Asked::on(&host, "late").await;
    admin.ended(&asked.task).await;
    refused(
        asked.approve().await,
        409,
        "decision-expired",
        "and so it is denied",
    );
    let again = asked.answer(&asked.ann, "ask-again", json!({})).await;
    let again_says = format!("POST /api/v1/tasks/{}/execute", asked.task);
    refused(again, 409, "decision-over", &again_says);
    let steps = admin.steps(&asked.task).await;
    assert_eq!(steps[0]["refused"], true, "{steps:?}");
}

#[tokio::test]
async fn with_other_arguments() {
    let asked = Asked::on(HOST.host(), "other").await;
    let mine = json!({"comment": "only this much", "arguments": {"amount": 9_000}});
    let answer = asked.answer(&asked.ann, "approve", mine).await;
    refused(answer, 422, "invalid", "arguments");
    asked.is_open().await;
}

/// What was approved is bound to its arguments: here somebody changed them in the database.
#[tokio::test]
async fn with_arguments_that_changed_after_it_was_approved() {
    let host = Host::start();
    let asked = Asked::on(&host, "changed").await;
    halt(&asked.admin, "halt").await;
    asked.approve().await.ok();
    let data = host.stop();
    let digest = "json_set(body, '$.arguments_digest', json_extract(body, '$.tool_digest'))";
    edit(&data, &format!("UPDATE decisions SET body = {digest}")).await;
    let host = Host::over(data, &Options::default());
    let mut asked = asked.over(&host);
    halt(&asked.admin, "resume").await;
    let anew = asked.pending().await;
    let before = asked.decision().await;
    assert_eq!(before["status"], "withdrawn", "{before}");
    assert_eq!(
        before["result"]["error"]["withdrawn"],
        "the arguments changed after it was asked"
    );
    refused(
        asked.approve().await,
        409,
        "decision-withdrawn",
        "nothing is decided by",
    );
    asked.id = anew;
    asked.approve().await.ok();
    asked.paid().await;
}

async fn edit(data: &DataDir, statement: &str) {
    let file = data.path().join("mandate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut conn)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
    sqlx::Connection::close(conn).await.unwrap();
}

#[tokio::test]
async fn after_a_swap_of_the_tools_version() {
    let mut asked = Asked::on(HOST.host(), "swap").await;
    let before = asked.decision().await;
    asked
        .admin
        .install(pay("swap").version("0.2.0").file())
        .await;
    refused(
        asked.approve().await,
        409,
        "decision-changed",
        "the tool's version changed after this was asked",
    );
    let anew = asked.pending().await;
    refused(
        asked.approve().await,
        409,
        "decision-withdrawn",
        "what was asked changed",
    );
    asked.id = anew;
    assert_ne!(asked.decision().await["tool_digest"], before["tool_digest"]);
    asked.approve().await.ok();
    asked.paid().await;
}

/// The approval is there before the other version is, and is not used for it either.
#[tokio::test]
async fn before_a_swap_of_the_tools_version() {
    let host = Host::start();
    let mut asked = Asked::on(&host, "swapped").await;
    halt(&asked.admin, "halt").await;
    asked.approve().await.ok();
    asked
        .admin
        .install(pay("swapped").version("0.2.0").file())
        .await;
    halt(&asked.admin, "resume").await;
    let anew = asked.pending().await;
    let why = asked.decision().await["result"]["error"]["withdrawn"].clone();
    assert_eq!(why, "the tool's version changed after it was asked");
    asked.id = anew;
    asked.approve().await.ok();
    asked.paid().await;
}

#[tokio::test]
async fn after_a_change_of_the_tools_grant() {
    let mut asked = Asked::on(HOST.host(), "granted").await;
    let graver = json!({"tools": {"it": {"effects": "irreversible"}}});
    let grant = "/api/v1/plugins/granted-pay/grant";
    asked.admin.put(grant, &graver).await.ok();
    refused(
        asked.approve().await,
        409,
        "decision-changed",
        "the tool's grant changed after this was asked",
    );
    asked.id = asked.pending().await;
    assert_eq!(asked.decision().await["effects"], "irreversible");
    asked.approve().await.ok();
    asked.paid().await;
}

#[tokio::test]
async fn by_who_asks() {
    let host = HOST.host();
    let asked = Asked::on(host, "own").await;
    let own = asked.answer(&asked.admin, "approve", json!({})).await;
    refused(
        own,
        403,
        "self-approval",
        "`admin` is at the root of what asks for this",
    );
    // Under whatever token: the agent's name, and that of the plugin of the tool.
    for plugin in ["own", "own-pay"] {
        let plugin = host.principal(plugin, "approver", &[]).await;
        let answer = asked.answer(&plugin, "approve", json!({})).await;
        refused(
            answer,
            403,
            "self-approval",
            "the name of a plugin that has part in",
        );
    }
    asked.is_open().await;
    asked.approve().await.ok();
    asked.paid().await;
}

#[tokio::test]
async fn by_who_may_not() {
    let host = HOST.host();
    let asked = Asked::on(host, "role").await;
    for role in ["viewer", "client"] {
        let somebody = host.principal(&format!("role-{role}"), role, &[]).await;
        let answer = asked.answer(&somebody, "approve", json!({})).await;
        refused(answer, 403, "forbidden", "approver");
    }
    let nobody = asked.answer(&host.nobody(), "approve", json!({})).await;
    refused(nobody, 401, "unauthorized", "token");
    let elsewhere = host.principal("role-far", "approver", &["elsewhere"]).await;
    let answer = asked.answer(&elsewhere, "approve", json!({})).await;
    refused(answer, 404, "not-found", &asked.id);
    asked.is_open().await;
}

#[tokio::test]
async fn for_another_execution() {
    let first = Asked::on(HOST.host(), "two").await;
    let task = first.admin.submit(&json!({"kind": "two"})).await;
    let second = Asked {
        admin: first.admin.clone(),
        ann: first.ann.clone(),
        task: task["id"].as_str().unwrap().to_owned(),
        id: String::new(),
    };
    let id = second.pending().await;
    let second = Asked { id, ..second };
    assert_ne!(
        first.id, second.id,
        "the same call of another execution is another decision"
    );
    first.approve().await.ok();
    first.paid().await;
    second.is_open().await;
    second.answer(&second.ann, "deny", json!({})).await.ok();
    // One that nobody asked for, and what is none.
    for unknown in [DecisionId::fresh().to_string(), "task-7".to_owned()] {
        let path = format!("/api/v1/decisions/{unknown}/approve");
        let answer = second.ann.post(&path, &json!({})).await;
        refused(answer, 404, "not-found", "decision");
    }
}

#[tokio::test]
async fn while_halted() {
    let host = Host::start();
    let asked = Asked::on(&host, "halted").await;
    halt(&asked.admin, "halt").await;
    let kept = asked.approve().await.ok();
    assert_eq!(kept["status"], "approved", "{kept}");
    refused(
        asked.approve().await,
        409,
        "decision-answered",
        "`halted-ann` approved it",
    );
    let data = host.kill();
    let host = Host::over(data, &Options::default());
    let asked = asked.over(&host);
    assert_eq!(
        asked.decision().await["status"],
        "approved",
        "nothing happens while it is halted"
    );
    assert!(
        asked
            .admin
            .steps(&asked.task)
            .await
            .iter()
            .all(|step| step["state"] != "answered")
    );
    halt(&asked.admin, "resume").await;
    asked.paid().await;
    assert_eq!(asked.decision().await["status"], "done");
}

/// The host dies between the approval and what it allows, at each place where that could lose or double it.
#[tokio::test]
async fn during_a_crash() {
    let points = [
        "intent.before_commit:1",
        "intent.after_commit:1",
        "http.after_answer:1",
    ];
    futures::future::join_all(points.map(crash)).await;
}

async fn crash(point: &str) {
    let server = Counting::start();
    let config = "[http]\nallow_private = [\"127.0.0.0/8\"]\n".to_owned();
    let options = Options {
        config,
        ..Options::default()
    };
    let host = Host::with(&options);
    let sends = format!(
        "idempotent = true\n[capabilities.http]\nhosts = [\"{}\"]\nmethods = [\"POST\"]\n",
        server.address
    );
    let pay = pay("crash")
        .manifest(&sends)
        .does([Do::send("POST", &server.url("/paid"))]);
    let asked = Asked::with(&host, "crash", pay).await;
    let dying = Options {
        environment: vec![("MANDATE_CRASH_POINT".to_owned(), point.to_owned())],
        ..options.clone()
    };
    let host = Host::over(host.stop(), &dying);
    let asked = asked.over(&host);
    let path = format!("/api/v1/decisions/{}/approve", asked.id);
    let approve = asked.ann.request(Method::POST, &path).json(&json!({}));
    // The host may be gone before it has answered.
    let _ = asked.ann.try_send(approve).await;
    let (_, data) = host.exited();
    let host = Host::over(data, &options);
    let asked = asked.over(&host);
    refused(
        asked.approve().await,
        409,
        "decision-answered",
        "`crash-ann` approved it",
    );
    asked.paid().await;
    assert_eq!(server.keys("/paid"), 1, "{point}: one payment");
    let done = asked.decision().await;
    assert_eq!(
        (&done["status"], &done["resolved_by"]),
        (&json!("done"), &json!("crash-ann")),
        "{point}"
    );
}
