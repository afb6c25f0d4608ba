//! A plugin's authority in plain words, from the file alone: what somebody reads before they
//! install it.

mod text;

pub use text::bytes_shown;

use crate::imports::{Need, need};
use crate::manifest::{AutonomySection, Manifest, Reply, Route, ScheduleTrigger};
use crate::package::Package;
use crate::signature::Signature;
use mandate_policy::{Capabilities, TelemetryAccess, ToolCost};
use mandate_types::{Digest, Effects, GuestKind, Limits};
use serde::Serialize;
use std::fmt::Display;

/// What a plugin is, asks for and has not, each line a sentence's end: “may …”.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Authority {
    /// The plugin's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Who says that they made it; see `signature` for whether that is proved.
    pub publisher: String,
    /// One line by its author.
    pub description: String,
    /// SPDX expression, if it says one.
    pub license: Option<String>,
    /// The contract that it was written for.
    pub contract: String,
    /// Agent or tools.
    pub kind: GuestKind,
    /// Of the bytes that count.
    pub digest: Digest,
    /// Of the whole file.
    pub size_bytes: usize,
    /// The kinds of tasks that it does, for an agent.
    pub does: Vec<String>,
    /// Its tools.
    pub tools: Vec<ToolAuthority>,
    /// What it asks to be allowed.
    pub may: Vec<String>,
    /// What it could ask for and does not.
    pub may_not: Vec<String>,
    /// From which cost on its decisions are to be judged harder than by the policy alone.
    #[serde(skip_serializing_if = "AutonomySection::is_empty")]
    pub autonomy: AutonomySection,
    /// Whether it asks to send requests: the only way in which it has a network.
    pub sends: bool,
    /// What makes it start by itself.
    pub wakes: Vec<String>,
    /// The collections that it brings, and who acts on them.
    pub brings: Vec<String>,
    /// Where others may deliver, and what then happens.
    pub takes: Vec<String>,
    /// How much one invocation may use.
    pub limits: Limits,
    /// Settings that the operator fills in, by name.
    pub settings: Vec<String>,
    /// The signature, if there is one.
    pub signature: Option<Signature>,
    /// Capabilities that it asks for and whose interfaces it does not import.
    pub unused: Vec<String>,
}

/// A tool, and what it does to the world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolAuthority {
    /// Its name, as it is called: `plugin.tool`.
    pub name: String,
    /// What it does, by its author.
    pub summary: String,
    /// As declared.
    pub effects: Effects,
    /// As declared.
    pub idempotent: bool,
    /// As declared; none for an unknown cost, and for tools without effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<ToolCost>,
    /// How it is undone, by its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

impl Authority {
    /// What `package` asks for.
    pub fn of(package: &Package) -> Self {
        let manifest = &package.manifest;
        let (may, may_not) = permissions(&manifest.capabilities);
        let settings = manifest
            .settings
            .as_ref()
            .and_then(|schema| schema.get("properties"));
        let settings = settings.and_then(|properties| properties.as_object());
        Self {
            id: manifest.plugin.id.clone(),
            version: manifest.plugin.version.clone(),
            publisher: manifest.plugin.publisher.clone(),
            description: manifest.plugin.description.clone(),
            license: manifest.plugin.license.clone(),
            contract: manifest.plugin.contract.clone(),
            kind: package.kind(),
            digest: package.digest.clone(),
            size_bytes: package.bytes.len(),
            does: manifest
                .agent
                .iter()
                .flat_map(|agent| agent.kinds.clone())
                .collect(),
            tools: tools(package),
            may,
            may_not,
            autonomy: manifest.autonomy.clone(),
            sends: manifest.capabilities.http.is_some(),
            wakes: wakes(manifest),
            brings: brings(manifest),
            takes: takes(manifest),
            limits: manifest.limits.clone(),
            settings: settings
                .map(|fields| fields.keys().cloned().collect())
                .unwrap_or_default(),
            signature: package.signature.clone(),
            unused: unused(package),
        }
    }
}

