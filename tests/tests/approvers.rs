//! Approvers are reached: by the plugin `notify` as it is shipped, at receivers that listen, that are out of order, or
//! that are not there yet, over a killed host too. The link leads to a page that decides nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use hmac::{Hmac, KeyInit as _, Mac as _};
use mandate_tests::eval::desk::plugin_file;
use mandate_tests::receiver::{Mood, Receiver, Request};
use mandate_tests::{Client, Do, Host, Options, agent, tool};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeSet;

const TOKEN: &str = "t0ken-of-the-receiver";
const KEY: &str = "k3y-of-the-receiver";

/// A host that tells `receiver`, and dies at this point if there is one.
fn options(receiver: &Receiver, point: Option<&str>) -> Options {
    let secrets: String = [("NOTIFY_TOKEN", "TOKEN"), ("NOTIFY_KEY", "KEY")]
        .map(|(name, variable)| {
            let to = receiver.address;
            format!("[secrets.{name}]\nenv = \"TESTS_{variable}\"\nhosts = [\"{to}\"]\n")
        })
        .concat();
    let environment = [
        ("TESTS_TOKEN", Some(TOKEN)),
        ("TESTS_KEY", Some(KEY)),
        ("MANDATE_CRASH_POINT", point),
    ];
    Options {
        config: format!(
            "[approvals]\nnotify = \"notify.send\"\n[http]\nallow_private = [\"127.0.0.0/8\"]\n{secrets}"
        ),
        environment: environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect(),
        ..Options::default()
    }
}

