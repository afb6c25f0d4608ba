//! An execution with steps of every kind, a host that dies at a named point of it, and what must
//! be the same afterwards as if it had not.

use crate::counting::Counting;
use crate::host::{Host, Options};
use crate::{Client, Do, Plugin, agent, is_final, tool};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long one run may take, deaths included.
const MOST: Duration = Duration::from_secs(90);
/// Longer than what the guest would sleep through without being parked.
const SLEEP_MS: u64 = 2_050;

/// What is left of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The task's status.
    pub status: String,
    /// Its output.
    pub output: Value,
    /// The bodies of its records by id.
    pub records: BTreeMap<String, Value>,
    /// How the decisions ended, by tool.
    pub decisions: BTreeMap<String, Vec<String>>,
}

/// One run.
pub struct Run {
    /// What is left.
    pub left: Left,
    /// How often a host died.
    pub deaths: usize,
    /// What happened outside that must not have.
    pub wrong: Vec<String>,
}

fn plugins(server: &Counting) -> Vec<Plugin> {
    let http = format!(
        "[capabilities.http]\nhosts = [\"{}\"]\nmethods = [\"GET\", \"POST\"]\npaths = [\"/*\"]\n",
        server.address
    );
    let sends = |name: &str, terms: &str| {
        tool(name, "irreversible")
            .manifest(&format!("{terms}\n{http}"))
            .does([
                Do::send("GET", &server.url("/look")),
                Do::send("POST", &server.url(&format!("/{name}"))),
            ])
    };
    let inner = tool("inner", "none");
    let outer = tool("outer", "none")
        .manifest("[capabilities.invoke]\ntools = [\"inner.it\"]")
        .does([Do::tool("inner.it", "{}")]);
    let helper = agent("helper").does([Do::Repeat(3, Box::new(Do::Sleep(1)))]);
    let all = agent("all")
        .manifest(
            "[capabilities]\nhuman = true\n[capabilities.invoke]\ntools = [\"*\"]\nagents = [\"helper\"]\n\
             [capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000\n\
             [capabilities.records]\nwrite = [\"marks\"]\n\
             [records.marks]\nid = \"M-{4}\"\nschema = { type = \"object\" }",
        )
        .does([
            Do::ContinueBefore(2, "{}".into()),
            Do::create("marks", "M-1", r#"{"part":1}"#),
            Do::Complete {
                prompt: "hello".into(),
                tools: vec![],
            },
            Do::tool("outer.it", "{}"),
            Do::agent("helper", "{}"),
            Do::Tools(vec![
                ("inner.it".into(), r#"{"n":1}"#.into()),
                ("order.it".into(), r#"{"n":2}"#.into()),
                ("outer.it".into(), r#"{"n":3}"#.into()),
            ]),
            Do::create("marks", "M-2", r#"{"part":2}"#),
            Do::tool("mail.it", "{}"),
            Do::tool("dear.it", "{}"),
            Do::Ask("Go on?".into()),
            Do::Sleep(SLEEP_MS),
            Do::create("marks", "M-3", r#"{"part":3}"#),
        ]);
    vec![
        inner,
        outer,
        helper,
        sends("order", "idempotent = true\ncost = 25"),
        sends("mail", "cost = 1"),
        sends("dear", "idempotent = true\ncost = 25000"),
        all,
    ]
}

fn options(point: Option<&str>) -> Options {
    Options {
        config: "[http]\nallow_private = [\"127.0.0.0/8\"]\n[api]\nrequests_per_second = 100000\n\
                 request_burst = 100000\n"
            .to_owned(),
        environment: point
            .map(|point| ("MANDATE_CRASH_POINT".to_owned(), point.to_owned()))
            .into_iter()
            .collect(),
        ..Options::default()
    }
}

/// Runs the execution on hosts of which each dies at the next of `points`, answers what people
/// are asked, and says what is left.
pub async fn run(points: &[&str]) -> Run {
    let server = Counting::start();
    let host = Host::with(&options(None));
    let admin = host.admin();
    for plugin in plugins(&server) {
        admin.install(plugin.file()).await;
    }
    let token = host
        .principal("ann", "approver", &[])
        .await
        .token()
        .to_owned();
    let mut points = points.iter().copied();
    let mut host = Host::over(host.stop(), &options(points.next()));
    let begun = Instant::now();
    let mut deaths = 0;
    loop {
        assert!(
            begun.elapsed() < MOST,
            "{deaths} deaths: not ended in time: {:?}",
            host.log()
        );
        let (admin, ann) = (host.admin(), Client::new(&host.url, Some(&token)));
        match look(&admin, &ann, &server).await {
            Ok(Some(task)) => {
                let left = left(&admin, &task).await;
                return Run {
                    left,
                    deaths,
                    wrong: wrong(&server),
                };
            }
            Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => {
                let (_, data) = host.exited();
                deaths += 1;
                host = Host::over(data, &options(points.next()));
            }
        }
    }
}

/// The task, if it has ended; what people are asked meanwhile is answered.
async fn look(admin: &Client, ann: &Client, server: &Counting) -> Result<Option<Value>, String> {
    let get = |path: String| admin.try_send(admin.request(Method::GET, &path));
    // Whoever does not know whether it was taken says it again, under the same key.
    let submit = admin
        .request(Method::POST, "/api/v1/tasks")
        .header("idempotency-key", "one")
        .json(&json!({"kind": "all", "title": "all of it"}));
    let task = admin.try_send(submit).await?.ok();
    let id = task["id"].as_str().unwrap();
    let task = get(format!("/api/v1/tasks/{id}")).await?.ok();
    if is_final(&task) {
        return Ok(Some(task));
    }
    if task["status"] != "waiting" {
        return Ok(None);
    }
    let answer =
        |path: String, body: Value| ann.try_send(ann.request(Method::POST, &path).json(&body));
    let pending = get("/api/v1/decisions?status=pending".into()).await?.json();
    for decision in pending["items"].as_array().unwrap() {
        let path = format!(
            "/api/v1/decisions/{}/approve",
            decision["id"].as_str().unwrap()
        );
        answer(path, json!({})).await?;
    }
    let open = get("/api/v1/questions?status=open".into()).await?.json();
    for question in open["items"].as_array().unwrap() {
        let said = if question["kind"] == "ask" {
            json!({"answer": true})
        } else {
            // As a human would: by looking at what is there.
            let name = question["plugin"].as_str().unwrap();
            json!({"answer": {"happened": server.asked(&format!("/{name}")) > 0}})
        };
        let path = format!(
            "/api/v1/questions/{}/answer",
            question["id"].as_str().unwrap()
        );
        answer(path, said).await?;
    }
    Ok(None)
}

async fn left(admin: &Client, task: &Value) -> Left {
    let mut records = BTreeMap::new();
    for record in admin.items("/api/v1/records/marks").await {
        records.insert(
            record["id"].as_str().unwrap().to_owned(),
            record["body"].clone(),
        );
    }
    let mut decisions = BTreeMap::<_, Vec<_>>::new();
    for decision in admin.items("/api/v1/decisions").await {
        let tool = decision["tool"].as_str().unwrap().to_owned();
        let status = decision["status"].as_str().unwrap().to_owned();
        decisions.entry(tool).or_default().push(status);
    }
    Left {
        status: task["status"].as_str().unwrap().to_owned(),
        output: task["output"].clone(),
        records,
        decisions,
    }
}

/// What the outside world has seen too often or too seldom.
fn wrong(server: &Counting) -> Vec<String> {
    let mut wrong = Vec::new();
    for idempotent in ["/order", "/dear"] {
        let keys = server.keys(idempotent);
        if keys != 1 {
            wrong.push(format!("{idempotent} came under {keys} keys"));
        }
    }
    let mails = server.asked("/mail");
    if mails != 1 {
        wrong.push(format!("/mail came {mails} times"));
    }
    wrong
}