fn listed<T: Display>(items: &[T], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., end] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{} {last} {end}", first.join(", "))
        }
    }
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn permissions(capabilities: &Capabilities) -> (Vec<String>, Vec<String>) {
    let (mut may, mut may_not) = (Vec::new(), Vec::new());
    match &capabilities.llm {
        Some(llm) => {
            let classes: Vec<String> = llm
                .classes
                .iter()
                .map(|class| format!("{class:?}").to_lowercase())
                .collect();
            may.push(format!(
                "ask {} models for up to {} per task",
                listed(&classes, "and"),
                llm.max_cost_per_task
            ));
        }
        None => may_not.push("ask language models".to_owned()),
    }
    let invoke = capabilities.invoke.clone().unwrap_or_default();
    let mut calls = |names: &[String], one: &str, many: &str, no: &str| {
        if names.is_empty() {
            may_not.push(no.to_owned());
        } else {
            may.push(format!(
                "{} {}",
                if let [name] = names
                    && !name.ends_with('*')
                {
                    one
                } else {
                    many
                },
                listed(names, "and")
            ));
        }
    };
    calls(
        &invoke.tools,
        "call the tool",
        "call the tools",
        "call tools",
    );
    calls(
        &invoke.agents,
        "delegate to the agent",
        "delegate to the agents",
        "delegate to agents",
    );
    calls(
        &invoke.tasks,
        "create tasks of the kind",
        "create tasks of the kinds",
        "create tasks",
    );
    let records = capabilities.records.clone().unwrap_or_default();
    let read_only: Vec<String> = records
        .read
        .iter()
        .filter(|name| !records.write.contains(name))
        .cloned()
        .collect();
    calls(
        &read_only,
        "read the collection",
        "read the collections",
        "read other collections",
    );
    calls(
        &records.write,
        "read and write the collection",
        "read and write the collections",
        "write records",
    );
    let mut yes_no = |granted: bool, what: &str| {
        if granted {
            may.push(what.to_owned());
        } else {
            may_not.push(what.to_owned());
        }
    };
    yes_no(capabilities.events, "publish events");
    yes_no(capabilities.human, "ask people questions");
    yes_no(
        capabilities.telemetry.contains(&TelemetryAccess::Read),
        "read telemetry (metrics, logs, spans, topology)",
    );
    yes_no(
        capabilities.telemetry.contains(&TelemetryAccess::Write),
        "write telemetry",
    );
    may.extend(requests(capabilities));
    if read_only.is_empty() && records.write.is_empty() {
        // “other” would be wrong: there are none.
        for line in &mut may_not {
            if line == "read other collections" {
                "read records".clone_into(line);
            }
        }
    }
    (may, may_not)
}

fn requests(capabilities: &Capabilities) -> Vec<String> {
    let mut may = Vec::new();
    if let Some(http) = &capabilities.http {
        let mut line = format!(
            "send {} requests to {}",
            listed(&http.methods, "and"),
            listed(&http.hosts, "and")
        );
        if !http.paths.iter().any(|path| path == "/*") {
            line.push_str(&format!(", for {} only", listed(&http.paths, "and")));
        }
        may.push(line);
    }
    let secrets = &capabilities.secrets;
    if !secrets.is_empty() {
        let which = plural(secrets.len(), "the secret", "the secrets");
        let list = listed(secrets, "and");
        may.push(format!("have {which} {list} put into them, unseen"));
    }
    may
}

fn tools(package: &Package) -> Vec<ToolAuthority> {
    let id = &package.manifest.plugin.id;
    package
        .manifest
        .tools
        .iter()
        .map(|tool| ToolAuthority {
            name: format!("{id}.{}", tool.name),
            summary: package
                .description
                .tool(&tool.name)
                .map(|described| described.summary.clone())
                .unwrap_or_default(),
            effects: tool.effects,
            idempotent: tool.idempotent,
            cost: tool.cost,
            undo: tool.undo.clone(),
        })
        .collect()
}

