//! What an operator allows a plugin, within what its manifest asks for. Absent means denied.

use crate::http::HttpCapability;
use crate::terms::ToolTerms;
use mandate_types::{Limits, MicroUsd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why something was refused; reaches the guest as `denied`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{capability}: {reason}")]
pub struct Refusal {
    /// The capability as the manifest names it.
    pub capability: String,
    /// What was refused, and what the operator could change.
    pub reason: String,
}

fn refuse(capability: &str, reason: String) -> Refusal {
    Refusal {
        capability: capability.to_owned(),
        reason,
    }
}

/// What plugins ask for instead of a vendor.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ModelClass {
    Fast,
    Smart,
    Embed,
}

/// Capability `llm`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmCapability {
    /// The classes that may be asked.
    pub classes: Vec<ModelClass>,
    /// The most that model calls of one task may cost, in micro-dollars.
    #[serde(default)]
    pub max_cost_per_task: MicroUsd,
}

/// Capability `invoke`. Names may end in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InvokeCapability {
    /// `plugin.tool`, or `plugin.*`.
    pub tools: Vec<String>,
    /// Installed names of agents.
    pub agents: Vec<String>,
    /// Kinds of child tasks that may be submitted.
    pub tasks: Vec<String>,
}

/// Capability `records`, by collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordsCapability {
    /// Collections that may be read.
    pub read: Vec<String>,
    /// Collections that may be written; writing includes reading.
    pub write: Vec<String>,
}

/// Capability `telemetry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TelemetryAccess {
    Read,
    Write,
}

/// What a plugin may ask the host for; the same form in manifest and grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Language models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmCapability>,
    /// Tools, agents and child tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoke: Option<InvokeCapability>,
    /// Record collections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsCapability>,
    /// Publishing events of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub events: bool,
    /// Asking people questions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub human: bool,
    /// Metrics, logs, spans, topology.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub telemetry: Vec<TelemetryAccess>,
    /// Requests to other hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCapability>,
    /// Secrets of the operator, by name, that its requests may carry. It never sees them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// What the operator allows an installed plugin; each change is a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Goes up with each change.
    #[serde(default)]
    pub generation: u64,
    /// What it may ask the host for.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Accepted terms by tool name; tools not named here cannot be called.
    #[serde(default)]
    pub tools: BTreeMap<String, ToolTerms>,
    /// How much one invocation may use.
    #[serde(default)]
    pub limits: Limits,
    /// The highest autonomy level whose decisions pass without a human, 0–3; at 0 a human is asked
    /// for each. Without it the policy alone judges. It never loosens what the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3)]
    pub autonomy: Option<u8>,
    /// Its decisions are recorded and judged, and the effects are not had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Whether `name` is one of `patterns`, of which each may end in `*`.
pub fn matches(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
}

impl Capabilities {
    /// May a model of `class` be asked?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn llm(&self, class: ModelClass) -> Result<&LlmCapability, Refusal> {
        self.llm
            .as_ref()
            .filter(|llm| llm.classes.contains(&class))
            .ok_or_else(|| {
                refuse(
                    "llm",
                    format!("model class `{class:?}` is not granted").to_lowercase(),
                )
            })
    }

    /// May the tool `name` (`plugin.tool`) be called?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn call_tool(&self, name: &str) -> Result<(), Refusal> {
        match &self.invoke {
            Some(invoke) if matches(&invoke.tools, name) => Ok(()),
            _ => Err(refuse(
                "invoke",
                format!("calling the tool `{name}` is not granted"),
            )),
        }
    }

    /// May the agent `name` be delegated to?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn call_agent(&self, name: &str) -> Result<(), Refusal> {
        match &self.invoke {
            Some(invoke) if matches(&invoke.agents, name) => Ok(()),
            _ => Err(refuse(
                "invoke",
                format!("calling the agent `{name}` is not granted"),
            )),
        }
    }

    /// May a child task of `kind` be submitted?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn submit(&self, kind: &str) -> Result<(), Refusal> {
        match &self.invoke {
            Some(invoke) if matches(&invoke.tasks, kind) => Ok(()),
            _ => Err(refuse(
                "invoke",
                format!("submitting tasks of kind `{kind}` is not granted"),
            )),
        }
    }

    /// May `collection` be read?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn read(&self, collection: &str) -> Result<(), Refusal> {
        match &self.records {
            Some(records)
                if records
                    .read
                    .iter()
                    .chain(&records.write)
                    .any(|c| c == collection) =>
            {
                Ok(())
            }
            _ => Err(refuse(
                "records",
                format!("reading `{collection}` is not granted"),
            )),
        }
    }

    /// May `collection` be written?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn write(&self, collection: &str) -> Result<(), Refusal> {
        match &self.records {
            Some(records) if records.write.iter().any(|c| c == collection) => Ok(()),
            _ => Err(refuse(
                "records",
                format!("writing `{collection}` is not granted"),
            )),
        }
    }

    /// May events be published?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn publish(&self) -> Result<(), Refusal> {
        if self.events {
            Ok(())
        } else {
            Err(refuse(
                "events",
                "publishing events is not granted".to_owned(),
            ))
        }
    }

    /// May people be asked?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn ask(&self) -> Result<(), Refusal> {
        if self.human {
            Ok(())
        } else {
            Err(refuse("human", "asking people is not granted".to_owned()))
        }
    }

    /// May telemetry be read or written?
    ///
    /// # Errors
    /// [`Refusal`] if not.
    pub fn telemetry(&self, access: TelemetryAccess) -> Result<(), Refusal> {
        if self.telemetry.contains(&access) {
            Ok(())
        } else {
            let reason = format!("telemetry access `{access:?}` is not granted").to_lowercase();
            Err(refuse("telemetry", reason))
        }
    }
}

