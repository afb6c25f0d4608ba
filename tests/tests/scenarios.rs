//! Bad input of every kind for every endpoint and command: what comes back is in the folders of
//! `tests/scenarios`. Afterwards nothing has happened: nothing half-installed, nothing lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::scenario::{Prepared, cases, section};
use mandate_tests::{Client, Do, Host, Options, agent, hostile, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

static HOST: Shared = Shared::new();

/// A component that imports and exports empty instances of these names.
fn names(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let mut text = String::from("(component\n");
    for name in imports {
        text += &format!("(import \"{name}\" (instance))\n");
    }
    text += "(component $c) (instance $i (instantiate $c))\n";
    for name in exports {
        text += &format!("(export \"{name}\" (instance $i))\n");
    }
    wat::parse_str(text + ")").unwrap()
}

/// `component` with a manifest for `contract` that asks for nothing. No tool of ours would
/// write it.
fn forged(mut component: Vec<u8>, contract: &str) -> Vec<u8> {
    let data = json!({
        "manifest": {
            "plugin": {"id": "forged", "publisher": "tests", "version": "0.1.0", "description": "A forgery.", "contract": contract},
            "agent": {"kinds": ["forged"]},
        },
        "description": {"agent": {"summary": "Forged.", "input": {}, "output": {}}},
    });
    component.extend(section("mandate:plugin", data.to_string().as_bytes()));
    component
}

fn files() -> BTreeMap<String, Vec<u8>> {
    const AGENT: &str = "mandate:agent/agent@1.0.0";
    let good = agent("good").file();
    let mut truncated = good.clone();
    truncated.truncate(good.len() / 2);
    let mut cut = good.clone();
    cut.truncate(6);
    let mut broken = good.clone();
    // In the middle of the first core module.
    broken[60..90].fill(0xff);
    let twice = forged(good.clone(), "1.0");
    let publishes = agent("x")
        .does([Do::publish("x", "{}")])
        .answers("{}")
        .component();
    let plain = agent("x").answers("{}").component();
    let list: Vec<(&str, Vec<u8>)> = vec![
        ("good.wasm", good.clone()),
        ("empty.wasm", Vec::new()),
        ("text.wasm", b"this is a text and no plugin".to_vec()),
        (
            "core-module.wasm",
            wat::parse_str("(module (memory 1))").unwrap(),
        ),
        ("truncated.wasm", truncated),
        ("cut.wasm", cut),
        ("broken.wasm", broken),
        ("no-manifest.wasm", plain.clone()),
        ("two-manifests.wasm", twice),
        ("asks-too-little.wasm", forged(publishes, "1.0")),
        ("newer-contract.wasm", forged(plain.clone(), "9.9")),
        (
            "newer-import.wasm",
            forged(
                hostile::agent_with(
                    r#"(import "mandate:system/clock@9.9.9" (instance))"#,
                    "",
                    "",
                    hostile::ECHO,
                ),
                "1.0",
            ),
        ),
        (
            "unknown-import.wasm",
            forged(names(&["acme:rockets/launch@1.0.0"], &[AGENT]), "1.0"),
        ),
        (
            "sockets.wasm",
            forged(names(&["wasi:sockets/tcp@0.2.0"], &[AGENT]), "1.0"),
        ),
        (
            "not-exported.wasm",
            forged(names(&[], &["acme:other/thing@1.0.0"]), "1.0"),
        ),
        ("wrong-export.wasm", forged(names(&[], &[AGENT]), "1.0")),
        (
            "after-signature.wasm",
            [
                good.clone(),
                section("mandate:signature", b"x"),
                section("more", b"y"),
            ]
            .concat(),
        ),
        (
            "bad-signature.wasm",
            [good.clone(), section("mandate:signature", b"x")].concat(),
        ),
        (
            "too-large.wasm",
            [good.clone(), section("padding", &vec![0; 3 << 20])].concat(),
        ),
        (
            "takes-notes.wasm",
            agent("taker")
                .manifest("[records.notes]\nid = \"N-{6}\"\nschema = { type = \"object\" }")
                .file(),
        ),
        (
            "takes-route.wasm",
            tool("router", "none")
                .manifest("[routes]\nnotes = { tool = \"it\" }")
                .file(),
        ),
        (
            "wants-settings.wasm",
            agent("needy")
                .manifest("[settings]\ntype = \"object\"\nrequired = [\"key\"]")
                .file(),
        ),
        ("tool.wasm", tool("fine-tool", "none").file()),
        (
            "broken.json",
            b"{\"kind\": \"echo\",\n \"input\": {".to_vec(),
        ),
        (
            "too-large.json",
            format!(
                "{{\"kind\":\"echo\",\"description\":\"{}\"}}",
                "x".repeat(2 << 20)
            )
            .into_bytes(),
        ),
        (
            "deep.json",
            format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(),
        ),
        ("not-utf8.json", b"{\"kind\":\"\xff\xfe\"}".to_vec()),
        (
            "unknown-setting.toml",
            b"[tasks]\nconcurency = 3\n".to_vec(),
        ),
        (
            "wrong-setting.toml",
            b"[tasks]\nconcurrency = \"many\"\n".to_vec(),
        ),
        ("not.toml", b"[tasks\n".to_vec()),
    ];
    list.into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

async fn prepare(host: &Host) -> Prepared {
    let admin = host.admin();
    let text = json!({
        "type": "object", "required": ["text"], "additionalProperties": false,
        "properties": {"text": {"type": "string"}},
    });
    admin
        .install(agent("echo").input(text.clone()).file())
        .await;
    admin
        .install(tool("words", "none").input(text).file())
        .await;
    admin
        .install(
            tool("fails", "none")
                .does([Do::Fail("out of order".into())])
                .file(),
        )
        .await;
    admin.install(tool("launcher", "irreversible").file()).await;
    admin
        .upload("", tool("ungranted", "none").file())
        .await
        .ok();
    admin.install(agent("idle").file()).await;
    admin
        .post("/api/v1/plugins/idle/quarantine", &json!({}))
        .await
        .ok();
    let configured = agent("configured").manifest(
        "[settings]\ntype = \"object\"\nadditionalProperties = false\n[settings.properties.level]\ntype = \"integer\"",
    );
    admin.install(configured.file()).await;
    let notes = agent("notes").manifest(
        r#"[records.notes]
id = "N-{6}"
schema = { type = "object", required = ["title"], additionalProperties = false, properties = { title = { type = "string" }, count = { type = "integer" }, done = { type = "boolean" } } }
indexed = { count = "number", done = "boolean" }
full_text = ["title"]
[[records.notes.action]]
name = "review"
title = "Review it"
kind = "notes"
[routes]
notes = { collection = "notes" }"#,
    );
    admin.install(notes.file()).await;
    let shout = tool("shouts", "none").manifest("[routes]\nshout = { tool = \"it\" }");
    admin
        .install(
            shout
                .input(json!({"type": "object", "required": ["text"]}))
                .file(),
        )
        .await;
    let hook = tool("hook", "internal")
        .manifest("idempotent = true")
        .manifest("[[webhook]]\npath = \"plain\"\ntool = \"it\"")
        .manifest("[[webhook]]\npath = \"once\"\ntool = \"it\"\ndedupe = \"/id\"")
        .manifest("[[webhook]]\npath = \"accepted\"\ntool = \"it\"\nreply = \"accepted\"")
        .manifest("[[webhook]]\npath = \"signed\"\ntool = \"it\"\nhmac = { header = \"x-signature\", algorithm = \"sha256\", prefix = \"sha256=\", secret = \"secret\" }")
        .manifest("[settings]\ntype = \"object\"\n[settings.properties.secret]\ntype = \"string\"");
    admin
        .install(
            hook.input(json!({"type": "object", "required": ["text"]}))
                .file(),
        )
        .await;
    admin
        .put("/api/v1/plugins/hook/settings", &json!({"secret": "s"}))
        .await
        .ok();
    let mut prepared = Prepared {
        files: files(),
        ..Prepared::default()
    };
    for (name, role, tenants) in [
        ("operator", "operator", vec![]),
        ("approver", "approver", vec!["default"]),
        ("client", "client", vec!["default"]),
        ("viewer", "viewer", vec!["default"]),
        ("other", "client", vec!["other"]),
        ("both", "client", vec!["north", "south"]),
    ] {
        let client = host.principal(name, role, &tenants).await;
        prepared.clients.insert(name.to_owned(), client);
    }
    let other = prepared.clients["other"].clone();
    prepared.clients.insert("nobody".into(), host.nobody());
    prepared.clients.insert(
        "wrong".into(),
        Client::new(&host.url, Some("mandate_wrong")),
    );
    prepared.clients.insert("admin".into(), admin.clone());
    admin
        .post("/api/v1/records/notes?id=N-1", &json!({"title": "one"}))
        .await
        .expect(201);
    other
        .post("/api/v1/records/notes?id=N-2", &json!({"title": "two"}))
        .await
        .expect(201);
    let task = admin.run("echo", json!({"text": "hello"})).await;
    let theirs = other.run("echo", json!({"text": "psst"})).await;
    let held = json!({"kind": "echo", "input": {"text": "later"}, "execute": false});
    let held = admin.submit(&held).await;
    let keyed = admin
        .request(reqwest::Method::POST, "/api/v1/tasks")
        .header("idempotency-key", "taken");
    let keyed = admin
        .send(keyed.json(&json!({"kind": "echo", "input": {"text": "once"}})))
        .await
        .ok();
    admin.ended(keyed["id"].as_str().unwrap()).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (name, value) in [
        ("task", text(&task["id"])),
        ("execution", text(&task["execution"])),
        ("other-task", text(&theirs["id"])),
        ("other-execution", text(&theirs["execution"])),
        ("held", text(&held["id"])),
        ("keyed", text(&keyed["id"])),
        ("url", host.url.clone()),
        ("listen", host.url.trim_start_matches("http://").to_owned()),
        ("data", host.data.path().display().to_string()),
        ("10000", "x".repeat(10_000)),
        // With its word: a number alone can be any other number too.
        ("process", format!("process {}", host.pid())),
    ] {
        prepared.values.insert(name.to_owned(), value);
    }
    prepared.folder = host.data.path().join("scenarios");
    std::fs::create_dir(&prepared.folder).unwrap();
    for (name, bytes) in &prepared.files {
        std::fs::write(prepared.folder.join(name), bytes).unwrap();
    }
    for (name, manifest) in [
        ("no-plugin", None),
        ("bad-manifest", Some("[plugin]\nid = \"Bad Id\"\n")),
    ] {
        let dir: &Path = &prepared.folder.join(name);
        std::fs::create_dir(dir).unwrap();
        if let Some(manifest) = manifest {
            std::fs::write(dir.join("plugin.toml"), manifest).unwrap();
        }
    }
    prepared
}

/// Everything that bad input could have changed.
async fn state(client: &Client) -> Value {
    let mut state = BTreeMap::new();
    for path in [
        "plugins",
        "tasks",
        "records",
        "records/notes",
        "tokens",
        "agents",
        "tools",
    ] {
        state.insert(path, json!(client.items(&format!("/api/v1/{path}")).await));
    }
    state.insert("events", json!(client.events().await));
    json!(state)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bad_input_gets_and_that_nothing_comes_of_it() {
    let host = HOST.with(&Options {
        config: "[api]\nplugin_body_limit = 2000000\n".into(),
        ..Options::default()
    });
    let prepared = prepare(host).await;
    let admin = host.admin();
    let before = state(&admin).await;
    let mut wrong = Vec::new();
    for case in cases() {
        wrong.extend(case.play(&prepared).await);
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(state(&admin).await, before);
    assert_eq!(admin.get("/ready").await.status, 200);
    assert_eq!(
        admin.run("echo", json!({"text": "still here"})).await["status"],
        "succeeded"
    );
    let log = host.log().join("\n");
    assert!(
        !log.contains("panicked") && !log.contains("\"level\":\"ERROR\""),
        "{log}"
    );
    let compiled = std::fs::read_dir(host.data.path().join("compiled")).unwrap();
    let whole = compiled.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        !name.to_string_lossy().contains("tmp")
    });
    assert!(whole.count() >= 9, "what is installed is compiled");
}
