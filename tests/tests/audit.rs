//! The audit: who did what is there, and whoever changes it in the database is found out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::{DataDir, Shared, binary};
use mandate_tests::{Client, Host, Options, agent};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

static HOST: Shared = Shared::new();

/// The acts that this filter finds, the oldest first.
async fn acts(client: &Client, filter: &str) -> Vec<Value> {
    client
        .all(&format!("/api/v1/audit?order=oldest&{filter}"))
        .await
}

/// What `mandate audit` says: its output, or its error.
fn audit(arguments: &[&str]) -> Result<String, String> {
    let run = Command::new(binary())
        .arg("audit")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if run.status.success() {
        Ok(text(run.stdout))
    } else {
        assert_eq!(run.status.code(), Some(1));
        Err(text(run.stderr))
    }
}

fn verify(data: &DataDir, more: &[&str]) -> Result<String, String> {
    let mut arguments = vec!["verify", "--data-dir", data.path().to_str().unwrap()];
    arguments.extend(more);
    audit(&arguments)
}

/// Changes the database as somebody does who has the machine, and not the host's key.
async fn by_hand(data: &DataDir, statements: &[&'static str]) {
    let file = data.path().join("mandate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut conn).await.unwrap();
    }
    sqlx::Connection::close(conn).await.unwrap();
}

/// A directory that a host left in order, with some ten acts.
async fn left_behind() -> Arc<DataDir> {
    let host = Host::start();
    for name in ["ann", "bob", "eve"] {
        host.principal(name, "client", &["default"]).await;
    }
    host.admin().delete("/api/v1/tokens/eve").await.expect(204);
    host.stop()
}

fn copy(from: &DataDir, to: &Path) {
    for entry in std::fs::read_dir(from.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn what_operators_do_is_on_record_with_their_name() {
    let host = HOST.host();
    let olga = host.principal("olga", "operator", &[]).await;
    olga.install(agent("audited").file()).await;
    let path = "/api/v1/plugins/audited";
    let grant = json!({"capabilities": {}, "tools": {}, "limits": {"time_ms": 1_234}});
    olga.put(&format!("{path}/grant"), &grant).await.ok();
    let nothing = json!({});
    for change in ["quarantine", "activate"] {
        let path = format!("{path}/{change}");
        olga.post(&path, &nothing).await.ok();
    }
    olga.delete(path).await.expect(204);
    // A change that was refused is none.
    olga.delete(path).await.expect(404);
    let found = acts(&host.admin(), "subject=plugin/audited").await;
    let told: Vec<(&str, &str)> = found
        .iter()
        .map(|act| (act["act"].as_str().unwrap(), act["actor"].as_str().unwrap()))
        .collect();
    let by_olga = |act| (act, "olga");
    assert_eq!(
        told,
        [
            "plugin_installed",
            "grant_changed",
            "grant_changed",
            "plugin_quarantined",
            "plugin_activated",
            "plugin_removed"
        ]
        .map(by_olga)
    );
    assert_eq!(found[1]["data"]["before"], Value::Null);
    assert_eq!(found[2]["data"]["before"], found[1]["data"]["after"]);
    assert_eq!(found[2]["data"]["after"]["limits"]["time_ms"], 1_234);
    let token = acts(&host.admin(), "subject=principal/olga&act=token_created").await;
    assert_eq!(token[0]["actor"], "admin");
    assert_eq!(token[0]["data"]["role"], "operator");
    let made = acts(&host.admin(), "subject=principal/admin&act=token_created").await;
    assert_eq!(made[0]["actor"], "mandate");
    let came = acts(&host.admin(), "actor=olga&act=signed_in").await;
    assert_eq!(came.len(), 1, "once an hour: {came:?}");
    assert_eq!(came[0]["data"]["address"], "127.0.0.1");
}

#[tokio::test]
async fn no_secret_is_on_record() {
    let host = HOST.host();
    let body = json!({"name": "quiet", "role": "viewer", "tenants": ["default"]});
    let made = host.admin().post("/api/v1/tokens", &body).await.ok();
    let token = made["token"].as_str().unwrap();
    let digest = mandate_types::Digest::of(token.as_bytes());
    let all = host.admin().get("/api/v1/audit?limit=1000").await.text;
    assert!(all.contains("quiet"));
    assert!(!all.contains(token) && !all.contains(digest.as_str()));
}

#[tokio::test]
async fn unknown_tokens_are_counted_and_not_each_on_record() {
    let host = Host::start();
    for n in 0..50 {
        let stranger = Client::new(&host.url, Some(&format!("guess-{n}")));
        stranger.get("/api/v1/tasks").await.expect(401);
    }
    let admin = host.admin();
    let refused = || acts(&admin, "act=sign_in_refused");
    let found = admin
        .until(|| async {
            let found = refused().await;
            (!found.is_empty()).then_some(found)
        })
        .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["actor"], "mandate");
    assert!(found[0]["data"]["addresses"]["127.0.0.1"].is_u64());
}

#[tokio::test]
async fn acts_are_for_operators_and_tenants_see_theirs() {
    let host = HOST.host();
    let admin = host.admin();
    for role in ["viewer", "client", "approver"] {
        let client = host
            .principal(&format!("no-{role}"), role, &["default"])
            .await;
        client.get("/api/v1/audit").await.expect(403);
        client.get("/api/v1/audit/checkpoint").await.expect(403);
    }
    host.principal("of-north", "client", &["north"]).await;
    let north = host.principal("north-ops", "operator", &["north"]).await;
    let seen = acts(&north, "").await;
    let subjects: Vec<&str> = seen
        .iter()
        .map(|act| act["subject"].as_str().unwrap())
        .collect();
    assert!(subjects.contains(&"principal/of-north"), "{subjects:?}");
    assert!(seen.iter().all(|act| act["tenant"] == "north"), "{seen:?}");
    north.get("/api/v1/audit?tenant=south").await.expect(404);
    let problem = admin.get("/api/v1/audit?order=upwards").await.expect(422);
    assert_eq!(problem["fields"][0]["field"], "order");
    let url = [
        "verify",
        "--url",
        host.url.as_str(),
        "--token",
        north.token(),
    ];
    assert!(audit(&url).unwrap_err().contains("bound to tenants"));
    // The host's own name is nobody's.
    let body = json!({"name": "mandate", "role": "viewer"});
    admin.post("/api/v1/tokens", &body).await.expect(422);
}

#[tokio::test]
async fn a_running_host_and_its_directory_are_verified() {
    let host = Host::start();
    host.principal("ann", "client", &["default"]).await;
    let dir = host.data.path().to_str().unwrap();
    let asked = ["verify", "--url", host.url.as_str(), "--data-dir", dir];
    let said = audit(&asked).unwrap();
    assert!(said.contains("the audit is whole"), "{said}");
    // What the host shows while it runs is enough to find a change beneath it.
    let spoil = "UPDATE audit SET actor = 'eve' WHERE seq = 3";
    by_hand(&host.data, &[spoil]).await;
    for said in [audit(&asked), verify(&host.data, &[])] {
        let said = said.unwrap_err();
        assert!(said.contains("act 3 was changed"), "{said}");
    }
}

#[tokio::test]
async fn one_byte_changed_in_any_column_is_named() {
    let data = left_behind().await;
    let whole = verify(&data, &[]).unwrap();
    assert!(whole.contains("the audit is whole"), "{whole}");
    let changes = [
        "UPDATE audit SET at = at + 1 WHERE seq = 4",
        "UPDATE audit SET actor = 'Admin' WHERE seq = 4",
        "UPDATE audit SET act = 'token_createe' WHERE seq = 4",
        "UPDATE audit SET subject = subject || 'x' WHERE seq = 4",
        "UPDATE audit SET tenant = CASE WHEN tenant IS NULL THEN '' END WHERE seq = 4",
        "UPDATE audit SET data = replace(data, ':', ': ') WHERE seq = 4",
        "UPDATE audit SET data = CAST(data AS BLOB) WHERE seq = 4",
        "UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE seq = 4",
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 5) WHERE seq = 4",
        "UPDATE audit SET hash = NULL WHERE seq = 4",
    ];
    for change in changes {
        let there = tempfile::tempdir().unwrap();
        copy(&data, there.path());
        let copied = DataDir::at(there.path());
        by_hand(&copied, &[change]).await;
        let said = verify(&copied, &[]).unwrap_err();
        assert!(said.contains("act 4 was changed"), "{change}: {said}");
    }
    for (change, named) in [
        (
            "UPDATE audit SET seq = 1000 WHERE seq = 4",
            "after act 3 comes act 5",
        ),
        (
            "DELETE FROM audit WHERE seq IN (1, 2)",
            "after act 0 comes act 3",
        ),
        ("DELETE FROM audit WHERE seq >= 5", "first one missing is 5"),
        ("DELETE FROM audit", "first one missing is 1"),
    ] {
        let there = tempfile::tempdir().unwrap();
        copy(&data, there.path());
        let copied = DataDir::at(there.path());
        by_hand(&copied, &[change]).await;
        let said = verify(&copied, &[]).unwrap_err();
        assert!(said.contains(named), "{change}: {said}");
    }
}

#[tokio::test]
async fn an_older_copy_in_its_place_is_found_and_stays_found() {
    let data = left_behind().await;
    let old = tempfile::tempdir().unwrap();
    copy(&data, old.path());
    let host = Host::over(data, &Options::default());
    host.principal("late", "client", &["default"]).await;
    let asked = [
        "checkpoint",
        "--url",
        host.url.as_str(),
        "--token",
        host.admin().token(),
    ]
    .map(str::to_owned);
    let checkpoint = audit(&asked.each_ref().map(String::as_str)).unwrap();
    let data = host.stop();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elsewhere.path(), &checkpoint).unwrap();
    let kept = ["--against", elsewhere.path().to_str().unwrap()];
    let said = verify(&data, &kept).unwrap();
    assert!(
        said.contains("1 checkpoints that were kept elsewhere agree"),
        "{said}"
    );

    for file in ["mandate.db", "mandate.db-wal", "mandate.db-shm"] {
        let (there, older) = (data.path().join(file), old.path().join(file));
        if there.exists() {
            std::fs::remove_file(&there).unwrap();
        }
        if older.exists() {
            std::fs::copy(older, there).unwrap();
        }
    }
    let said = verify(&data, &[]).unwrap_err();
    assert!(said.contains("the tail was cut"), "{said}");
    // A host that starts over it goes on, says so, and hides nothing.
    let host = Host::over(data, &Options::default());
    let found = acts(&host.admin(), "act=audit_mismatch").await;
    assert_eq!(found.len(), 1, "{found:?}");
    for n in 0..10 {
        host.principal(&format!("more-{n}"), "client", &["default"])
            .await;
    }
    let data = host.stop();
    let said = verify(&data, &[]).unwrap_err();
    assert!(said.contains("audit.head."), "{said}");
    // Head and database both replaced by older ones: only what is kept elsewhere shows it.
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("audit.head.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let said = verify(&data, &[]).unwrap();
    assert!(said.contains("note: act"), "{said}");
    let said = verify(&data, &kept).unwrap_err();
    assert!(said.contains("written anew"), "{said}");
}

#[tokio::test]
async fn a_forgery_needs_the_key() {
    let data = left_behind().await;
    let other = left_behind().await;
    let head = data.path().join("audit.head");
    let good = std::fs::read_to_string(&head).unwrap();
    // A head of another host, and its key in the name of this one's.
    let theirs = std::fs::read_to_string(other.path().join("audit.head")).unwrap();
    std::fs::write(&head, &theirs).unwrap();
    let said = verify(&data, &[]).unwrap_err();
    assert!(said.contains("is signed with the key"), "{said}");
    let mut forged: Value = serde_json::from_str(&good).unwrap();
    forged["seq"] = json!(2);
    std::fs::write(&head, forged.to_string()).unwrap();
    let said = verify(&data, &[]).unwrap_err();
    assert!(said.contains("wrong signature"), "{said}");
    std::fs::remove_file(&head).unwrap();
    let said = verify(&data, &[]).unwrap_err();
    assert!(said.contains("the signed head is missing"), "{said}");
    // The whole audit of another host, key and all: the key that was noted is another.
    let key: Value = serde_json::from_str(&good).unwrap();
    let noted = ["--key", key["key"].as_str().unwrap()];
    assert!(verify(&other, &[]).is_ok());
    let said = verify(&other, &noted).unwrap_err();
    assert!(said.contains("is signed with the key"), "{said}");
    std::fs::write(&head, good).unwrap();
    assert!(verify(&data, &noted).is_ok());
}

#[tokio::test]
async fn a_crash_loses_no_act_and_is_no_fault() {
    let host = Host::start();
    for n in 0..20 {
        host.principal(&format!("p-{n}"), "client", &["default"])
            .await;
    }
    let data = host.kill();
    verify(&data, &[]).unwrap();
    let host = Host::over(data, &Options::default());
    let made = acts(&host.admin(), "act=token_created&actor=admin").await;
    assert_eq!(made.len(), 20);
    assert!(acts(&host.admin(), "act=audit_mismatch").await.is_empty());
    let said = verify(&host.stop(), &[]).unwrap();
    assert!(!said.contains("note"), "{said}");
}

#[tokio::test]
async fn an_export_is_every_act_and_a_checkpoint_of_it() {
    let data = left_behind().await;
    let dir = data.path().to_str().unwrap();
    let exported = audit(&["export", "--data-dir", dir]).unwrap();
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, acts) = lines.split_last().unwrap();
    assert_eq!(last["checkpoint"]["seq"], acts.len());
    assert_eq!(last["checkpoint"]["hash"], acts[acts.len() - 1]["hash"]);
    for (act, seq) in acts.iter().zip(1..) {
        assert_eq!(act["seq"], seq);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), exported).unwrap();
    verify(&data, &["--against", file.path().to_str().unwrap()]).unwrap();
    let since = acts[3]["at"].as_str().unwrap();
    let later = audit(&["export", "--data-dir", dir, "--since", since]).unwrap();
    let expected = acts
        .iter()
        .filter(|act| act["at"].as_str().unwrap() >= since);
    assert_eq!(later.lines().count(), expected.count() + 1);
    let none = tempfile::tempdir().unwrap();
    let said = audit(&["verify", "--data-dir", none.path().to_str().unwrap()]).unwrap_err();
    assert!(said.contains("not a host's data directory"), "{said}");
}

#[tokio::test]
async fn another_configuration_is_on_record_once() {
    let host = Host::start();
    let changed = |act: &Value| act["data"]["changed"].clone();
    let of = |host: &Host| {
        let admin = host.admin();
        async move { acts(&admin, "act=configuration_changed").await }
    };
    assert_eq!(of(&host).await.len(), 1);
    let options = Options {
        config: "[tasks]\nconcurrency = 3\n".to_owned(),
        ..Options::default()
    };
    let host = Host::over(host.stop(), &options);
    let found = of(&host).await;
    assert_eq!(
        found.iter().map(changed).next_back(),
        Some(json!(["tasks"]))
    );
    let host = Host::over(host.stop(), &options);
    assert_eq!(of(&host).await.len(), 2);
}
