//! The policy of a running host: put, refused, kept, taken from a file, and tried without a host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::{Options, Shared, binary};
use mandate_tests::{Answer, Client, Host};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

static HOST: Shared = Shared::new();

async fn put(client: &Client, etag: Option<&str>, text: &str) -> Answer {
    let mut request = client.request(Method::PUT, "/api/v1/policy");
    if let Some(etag) = etag {
        request = request.header("if-match", etag);
    }
    client.send(request.json(&json!({"text": text}))).await
}

async fn shown(client: &Client) -> Value {
    client.get("/api/v1/policy").await.ok()
}

#[tokio::test]
async fn a_policy_is_put_by_version_and_a_broken_one_changes_nothing() {
    let host = Host::start();
    let admin = host.admin();
    let first = admin.get("/api/v1/policy").await;
    assert_eq!(first.header("etag"), "\"0\"");
    let first = first.ok();
    assert_eq!(
        (&first["generation"], &first["text"]),
        (&json!(0), &json!(""))
    );
    assert_eq!(first["document"]["thresholds"]["level1"], "2000");
    put(&admin, None, "").await.expect(428);
    let text = "# ours\n[thresholds]\nlevel1 = 500\n";
    let answer = put(&admin, Some("\"0\""), text).await;
    assert_eq!(answer.header("etag"), "\"1\"");
    let version = answer.ok();
    assert_eq!(
        (&version["generation"], &version["put_by"]),
        (&json!(1), &json!("admin"))
    );
    put(&admin, Some("\"0\""), "").await.expect(412);
    for (broken, field) in [
        ("[thresholds]\nlevel1 = 20000", "thresholds.level1"),
        ("[threshold]", "/text"),
        ("[thresholds]\nlevel1 = -1", "/text"),
        (
            "[rules]\nrego = \"package mandate\\nverdict := 1\"",
            "rules.rego",
        ),
        (
            "[rules]\nrego = \"package mandate\\nverdict :=\"",
            "rules.rego",
        ),
    ] {
        let problem = put(&admin, Some("\"1\""), broken).await.expect(422);
        assert_eq!(problem["fields"][0]["field"], field, "{problem}");
    }
    let now = shown(&admin).await;
    assert_eq!(
        (&now["generation"], &now["text"]),
        (&json!(1), &json!(text))
    );
    assert_eq!(now["document"]["thresholds"]["level1"], "500");
    put(&admin, Some("\"1\""), "{}").await.ok();
    let versions = admin.items("/api/v1/policy/versions").await;
    let generations: Vec<&Value> = versions.iter().map(|v| &v["generation"]).collect();
    assert_eq!(generations, [&json!(2), &json!(1)]);
    let page = admin.get("/api/v1/policy/versions?limit=1").await.ok();
    let next = format!(
        "/api/v1/policy/versions?limit=1&cursor={}",
        page["cursor"].as_str().unwrap()
    );
    let page = admin.get(&next).await.ok();
    assert_eq!(
        (&page["items"][0]["generation"], &page["cursor"]),
        (&json!(1), &Value::Null)
    );
    // It is there after a crash too.
    let host = Host::over(host.kill(), &Options::default());
    assert_eq!(shown(&host.admin()).await["generation"], 2);
}

#[tokio::test]
async fn only_operators_of_all_tenants_put_a_policy() {
    let host = HOST.host();
    let operator = host.principal("all", "operator", &[]).await;
    operator.get("/api/v1/policy").await.ok();
    let bound = host.principal("bound", "operator", &["acme"]).await;
    put(&bound, Some("\"0\""), "").await.expect(403);
    let approver = host.principal("approver", "approver", &["default"]).await;
    approver.get("/api/v1/policy").await.expect(403);
    put(&approver, Some("\"0\""), "").await.expect(403);
    host.nobody().get("/api/v1/policy").await.expect(401);
}

#[tokio::test]
async fn many_who_put_at_once_do_not_overwrite_each_other() {
    let host = Host::start();
    let admin = host.admin();
    let puts = (0..8).map(|i| {
        let admin = &admin;
        async move {
            let text = format!("[thresholds]\nlevel1 = {}", 100 + i);
            (put(admin, Some("\"0\""), &text).await.status, 100 + i)
        }
    });
    let answers = futures::future::join_all(puts).await;
    let won: Vec<i32> = answers.iter().filter(|a| a.0 == 200).map(|a| a.1).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|(status, _)| [200, 412].contains(status)),
        "{answers:?}"
    );
    let now = shown(&admin).await;
    assert_eq!(now["document"]["thresholds"]["level1"], won[0].to_string());
}

