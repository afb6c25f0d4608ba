//! What a plugin's author says of it: `plugin.toml`, as types.

mod check;
mod http;
mod parse;
mod records;
mod schedule;
mod tool;
mod webhook;

pub use check::{ManifestProblem, Segment, out_of_bounds};
pub use parse::{ManifestError, ManifestErrors};
pub use schedule::{Schedule, ScheduleError};
pub use tool::{AutonomySection, ToolSection};
pub use webhook::{HmacAlgorithm, HmacSection, Reply, WebhookSection};

use mandate_policy::Capabilities;
use mandate_types::{GuestKind, Limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the contract that this host supports; those before it within the same major
/// version too.
pub const CONTRACT: &str = "1.1";

/// `1.0`: the version of the contract that a plugin was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContractVersion {
    /// Others of this number do not fit together.
    pub major: u32,
    /// A host takes this and all below.
    pub minor: u32,
}

impl ContractVersion {
    /// Reads `major.minor`; `None` when `text` has not that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number = |digits: &str| {
            let plain = digits.bytes().all(|b| b.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            if plain { digits.parse().ok() } else { None }
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }

    /// Whether this host runs plugins of this version.
    pub fn is_supported(self) -> bool {
        Self::parse(CONTRACT)
            .is_some_and(|ours| self.major == ours.major && self.minor <= ours.minor)
    }
}

/// The whole of `plugin.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[plugin]`
    pub plugin: PluginSection,
    /// `[agent]`: this plugin is an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSection>,
    /// `[[tool]]`: this plugin is a family of tools.
    #[serde(default, rename = "tool", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSection>,
    /// `[capabilities]`
    #[serde(default)]
    pub capabilities: Capabilities,
    /// `[autonomy]`: from which cost on it wants its decisions judged harder than the policy does.
    #[serde(default, skip_serializing_if = "AutonomySection::is_empty")]
    pub autonomy: AutonomySection,
    /// `[limits]`; what is absent has the host's default.
    #[serde(default)]
    pub limits: Limits,
    /// `[settings]`: a JSON Schema that the operator fills in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// `[triggers]`
    #[serde(default)]
    pub triggers: Triggers,
    /// `[[webhook]]`
    #[serde(default, rename = "webhook", skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookSection>,
    /// `[records.<collection>]`
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub records: BTreeMap<String, RecordSection>,
    /// `[routes]`: `/api/v1/<name>` is this collection or tool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<String, Route>,
}

impl Manifest {
    /// Whether it is an agent or a family of tools.
    pub fn kind(&self) -> GuestKind {
        if self.agent.is_some() {
            GuestKind::Agent
        } else {
            GuestKind::Tool
        }
    }

    /// The terms of the tool `name` (its short name).
    pub fn tool(&self, name: &str) -> Option<&ToolSection> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The webhook at `path`.
    pub fn webhook(&self, path: &str) -> Option<&WebhookSection> {
        self.webhooks.iter().find(|webhook| webhook.path == path)
    }
}

/// `[plugin]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSection {
    /// Kebab case; the name that it is installed under unless the operator says otherwise.
    pub id: String,
    /// Kebab case.
    pub publisher: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// One line.
    pub description: String,
    /// SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where its readme is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The version of the contract it was written for: `1.0`.
    pub contract: String,
}

/// `[agent]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSection {
    /// The kinds of tasks that it accepts.
    pub kinds: Vec<String>,
}

/// `[triggers]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Triggers {
    /// `[[triggers.event]]`
    #[serde(rename = "event", skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventTrigger>,
    /// `[[triggers.schedule]]`
    #[serde(rename = "schedule", skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleTrigger>,
}

/// A task for each event of a kind. The task's input is the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTrigger {
    /// The event's kind: `record_changed`, `other-plugin.something`.
    pub on: String,
    /// Only about records of this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Only when these members of the event's data are equal to these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Value>,
    /// The kind of the task; one that this agent accepts.
    pub kind: String,
    /// The title of the task.
    pub title: String,
}

/// A task for each tick. Missed ticks are one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// `30s`, `5m`, `1h`: at least one second. Or `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Five or six fields, UTC. Or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The kind of the task; one that this agent accepts.
    pub kind: String,
    /// The title of the task.
    pub title: String,
    /// The task's input; an empty object when absent.
    #[serde(default = "empty_object")]
    pub input: Value,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

/// `[records.<collection>]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordSection {
    /// `INC-{8}`; `{n}` stands for n random characters.
    pub id: String,
    /// JSON Schema of the bodies: a table, or in the source the path of a JSON file.
    pub schema: Value,
    /// Property → `text`, `number`, `boolean` or `texts`.
    #[serde(default)]
    pub indexed: BTreeMap<String, String>,
    /// Text properties that are searched by words.
    #[serde(default)]
    pub full_text: Vec<String>,
    /// `[[records.<collection>.action]]`
    #[serde(default, rename = "action", skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<RecordAction>,
}

/// A button and a route that gives a task about a record to this plugin's agent, or to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordAction {
    /// Kebab case: `POST /records/{collection}/{id}/actions/{name}`.
    pub name: String,
    /// What the button says; the task's title.
    pub title: String,
    /// The kind of the task.
    pub kind: String,
}

/// What a route of its own leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Route {
    /// A collection of this plugin.
    Collection(String),
    /// A tool of this plugin, by its short name; `POST` calls it.
    Tool(String),
}