fn wakes(manifest: &Manifest) -> Vec<String> {
    let events = manifest.triggers.events.iter().map(|trigger| {
        let about = trigger.collection.as_ref();
        let about = about
            .map(|name| format!(" about the collection {name}"))
            .unwrap_or_default();
        let when: Vec<String> = trigger
            .when
            .iter()
            .map(|(member, value)| format!("{member} = {value}"))
            .collect();
        let when = if when.is_empty() {
            String::new()
        } else {
            format!(" where {}", listed(&when, "and"))
        };
        format!(
            "on each event {}{about}{when}: a task of kind {}",
            trigger.on, trigger.kind
        )
    });
    let schedules = manifest.triggers.schedules.iter().map(|trigger| {
        let ScheduleTrigger {
            every, cron, kind, ..
        } = trigger;
        let when = match (every, cron) {
            (Some(every), _) => format!("every {every}"),
            (None, Some(cron)) => format!("at `{cron}` (UTC)"),
            (None, None) => "never".to_owned(),
        };
        format!("{when}: a task of kind {kind}")
    });
    events.chain(schedules).collect()
}

fn brings(manifest: &Manifest) -> Vec<String> {
    let collections = manifest.records.iter().map(|(name, section)| {
        let actions: Vec<String> = section
            .actions
            .iter()
            .map(|action| format!("“{}”", action.title))
            .collect();
        let actions = if actions.is_empty() {
            String::new()
        } else {
            format!(
                ", with {} {}",
                plural(actions.len(), "the action", "the actions"),
                listed(&actions, "and")
            )
        };
        format!("the collection {name} (ids {}){actions}", section.id)
    });
    let routes = manifest.routes.iter().map(|(name, route)| match route {
        Route::Collection(collection) => {
            format!("the route /api/v1/{name}, which is the collection {collection}")
        }
        Route::Tool(tool) => format!("the route /api/v1/{name}, which calls the tool {tool}"),
    });
    collections.chain(routes).collect()
}

fn takes(manifest: &Manifest) -> Vec<String> {
    let id = &manifest.plugin.id;
    let each = manifest.webhooks.iter().map(|webhook| {
        let who = match &webhook.hmac {
            None => "with a token".to_owned(),
            Some(hmac) => format!(
                "with a token, or once the setting {} is filled in, with the signature {} alone",
                hmac.secret, hmac.header
            ),
        };
        let when = match webhook.reply {
            Reply::Result => "and answers its result",
            Reply::Accepted => "after it has answered",
        };
        format!(
            "at /api/v1/webhooks/{id}/{}, {who}: calls the tool {} {when}",
            webhook.path, webhook.tool
        )
    });
    each.collect()
}

fn unused(package: &Package) -> Vec<String> {
    let imported = |prefix: &str| {
        package
            .imports
            .iter()
            .any(|name| name.starts_with(prefix) && matches!(need(name), Need::Capability(_)))
    };
    let capabilities = &package.manifest.capabilities;
    let telemetry = |access| capabilities.telemetry.contains(&access);
    [
        ("llm", capabilities.llm.is_some(), "mandate:llm"),
        ("invoke", capabilities.invoke.is_some(), "mandate:invoke/"),
        (
            "records",
            capabilities.records.is_some(),
            "mandate:records/",
        ),
        ("events", capabilities.events, "mandate:events/"),
        ("human", capabilities.human, "mandate:human/"),
        ("http", capabilities.http.is_some(), "mandate:http/"),
        (
            "telemetry = [\"read\"]",
            telemetry(TelemetryAccess::Read),
            "mandate:telemetry/query",
        ),
        (
            "telemetry = [\"write\"]",
            telemetry(TelemetryAccess::Write),
            "mandate:telemetry/ingest",
        ),
    ]
    .into_iter()
    .filter(|(_, asked, prefix)| *asked && !imported(prefix))
    .map(|(name, ..)| name.to_owned())
    .collect()
}
