//! What must hold for a manifest beyond its form, whether it comes from `plugin.toml` or from
//! inside a file. All problems at once.

use super::{CONTRACT, ContractVersion, Manifest, Route};
use crate::schema::compile_schema;
use mandate_policy::Capabilities;
use mandate_types::ids::{is_collection, is_kebab};
use mandate_types::{EventKind, Limits};
use std::collections::BTreeSet;
use std::fmt;

/// First parts of paths under `/api/v1` that are the host's own.
const RESERVED_ROUTES: &[&str] = &[
    "agents",
    "analytics",
    "approvals",
    "audit",
    "budgets",
    "decisions",
    "deliveries",
    "events",
    "executions",
    "halt",
    "health",
    "integrations",
    "llm",
    "metrics",
    "openapi.json",
    "plugins",
    "policy",
    "predict",
    "ready",
    "records",
    "resume",
    "sessions",
    "system",
    "tasks",
    "telemetry",
    "tokens",
    "tools",
    "webhooks",
    "ws",
];
const MAX_KINDS: usize = 64;

/// One step of the way to a key of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A key of a table.
    Key(String),
    /// A position in an array, from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Segment {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestProblem {
    /// The way to the key that is wrong.
    pub path: Vec<Segment>,
    /// What is wrong and what was expected.
    pub message: String,
}

/// A path as people write it: `tool[0].name`.
pub(super) fn shown(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Index(index) => text.push_str(&format!("[{index}]")),
            Segment::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    text
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", shown(&self.path))?;
        }
        f.write_str(&self.message)
    }
}

/// `at![found, "tool", 0, "name"; "…"]` records a problem.
macro_rules! at {
    ($found:expr, $($segment:expr),+ ; $($message:tt)+) => {
        $found.push($crate::manifest::check::ManifestProblem {
            path: vec![$($crate::manifest::check::Segment::from($segment)),+],
            message: format!($($message)+),
        })
    };
}
pub(super) use at;

pub(super) const KEBAB: &str =
    "lower-case letters, digits and single hyphens, at most 64, such as `incident-triage`";

impl Manifest {
    /// Everything that is wrong with it; empty when it is right.
    pub fn check(&self) -> Vec<ManifestProblem> {
        let mut found = Vec::new();
        self.check_plugin(&mut found);
        self.check_guest(&mut found);
        super::tool::check(self, &mut found);
        check_capabilities(&self.capabilities, &mut found);
        check_limits(&self.limits, &mut found);
        self.check_settings(&mut found);
        self.check_triggers(&mut found);
        super::webhook::check(self, &mut found);
        for (name, section) in &self.records {
            super::records::check(name, section, &mut found);
        }
        self.check_routes(&mut found);
        found
    }

    fn check_plugin(&self, found: &mut Vec<ManifestProblem>) {
        let plugin = &self.plugin;
        for (key, text) in [("id", &plugin.id), ("publisher", &plugin.publisher)] {
            if !is_kebab(text) {
                at![found, "plugin", key; "`{text}` is not kebab case; expected {KEBAB}"];
            }
        }
        if let Err(error) = semver::Version::parse(&plugin.version) {
            at![found, "plugin", "version"; "`{}` is not a semantic version ({error}); expected one such as `0.1.0`", plugin.version];
        }
        check_line(
            &plugin.description,
            300,
            &["plugin".into(), "description".into()],
            found,
        );
        if let Some(license) = &plugin.license {
            check_line(license, 100, &["plugin".into(), "license".into()], found);
        }
        if let Some(homepage) = &plugin.homepage
            && !(homepage.starts_with("https://") || homepage.starts_with("http://"))
        {
            at![found, "plugin", "homepage"; "`{homepage}` is not a web address; expected one that begins with https://"];
        }
        match ContractVersion::parse(&plugin.contract) {
            None => {
                at![found, "plugin", "contract"; "`{}` is not a version of the contract; expected \"{CONTRACT}\"", plugin.contract];
            }
            Some(version) if !version.is_supported() => {
                at![found, "plugin", "contract"; "contract {} is not known; this version of mandate supports {CONTRACT}", plugin.contract];
            }
            Some(_) => {}
        }
    }