/// The shipped plugin with the channels `default`, `oncall`, `boss` and `slack`, and an agent that
/// wants to pay.
async fn install(admin: &Client, receiver: &Receiver) {
    let file = std::fs::read(plugin_file("notify")).unwrap();
    admin.install(file).await;
    let channel = |path: &str| json!({"form": "webhook", "url": receiver.url(path), "token": "NOTIFY_TOKEN", "key": "NOTIFY_KEY"});
    let channels = json!({
        "default": channel("/default"),
        "oncall": channel("/oncall"),
        "boss": channel("/boss"),
        "slack": {"form": "slack", "url": receiver.url("/slack"), "to": "#ops"},
    });
    let settings = json!({ "channels": channels });
    let path = "/api/v1/plugins/notify/settings";
    admin.put(path, &settings).await.ok();
    let pay = tool("pay", "reversible").input(json!({"type": "object"}));
    admin.install(pay.file()).await;
    let payer = agent("payer")
        .manifest("[capabilities.invoke]\ntools = [\"pay.it\"]")
        .does([Do::tool("pay.it", r#"{"amount":7}"#)]);
    admin.install(payer.file()).await;
}

async fn policy(admin: &Client, text: &str) {
    let put = admin.request(Method::PUT, "/api/v1/policy");
    let put = put.header("if-match", "\"0\"").json(&json!({"text": text}));
    admin.send(put).await.ok();
}

/// Has the agent ask, and says with which decision.
async fn ask(admin: &Client) -> Value {
    admin.submit(&json!({"kind": "payer"})).await;
    admin
        .until(|| async {
            let pending = admin.items("/api/v1/decisions?status=pending").await;
            pending.into_iter().next()
        })
        .await
}

async fn taken(admin: &Client, receiver: &Receiver, many: usize) -> Vec<Request> {
    admin
        .until(|| async { Some(receiver.taken()).filter(|taken| taken.len() >= many) })
        .await
}

fn keys(requests: &[Request]) -> BTreeSet<String> {
    let keys = requests.iter().map(|one| one.header("idempotency-key"));
    keys.map(|key| key.unwrap().to_owned()).collect()
}

async fn decision(admin: &Client, id: &str) -> Value {
    admin.get(&format!("/api/v1/decisions/{id}")).await.ok()
}

#[tokio::test]
async fn an_approver_gets_the_sentence_and_a_link_that_only_shows() {
    let receiver = Receiver::start();
    let host = Host::with(&options(&receiver, None));
    let admin = host.admin();
    install(&admin, &receiver).await;
    let asked = ask(&admin).await;
    let id = asked["id"].as_str().unwrap();
    let told = taken(&admin, &receiver, 1).await.remove(0);
    assert_eq!(told.path, "/default");
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(told.header("authorization"), Some(bearer.as_str()));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(&told.body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(told.header("x-mandate-signature"), Some(signature.as_str()));
    assert_eq!(
        told.header("idempotency-key"),
        Some(format!("{id}/0").as_str())
    );
    let said = told.json();
    for (name, value) in [
        ("event", &json!("decision_requested")),
        ("channel", &json!("default")),
        ("decision", &asked["id"]),
        ("sentence", &asked["sentence"]),
        ("tenant", &json!("default")),
        ("cost_micro_usd", &asked["cost"]),
        ("expires_at", &asked["expires_at"]),
        ("reminder", &json!(false)),
    ] {
        assert_eq!(&said[name], value, "{name} of {said}");
    }
    let link = said["link"].as_str().unwrap();
    assert_eq!(link, format!("{}/decisions/{id}", host.url));

    // Whatever opens the link, with or without a token, sees a page and decides nothing.
    let page = format!("/decisions/{id}");
    let shown = host.nobody().get(&page).await;
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        shown
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let ann = host.principal("ann", "approver", &[]).await;
    let approve = format!("/api/v1/decisions/{id}/approve");
    for (method, path, status) in [
        (Method::HEAD, page.as_str(), 200),
        (Method::POST, page.as_str(), 405),
        (Method::GET, approve.as_str(), 405),
        (Method::HEAD, approve.as_str(), 405),
    ] {
        let answer = ann.send(ann.request(method.clone(), path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert_eq!(decision(&admin, id).await["status"], "pending");
    ann.post(&approve, &json!({})).await.ok();
    let done = admin
        .until(|| async {
            let now = decision(&admin, id).await;
            (now["status"] == "done").then_some(now)
        })
        .await;
    assert_eq!(done["notifications"][0]["status"], "delivered", "{done}");
    assert_eq!(receiver.taken().len(), 1, "told once");
}

#[tokio::test]
async fn slack_gets_what_slack_takes() {
    let receiver = Receiver::start();
    let host = Host::with(&options(&receiver, None));
    let admin = host.admin();
    install(&admin, &receiver).await;
    policy(&admin, "[[approvals.route]]\nchannels = [\"slack\"]\n").await;
    let asked = ask(&admin).await;
    let told = taken(&admin, &receiver, 1).await.remove(0);
    let said = told.json();
    assert_eq!(
        (told.path.as_str(), &said["channel"]),
        ("/slack", &json!("#ops"))
    );
    let section = &said["blocks"][1]["text"];
    assert_eq!(section["type"], "plain_text", "{said}");
    let sentence = asked["sentence"].as_str().unwrap();
    let escaped = sentence
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    assert_eq!(section["text"], json!(escaped));
    let button = &said["blocks"][3]["elements"][0];
    let link = format!("{}/decisions/{}", host.url, asked["id"].as_str().unwrap());
    assert_eq!(
        (&button["type"], &button["url"]),
        (&json!("button"), &json!(link))
    );
}

#[tokio::test]
async fn a_receiver_that_is_out_of_order_is_tried_until_it_is_not_also_by_the_next_host() {
    let receiver = Receiver::start();
    receiver.is(Mood::Refuses);
    let host = Host::with(&options(&receiver, None));
    let admin = host.admin();
    install(&admin, &receiver).await;
    let asked = ask(&admin).await;
    let id = asked["id"].as_str().unwrap();
    let away = async |many: usize| {
        let more = async || (receiver.turned_away() >= many).then_some(());
        admin.until(more).await;
    };
    away(1).await;
    let failed = admin
        .until(|| async {
            let told = decision(&admin, id).await["notifications"][0].clone();
            told["error"].is_string().then_some(told)
        })
        .await;
    assert!(
        failed["error"].as_str().unwrap().contains("503"),
        "{failed}"
    );
    receiver.is(Mood::HangsUp);
    away(2).await;
    let host = Host::over(host.kill(), &options(&receiver, None));
    receiver.is(Mood::Takes);
    let admin = host.admin();
    let told = taken(&admin, &receiver, 1).await;
    let delivered = admin
        .until(|| async {
            let told = decision(&admin, id).await["notifications"][0].clone();
            (told["status"] == "delivered").then_some(told)
        })
        .await;
    assert!(delivered["attempts"].as_u64().unwrap() >= 2, "{delivered}");
    assert_eq!(keys(&told), BTreeSet::from([format!("{id}/0")]));
}

#[tokio::test]
async fn what_was_under_way_when_the_host_died_comes_again_under_the_same_key() {
    let receiver = Receiver::start();
    let host = Host::with(&options(&receiver, None));
    install(&host.admin(), &receiver).await;
    let host = Host::over(
        host.stop(),
        &options(&receiver, Some("http.after_answer:1")),
    );
    let admin = host.admin();
    let submit = admin.request(Method::POST, "/api/v1/tasks");
    // The host may be gone before it has answered.
    let _ = admin.try_send(submit.json(&json!({"kind": "payer"}))).await;
    let (_, data) = host.exited();
    assert_eq!(
        receiver.taken().len(),
        1,
        "it arrived, and nobody knows that"
    );
    let host = Host::over(data, &options(&receiver, None));
    let admin = host.admin();
    let pending = admin.items("/api/v1/decisions?status=pending").await;
    let id = pending[0]["id"].as_str().unwrap();
    let all = admin
        .until(|| async {
            let told = decision(&admin, id).await["notifications"][0].clone();
            (told["status"] == "delivered").then(|| receiver.taken())
        })
        .await;
    assert!(all.len() >= 2);
    assert_eq!(
        keys(&all),
        BTreeSet::from([format!("{id}/0")]),
        "one message"
    );
}

#[tokio::test]
async fn who_does_not_answer_is_reminded_and_then_the_next_is_told() {
    let receiver = Receiver::start();
    let host = Host::with(&options(&receiver, None));
    let admin = host.admin();
    install(&admin, &receiver).await;
    let text = "[approvals]\nrepeat_after = \"1s\"\n[[approvals.route]]\nchannels = [\"oncall\", \"boss\"]\n";
    policy(&admin, text).await;
    let asked = ask(&admin).await;
    let id = asked["id"].as_str().unwrap();
    let told = taken(&admin, &receiver, 3).await;
    let told: Vec<_> = told
        .iter()
        .map(|one| {
            let key = one.header("idempotency-key").unwrap().to_owned();
            (one.path.clone(), key, one.json()["reminder"] == true)
        })
        .collect();
    let expected = [
        ("/oncall", 0, false),
        ("/oncall", 1, true),
        ("/boss", 2, true),
    ];
    let expected = expected.map(|(path, n, again)| (path.to_owned(), format!("{id}/{n}"), again));
    assert_eq!(told[..3], expected);
    // Nobody is told of what is answered.
    let ann = host.principal("ann", "approver", &[]).await;
    let deny = format!("/api/v1/decisions/{id}/deny");
    ann.post(&deny, &json!({})).await.ok();
    admin
        .until(|| async {
            let all = decision(&admin, id).await["notifications"].clone();
            let open = |one: &Value| one["status"] == "planned";
            (!all.as_array().unwrap().iter().any(open)).then_some(())
        })
        .await;
    assert!(receiver.taken().len() <= 4);
}
