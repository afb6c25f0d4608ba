//! The host dies at named points of an execution with steps of every kind; `make crash` takes all
//! of them, this a sample.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::counting::Counting;
use mandate_tests::points::run;
use mandate_tests::{Client, Do, Host, Options, agent, tool};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_the_same_wherever_it_dies() {
    let points = [
        "execution.after_end:1",
        "intent.after_commit:1",
        "http.after_answer:2",
        "park.before_commit:1",
        "effect.after_answer:1",
        "answer.before_commit:2",
    ];
    let (expected, runs) = futures::join!(
        run(&[]),
        futures::future::join_all(points.iter().map(|point| run(std::slice::from_ref(point))))
    );
    assert!(expected.wrong.is_empty(), "{:?}", expected.wrong);
    assert_eq!(expected.left.status, "succeeded");
    for (point, run) in points.iter().zip(runs) {
        assert_eq!(run.deaths, 1, "{point} was not passed");
        assert!(run.wrong.is_empty(), "{point}: {:?}", run.wrong);
        assert_eq!(run.left, expected.left, "{point}");
    }
}

/// A human who says that something did not happen lets it happen once, and not whenever the host
/// dies again: the fourth request is the mail, which is not idempotent.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_acted_on_once() {
    let run = run(&["http.before_send:4", "http.after_answer:1"]).await;
    assert_eq!(run.deaths, 2);
    assert!(run.wrong.is_empty(), "{:?}", run.wrong);
    assert_eq!(run.left.status, "succeeded");
}

fn options(point: Option<&str>) -> Options {
    let point = point.map(|point| ("MANDATE_CRASH_POINT".to_owned(), point.to_owned()));
    Options {
        config: "[http]\nallow_private = [\"127.0.0.0/8\"]\n".to_owned(),
        environment: point.into_iter().collect(),
        ..Options::default()
    }
}

/// An agent on its way to a tool that posts once; `terms` are more of the tool's.
async fn posts(client: &Client, server: &Counting, terms: &str) -> String {
    let http = format!(
        "[capabilities.http]\nhosts = [\"{}\"]\nmethods = [\"POST\"]\npaths = [\"/*\"]\n",
        server.address
    );
    let mail = tool("mail", "irreversible")
        .manifest(&format!("cost = 1\n{terms}\n{http}"))
        .does([Do::send("POST", &server.url("/mail"))]);
    client.install(mail.file()).await;
    let sender = agent("sender")
        .manifest("[capabilities.invoke]\ntools = [\"mail.it\"]")
        .does([Do::tool("mail.it", "{}")]);
    client.install(sender.file()).await;
    let task = client.submit(&json!({"kind": "sender", "input": {}})).await;
    task["id"].as_str().unwrap().to_owned()
}

/// The tool may send nothing any more.
async fn narrow(client: &Client) {
    let mut grant = client.get("/api/v1/plugins/mail").await.ok()["grant"].clone();
    let capabilities = grant["capabilities"].as_object_mut().unwrap();
    assert!(capabilities.remove("http").is_some(), "{capabilities:?}");
    client.put("/api/v1/plugins/mail/grant", &grant).await.ok();
}

/// The one open question, as its path.
async fn asked(client: &Client) -> String {
    let open = client
        .until(|| async {
            let open = client.items("/api/v1/questions?status=open").await;
            open.into_iter().next()
        })
        .await;
    assert_eq!(open["plugin"], "mail", "{open}");
    format!("/api/v1/questions/{}", open["id"].as_str().unwrap())
}

/// What the tool was told of its request, once a human has said whether it `happened`.
async fn told(client: &Client, task: &str, question: &str, happened: bool) -> Value {
    let said = json!({"answer": {"happened": happened}});
    let path = format!("{question}/answer");
    client.post(&path, &said).await.ok();
    client.ended(task).await;
    let steps = client.steps(task).await.into_iter();
    let sent: Vec<Value> = steps.filter(|step| step["function"] == "send").collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent[0].clone()
}

/// A grant that was narrowed since says nothing of what was had under it.
#[tokio::test]
async fn what_happened_before_its_grant_was_narrowed_is_not_recorded_as_denied() {
    let server = Counting::start();
    let host = Host::with(&options(Some("http.after_answer:1")));
    let task = posts(&host.admin(), &server, "").await;
    let (_, data) = host.exited();
    let host = Host::over(data, &options(None));
    let client = host.admin();
    let question = asked(&client).await;
    narrow(&client).await;
    let sent = told(&client, &task, &question, true).await;
    let error = &sent["answer"]["error"];
    assert!(error["interrupted"].is_string(), "{sent}");
    assert_eq!(sent["refused"], false, "{sent}");
    assert_eq!(server.asked("/mail"), 1);
}

/// Also an idempotent request is not sent again once it is not granted: people are asked, and
/// only when they say that it did not happen it is denied.
#[tokio::test]
async fn what_is_not_granted_any_more_is_not_sent_again() {
    let server = Counting::start();
    let host = Host::with(&options(None));
    server.hold(true);
    let client = host.admin();
    let task = posts(&client, &server, "idempotent = true").await;
    client
        .until(|| async { (server.asked("/mail") == 1).then_some(()) })
        .await;
    narrow(&client).await;
    let host = Host::over(host.kill(), &options(None));
    server.hold(false);
    let client = host.admin();
    let question = asked(&client).await;
    let sent = told(&client, &task, &question, false).await;
    let error = &sent["answer"]["error"];
    assert_eq!(error["denied"]["capability"], "http", "{sent}");
    assert_eq!(sent["refused"], true, "{sent}");
    assert_eq!(server.asked("/mail"), 1);
}
