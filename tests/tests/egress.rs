//! Requests of plugins to other hosts, seen from outside: what arrives at a server of the test's
//! own, what is refused, and what is on record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Host, Options, agent, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

/// A server that counts what it is asked.
struct Other {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Other {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<BTreeMap<String, u32>>>::default();
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let count = count.clone();
                std::thread::spawn(move || serve(&stream.unwrap(), &count));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often `path` was asked for.
    fn asked(&self, path: &str) -> u32 {
        self.asked.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

/// Answers one request; whoever asked may be gone before the end.
fn serve(stream: &TcpStream, count: &Mutex<BTreeMap<String, u32>>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push_str(&line);
        line.clear();
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    *count.lock().unwrap().entry(path.clone()).or_default() += 1;
    let mut out = stream;
    let mut answer = |status: &str, more: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{more}\r\n",
            body.len()
        );
        let _ = out
            .write_all(head.as_bytes())
            .and_then(|()| out.write_all(body));
    };
    match path.as_str() {
        "/big" => answer("200 OK", "", &vec![b'a'; 10_000_000]),
        "/slow" => std::thread::sleep(Duration::from_secs(60)),
        "/away" => answer("302 Found", "location: /landing\r\n", b""),
        _ => answer(
            "200 OK",
            "x-from: other\r\n",
            [head.as_bytes(), &body].concat().as_slice(),
        ),
    }
}

static OTHER: LazyLock<Other> = LazyLock::new(Other::start);
static HOST: Shared = Shared::new();

/// What is set: this machine may be sent to, and two secrets, one for the other server.
fn options() -> Options {
    let config = format!(
        "[http]\nallow_private = [\"127.0.0.0/8\"]\ntimeout_seconds = 20\n\
         [secrets.KEY]\nenv = \"OTHERS_KEY\"\nhosts = [\"{}\"]\n\
         [secrets.ELSEWHERE]\nenv = \"OTHERS_KEY\"\nhosts = [\"api.example.com\"]\n",
        OTHER.address
    );
    Options {
        config,
        environment: vec![("OTHERS_KEY".to_owned(), "s3cr3t-of-the-other".to_owned())],
        ..Options::default()
    }
}

fn host() -> &'static Host {
    HOST.with(&options())
}

/// Asks for everything at the other server and at `more`.
fn asks(more: &[&str]) -> String {
    let mut hosts = vec![OTHER.address.to_string()];
    hosts.extend(more.iter().map(ToString::to_string));
    format!(
        "[capabilities]\nsecrets = [\"KEY\", \"ELSEWHERE\", \"NONE\"]\n\
         [capabilities.http]\nhosts = {hosts:?}\nmethods = [\"GET\", \"POST\"]\n"
    )
}