    fn check_guest(&self, found: &mut Vec<ManifestProblem>) {
        match (&self.agent, self.tools.is_empty()) {
            (None, true) => {
                at![found, "plugin"; "a plugin is an agent or a family of tools: add [agent] with `kinds`, or one [[tool]] for each tool"];
            }
            (Some(_), false) => {
                at![found, "agent"; "a plugin is an agent or a family of tools, not both: make two plugins of it"];
            }
            _ => {}
        }
        if let Some(agent) = &self.agent {
            if agent.kinds.is_empty() || agent.kinds.len() > MAX_KINDS {
                at![found, "agent", "kinds"; "has {} kinds of tasks; expected 1–{MAX_KINDS}, such as [\"{}\"]", agent.kinds.len(), self.plugin.id];
            }
            let mut seen = BTreeSet::new();
            for (index, kind) in agent.kinds.iter().enumerate() {
                if !is_kebab(kind) {
                    at![found, "agent", "kinds", index; "`{kind}` is not kebab case; expected {KEBAB}"];
                } else if !seen.insert(kind) {
                    at![found, "agent", "kinds", index; "`{kind}` is there twice"];
                }
            }
        }
    }

    fn check_settings(&self, found: &mut Vec<ManifestProblem>) {
        let Some(settings) = &self.settings else {
            return;
        };
        if let Some(kind) = settings.get("type")
            && kind != "object"
        {
            at![found, "settings", "type"; "settings are an object; expected \"object\", not {kind}"];
        }
        if let Err(error) = compile_schema(settings) {
            at![found, "settings"; "is not a JSON Schema that can be used: {error}"];
        }
    }

    fn check_triggers(&self, found: &mut Vec<ManifestProblem>) {
        let triggers = &self.triggers;
        if self.agent.is_none() && !(triggers.events.is_empty() && triggers.schedules.is_empty()) {
            at![found, "triggers"; "only agents wake for events and schedules; tools are called"];
            return;
        }
        for (index, trigger) in triggers.events.iter().enumerate() {
            if !is_event(&trigger.on) {
                at![found, "triggers", "event", index, "on"; "`{}` is not a kind of event; expected one of {}, or `<plugin>.<kind>`", trigger.on, EventKind::ALL.join(", ")];
            }
            if let Some(collection) = &trigger.collection
                && !is_collection(collection)
            {
                at![found, "triggers", "event", index, "collection"; "`{collection}` is not a collection's name"];
            }
            for (member, value) in &trigger.when {
                if value.is_object() || value.is_array() {
                    at![found, "triggers", "event", index, "when", member; "is compared for equality; expected a text, a number, true or false"];
                }
            }
            self.check_task(
                &["triggers".into(), "event".into(), index.into()],
                &trigger.kind,
                &trigger.title,
                found,
            );
        }
        for (index, trigger) in triggers.schedules.iter().enumerate() {
            if let Err(error) = trigger.schedule() {
                at![found, "triggers", "schedule", index, error.key; "{}", error.message];
            }
            self.check_task(
                &["triggers".into(), "schedule".into(), index.into()],
                &trigger.kind,
                &trigger.title,
                found,
            );
        }
    }

    fn check_task(
        &self,
        under: &[Segment],
        kind: &str,
        title: &str,
        found: &mut Vec<ManifestProblem>,
    ) {
        let mut problem = |key: &str, message: String| {
            let mut path = under.to_vec();
            path.push(key.into());
            found.push(ManifestProblem { path, message });
        };
        if let Some(agent) = &self.agent
            && !agent.kinds.iter().any(|accepted| accepted == kind)
        {
            problem(
                "kind",
                format!(
                    "this agent does not accept tasks of kind `{kind}`; expected one of its `kinds`: {}",
                    agent.kinds.join(", ")
                ),
            );
        }
        if title.trim().is_empty() || title.len() > 200 {
            problem("title", "expected a title of 1–200 bytes".to_owned());
        }
    }

    fn check_routes(&self, found: &mut Vec<ManifestProblem>) {
        for (name, route) in &self.routes {
            let form = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.len() <= 64
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
            if RESERVED_ROUTES.contains(&name.as_str()) {
                at![found, "routes", name; "`/api/v1/{name}` is the host's own; choose another name"];
            } else if !form {
                at![found, "routes", name; "`{name}` cannot be a route; expected lower-case letters, digits, `-` and `_`, such as `incidents`"];
            }
            match route {
                Route::Collection(collection) if !self.records.contains_key(collection) => {
                    at![found, "routes", name; "there is no [records.{collection}] here; a route leads to a collection of the same plugin"];
                }
                Route::Tool(tool) if self.tool(tool).is_none() => {
                    at![found, "routes", name; "there is no [[tool]] called `{tool}` here; a route leads to a tool of the same plugin"];
                }
                _ => {}
            }
        }
    }
}