impl Capabilities {
    /// What of this goes beyond what `asked` asks for, a sentence each; nothing if it is within.
    pub fn beyond(&self, asked: &Self) -> Vec<String> {
        let mut beyond = Vec::new();
        if let Some(llm) = &self.llm {
            let wanted = asked.llm.clone().unwrap_or_default();
            for class in llm
                .classes
                .iter()
                .filter(|class| !wanted.classes.contains(class))
            {
                beyond.push(format!("the model class `{class:?}`").to_lowercase());
            }
            if llm.max_cost_per_task > wanted.max_cost_per_task {
                beyond.push(format!(
                    "model calls for {} per task (it asks for {})",
                    llm.max_cost_per_task, wanted.max_cost_per_task
                ));
            }
        }
        if let Some(invoke) = &self.invoke {
            let wanted = asked.invoke.clone().unwrap_or_default();
            beyond.extend(outside("the tool", &invoke.tools, &wanted.tools));
            beyond.extend(outside("the agent", &invoke.agents, &wanted.agents));
            beyond.extend(outside("tasks of kind", &invoke.tasks, &wanted.tasks));
        }
        if let Some(records) = &self.records {
            let wanted = asked.records.clone().unwrap_or_default();
            let readable = [wanted.read.clone(), wanted.write.clone()].concat();
            for name in records.read.iter().filter(|name| !readable.contains(name)) {
                beyond.push(format!("reading the collection `{name}`"));
            }
            for name in records
                .write
                .iter()
                .filter(|name| !wanted.write.contains(name))
            {
                beyond.push(format!("writing the collection `{name}`"));
            }
        }
        if self.events && !asked.events {
            beyond.push("publishing events".to_owned());
        }
        if self.human && !asked.human {
            beyond.push("asking people".to_owned());
        }
        for access in self
            .telemetry
            .iter()
            .filter(|access| !asked.telemetry.contains(access))
        {
            beyond.push(format!("telemetry access `{access:?}`").to_lowercase());
        }
        if let Some(http) = &self.http {
            beyond.extend(http.beyond(asked.http.as_ref().unwrap_or(&HttpCapability::default())));
        }
        let secrets = self.secrets.iter();
        let secrets = secrets.filter(|name| !asked.secrets.contains(name));
        beyond.extend(secrets.map(|name| format!("the secret `{name}`")));
        beyond
    }
}

/// Patterns of `granted` that are not covered by `asked`: a name needs a pattern that matches
/// it, a pattern needs one that is as wide.
fn outside(what: &str, granted: &[String], asked: &[String]) -> Vec<String> {
    let covered = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => asked
            .iter()
            .any(|a| a.strip_suffix('*').is_some_and(|a| prefix.starts_with(a))),
        None => matches(asked, pattern),
    };
    granted
        .iter()
        .filter(|p| !covered(p))
        .map(|p| format!("{what} `{p}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_default() {
        let none = Capabilities::default();
        assert!(none.llm(ModelClass::Fast).is_err());
        assert!(none.call_tool("text.word-count").is_err());
        assert!(none.call_agent("research").is_err());
        assert!(none.submit("research").is_err());
        assert!(none.read("notes").is_err());
        assert!(none.write("notes").is_err());
        assert!(none.publish().is_err());
        assert!(none.ask().is_err());
        assert!(none.telemetry(TelemetryAccess::Read).is_err());
    }

    #[test]
    fn a_star_matches_what_begins_alike() {
        let patterns = vec!["text.*".to_owned(), "math.add".to_owned()];
        assert!(matches(&patterns, "text.word-count"));
        assert!(matches(&patterns, "math.add"));
        assert!(!matches(&patterns, "math.subtract"));
        assert!(!matches(&patterns, "textual.x"));
    }

    #[test]
    fn a_grant_within_what_is_asked_for_is_within() {
        let asked = Capabilities {
            invoke: Some(InvokeCapability {
                tools: vec!["text.*".into()],
                ..Default::default()
            }),
            events: true,
            ..Capabilities::default()
        };
        assert!(Capabilities::default().beyond(&asked).is_empty());
        assert!(asked.beyond(&asked).is_empty());
        let narrow = Capabilities {
            invoke: Some(InvokeCapability {
                tools: vec!["text.slug".into()],
                ..Default::default()
            }),
            ..Capabilities::default()
        };
        assert!(narrow.beyond(&asked).is_empty());
        let wide = Capabilities {
            invoke: Some(InvokeCapability {
                tools: vec!["a.b*".into()],
                ..Default::default()
            }),
            records: Some(RecordsCapability {
                write: vec!["notes".into()],
                ..Default::default()
            }),
            llm: Some(LlmCapability {
                classes: vec![ModelClass::Smart],
                ..Default::default()
            }),
            telemetry: vec![TelemetryAccess::Write],
            ..Capabilities::default()
        };
        assert_eq!(wide.beyond(&asked).len(), 4, "{:?}", wide.beyond(&asked));
    }

    #[test]
    fn writing_includes_reading_but_not_the_reverse() {
        let capabilities = Capabilities {
            records: Some(RecordsCapability {
                read: vec!["a".into()],
                write: vec!["b".into()],
            }),
            ..Capabilities::default()
        };
        assert!(capabilities.read("a").is_ok() && capabilities.read("b").is_ok());
        assert!(capabilities.write("b").is_ok() && capabilities.write("a").is_err());
    }
}
