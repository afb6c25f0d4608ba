//! The ground of an attack: a host with attackers on it, a server that must not hear of what no
//! decision allowed, and somebody who answers for people.

use super::{EFFECTS, PLEDGED, PRICE, UNPLEDGED, effects, plugins};
use crate::counting::Counting;
use crate::{Client, Host, Options, is_final};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Requests to the host at the same time.
const AT_ONCE: usize = 64;
/// What decisions without a human may cost together in one chain of tasks, in micro-dollars.
const BUDGET: i64 = 5 * PRICE;
/// The longest that a batch may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one attacker is told to do.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// An agent, or a tool that a client calls.
    pub who: &'static str,
    /// What it does, letter by letter.
    pub script: String,
    /// Cancelled as soon as it was accepted.
    pub cancelled: bool,
}

/// The host, what it is attacked with, and who answers for people.
pub struct Ground {
    /// The host.
    pub host: Host,
    server: Counting,
    ann: Client,
    batches: AtomicU32,
    /// How often each effect was allowed by a decision, by who has it.
    allowed: Mutex<BTreeMap<(String, char), u32>>,
    totals: Mutex<BTreeMap<String, u64>>,
}

impl Ground {
    /// A host with all attackers on it.
    pub async fn new() -> Self {
        let server = Counting::start();
        let config = format!(
            "[http]\nallow_private = [\"127.0.0.0/8\"]\n[api]\nrequests_per_second = 1000000\n\
             request_burst = 1000000\n[secrets.KEY]\nenv = \"OTHERS_KEY\"\nhosts = [\"{}\"]\n",
            server.address
        );
        let host = Host::with(&Options {
            config,
            environment: vec![("OTHERS_KEY".to_owned(), "s3cr3t-of-the-other".to_owned())],
            ..Options::default()
        });
        let admin = host.admin();
        for plugin in plugins(&server, &host.url) {
            let file = plugin.file();
            // A beggar gets nothing.
            let query = if plugin.toml().contains("id = \"beggar\"") {
                "?accept=false"
            } else {
                "?accept=true"
            };
            let answer = admin.upload(query, file).await;
            assert!(
                answer.status == 201 || answer.status == 200,
                "{}",
                answer.text
            );
        }
        // A launch costs little, so that what was launched does not escalate all that comes after.
        let policy = "[[budget]]\nname = \"a-task\"\nscope = \"task\"\nwindow = \"ever\"\nlimit = \"0.05\"\n\
             [[override]]\nname = \"launches\"\nfor = { tool = \"launcher.it\" }\noutcome = \"escalate\"";
        let put = admin
            .request(reqwest::Method::PUT, "/api/v1/policy")
            .header("if-match", "\"0\"")
            .json(&json!({ "text": policy }));
        admin.send(put).await.ok();
        let ann = host.principal("ann", "operator", &[]).await;
        Self {
            host,
            server,
            ann,
            batches: AtomicU32::new(0),
            allowed: Mutex::default(),
            totals: Mutex::default(),
        }
    }

    /// What happened in all: how often each effect was had, and how tasks and decisions ended.
    pub fn totals(&self) -> BTreeMap<String, u64> {
        let mut totals = self.totals.lock().unwrap().clone();
        for ((who, letter), count) in self.heard() {
            totals.insert(format!("{who} {letter}"), u64::from(count));
        }
        totals
    }

    fn count(&self, what: &str, many: u64) {
        *self
            .totals
            .lock()
            .unwrap()
            .entry(what.to_owned())
            .or_default() += many;
    }

    /// How often the server was asked for each effect of each attacker.
    fn heard(&self) -> BTreeMap<(&'static str, char), u32> {
        let all = PLEDGED.iter().chain(&UNPLEDGED);
        all.flat_map(|who| EFFECTS.chars().map(|c| (*who, c)))
            .map(|(who, c)| ((who, c), self.server.asked(&format!("/{who}/{c}"))))
            .collect()
    }