/// The steps of a new task of this agent.
async fn steps(client: &Client, agent: &str) -> Vec<Value> {
    let task = client.run(agent, json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    client.steps(task["id"].as_str().unwrap()).await
}

fn with_secret(url: &str, name: &str) -> Do {
    let value = format!("Bearer {{{{secret:{name}}}}}");
    Do::Send {
        method: "GET".into(),
        url: url.into(),
        headers: vec![("authorization".into(), value)],
        body: None,
        timeout_ms: None,
    }
}

#[tokio::test]
async fn what_is_granted_is_read_and_on_record() {
    let client = host().admin();
    let plugin = agent("reader")
        .manifest(&asks(&[]))
        .does([Do::send("GET", &OTHER.url("/a/../read?q=1#here"))]);
    client.install(plugin.file()).await;
    let steps = steps(&client, "reader").await;
    let step = &steps[0];
    assert_eq!(step["interface"], "mandate:http/http", "{step}");
    assert_eq!(
        (&step["effects"], &step["refused"]),
        (&json!("none"), &json!(false))
    );
    let answer = &step["answer"]["ok"];
    assert_eq!(answer["status"], 200, "{step}");
    let body = answer["body"]["text"].as_str().unwrap();
    assert!(body.starts_with("GET /read?q=1 HTTP/1.1\r\n"), "{body}");
    assert!(!body.contains("idempotency-key"), "it reads: {body}");
    let from = json!(["x-from", "other"]);
    assert!(
        answer["headers"].as_array().unwrap().contains(&from),
        "{step}"
    );
}

#[tokio::test]
async fn what_is_not_granted_or_not_the_plugins_is_denied_and_nothing_is_sent() {
    let client = host().admin();
    let own = host().url.trim_start_matches("http://").to_owned();
    let post = |url: String| Do::Send {
        method: "POST".into(),
        url,
        headers: Vec::new(),
        body: Some("{}".into()),
        timeout_ms: None,
    };
    let cases = [
        (
            Do::send("GET", "https://elsewhere.example/"),
            "http",
            "not granted",
        ),
        (
            Do::send("DELETE", &OTHER.url("/denied")),
            "http",
            "the method DELETE",
        ),
        (
            Do::send("GET", &OTHER.url("/denied/%2e%2e%2fx")),
            "http",
            "the path",
        ),
        (
            Do::send("GET", &format!("http://{own}/health")),
            "http",
            "this host itself",
        ),
        (
            Do::send("GET", "http://169.254.169.254/v1/"),
            "http",
            "link-local",
        ),
        (
            Do::send("GET", "http://[::ffff:10.0.0.1]/v1/"),
            "http",
            "private",
        ),
        (
            with_secret(&OTHER.url("/v1/denied"), "UNASKED"),
            "secrets",
            "not granted",
        ),
        (
            with_secret(&OTHER.url("/v1/denied"), "NONE"),
            "secrets",
            "has no secret",
        ),
        (
            with_secret(&OTHER.url("/v1/denied"), "ELSEWHERE"),
            "secrets",
            "only to api.example.com",
        ),
        (
            with_secret(&OTHER.url("/v1/denied"), "KEY"),
            "effects",
            "decision",
        ),
        (post(OTHER.url("/v1/denied")), "effects", "decision"),
    ];
    let hosts = [
        own.as_str(),
        "http://169.254.169.254",
        "http://[::ffff:10.0.0.1]",
    ];
    let mut asks = asks(&hosts);
    asks.push_str("paths = [\"/v1/*\", \"/health\", \"/denied/*\"]\n");
    let plugin = agent("stranger")
        .manifest(&asks)
        .does(cases.iter().map(|(what, ..)| what.clone()));
    client.install(plugin.file()).await;
    let steps = steps(&client, "stranger").await;
    assert_eq!(steps.len(), cases.len());
    for (step, (what, capability, reason)) in steps.iter().zip(&cases) {
        assert_eq!(step["refused"], true, "{what:?}: {step}");
        let denied = &step["answer"]["error"]["denied"];
        assert_eq!(denied["capability"], *capability, "{what:?}: {step}");
        assert!(
            denied["reason"].as_str().unwrap().contains(reason),
            "{what:?}: {step}"
        );
    }
    assert_eq!(
        OTHER.asked("/v1/denied") + OTHER.asked("/denied/%2e%2e%2fx"),
        0
    );
}

#[tokio::test]
async fn a_tool_has_no_effect_beyond_what_it_is_accepted_with() {
    let client = host().admin();
    for effects in ["none", "internal"] {
        let id = format!("poster-{effects}");
        let plugin = tool(&id, effects).manifest(&asks(&[])).does([
            Do::send("GET", &OTHER.url("/tool")),
            Do::send("POST", &OTHER.url("/posted")),
        ]);
        client.install(plugin.file()).await;
        let path = format!("/api/v1/tools/{id}.it/call");
        let answer = client.post(&path, &json!({})).await.ok();
        let path = format!(
            "/api/v1/executions/{}/steps",
            answer["execution"].as_str().unwrap()
        );
        let steps = client.items(&path).await;
        assert_eq!(steps[0]["answer"]["ok"]["status"], 200, "{steps:?}");
        assert_eq!(
            steps[1]["answer"]["error"]["denied"]["capability"], "effects",
            "{steps:?}"
        );
    }
    assert_eq!(OTHER.asked("/posted"), 0);
}

#[tokio::test]
async fn an_answer_is_bounded_in_size_and_time_and_followed_nowhere() {
    let client = host().admin();
    let slow = Do::Send {
        method: "GET".into(),
        url: OTHER.url("/slow"),
        headers: Vec::new(),
        body: None,
        timeout_ms: Some(200),
    };
    let plugin = agent("patient").manifest(&asks(&[])).does([
        Do::send("GET", &OTHER.url("/big")),
        slow,
        Do::send("GET", &OTHER.url("/away")),
        Do::send("GET", "http://user@127.0.0.1/"),
    ]);
    client.install(plugin.file()).await;
    let steps = steps(&client, "patient").await;
    let error = |n: usize| steps[n]["answer"]["error"].clone();
    assert_eq!(
        error(0)["failed"]["message"],
        "the answer has more than 8388608 bytes"
    );
    let late = error(1)["unavailable"]["reason"].to_string();
    assert!(late.contains("200 ms"), "{late}");
    assert_eq!(steps[2]["answer"]["ok"]["status"], 302);
    assert_eq!(OTHER.asked("/landing"), 0);
    assert!(error(3)["invalid"].is_string(), "{}", steps[3]);
}

#[tokio::test]
async fn a_resumed_execution_does_not_ask_again() {
    let host = Host::with(&options());
    let client = host.admin();
    let plugin = agent("sleeper")
        .manifest(&asks(&[]))
        .does([Do::send("GET", &OTHER.url("/once")), Do::Sleep(3_000)]);
    client.install(plugin.file()).await;
    let body = json!({"kind": "sleeper", "title": "t", "input": {}});
    let id = client.submit(&body).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // On record, and with it on disk: what is read of a journal is committed.
    let answered = async || {
        let steps = client.steps(&id).await;
        steps
            .first()
            .filter(|step| step["state"] == "answered")
            .map(drop)
    };
    client.until(answered).await;
    let host = Host::over(host.kill(), &options());
    let client = host.admin();
    let task = client.ended(&id).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    assert_eq!(OTHER.asked("/once"), 1);
    let steps = client.steps(&id).await;
    assert_eq!(steps[0]["answer"]["ok"]["status"], 200, "{steps:?}");
}
