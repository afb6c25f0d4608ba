//! What a guest sees is its own the first time and the same ever after: chance, time, NaNs,
//! fractions, the order in which others finish, and the limits that it ran into, in a replay and
//! after a kill.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::guest::Seen;
use mandate_tests::replays::{replay, shown};
use mandate_tests::{Client, Do, Host, Options, Plugin, Text, agent, hostile, tool};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

/// Long enough to be parked.
const SLEEP: Do = Do::Sleep(2_500);
const READS: &str = "[capabilities.records]\nread = [\"seen\"]\n";

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// What `mandate replay` says of each invocation of a task's execution.
fn replayed(host: &Host, task: &Value) -> Vec<(String, String)> {
    let execution = task["execution"].as_str().unwrap();
    let (all, success) = replay(&host.admin(), &[execution]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verdicts = all
        .iter()
        .map(|one| (text(&one["plugin"]), text(&one["verdict"])));
    let verdicts: Vec<_> = verdicts.collect();
    assert!(success, "{all:?}");
    verdicts
}

fn assert_same(host: &Host, task: &Value) {
    let verdicts = replayed(host, task);
    assert!(!verdicts.is_empty());
    assert!(
        verdicts.iter().all(|(_, verdict)| verdict == "same"),
        "{verdicts:?}"
    );
}

/// Kills the host once the task sleeps, and has another go on to the task's end.
async fn killed_asleep(host: Host, task: &Value) -> (Host, Value) {
    let waiting = host.admin().reaches(id(task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "sleep", "{waiting}");
    let host = Host::over(host.kill(), &Options::default());
    let task = host.admin().ended(id(task)).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    (host, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_and_time_are_an_instances_own_and_the_same_when_it_is_rebuilt() {
    const CHANCE: [Seen; 7] = [
        Seen::Random,
        Seen::WasiRandom,
        Seen::WasiInsecure,
        Seen::WasiSeed,
        Seen::Now,
        Seen::WasiWall,
        Seen::WasiMonotonic,
    ];
    let host = Host::start();
    let client = host.admin();
    let mut does: Vec<Do> = CHANCE.into_iter().chain(CHANCE).map(Do::Show).collect();
    does.push(SLEEP);
    does.extend(CHANCE.map(Do::Show));
    let plugin = agent("chancer").manifest(READS).does(does);
    client.install(plugin.file()).await;
    let first = client.submit(&json!({"kind": "chancer"})).await;
    let second = client.submit(&json!({"kind": "chancer"})).await;
    client.reaches(id(&second), "waiting").await;
    client.reaches(id(&first), "waiting").await;
    let before = [shown(&client, &first).await, shown(&client, &second).await];
    // Another guest, or another time, is another number.
    let all: BTreeSet<&String> = before.iter().flatten().collect();
    assert_eq!(all.len(), 4 * CHANCE.len(), "{before:?}");
    let (host, first) = killed_asleep(host, &first).await;
    let client = host.admin();
    let second = client.ended(id(&second)).await;
    for (task, before) in [(&first, &before[0]), (&second, &before[1])] {
        // One that had seen anything else would have diverged.
        assert_eq!(task["status"], "succeeded", "{task}");
        let after = shown(&client, task).await;
        assert_eq!(after.len(), 3 * CHANCE.len());
        assert_eq!(&after[..before.len()], &before[..]);
        let all: BTreeSet<&String> = after.iter().collect();
        assert_eq!(all.len(), after.len(), "chance and time go on: {after:?}");
        assert_same(&host, task);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nans_are_one_and_a_guest_is_nowhere() {
    let host = Host::start();
    let client = host.admin();
    // With other payloads and signs, by every way that makes one of one or of none.
    let doubles = [
        "(i64.reinterpret_f64 (f64.add (f64.const nan:0x8000000000123) (f64.const 1)))",
        "(i64.reinterpret_f64 (f64.mul (f64.const -nan:0x8000000000abc) (f64.const -1)))",
        "(i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0)))",
        "(i64.reinterpret_f64 (f64.sub (f64.const inf) (f64.const inf)))",
        "(i64.reinterpret_f64 (f64.sqrt (f64.const -1)))",
        "(i64.reinterpret_f64 (f64.min (f64.const -nan:0x4000000000001) (f64.const 1)))",
        "(i64.reinterpret_f64 (f64.floor (f64.const nan:0x0000000000001)))",
        "(i64.reinterpret_f64 (f64.promote_f32 (f32.add (f32.const -nan:0x200001) (f32.const 1))))",
        "(i64x2.extract_lane 0 (f64x2.add (v128.const i64x2 0xfff8000000000123 0) (v128.const f64x2 1 1)))",
    ];
    let singles = [
        "(i64.extend_i32_u (i32.reinterpret_f32 (f32.demote_f64 (f64.add (f64.const -nan:0x123) (f64.const 1)))))",
        "(i64.extend_i32_u (i32.reinterpret_f32 (f32.div (f32.const 0) (f32.const -0))))",
    ];
    let nowhere = [
        Seen::WasiEnvironment,
        Seen::WasiArguments,
        Seen::WasiDirectories,
    ];
    let mut does: Vec<Do> = doubles
        .iter()
        .chain(&singles)
        .map(|bits| Do::Show(Seen::Computed(bits)))
        .collect();
    does.extend(nowhere.map(Do::Show));
    does.push(Do::Print("to the log".into()));
    let plugin = agent("nobody").manifest(READS).does(does);
    client.install(plugin.file()).await;
    let task = client.run("nobody", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let mut expected = vec!["7ff8000000000000"; doubles.len()];
    expected.extend(vec!["000000007fc00000"; singles.len()]);
    expected.extend(vec!["0000000000000000"; nowhere.len()]);
    assert_eq!(shown(&client, &task).await, expected);
    let lines = client
        .items(&format!("/api/v1/tasks/{}/logs", id(&task)))
        .await;
    assert!(json!(lines).to_string().contains("to the log"), "{lines:?}");
    assert_same(&host, &task);
}

/// A server that answers a path only once it is let.
struct Gate {
    address: SocketAddr,
    paths: Arc<(Mutex<Paths>, Condvar)>,
}

#[derive(Default)]
struct Paths {
    asked: BTreeMap<String, u32>,
    open: BTreeSet<String>,
}

impl Gate {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let paths = Arc::<(Mutex<Paths>, Condvar)>::default();
        let shared = paths.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || pass(&stream.unwrap(), &shared));
            }
        });
        Self { address, paths }
    }

    fn asked(&self, path: &str) -> u32 {
        let paths = self.paths.0.lock().unwrap();
        paths.asked.get(path).copied().unwrap_or(0)
    }

    fn open(&self, path: &str) {
        self.paths.0.lock().unwrap().open.insert(path.to_owned());
        self.paths.1.notify_all();
    }

    fn close(&self) {
        *self.paths.0.lock().unwrap() = Paths::default();
    }
}

/// Answers one request when its path is open.
fn pass(stream: &TcpStream, shared: &(Mutex<Paths>, Condvar)) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push_str(&line);
        line.clear();
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut paths = shared.0.lock().unwrap();
    *paths.asked.entry(path.clone()).or_default() += 1;
    while !paths.open.contains(&path) {
        paths = shared.1.wait(paths).unwrap();
    }
    drop(paths);
    let mut out = stream;
    // Whoever asked may be gone.
    let _ = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}

/// Where in its execution each step is, what it asked, and what it was told.
fn shape(steps: &[Value]) -> Vec<Value> {
    steps
        .iter()
        .filter(|step| step["interface"] == "mandate:invoke/invoke")
        .map(|step| {
            json!([
                step["sequence"],
                step["index"],
                step["function"],
                step["arguments"],
                step["answer"]
            ])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finishes_first_makes_no_difference() {
    let gate = Gate::start();
    let options = Options {
        config: "[http]\nallow_private = [\"127.0.0.0/8\"]\n".to_owned(),
        ..Options::default()
    };
    let host = Host::with(&options);
    let client = host.admin();
    let asks = format!(
        "[capabilities.http]\nhosts = [\"{}\"]\nmethods = [\"GET\"]\n",
        gate.address
    );
    let url = |path: &str| format!("http://{}{path}", gate.address);
    let letters = ["a", "b", "c"];
    let script = letters.iter().flat_map(|c| {
        let letter = c.chars().next().unwrap();
        let send = Do::send("GET", &url(&format!("/{c}")));
        // What it writes brings to disk what it read.
        [(letter, send), (letter, Do::publish("passed", "{}"))]
    });
    let gated =
        tool("gated", "internal").manifest(&format!("[capabilities]\nevents = true\n{asks}"));
    // Its script uses the input up.
    client
        .install(gated.does([Do::Script(script.collect())]).file())
        .await;
    let calls = letters.map(|c| ("gated.it".to_owned(), format!("\"{c}\"")));
    let plugin = agent("fans-out")
        .manifest("[capabilities.invoke]\ntools = [\"gated.it\"]\n")
        .does([Do::Tools(calls.to_vec()), SLEEP, Do::Tools(calls.to_vec())]);
    client.install(plugin.file()).await;
    let asked = async |path: &str, times: u32| {
        client
            .until(async || (gate.asked(path) >= times).then_some(()))
            .await;
    };
    // The order of the calls.
    let task = client.submit(&json!({"kind": "fans-out"})).await;
    for path in ["/a", "/b", "/c"] {
        asked(path, 1).await;
        gate.open(path);
    }
    let calm = client.ended(id(&task)).await;
    assert_eq!(calm["status"], "succeeded", "{calm}");
    let expected = shape(&client.steps(id(&calm)).await);
    gate.close();
    // Another one: the last first, and then a kill.
    let task = client.submit(&json!({"kind": "fans-out"})).await;
    for path in ["/a", "/b", "/c"] {
        asked(path, 1).await;
    }
    let answered = async |host: &Host, path: &str| {
        let client = host.admin();
        let told = async || {
            let steps = client.steps(id(&task)).await;
            let own = steps
                .iter()
                .find(|step| step["arguments"]["url"] == url(path));
            own.filter(|step| step["state"] == "answered").map(drop)
        };
        client.until(told).await;
    };
    gate.open("/c");
    answered(&host, "/c").await;
    let host = Host::over(host.kill(), &options);
    asked("/a", 2).await;
    asked("/b", 2).await;
    gate.open("/b");
    answered(&host, "/b").await;
    gate.open("/a");
    // The order is on record now: once more over that.
    let waiting = host.admin().reaches(id(&task), "waiting").await;
    assert_eq!(waiting["waiting_for"], "sleep", "{waiting}");
    assert_eq!(gate.asked("/c"), 1, "what was answered is not asked again");
    let host = Host::over(host.kill(), &options);
    let task = host.admin().ended(id(&task)).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    assert_eq!(task["output"], calm["output"]);
    assert_eq!(shape(&host.admin().steps(id(&task)).await), expected);
    assert_same(&host, &task);
    assert_same(&host, &calm);
}

fn limited(id: &str, body: &str, limits: &str) -> Plugin {
    let limits = format!("[limits]\n{limits}");
    agent(id).is(hostile::agent(body)).manifest(&limits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_was_hit_is_a_recorded_end() {
    let host = Host::start();
    let client = host.admin();
    let memory = "memory_bytes = 8388608";
    let long = agent("long-result").answers(format!("\"{}\"", "x".repeat(1_200_000)));
    let plugins = [
        (limited("memories", hostile::MEMORIES, memory), "memories"),
        (limited("tables", hostile::TABLE, memory), "tables"),
        (limited("recursion", hostile::RECURSION, ""), "recursion"),
        (
            limited("chatter", hostile::CHATTER, "log_bytes = 100000"),
            "chatter",
        ),
        (long, "long-result"),
        (limited("trap", hostile::TRAP, ""), "trap"),
        // A replay does not use up time as the run did.
        (
            limited("looping", hostile::LOOP, "time_ms = 200"),
            "looping",
        ),
    ];
    let mut does = Vec::new();
    for (plugin, name) in &plugins {
        client.install(plugin.file()).await;
        does.push(Do::agent(name, "{}"));
    }
    let all: Vec<&str> = plugins.iter().map(|(_, name)| *name).collect();
    does.push(SLEEP);
    let guardian = agent("guardian")
        .manifest(&format!("[capabilities.invoke]\nagents = {all:?}\n"))
        .does(does);
    client.install(guardian.file()).await;
    let task = client.submit(&json!({"kind": "guardian"})).await;
    client.reaches(id(&task), "waiting").await;
    let path = format!("/api/v1/tasks/{}", id(&task));
    let execution = client.get(&path).await.ok()["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/executions/{execution}");
    let children = async |client: &Client| {
        let tree = client.get(&path).await.ok();
        let all = tree["invocations"].as_array().unwrap().clone();
        let below = all.into_iter().filter(|one| one["plugin"] != "guardian");
        below.collect::<Vec<_>>()
    };
    let before = children(&client).await;
    assert_eq!(before.len(), plugins.len());
    for child in &before {
        let kind = if child["plugin"] == "trap" {
            "trap"
        } else {
            "limit"
        };
        assert_eq!(child["error"]["kind"], kind, "{child}");
    }
    let steps = client.steps(id(&task)).await;
    let (host, task) = killed_asleep(host, &task).await;
    let client = host.admin();
    assert_eq!(children(&client).await, before, "none of them ran again");
    let after = client.steps(id(&task)).await;
    assert_eq!(after[..plugins.len()], steps[..plugins.len()]);
    for (plugin, verdict) in replayed(&host, &task) {
        let most = plugin == "looping" && verdict == "same_so_far";
        assert!(verdict == "same" || most, "{plugin}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_changes_nothing_of_what_was() {
    let host = Host::start();
    let client = host.admin();
    let does = [
        Do::create("diary", "N-1", "{}"),
        Do::publish("told", "{}"),
        Do::Show(Seen::Random),
        SLEEP,
        Do::publish("told", "{}"),
        Do::get("diary", "N-1"),
    ];
    let plugin = agent("diary")
        .manifest(
            "[capabilities]\nevents = true\n[capabilities.records]\nread = [\"seen\"]\nwrite = [\"diary\"]\n\
             [records.diary]\nid = \"N-{6}\"\nschema = { type = \"object\" }\n",
        )
        .does(does);
    client.install(plugin.file()).await;
    let task = client.submit(&json!({"kind": "diary"})).await;
    client.reaches(id(&task), "waiting").await;
    let before = client.steps(id(&task)).await;
    client
        .put("/api/v1/plugins/diary/grant", &json!({"capabilities": {}}))
        .await
        .ok();
    let (host, task) = killed_asleep(host, &task).await;
    let client = host.admin();
    let after = client.steps(id(&task)).await;
    let refused: Vec<bool> = after.iter().map(|step| step["refused"] == true).collect();
    assert_eq!(
        refused,
        [false, false, false, false, true, true],
        "{after:?}"
    );
    assert_eq!(after[..3], before[..3]);
    let events = client.items("/api/v1/events?kinds=diary.told").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_same(&host, &task);
}

/// A thousand numbers that look random, the same each time: any bits that are a number.
fn fractions() -> Vec<f64> {
    let mut state = 7_u64;
    let next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let any = std::iter::repeat_with(next);
    any.enumerate()
        .map(|(n, bits)| match n % 2 {
            0 => f64::from_bits(bits),
            // As they occur: between nothing and one.
            _ => (bits >> 11) as f64 / (1_u64 << 53) as f64,
        })
        .filter(|number| number.is_finite())
        .take(1_000)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_fractions_come_back_bit_for_bit() {
    let host = Host::start();
    let client = host.admin();
    client.install(tool("echo", "none").file()).await;
    let plugin = agent("keeper")
        .manifest(
            "[capabilities.records]\nwrite = [\"keeper\"]\n[capabilities.invoke]\ntools = [\"echo.it\"]\n\
             [records.keeper]\nid = \"N-{6}\"\nschema = { type = \"object\" }\n",
        )
        .does([
            // From the task to a tool, from its answer to a record, from that to a tool.
            Do::tool("echo.it", Text::Input),
            Do::create("keeper", "N-1", Text::Told),
            Do::get("keeper", "N-1"),
            Do::tool("echo.it", Text::Body),
            SLEEP,
            Do::get("keeper", "N-1"),
            Do::tool("echo.it", Text::Body),
        ])
        .answers(Text::Told);
    client.install(plugin.file()).await;
    let numbers = fractions();
    let task = json!({"kind": "keeper", "input": {"numbers": numbers}});
    let task = client.submit(&task).await;
    // What is asked again with other digits diverges.
    let (host, task) = killed_asleep(host, &task).await;
    let bits = |value: &Value| -> Vec<u64> {
        let numbers = value["numbers"].as_array().unwrap().iter();
        numbers.map(|n| n.as_f64().unwrap().to_bits()).collect()
    };
    let expected: Vec<u64> = numbers.iter().map(|n| n.to_bits()).collect();
    assert_eq!(bits(&task["output"]), expected);
    let record = host.admin().get("/api/v1/records/keeper/N-1").await.ok();
    assert_eq!(bits(&record["body"]), expected);
    assert_same(&host, &task);
}

/// The plugins that come with Mandate, where they are built: guests of the Rust SDK, the only one
/// that there is.
#[tokio::test(flavor = "multi_thread")]
async fn guests_of_the_rust_sdk_draw_their_own_lots_and_the_same_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let files = ["incidents", "simulator"].map(|name| folder.join(format!("{name}.wasm")));
    if files.iter().any(|file| !file.exists()) {
        eprintln!(
            "skipped: no plugins in {}; `make plugins` builds them",
            folder.display()
        );
        return;
    }
    let host = Host::start();
    let client = host.admin();
    for file in &files {
        client.install(std::fs::read(file).unwrap()).await;
    }
    // Without a seed it takes one from the host's chance.
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let path = "/api/v1/tools/simulator.generate/call";
        let called = client.post(path, &json!({"count": 8})).await.ok();
        let path = format!(
            "/api/v1/executions/{}/steps?limit=1000",
            called["execution"].as_str().unwrap()
        );
        let steps = client.items(&path).await.into_iter();
        let asked = steps.filter(|step| step["function"] == "invoke");
        let asked: Vec<Value> = asked.map(|step| step["arguments"].clone()).collect();
        assert_eq!(asked.len(), 8, "{asked:?}");
        drawn.push(asked);
        assert_same(&host, &called);
    }
    assert_ne!(drawn[0], drawn[1]);
}
