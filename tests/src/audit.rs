//! What must hold of a host whatever happened to it: nothing accepted is lost, nothing happened
//! twice, and events, journals and records tell the same story. Read over REST, as a client can.

use crate::Client;
use crate::client::is_final;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Everything that a host says of itself.
pub struct Audit {
    /// By id.
    pub tasks: BTreeMap<String, Value>,
    /// In the order of their numbers.
    pub events: Vec<Value>,
    /// Of each task's execution, by the task's id.
    pub executions: HashMap<String, Execution>,
    /// By collection and id.
    pub records: BTreeMap<(String, String), Value>,
}

/// One execution.
pub struct Execution {
    /// The root first.
    pub invocations: Vec<Value>,
    /// By time.
    pub steps: Vec<Value>,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    let found = value[field].as_str();
    found.unwrap_or_else(|| panic!("no text `{field}` in {value}"))
}

impl Execution {
    /// What it did, without what differs from one task to the next: how often which plugin
    /// called which function.
    pub fn shape(&self) -> BTreeMap<String, usize> {
        let plugins: HashMap<&str, &str> = self
            .invocations
            .iter()
            .map(|invocation| (text(invocation, "id"), text(invocation, "plugin")))
            .collect();
        let mut shape = BTreeMap::new();
        for step in &self.steps {
            let plugin = plugins[text(step, "invocation")];
            let what = format!("{plugin}: {}", text(step, "function"));
            *shape.entry(what).or_default() += 1;
        }
        shape
    }
}