    /// Has all of `batch` done at once, for a tenant of its own, and looks at what came of it.
    ///
    /// # Errors
    /// What came of it that should not have.
    pub async fn attack(&self, batch: &[Sequence]) -> Result<(), String> {
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        let tenant = format!("t{number}");
        let client = self
            .host
            .principal(&format!("client-{number}"), "client", &[&tenant])
            .await;
        let begun: Vec<Option<String>> = futures::stream::iter(batch)
            .map(|sequence| begin(&client, sequence))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let waiting = begun.into_iter().flatten().collect();
        self.settle(&tenant, waiting).await?;
        self.judge(&tenant).await
    }

    /// Answers what people are asked until nothing goes on any more.
    async fn settle(&self, tenant: &str, mut calls: BTreeSet<String>) -> Result<(), String> {
        let admin = self.host.admin();
        let until = Instant::now() + PATIENCE;
        loop {
            let path = format!("/api/v1/decisions?tenant={tenant}&status=pending");
            let pending = admin.all(&path).await;
            let path = format!("/api/v1/questions?tenant={tenant}&status=open");
            let open = admin.all(&path).await;
            let answers = pending.iter().map(|decision| {
                // Some are approved, and which is the same when it is tried again.
                let long = decision["arguments"].as_str().map_or(0, str::len);
                let answer = if long % 3 == 0 { "deny" } else { "approve" };
                let path = format!("/api/v1/decisions/{}/{answer}", id(decision));
                (path, json!({}))
            });
            let said = open.iter().map(|question| {
                let path = format!("/api/v1/questions/{}/answer", id(question));
                (path, json!({"answer": true}))
            });
            let posts: Vec<_> = answers.chain(said).collect();
            let idle = posts.is_empty();
            futures::stream::iter(&posts)
                // What was cancelled meanwhile takes no answer.
                .map(|(path, body)| self.ann.post(path, body))
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>()
                .await;
            let path =
                format!("/api/v1/tasks?tenant={tenant}&status=pending,running,waiting&limit=1");
            if idle && admin.items(&path).await.is_empty() {
                let path =
                    format!("/api/v1/decisions?tenant={tenant}&status=pending,approved,executing");
                let undone = admin.all(&path).await;
                for call in calls.clone() {
                    let path = format!("/api/v1/executions/{call}");
                    let tree = admin.get(&path).await.ok();
                    let all = tree["invocations"].as_array().unwrap();
                    let ended = all.iter().all(|one| !one["ended_at"].is_null());
                    if ended && !undone.iter().any(|one| one["execution"] == call.as_str()) {
                        calls.remove(&call);
                    }
                }
                if calls.is_empty() {
                    return Ok(());
                }
            }
            if Instant::now() > until {
                let tasks = admin.items(&path).await;
                return Err(format!(
                    "not settled after {PATIENCE:?}: {tasks:?} {calls:?}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether there is nothing outside that no decision allowed, nothing written that was not
    /// granted, and no money beyond the budget.
    async fn judge(&self, tenant: &str) -> Result<(), String> {
        let admin = self.host.admin();
        let decisions = admin
            .all(&format!("/api/v1/decisions?tenant={tenant}"))
            .await;
        let mut allowed = BTreeMap::<(String, char), u32>::new();
        let mut spent = BTreeMap::<String, i64>::new();
        let mut executed = BTreeSet::new();
        for decision in &decisions {
            let status = decision["status"].as_str().unwrap();
            self.count(status, 1);
            if !["executing", "done", "failed"].contains(&status) {
                if !decision["child"].is_null() {
                    return Err(format!("{status}, and done: {decision}"));
                }
                continue;
            }
            executed.insert(id(decision).to_owned());
            let by_human = decision["resolved_by"] == "ann";
            if decision["verdict"] != "approve" && !by_human {
                return Err(format!("nobody approved it: {decision}"));
            }
            let tool = decision["tool"].as_str().unwrap().trim_end_matches(".it");
            let script = decision["arguments"].as_str().unwrap();
            for (letter, count) in effects(script) {
                *allowed.entry((tool.to_owned(), letter)).or_default() += count;
            }
            if !by_human {
                let root = decision["root_task"]
                    .as_str()
                    .unwrap_or("a client")
                    .to_owned();
                // What failed before it did anything costs nothing.
                let cost = decision["actual_cost"].as_i64();
                let cost = cost.unwrap_or_else(|| decision["cost"].as_i64().unwrap());
                *spent.entry(root).or_default() += cost;
            }
        }
        self.compare(&allowed)?;
        for (root, cost) in spent {
            if cost > BUDGET && root != "a client" {
                return Err(format!("{root} spent {cost} of {BUDGET} without a human"));
            }
        }
        for entry in admin.all(&format!("/api/v1/ledger?tenant={tenant}")).await {
            let reserved = entry["reserved"].as_i64().unwrap();
            let beyond = entry["settled"]
                .as_i64()
                .is_some_and(|cost| cost > reserved);
            let decision = entry["decision"].as_str();
            if entry["kind"] == "effect"
                && (beyond || !decision.is_some_and(|d| executed.contains(d)))
            {
                return Err(format!("booked without a decision, or beyond it: {entry}"));
            }
        }
        for collection in ["safe", "beggar", "reader", "vault"] {
            let path = format!("/api/v1/records/{collection}?tenant={tenant}");
            let records = admin.items(&path).await;
            if !records.is_empty() {
                return Err(format!("written by who may not: {records:?}"));
            }
        }
        for task in admin.all(&format!("/api/v1/tasks?tenant={tenant}")).await {
            assert!(is_final(&task), "{task}");
            self.count(task["status"].as_str().unwrap(), 1);
            let kind = task["error"]["kind"].as_str().unwrap_or_default();
            if !["", "trap", "failed", "cancelled", "limit"].contains(&kind) {
                return Err(format!("an end that none of them can bring about: {task}"));
            }
        }
        Ok(())
    }
}

impl Ground {
    /// Whether the server was asked for nothing but what is allowed: now, or in the batches before,
    /// whose last effects may have come after their cancelled tasks had ended.
    fn compare(&self, more: &BTreeMap<(String, char), u32>) -> Result<(), String> {
        let heard = self.heard();
        let mut allowed = self.allowed.lock().unwrap();
        // Whatever a decision says of the others.
        let pledged = more
            .iter()
            .filter(|(what, _)| PLEDGED.contains(&what.0.as_str()));
        for (what, count) in pledged {
            *allowed.entry(what.clone()).or_default() += count;
        }
        let mut wrong = Ok(());
        for ((who, letter), count) in heard {
            let most = allowed.entry((who.to_owned(), letter)).or_default();
            if count > *most {
                wrong = Err(format!(
                    "{who} had the effect `{letter}` {count} times, and decisions allowed {most}"
                ));
                // What is tried next to find the least is looked at by itself.
                *most = count;
            }
        }
        wrong
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// Starts one attack. Of a tool's call that waits for people, the execution.
async fn begin(client: &Client, sequence: &Sequence) -> Option<String> {
    let script = json!(sequence.script);
    if sequence.who.contains('.') {
        let path = format!("/api/v1/tools/{}/call", sequence.who);
        let answer = client.post(&path, &script).await;
        assert!(
            answer.status < 500 || answer.status == 502,
            "{}",
            answer.text
        );
        return (answer.status == 202).then(|| answer.json()["execution"].as_str().unwrap().into());
    }
    let task = json!({"kind": sequence.who, "input": script});
    let task = client.submit(&task).await;
    if sequence.cancelled {
        let path = format!("/api/v1/tasks/{}/cancel", id(&task));
        // It may have ended already.
        client.post(&path, &json!({})).await;
    }
    None
}