#[tokio::test]
async fn a_file_counts_at_a_start_when_it_changed_and_a_broken_one_does_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| std::fs::write(file.path(), text).unwrap();
    let options = Options {
        config: format!("[policy]\nfile = {:?}", file.path()),
        ..Options::default()
    };
    write("[thresholds]\nlevel1 = 100");
    let host = Host::with(&options);
    let level1 = async |host: &Host| {
        let now = shown(&host.admin()).await;
        (
            now["generation"].as_u64().unwrap(),
            now["document"]["thresholds"]["level1"].clone(),
        )
    };
    assert_eq!(level1(&host).await, (1, json!("100")));
    assert_eq!(shown(&host.admin()).await["put_by"], "mandate");
    // What is put over the API stays as long as the file does.
    put(&host.admin(), Some("\"1\""), "[thresholds]\nlevel1 = 200")
        .await
        .ok();
    let host = Host::over(host.stop(), &options);
    assert_eq!(level1(&host).await, (2, json!("200")));
    write("[thresholds]\nlevel1 = 20000");
    let host = Host::over(host.stop(), &options);
    assert_eq!(level1(&host).await, (2, json!("200")));
    let loud = |line: &str| {
        let told = line.contains("ERROR") && line.contains("thresholds.level1");
        told.then_some(())
    };
    host.logged(loud).expect("the refusal is in the log");
    write("[thresholds]\nlevel1 = 300");
    let host = Host::over(host.stop(), &options);
    assert_eq!(level1(&host).await, (3, json!("300")));
}

fn mandate(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(text).unwrap()
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn cases_are_tried_without_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let policy = file(dir.path(), "policy.toml", "[thresholds]\nlevel1 = 500");
    let cases = |expect: &str| {
        let text = format!(
            "[[case]]\nname = \"a step\"\ntool = \"actions.scale\"\ncost = 500\nexpect = \"{expect}\"\nrule = \"level-2\""
        );
        file(dir.path(), "cases.toml", &text)
    };
    let met = mandate(&["policy", "test", &policy, &cases("escalate")]);
    assert!(met.status.success(), "{}", said(&met));
    assert!(said(&met).contains("1 cases are met"), "{}", said(&met));
    let missed = mandate(&["policy", "test", &policy, &cases("approve")]);
    assert_eq!(missed.status.code(), Some(1));
    assert!(said(&missed).contains("MISSED a step"), "{}", said(&missed));
    assert!(
        said(&missed).contains("expected approve by level-2"),
        "{}",
        said(&missed)
    );
    let broken = file(dir.path(), "broken.toml", "[thresholds]\nlevel9 = 1");
    let refused = mandate(&["policy", "test", &broken]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("level9"), "{}", said(&refused));
    assert!(said(&mandate(&["policy", "show", "--rules"])).contains("package mandate.shipped"));
}

#[tokio::test]
async fn the_command_line_shows_and_sets() {
    let host = Host::start();
    let dir = tempfile::tempdir().unwrap();
    let policy = file(
        dir.path(),
        "policy.toml",
        "# ours\n[thresholds]\nlevel1 = 500\n",
    );
    let data = host.data.path().to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let connection = ["--url", &host.url, "--data-dir", &data];
        mandate(&[&["policy"][..], arguments, &connection].concat())
    };
    assert!(said(&run(&["show"])).contains("nobody has put a policy"));
    let set = run(&["set", &policy]);
    assert!(
        said(&set).contains("version 1 counts now"),
        "{}",
        said(&set)
    );
    let shown = said(&run(&["show"]));
    assert!(
        shown.contains("version 1, put by admin") && shown.contains("# ours"),
        "{shown}"
    );
    let stale = run(&["set", &policy, "--replaces", "0"]);
    assert!(
        !stale.status.success() && said(&stale).contains("meanwhile"),
        "{}",
        said(&stale)
    );
}