/// A text of one line that is not empty.
pub(super) fn check_line(
    text: &str,
    most: usize,
    path: &[Segment],
    found: &mut Vec<ManifestProblem>,
) {
    if text.trim().is_empty() || text.len() > most || text.contains(['\n', '\r']) {
        found.push(ManifestProblem {
            path: path.to_vec(),
            message: format!("expected one line of 1–{most} bytes"),
        });
    }
}

/// Whether `text` is a JSON Pointer (RFC 6901).
pub(super) fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
        && text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']))
}

fn is_event(text: &str) -> bool {
    EventKind::ALL.contains(&text)
        || text.split_once('.').is_some_and(|(plugin, kind)| {
            is_kebab(plugin)
                && !kind.is_empty()
                && kind.len() <= 64
                && kind
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
        })
}

/// A kebab name, or the beginning of one and a star.
fn is_name_pattern(text: &str) -> bool {
    match text.strip_suffix('*') {
        None => is_kebab(text),
        Some(start) => {
            start.len() <= 64
                && start
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        }
    }
}

fn is_tool_pattern(text: &str) -> bool {
    match text.split_once('.') {
        Some((plugin, tool)) => is_kebab(plugin) && is_name_pattern(tool),
        None => text == "*",
    }
}

fn check_capabilities(capabilities: &Capabilities, found: &mut Vec<ManifestProblem>) {
    if let Some(llm) = &capabilities.llm {
        if llm.classes.is_empty() {
            at![found, "capabilities", "llm", "classes"; "is empty; expected some of \"fast\", \"smart\", \"embed\""];
        }
        if llm.max_cost_per_task.0 < 0 {
            at![found, "capabilities", "llm", "max_cost_per_task"; "is less than nothing; expected micro-dollars, such as 100_000 for $0.10"];
        }
    }
    if let Some(invoke) = &capabilities.invoke {
        for (index, tool) in invoke.tools.iter().enumerate() {
            if !is_tool_pattern(tool) {
                at![found, "capabilities", "invoke", "tools", index; "`{tool}` names no tool; expected `plugin.tool` or `plugin.*`"];
            }
        }
        for (key, names) in [("agents", &invoke.agents), ("tasks", &invoke.tasks)] {
            for (index, name) in names.iter().enumerate() {
                if !is_name_pattern(name) {
                    at![found, "capabilities", "invoke", key, index; "`{name}` is not kebab case; expected a name, or its beginning and `*`"];
                }
            }
        }
    }
    if let Some(records) = &capabilities.records {
        for (key, names) in [("read", &records.read), ("write", &records.write)] {
            for (index, name) in names.iter().enumerate() {
                if !is_collection(name) {
                    at![found, "capabilities", "records", key, index; "`{name}` is not a collection's name; expected lower-case letters, digits and `_`"];
                }
            }
        }
    }
    super::http::check(capabilities, found);
}

fn check_limits(limits: &Limits, found: &mut Vec<ManifestProblem>) {
    for (name, expected) in out_of_bounds(limits) {
        at![found, "limits", name; "{expected}"];
    }
}

/// The limits that no host enforces so: the name of each, and what was expected instead. They
/// are the same for manifests and grants.
pub fn out_of_bounds(limits: &Limits) -> Vec<(&'static str, String)> {
    let bounds: [(&'static str, u64, u64, u64); 10] = [
        ("memory_bytes", limits.memory_bytes, 64 << 10, 4 << 30),
        ("time_ms", limits.time_ms, 1, 86_400_000),
        ("steps", limits.steps, 1, 1_000_000),
        ("journal_bytes", limits.journal_bytes, 1 << 10, 1 << 30),
        ("log_bytes", limits.log_bytes, 0, 64 << 20),
        ("result_bytes", limits.result_bytes, 1, 64 << 20),
        ("argument_bytes", limits.argument_bytes, 1, 64 << 20),
        ("children", limits.children, 0, 100_000),
        ("depth", u64::from(limits.depth), 0, 64),
        ("concurrency", u64::from(limits.concurrency), 1, 1_024),
    ];
    bounds
        .into_iter()
        .filter(|(_, value, least, most)| !(least..=most).contains(&value))
        .map(|(name, value, least, most)| (name, format!("is {value}; expected {least}–{most}")))
        .collect()
}
