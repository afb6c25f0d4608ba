//! The journals of a tenant are given up: nobody can read them, what hung on them fails, others do not notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::{Do, Host, agent};
use serde_json::{Value, json};

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_tenant_whose_journals_are_erased_goes_on_without_them() {
    let host = Host::start();
    let admin = host.admin();
    let offers = agent("offers").does([Do::Offers]);
    let offers = offers.manifest("[capabilities.invoke]\ntools = [\"text.count\"]");
    admin.install(offers.file()).await;
    let sleeps = agent("sleeps").does([Do::Sleep(600_000)]);
    let sleeps = sleeps.manifest("[limits]\ntime_ms = 4000000");
    admin.install(sleeps.file()).await;
    let acme = host.principal("at-acme", "client", &["acme"]).await;
    let other = host.principal("at-other", "client", &["other"]).await;
    let (mine, theirs) = (
        acme.run("offers", json!({"q": "mine"})).await,
        other.run("offers", json!({"q": "theirs"})).await,
    );
    let asleep = acme.submit(&json!({"kind": "sleeps"})).await;
    acme.until(|| async {
        let task = acme.task(id(&asleep)).await;
        (task["status"] != "pending").then_some(())
    })
    .await;
    let key = host.data.path().join("keys/acme.key");
    assert!(key.exists());

    let path = "/api/v1/tenants/acme/journals";
    for role in ["viewer", "client", "approver", "operator"] {
        let who = host.principal(&format!("an-{role}"), role, &["acme"]).await;
        who.delete(path).await.expect(403);
    }
    admin
        .delete("/api/v1/tenants/nobody/journals")
        .await
        .expect(404);
    let answer = admin.delete(path).await.ok();
    assert_eq!(answer["tenant"], "acme");
    assert_eq!(answer["failed_tasks"], 1);
    assert!(!key.exists());

    let failed = acme.ended(id(&asleep)).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"]["kind"], "erased");
    for step in acme.steps(id(&mine)).await {
        assert_eq!(step["erased"], true);
        assert_eq!(
            (&step["arguments"], &step["answer"]),
            (&Value::Null, &Value::Null)
        );
    }
    let execution = mine["execution"].as_str().unwrap();
    let tree = acme
        .get(&format!("/api/v1/executions/{execution}"))
        .await
        .ok();
    assert_eq!(tree["invocations"][0]["erased"], true);
    // The task itself, others, and what comes after are as they were.
    assert_eq!(acme.task(id(&mine)).await["status"], "succeeded");
    let after = acme.run("offers", json!({"q": "after"})).await;
    assert_eq!(after["status"], "succeeded");
    for (client, task) in [(&acme, &after), (&other, &theirs)] {
        let steps = client.steps(id(task)).await;
        assert!(!steps[0]["answer"].is_null(), "{steps:?}");
        assert_eq!(steps[0].get("erased"), None);
    }
    // So it is after a restart.
    let host = Host::over(host.stop(), &mandate_tests::Options::default());
    let admin = host.admin();
    assert_eq!(admin.steps(id(&mine)).await[0]["erased"], true);
    assert!(!admin.steps(id(&after)).await[0]["answer"].is_null());
    assert_eq!(admin.task(id(&asleep)).await["status"], "failed");
}