/// Waits until no task is unfinished, and returns them all.
pub async fn settled(client: &Client, most: Duration) -> Vec<Value> {
    let until = Instant::now() + most;
    loop {
        let tasks = client.all("/api/v1/tasks?").await;
        let unfinished: Vec<&Value> = tasks.iter().filter(|task| !is_final(task)).collect();
        let Some(first) = unfinished.first() else {
            return tasks;
        };
        assert!(
            Instant::now() < until,
            "{} tasks are unfinished after {most:?}, one of them {first}",
            unfinished.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Audit {
    /// Reads it all; nothing may be at work any more.
    pub async fn read(client: &Client, collections: &[&str]) -> Self {
        let mut audit = Self {
            tasks: BTreeMap::new(),
            events: client.events().await,
            executions: HashMap::new(),
            records: BTreeMap::new(),
        };
        for task in client.all("/api/v1/tasks?").await {
            let id = text(&task, "id").to_owned();
            if let Some(execution) = task["execution"].as_str() {
                let path = format!("/api/v1/executions/{execution}");
                let tree = client.get(&path).await.ok();
                let steps = client.all(&format!("{path}/steps?")).await;
                let invocations = tree["invocations"].as_array().unwrap().clone();
                audit
                    .executions
                    .insert(id.clone(), Execution { invocations, steps });
            }
            audit.tasks.insert(id, task);
        }
        for collection in collections {
            for record in client.all(&format!("/api/v1/records/{collection}?")).await {
                let key = ((*collection).to_owned(), text(&record, "id").to_owned());
                let again = audit.records.insert(key, record);
                assert!(again.is_none(), "listed twice: {again:?}");
            }
        }
        audit
    }

    /// The tasks of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.tasks.values().filter(move |task| task["kind"] == kind)
    }

    /// Holds everything against everything else; every task must have succeeded.
    pub fn check(&self) {
        self.check_events();
        self.check_journals();
        self.check_records();
        self.check_children();
    }

    /// Numbers without a gap or a repeat.
    pub fn check_numbers(&self) {
        for (event, expected) in self.events.iter().zip(1_u64..) {
            assert_eq!(event["seq"], expected, "a gap or a repeat before {event}");
        }
    }

    /// Each task was told of once.
    fn check_events(&self) {
        self.check_numbers();
        let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for event in &self.events {
            if let Some(task) = event["task"].as_str() {
                *told.entry((task, text(event, "kind"))).or_default() += 1;
            }
        }
        for (id, task) in &self.tasks {
            assert_eq!(task["status"], "succeeded", "{task}");
            for kind in ["task_created", "task_execution_started", "task_completed"] {
                let times = told.get(&(id.as_str(), kind)).copied().unwrap_or(0);
                assert_eq!(times, 1, "{kind} of {task}");
            }
        }
        for (task, _) in told.keys() {
            assert!(
                self.tasks.contains_key(*task),
                "an event tells of {task}, which is not there"
            );
        }
    }

    /// Every invocation ended, was called by one step, and has all its steps, answered.
    fn check_journals(&self) {
        let mut began: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for event in &self.events {
            let which = match text(event, "kind") {
                "agent_started" => 0,
                "agent_completed" => 1,
                _ => continue,
            };
            began.entry(text(&event["data"], "invocation")).or_default()[which] += 1;
        }
        for (task, execution) in &self.executions {
            let mut steps: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
            let mut called = BTreeSet::new();
            for step in &execution.steps {
                assert_eq!(step["state"], "answered", "of the task {task}: {step}");
                steps
                    .entry(text(step, "invocation"))
                    .or_default()
                    .push(step);
                if let Some(child) = step["child"].as_str() {
                    assert!(called.insert(child), "called twice: {step}");
                }
            }
            for (place, invocation) in execution.invocations.iter().enumerate() {
                let id = text(invocation, "id");
                assert_eq!(
                    invocation["status"], "succeeded",
                    "of the task {task}: {invocation}"
                );
                assert_eq!(
                    called.remove(id),
                    place > 0,
                    "all but the root are called by a step: {invocation}"
                );
                if invocation["kind"] == "agent" {
                    assert_eq!(began.get(id), Some(&[1, 1]), "started and completed: {id}");
                }
                let mut places: Vec<(u64, u64)> = steps
                    .remove(id)
                    .unwrap_or_default()
                    .iter()
                    .map(|step| {
                        (
                            step["sequence"].as_u64().unwrap(),
                            step["index"].as_u64().unwrap(),
                        )
                    })
                    .collect();
                places.sort_unstable();
                let mut last = (0, 0);
                for place in places {
                    assert!(
                        place == (last.0 + 1, 0) || (last.0 > 0 && place == (last.0, last.1 + 1)),
                        "a gap or a repeat in {id}: {place:?} after {last:?}"
                    );
                    last = place;
                }
            }
            assert!(called.is_empty(), "called, and not there: {called:?}");
            assert!(
                steps.is_empty(),
                "steps of invocations that are not there: {steps:?}"
            );
        }
    }

    /// Each answered write is in a record and each record in an answered write, and the events
    /// tell of every version once, in order.
    pub fn check_records(&self) {
        let mut versions: BTreeMap<(String, String), Vec<(u64, String)>> = BTreeMap::new();
        for step in self.executions.values().flat_map(|e| &e.steps) {
            let entry = &step["answer"]["ok"];
            if step["interface"] != "mandate:records/records"
                || !matches!(text(step, "function"), "create" | "update")
                || !entry.is_object()
            {
                continue;
            }
            let key = (
                text(entry, "collection").to_owned(),
                text(entry, "id").to_owned(),
            );
            let version = entry["version"].as_u64().unwrap();
            let by = text(step, "invocation").to_owned();
            versions.entry(key).or_default().push((version, by));
        }
        /// Versions with who wrote them, by collection and id.
        type Told = BTreeMap<(String, String), Vec<(u64, Option<String>)>>;
        let mut told = Told::new();
        for event in self
            .events
            .iter()
            .filter(|event| event["kind"] == "record_changed")
        {
            let data = &event["data"];
            let key = (
                text(data, "collection").to_owned(),
                text(data, "id").to_owned(),
            );
            let by = data["invocation"].as_str().map(str::to_owned);
            told.entry(key)
                .or_default()
                .push((data["version"].as_u64().unwrap(), by));
        }
        for (key, record) in &self.records {
            let history = told.remove(key).unwrap_or_default();
            let numbers: Vec<u64> = history.iter().map(|(version, _)| *version).collect();
            let present = record["version"].as_u64().unwrap();
            assert_eq!(
                numbers,
                (1..=present).collect::<Vec<_>>(),
                "the versions that events tell of: {record}"
            );
            assert_eq!(
                record["written_in"].as_str(),
                history[history.len() - 1].1.as_deref(),
                "{record}"
            );
            // What clients wrote has no step.
            let mut by_guests: Vec<(u64, String)> = history
                .into_iter()
                .filter_map(|(version, by)| Some((version, by?)))
                .collect();
            let mut answered = versions.remove(key).unwrap_or_default();
            by_guests.sort();
            answered.sort();
            assert_eq!(answered, by_guests, "steps against events: {record}");
        }
        assert!(
            told.is_empty(),
            "events of records that are not there: {told:?}"
        );
        assert!(
            versions.is_empty(),
            "answered writes of records that are not there: {versions:?}"
        );
    }

    /// Each submission is one task, and each task that an agent submitted is one submission.
    fn check_children(&self) {
        let mut submitted = BTreeSet::new();
        for (parent, execution) in &self.executions {
            for step in &execution.steps {
                if text(step, "function") != "submit" {
                    continue;
                }
                let child = text(&step["answer"], "ok");
                assert!(submitted.insert(child), "twice: {step}");
                let task = self.tasks.get(child);
                let task = task.unwrap_or_else(|| panic!("{step} submitted what is not there"));
                assert_eq!(task["parent"], parent.as_str(), "{task}");
                assert_eq!(task["created_in"], step["invocation"], "{task}");
            }
        }
        let by_agents = self
            .tasks
            .values()
            .filter(|task| task["created_in"].is_string());
        assert_eq!(submitted.len(), by_agents.count());
    }
}
