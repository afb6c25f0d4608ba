//! Replay, seen from outside: an execution runs again over its journal and sees what it saw,
//! whatever became of its grant; another version is told where it goes another way; what was
//! exported is replayed without the host; and nothing in the world changes by any of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::guest::Seen;
use mandate_tests::host::{Shared, binary};
use mandate_tests::replays::{self, shown};
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, tool};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

static HOST: Shared = Shared::new();

fn admin() -> Client {
    HOST.host().admin()
}

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap()
}

fn mandate(arguments: &[&str]) -> Output {
    replays::mandate(&admin(), arguments)
}

fn replay(arguments: &[&str]) -> (Vec<Value>, bool) {
    replays::replay(&admin(), arguments)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn verdicts(all: &[Value]) -> Vec<&str> {
    all.iter()
        .map(|one| one["verdict"].as_str().unwrap())
        .collect()
}

/// Runs a task of this kind and says which execution that was, and its task.
async fn run(kind: &str) -> (String, Value) {
    let task = admin().run(kind, json!({"n": 0.5})).await;
    (task["execution"].as_str().unwrap().to_owned(), task)
}

/// A file of this test's own, gone with the folder.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("replay-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.0.join(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The system cleans up behind it otherwise.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An agent that owns a collection of its name and does a bit of everything.
fn walker(id: &str, noted: &str) -> Plugin {
    let calls = [
        ("sleeper.it", "{}"),
        ("quick.it", "{\"x\":0.1}"),
        ("sleeper.it", "[]"),
    ];
    let calls = calls.map(|(name, arguments)| (name.to_owned(), arguments.to_owned()));
    agent(id)
        .manifest(&format!(
            "[capabilities]\nevents = true\n\
             [capabilities.records]\nwrite = [\"{id}\"]\nread = [\"seen\"]\n\
             [capabilities.invoke]\ntools = [\"sleeper.it\", \"quick.it\"]\n\
             [records.{id}]\nid = \"N-{{6}}\"\nschema = {{ type = \"object\" }}\n"
        ))
        .does([
            Do::Log("on my way".into()),
            Do::Show(Seen::Random),
            Do::Show(Seen::Now),
            Do::Show(Seen::Nan),
            Do::create(
                id,
                "N-1",
                format!("{{\"noted\": \"{noted}\", \"deep\": [1, 2]}}"),
            ),
            Do::Tools(calls.to_vec()),
            Do::Progress(0.5, "half".into()),
            Do::publish("happened", "{}"),
            Do::Show(Seen::Now),
            Do::Show(Seen::Random),
        ])
}

async fn install_tools() {
    static ONCE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    ONCE.get_or_init(|| async {
        let sleeper = tool("sleeper", "none").does([Do::Sleep(30), Do::Show(Seen::Random)]);
        let sleeper = sleeper.manifest("[capabilities.records]\nread = [\"seen\"]");
        admin().install(sleeper.file()).await;
        let quick = tool("quick", "none").does([Do::Show(Seen::Now), Do::Show(Seen::Random)]);
        let quick = quick.manifest("[capabilities.records]\nread = [\"seen\"]");
        admin().install(quick.file()).await;
    })
    .await;
}

/// Runs an agent of this name, and exports what ran with its plugins: which execution that was,
/// and the file.
async fn exported(folder: &Folder, id: &str) -> (String, String) {
    install_tools().await;
    admin().install(walker(id, "on paper").file()).await;
    let (execution, _) = run(id).await;
    let file = folder.0.join("whole.json").to_str().unwrap().to_owned();
    let arguments = [
        "execution",
        "export",
        &execution,
        "--with-plugins",
        "-o",
        &file,
    ];
    let output = mandate(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    (execution, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sees_what_the_run_saw_and_changes_nothing() {
    install_tools().await;
    let client = admin();
    client.install(walker("walker", "first").file()).await;
    let (first, task) = run("walker").await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let (second, other) = run("walker").await;
    let (one, two) = (shown(&client, &task).await, shown(&client, &other).await);
    assert_eq!(one.len(), two.len());
    let same: Vec<_> = one.iter().filter(|bits| two.contains(bits)).collect();
    assert_eq!(
        same,
        ["7ff8000000000000"],
        "only NaNs are the same: {one:?} {two:?}"
    );
    // What it may not any more makes no difference to what it did.
    client
        .put("/api/v1/plugins/walker/grant", &json!({"capabilities": {}}))
        .await
        .ok();
    let told = async || {
        let events = client.events().await.into_iter();
        let own = events.filter(|event| {
            [id(&task), id(&other)].contains(&event["task"].as_str().unwrap_or(""))
        });
        own.collect::<Vec<_>>()
    };
    let (before, events) = (client.items("/api/v1/records/walker").await, told().await);
    let steps = client.steps(id(&task)).await;
    for execution in [&first, &second] {
        for _ in 0..2 {
            let (all, success) = replay(&[execution]);
            assert_eq!(verdicts(&all), ["same"; 4], "{all:?}");
            assert!(success);
        }
    }
    assert_eq!(client.items("/api/v1/records/walker").await, before);
    assert_eq!(client.steps(id(&task)).await, steps);
    assert_eq!(told().await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_told_where_it_goes_another_way() {
    install_tools().await;
    let folder = Folder::new("versions");
    admin().install(walker("rover", "as it was").file()).await;
    let (execution, _) = run("rover").await;
    let next = folder.file(
        "next.wasm",
        &walker("rover", "as it is").version("0.2.0").file(),
    );
    let output = mandate(&["replay", &execution, "--plugin", &next]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}{}", stderr(&output));
    assert!(
        said.contains("differs") && said.contains("at step 4"),
        "{said}"
    );
    assert!(said.contains("mandate:records/records create"), "{said}");
    assert!(said.contains("/body/noted"), "{said}");
    assert!(
        said.contains("- \"as it was\"") && said.contains("+ \"as it is\""),
        "{said}"
    );
    assert!(!said.contains("deep"), "{said}");
    // One that stops early, one that answers something else.
    let short = agent("rover")
        .version("0.3.0")
        .does([Do::Log("nothing".into())]);
    let short = folder.file("short.wasm", &short.file());
    let (all, success) = replay(&[&execution, "--plugin", &short]);
    assert!(!success);
    assert_eq!(all[0]["difference"]["sequence"], 1, "{}", all[0]);
    assert!(
        all[0]["difference"]["replayed"]["ended"].is_object(),
        "{}",
        all[0]
    );
    let other = walker("rover", "as it was")
        .answers("{\"other\": 1}")
        .version("0.4.0");
    let other = folder.file("other.wasm", &other.file());
    let (all, success) = replay(&[&execution, "--plugin", &other]);
    assert!(!success);
    assert_eq!(all[0]["difference"]["sequence"], Value::Null, "{}", all[0]);
    let paths = all[0]["difference"]["changes"].to_string();
    assert!(paths.contains("/result/output/other"), "{paths}");
    // A version that does the same passes.
    let same = folder.file(
        "same.wasm",
        &walker("rover", "as it was").version("0.5.0").file(),
    );
    let (all, success) = replay(&[&execution, "--plugin", &same]);
    assert!(success, "{all:?}");
    assert_eq!(all[0]["pinned"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_itself_replays_what_ran_and_what_is_installed_now() {
    install_tools().await;
    let client = admin();
    client.install(walker("nomad", "as it was").file()).await;
    let (execution, task) = run("nomad").await;
    let path = format!("/api/v1/executions/{execution}/replay");
    let ask = async |query: &str| client.post(&format!("{path}{query}"), &json!({})).await;
    let records = client.items("/api/v1/records/nomad").await;
    let next = walker("nomad", "as it is").version("0.2.0");
    client.install(next.file()).await;
    let pinned = ask("").await.ok();
    assert_eq!(pinned["execution"], execution);
    assert_eq!(pinned["same"], 4, "{pinned}");
    assert_eq!(pinned["items"][0]["pinned"], true);
    let installed = ask("?version=installed").await.ok();
    assert_eq!(
        (&installed["same"], &installed["different"]),
        (&json!(3), &json!(1)),
        "{installed}"
    );
    let difference = &installed["items"][0]["difference"];
    assert_eq!(difference["sequence"], 4, "{installed}");
    assert_eq!(difference["changes"][0]["path"], "/body/noted");
    assert_eq!(client.items("/api/v1/records/nomad").await, records);
    assert_eq!(client.task(id(&task)).await["attempts"], 1);
    ask("?version=0.2.0").await.expect(422);
    let ann = HOST.host().principal("looks", "viewer", &[]).await;
    ann.post(&path, &json!({})).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_is_replayed_without_the_host() {
    let folder = Folder::new("export");
    let (execution, file) = exported(&folder, "tramp").await;
    let offline = |arguments: &[&str]| {
        let output = Command::new(binary())
            .args(["replay", "--url", "http://127.0.0.1:9", "--token", "none"])
            .args(arguments)
            .output()
            .unwrap();
        (stdout(&output) + &stderr(&output), output.status.success())
    };
    let (said, success) = offline(&[&file]);
    assert!(
        success && said.contains("4 the same, 0 different, 0 not replayed"),
        "{said}"
    );
    // For a plugin's own tests: what ran under its name, and no packages.
    let kept = folder.0.join("recorded/case.json");
    let kept = kept.to_str().unwrap();
    let output = mandate(&["execution", "import", &file, "--of", "tramp", "-o", kept]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (said, success) = offline(&[kept]);
    assert!(!success && said.contains("pass --plugin"), "{said}");
    let built = folder.file("tramp.wasm", &walker("tramp", "on paper").file());
    let (said, success) = offline(&[kept, "--plugin", &built]);
    assert!(success && said.contains("1 the same"), "{said}");
    // Viewers do not get seeds.
    let viewer = HOST.host().principal("reader", "viewer", &[]).await;
    viewer
        .get(&format!("/api/v1/executions/{execution}/export"))
        .await
        .expect(403);
    let foreign = HOST
        .host()
        .principal("foreign", "operator", &["acme"])
        .await;
    foreign
        .get(&format!("/api/v1/executions/{execution}/export"))
        .await
        .expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_recordings_are_refused_with_the_reason() {
    let folder = Folder::new("hostile");
    let (_, file) = exported(&folder, "stray").await;
    let good: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let refused = |name: &str, change: &dyn Fn(&mut Value), reason: &str| {
        let mut bad = good.clone();
        change(&mut bad);
        let file = folder.file(name, bad.to_string().as_bytes());
        for command in [
            vec!["replay", &file],
            vec!["execution", "import", &file, "-o", "/dev/null"],
        ] {
            let output = mandate(&command);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains(reason), "{name}: {said}");
        }
    };
    refused(
        "format.json",
        &|bad| bad["format"] = json!("x"),
        "mandate-execution",
    );
    refused(
        "version.json",
        &|bad| bad["version"] = json!(9),
        "version: expected 1",
    );
    refused(
        "seed.json",
        &|bad| bad["invocations"][0]["seed"] = json!("00"),
        "invocations[0].seed",
    );
    refused(
        "twice.json",
        &|bad| {
            let steps = bad["invocations"][0]["steps"].as_array_mut().unwrap();
            steps.push(steps[0].clone());
        },
        "steps in their order",
    );
    refused("list.json", &|bad| *bad = json!([1]), "no recording");
    refused(
        "deep.json",
        &|bad| {
            let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
            bad["invocations"][0]["settings"] = deep;
        },
        "recursion",
    );
    refused(
        "swapped.json",
        &|bad| {
            let other = bad["packages"][1]["bytes"].clone();
            bad["packages"][0]["bytes"] = other;
        },
        "is the package",
    );
    let output = mandate(&["replay", "exec-nowhere"]);
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_by_a_limit_or_was_stopped_replays_to_that_end() {
    install_tools().await;
    let client = admin();
    let seen = "[capabilities.records]\nread = [\"seen\"]\n";
    let steps = agent("stepper")
        .manifest(&format!("{seen}[limits]\nsteps = 3"))
        .does([Do::Repeat(10, Box::new(Do::Show(Seen::Random)))]);
    client.install(steps.file()).await;
    let (execution, task) = run("stepper").await;
    assert_eq!(task["error"]["kind"], "limit", "{task}");
    let (all, success) = replay(&[&execution]);
    assert!(success);
    assert_eq!(verdicts(&all), ["same"], "{all:?}");
    let bytes = agent("writer")
        .manifest(&format!("{seen}[limits]\njournal_bytes = 1024"))
        .does([Do::Repeat(100, Box::new(Do::Show(Seen::Now)))]);
    client.install(bytes.file()).await;
    let (execution, task) = run("writer").await;
    assert_eq!(task["error"]["kind"], "limit", "{task}");
    let (all, success) = replay(&[&execution]);
    assert!(success, "{all:?}");
    assert!(verdicts(&all)[0].starts_with("same"), "{all:?}");
    let failing = agent("quitter").does([Do::Fail("no more".into())]);
    client.install(failing.file()).await;
    let (execution, task) = run("quitter").await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(verdicts(&replay(&[&execution]).0), ["same"]);
    let sleeping = agent("dozer").does([Do::Show(Seen::Random), Do::Sleep(60_000)]);
    client.install(sleeping.manifest(seen).file()).await;
    let task = client.submit(&json!({"kind": "dozer", "input": {}})).await;
    let path = format!("/api/v1/tasks/{}/steps", id(&task));
    client
        .until(async || (client.items(&path).await.len() == 2).then_some(()))
        .await;
    let path = format!("/api/v1/tasks/{}/cancel", id(&task));
    client.post(&path, &json!({})).await.ok();
    let task = client.task(id(&task)).await;
    let (all, success) = replay(&[task["execution"].as_str().unwrap()]);
    assert!(success, "{all:?}");
    assert_eq!(verdicts(&all), ["same_so_far"], "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_goes_on_after_its_plugin_was_removed() {
    let host = Host::start();
    let client = host.admin();
    let does = [
        Do::Show(Seen::Random),
        Do::Sleep(1_500),
        Do::Show(Seen::Now),
    ];
    let leaver = agent("leaver")
        .manifest("[capabilities.records]\nread = [\"seen\"]\n")
        .does(does);
    client.install(leaver.file()).await;
    let task = client.submit(&json!({"kind": "leaver", "input": {}})).await;
    let path = format!("/api/v1/tasks/{}/steps", id(&task));
    client
        .until(async || (client.items(&path).await.len() == 2).then_some(()))
        .await;
    client.delete("/api/v1/plugins/leaver").await.expect(204);
    let host = Host::over(host.kill(), &Options::default());
    let client = host.admin();
    let task = client.ended(id(&task)).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.items(&path).await;
    assert_eq!(steps.len(), 3, "{steps:?}");
    // Its grant is the last it had: it was never refused.
    assert!(
        steps.iter().all(|step| step["refused"] == false),
        "{steps:?}"
    );
}

/// The plugins that come with Mandate, where they are built: guests of the Rust SDK.
#[tokio::test(flavor = "multi_thread")]
async fn guests_of_the_rust_sdk_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let files = ["text", "research"].map(|name| folder.join(format!("{name}.wasm")));
    if files.iter().any(|file| !file.exists()) {
        eprintln!(
            "skipped: no plugins in {}; `make plugins` builds them",
            folder.display()
        );
        return;
    }
    for file in &files {
        admin().install(std::fs::read(file).unwrap()).await;
    }
    let question = json!({"question": "How do we roll back a release?"});
    let task = admin().run("research", question).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let (all, success) = replay(&[task["execution"].as_str().unwrap()]);
    assert!(success, "{all:?}");
    assert!(
        verdicts(&all).iter().all(|verdict| *verdict == "same"),
        "{all:?}"
    );
}
