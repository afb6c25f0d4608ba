//! What others deliver: who may, in which form, that it is taken once, and that what was accepted is done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use hmac::{Hmac, KeyInit as _, Mac as _};
use mandate_tests::host::Shared;
use mandate_tests::{Answer, Client, Do, Host, Plugin, Text, agent, tool};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

static HOST: Shared = Shared::new();

/// A plugin whose tool keeps each delivery in a collection of the plugin's name, and has a webhook `in`.
fn inbox(name: &str, webhook: &str) -> Plugin {
    tool(name, "internal")
        .manifest("idempotent = true")
        .manifest(&format!("[[webhook]]\npath = \"in\"\ntool = \"it\"\n{webhook}"))
        .manifest(&format!(
            "[capabilities.records]\nwrite = [\"{name}\"]\n[records.{name}]\nid = \"D-{{8}}\"\nschema = {{ type = \"object\" }}"
        ))
        .does([keep(name)])
}

fn keep(name: &str) -> Do {
    Do::Create {
        collection: name.to_owned(),
        id: None,
        body: Text::Input,
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/webhooks/{name}/in")
}

async fn kept(client: &Client, name: &str) -> Vec<Value> {
    let records = client.items(&format!("/api/v1/records/{name}")).await;
    records
        .iter()
        .map(|record| record["body"].clone())
        .collect()
}

async fn deliver(client: &Client, name: &str, body: &Value) -> Answer {
    client.post(&path(name), body).await
}

fn signed(client: &Client, name: &str, secret: &str, body: &str) -> reqwest::RequestBuilder {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let code = hex::encode(mac.finalize().into_bytes());
    client
        .request(Method::POST, &path(name))
        .header("x-hub-signature-256", format!("sha256={code}"))
        .body(body.to_owned())
}

#[tokio::test]
async fn a_token_comes_as_bearer_or_as_a_password_and_the_body_is_json_whatever_it_is_called() {
    let host = HOST.host();
    let admin = host.admin();
    admin.install(inbox("letters", "").file()).await;
    let client = host.principal("postman", "client", &["default"]).await;
    let taken = deliver(&client, "letters", &json!({"n": 1})).await.ok();
    assert_eq!(taken["result"], json!({"n": 1}));
    assert!(taken["execution"].as_str().unwrap().starts_with("exec-"));
    let nobody = host.nobody();
    // As SNS does it.
    let basic = nobody
        .request(Method::POST, &path("letters"))
        .basic_auth("sns", Some(client.token()))
        .header("content-type", "text/plain; charset=UTF-8")
        .body(r#"{"n": 2}"#);
    nobody.send(basic).await.ok();
    assert_eq!(
        kept(&admin, "letters").await,
        [json!({"n": 2}), json!({"n": 1})]
    );
    let refused = deliver(&nobody, "letters", &json!({})).await;
    let challenges: Vec<&str> = refused
        .headers
        .get_all("www-authenticate")
        .iter()
        .map(|it| it.to_str().unwrap())
        .collect();
    assert_eq!(challenges, ["Basic realm=\"mandate\"", "Bearer"]);
    refused.expect(401);
    let viewer = host.principal("reader", "viewer", &["default"]).await;
    deliver(&viewer, "letters", &json!({})).await.expect(403);
    let wrong = nobody
        .request(Method::POST, &path("letters"))
        .basic_auth("sns", Some("mandate_wrong"));
    nobody.send(wrong.body("{}")).await.expect(401);
    assert_eq!(
        kept(&admin, "letters").await.len(),
        2,
        "nothing else was taken"
    );
}

#[tokio::test]
async fn a_delivery_is_for_the_tenant_of_whoever_delivers() {
    let host = HOST.host();
    let admin = host.admin();
    admin.install(inbox("parcels", "").file()).await;
    let acme = host.principal("acme-post", "client", &["acme"]).await;
    deliver(&acme, "parcels", &json!({"n": 1})).await.ok();
    assert_eq!(kept(&acme, "parcels").await.len(), 1);
    let records = admin.items("/api/v1/records/parcels").await;
    assert_eq!(records[0]["tenant"], "acme");
    let theirs = format!("{}?tenant=default", path("parcels"));
    acme.post(&theirs, &json!({})).await.expect(404);
}

#[tokio::test]
async fn once_there_is_a_secret_only_what_is_signed_is_taken() {
    let host = HOST.host();
    let (admin, nobody) = (host.admin(), host.nobody());
    let webhook = "hmac = { header = \"x-hub-signature-256\", algorithm = \"sha256\", prefix = \"sha256=\", secret = \"secret\" }";
    let plugin = inbox("seals", webhook)
        .manifest("[settings]\ntype = \"object\"\n[settings.properties.secret]\ntype = \"string\"");
    admin.install(plugin.file()).await;
    // Without a secret nobody can sign: an empty one would be everybody's.
    nobody
        .send(signed(&nobody, "seals", "", "{}"))
        .await
        .expect(401);
    deliver(&admin, "seals", &json!({"by": "token"})).await.ok();
    admin
        .put("/api/v1/plugins/seals/settings", &json!({"secret": ""}))
        .await
        .ok();
    nobody
        .send(signed(&nobody, "seals", "", "{}"))
        .await
        .expect(401);
    admin
        .put(
            "/api/v1/plugins/seals/settings",
            &json!({"secret": "s3cret"}),
        )
        .await
        .ok();
    nobody
        .send(signed(&nobody, "seals", "s3cret", r#"{"by": "seal"}"#))
        .await
        .ok();
    deliver(&admin, "seals", &json!({"by": "token alone"}))
        .await
        .expect(401);
    nobody
        .send(signed(&nobody, "seals", "guess", "{}"))
        .await
        .expect(401);
    let changed = signed(&nobody, "seals", "s3cret", "{}").body(r#"{"by": "thief"}"#);
    nobody.send(changed).await.expect(401);
    let both = signed(&admin, "seals", "s3cret", r#"{"by": "both"}"#);
    admin.send(both).await.ok();
    let who: Vec<Value> = kept(&admin, "seals")
        .await
        .iter()
        .map(|it| it["by"].clone())
        .collect();
    assert_eq!(who, [json!("both"), json!("seal"), json!("token")]);
}

#[tokio::test]
async fn what_comes_again_is_answered_as_the_first_time() {
    let host = HOST.host();
    let admin = host.admin();
    admin
        .install(inbox("stamps", "dedupe = \"/id\"").file())
        .await;
    let first = deliver(&admin, "stamps", &json!({"id": "a", "n": 1})).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = deliver(&admin, "stamps", &json!({"id": "a", "n": 2})).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.ok(), first.ok());
    deliver(&admin, "stamps", &json!({"id": "b"})).await.ok();
    // Who does not say what it is delivers something new each time.
    deliver(&admin, "stamps", &json!({})).await.ok();
    deliver(&admin, "stamps", &json!({})).await.ok();
    assert_eq!(kept(&admin, "stamps").await.len(), 4);
    // Another tenant's is another.
    let other = host.principal("other-post", "client", &["other"]).await;
    let theirs = deliver(&other, "stamps", &json!({"id": "a"})).await;
    assert_eq!(theirs.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn many_at_once_with_the_same_id_are_one() {
    let host = HOST.host();
    let admin = host.admin();
    let slow = inbox("flood", "dedupe = \"x-id\"");
    admin.install(slow.file()).await;
    let send = |n: usize| {
        let admin = admin.clone();
        async move {
            let request = admin
                .request(Method::POST, &path("flood"))
                .header("x-id", "same");
            admin.send(request.json(&json!({"n": n}))).await.ok()
        }
    };
    let answers = futures::future::join_all((0..16).map(send)).await;
    assert!(
        answers.iter().all(|answer| answer == &answers[0]),
        "{answers:?}"
    );
    assert_eq!(kept(&admin, "flood").await.len(), 1);
}

#[tokio::test]
async fn what_fails_is_not_remembered() {
    let host = HOST.host();
    let admin = host.admin();
    let webhook = "[[webhook]]\npath = \"in\"\ntool = \"it\"\ndedupe = \"/id\"";
    let broken = tool("hiccup", "none")
        .manifest(webhook)
        .does([Do::Fail("out of order".into())]);
    admin.install(broken.file()).await;
    deliver(&admin, "hiccup", &json!({"id": "a"}))
        .await
        .expect(502);
    let repaired = tool("hiccup", "none").manifest(webhook).version("0.2.0");
    admin.install(repaired.file()).await;
    let taken = deliver(&admin, "hiccup", &json!({"id": "a"})).await;
    assert_eq!(taken.header("idempotency-replayed"), "");
    taken.ok();
}

async fn ended(client: &Client, delivery: &str) -> Value {
    let path = format!("/api/v1/deliveries/{delivery}");
    client
        .until(|| async {
            let view = client.get(&path).await.ok();
            (view["status"] != "accepted").then_some(view)
        })
        .await
}

#[tokio::test]
async fn what_is_accepted_is_done_afterwards_and_can_be_looked_up() {
    let host = HOST.host();
    let admin = host.admin();
    admin
        .install(inbox("later", "reply = \"accepted\"\ndedupe = \"/id\"").file())
        .await;
    let first = deliver(&admin, "later", &json!({"id": 7})).await;
    let place = first.header("location").to_owned();
    let delivery = first.expect(202)["delivery"].as_str().unwrap().to_owned();
    assert_eq!(place, format!("/api/v1/deliveries/{delivery}"));
    let view = ended(&admin, &delivery).await;
    assert_eq!(
        (&view["status"], &view["attempts"]),
        (&json!("done"), &json!(1))
    );
    assert_eq!(view["answer"]["result"], json!({"id": 7}));
    let again = deliver(&admin, "later", &json!({"id": 7})).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(202)["delivery"], delivery.as_str());
    assert_eq!(kept(&admin, "later").await.len(), 1);
    let other = host.principal("curious", "client", &["elsewhere"]).await;
    other.get(&place).await.expect(404);
}

#[tokio::test]
async fn what_is_accepted_and_cannot_be_done_says_why_and_may_come_again() {
    let host = HOST.host();
    let admin = host.admin();
    let webhook = "idempotent = true\n[[webhook]]\npath = \"in\"\ntool = \"it\"\nreply = \"accepted\"\ndedupe = \"/id\"";
    let broken = tool("doomed", "none")
        .manifest(webhook)
        .does([Do::Fail("out of order".into())]);
    admin
        .install(broken.input(json!({"type": "object"})).file())
        .await;
    let first = deliver(&admin, "doomed", &json!({"id": 1}))
        .await
        .expect(202);
    let view = ended(&admin, first["delivery"].as_str().unwrap()).await;
    assert_eq!(view["status"], "failed");
    assert!(
        view["answer"]["detail"]
            .as_str()
            .unwrap()
            .contains("out of order"),
        "{view}"
    );
    let second = deliver(&admin, "doomed", &json!({"id": 1}))
        .await
        .expect(202);
    assert_ne!(first["delivery"], second["delivery"]);
    // What cannot be right is not accepted at all.
    deliver(&admin, "doomed", &json!([1])).await.expect(422);
}

#[tokio::test]
async fn what_was_accepted_is_done_after_a_crash() {
    let host = Host::start();
    let admin = host.admin();
    let slow = tool("survivor", "internal")
        .manifest("idempotent = true\n[[webhook]]\npath = \"in\"\ntool = \"it\"\nreply = \"accepted\"\ndedupe = \"/id\"")
        .manifest("[capabilities.records]\nwrite = [\"survivor\"]\n[records.survivor]\nid = \"D-{8}\"\nschema = { type = \"object\" }");
    // So slow that the first host cannot come to its end.
    let file = slow
        .clone()
        .does([Do::Sleep(20_000), Do::create("survivor", "late", "{}")])
        .file();
    admin.install(file).await;
    let delivery = deliver(&admin, "survivor", &json!({"id": 1}))
        .await
        .expect(202);
    let delivery = delivery["delivery"].as_str().unwrap();
    let host = Host::over(host.kill(), &mandate_tests::Options::default());
    let admin = host.admin();
    let view = admin
        .get(&format!("/api/v1/deliveries/{delivery}"))
        .await
        .ok();
    assert_eq!(view["status"], "accepted", "{view}");
    let again = deliver(&admin, "survivor", &json!({"id": 1})).await;
    assert_eq!(again.expect(202)["delivery"], delivery);
    // A quicker version may finish what the slow one accepted.
    let quick = slow
        .version("0.2.0")
        .does([Do::create("survivor", "soon", "{}")]);
    admin.install(quick.file()).await;
    let host = Host::over(host.kill(), &mandate_tests::Options::default());
    let admin = host.admin();
    let view = ended(&admin, delivery).await;
    assert_eq!(view["status"], "done", "{view}");
    let records = admin.items("/api/v1/records/survivor").await;
    assert_eq!((records.len(), &records[0]["id"]), (1, &json!("soon")));
    let again = deliver(&admin, "survivor", &json!({"id": 1})).await;
    assert_eq!(
        (again.header("idempotency-replayed"), again.status),
        ("true", 202)
    );
}

#[tokio::test]
async fn webhooks_are_described_and_go_with_their_plugin() {
    let host = HOST.host();
    let admin = host.admin();
    admin
        .install(inbox("passing", "reply = \"accepted\"").file())
        .await;
    let document = admin.get("/openapi.json").await.ok();
    let described = &document["paths"][path("passing")]["post"];
    assert!(described["responses"]["202"].is_object(), "{described}");
    let plugin = admin.get("/api/v1/plugins/passing").await.ok();
    assert_eq!(plugin["manifest"]["webhook"][0]["path"], "in");
    assert!(
        plugin["authority"]["takes"][0]
            .as_str()
            .unwrap()
            .contains("/api/v1/webhooks/passing/in")
    );
    admin
        .post("/api/v1/plugins/passing/quarantine", &json!({}))
        .await
        .ok();
    deliver(&admin, "passing", &json!({})).await.expect(409);
    admin.delete("/api/v1/plugins/passing").await;
    deliver(&admin, "passing", &json!({})).await.expect(404);
}

/// A family of tools may own records with actions: another plugin's agent does the task, if there is one.
#[tokio::test]
async fn an_action_of_a_tools_record_is_a_task_for_an_agent_of_that_kind() {
    let host = HOST.host();
    let admin = host.admin();
    let ledger = tool("ledger", "none").manifest(
        "[records.entries]\nid = \"E-{4}\"\nschema = { type = \"object\" }\n[[records.entries.action]]\nname = \"check\"\ntitle = \"Check it\"\nkind = \"auditor\"",
    );
    admin.install(ledger.file()).await;
    admin
        .post("/api/v1/records/entries?id=E-1", &json!({"sum": 3}))
        .await
        .expect(201);
    let start = || {
        let request = admin.request(Method::POST, "/api/v1/records/entries/E-1/actions/check");
        admin.send(request.header("prefer", "wait=30"))
    };
    start().await.expect(409);
    admin.install(agent("auditor").file()).await;
    let task = start().await.expect(200);
    assert_eq!(
        (&task["status"], &task["subject"]),
        (&json!("succeeded"), &json!("entries/E-1"))
    );
}
