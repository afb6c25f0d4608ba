//! Who may come in, what each role may do, and what belongs to others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Host, agent};
use mandate_types::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

static HOST: Shared = Shared::new();

#[tokio::test]
async fn a_token_is_shown_once_and_counts_until_it_is_removed() {
    let host = HOST.host();
    let admin = host.admin();
    let body = json!({"name": "alice", "role": "client", "tenants": ["acme", "default"]});
    let made = admin.post("/api/v1/tokens", &body).await.expect(201);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("mandate_") && token.len() > 40);
    let alice = Client::new(&host.url, Some(token));
    let who = alice.get("/api/v1/whoami").await.ok();
    assert_eq!(
        (&who["name"], &who["role"]),
        (&json!("alice"), &json!("client"))
    );
    assert_eq!(who["tenants"], json!(["acme", "default"]));
    assert_eq!(who["all_tenants"], false);
    let listed = admin.get("/api/v1/tokens").await;
    assert!(listed.text.contains("alice") && !listed.text.contains(token));
    admin.post("/api/v1/tokens", &body).await.expect(409);
    admin.delete("/api/v1/tokens/alice").await.expect(204);
    alice.get("/api/v1/whoami").await.expect(401);
    admin.delete("/api/v1/tokens/alice").await.expect(404);
    let again = admin.post("/api/v1/tokens", &body).await.expect(201);
    assert_ne!(again["token"], made["token"]);
    alice.get("/api/v1/whoami").await.expect(401);
}

#[tokio::test]
async fn each_role_may_what_it_is_for() {
    let host = HOST.host();
    host.admin().install(agent("works").file()).await;
    let mut clients = Vec::new();
    for role in ["viewer", "client", "approver", "operator", "admin"] {
        clients.push(
            host.principal(&format!("a-{role}"), role, &["default"])
                .await,
        );
    }
    let statuses = async |path: &str, body: Option<Value>| -> Vec<bool> {
        let mut allowed = Vec::new();
        for client in &clients {
            let answer = match &body {
                Some(body) => client.post(path, body).await,
                None => client.get(path).await,
            };
            allowed.push(answer.status != 403);
        }
        allowed
    };
    let (no, yes) = (false, true);
    assert_eq!(statuses("/api/v1/tasks", None).await, [yes; 5]);
    assert_eq!(statuses("/api/v1/plugins", None).await, [yes; 5]);
    let task = json!({"kind": "works"});
    assert_eq!(
        statuses("/api/v1/tasks", Some(task)).await,
        [no, yes, yes, yes, yes]
    );
    let quarantine = "/api/v1/plugins/works/activate";
    assert_eq!(
        statuses(quarantine, Some(json!({}))).await,
        [no, no, no, yes, yes]
    );
    assert_eq!(
        statuses("/api/v1/tokens", None).await,
        [no, no, no, no, yes]
    );
    let problem = clients[0]
        .post("/api/v1/tasks", &json!({"kind": "works"}))
        .await
        .expect(403);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("client") && detail.contains("viewer"),
        "{detail}"
    );
}

#[tokio::test]
async fn what_belongs_to_another_tenant_does_not_exist() {
    let host = HOST.host();
    let admin = host.admin();
    admin.install(agent("serves").file()).await;
    let north = host.principal("north", "client", &["north"]).await;
    let south = host.principal("south", "operator", &["south"]).await;
    let task = north.run("serves", json!({})).await;
    assert_eq!(task["tenant"], "north");
    let (id, execution) = (
        task["id"].as_str().unwrap(),
        task["execution"].as_str().unwrap(),
    );
    for path in ["", "/steps", "/logs", "/progress", "/executions"] {
        north.get(&format!("/api/v1/tasks/{id}{path}")).await.ok();
        south
            .get(&format!("/api/v1/tasks/{id}{path}"))
            .await
            .expect(404);
    }
    south
        .post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
        .await
        .expect(404);
    south
        .post(&format!("/api/v1/tasks/{id}/execute"), &json!({}))
        .await
        .expect(404);
    south
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .expect(404);
    assert!(south.items("/api/v1/tasks").await.is_empty());
    south.get("/api/v1/tasks?tenant=north").await.expect(404);
    south
        .post(
            "/api/v1/tasks",
            &json!({"kind": "serves", "tenant": "north"}),
        )
        .await
        .expect(404);
    // The same answer as for what nobody has.
    let unknown = format!("/api/v1/tasks/task-{}", "0".repeat(26));
    let (theirs, nobodys) = (
        south.get(&format!("/api/v1/tasks/{id}")).await,
        south.get(&unknown).await,
    );
    assert_eq!(
        theirs.text.replace(id, "?"),
        nobodys.text.replace(&unknown[14..], "?")
    );
    assert_eq!(admin.get(&format!("/api/v1/tasks/{id}")).await.status, 200);
}

#[tokio::test]
async fn a_token_ends_when_it_was_said_to() {
    let host = HOST.host();
    let admin = host.admin();
    let past = json!({"name": "late", "role": "viewer", "expires_at": "2001-01-01T00:00:00Z"});
    admin.post("/api/v1/tokens", &past).await.expect(422);
    let end = Timestamp::now().plus(Duration::from_millis(1_500));
    let body = json!({"name": "brief", "role": "viewer", "expires_at": end});
    let made = admin.post("/api/v1/tokens", &body).await.expect(201);
    let brief = Client::new(&host.url, made["token"].as_str());
    brief.get("/api/v1/whoami").await.ok();
    admin
        .until(|| async { (brief.get("/api/v1/whoami").await.status == 401).then_some(()) })
        .await;
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let host = Host::start();
    let admin = host.admin();
    let problem = admin.delete("/api/v1/tokens/admin").await.expect(409);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("last administrator"),
        "{problem}"
    );
    let second = host.principal("second", "admin", &[]).await;
    admin.delete("/api/v1/tokens/admin").await.expect(204);
    admin.get("/api/v1/whoami").await.expect(401);
    second.get("/api/v1/whoami").await.ok();
}

#[tokio::test]
async fn the_administrators_token_is_for_the_hosts_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let host = HOST.host();
    for file in ["admin.token", "host.key"] {
        let mode = std::fs::metadata(host.data.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let database = std::fs::read(host.data.path().join("mandate.db")).unwrap();
    let token = host.admin().token().as_bytes().to_vec();
    assert!(!database.windows(token.len()).any(|window| window == token));
}
