//! What the fake host allows.

use super::hosts::Requests;
use crate::error::Error;
use crate::http::Request;
use crate::llm::ModelClass;
use serde::Deserialize;

/// `[capabilities]`, as far as it concerns a plugin's own code.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Grants {
    #[serde(skip)]
    everything: bool,
    llm: Option<Models>,
    invoke: Invoke,
    records: Records,
    events: bool,
    human: bool,
    telemetry: Vec<String>,
    http: Option<Requests>,
    secrets: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Models {
    classes: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Invoke {
    tools: Vec<String>,
    agents: Vec<String>,
    tasks: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Records {
    read: Vec<String>,
    write: Vec<String>,
}

/// What is wanted of the host.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    Model(ModelClass),
    Offers,
    Tool(&'a str),
    Agent(&'a str),
    Submit(&'a str),
    Read(&'a str),
    Write(&'a str),
    Events,
    Human,
    Telemetry(&'a str),
    Request(&'a Request),
    Secret(&'a str),
}

impl Grants {
    pub fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    pub fn nothing() -> Self {
        Self::default()
    }

    pub fn check(&self, wanted: Wanted<'_>) -> Result<(), Error> {
        if self.everything {
            return Ok(());
        }
        let (granted, capability, what) = match wanted {
            Wanted::Model(class) => {
                let name = match class {
                    ModelClass::Fast => "fast",
                    ModelClass::Smart => "smart",
                    ModelClass::Embed => "embed",
                };
                let granted = self
                    .llm
                    .as_ref()
                    .is_some_and(|llm| llm.classes.iter().any(|c| c == name));
                (granted, "llm", format!("model class `{name}`"))
            }
            Wanted::Offers => {
                let Invoke {
                    tools,
                    agents,
                    tasks,
                } = &self.invoke;
                let any = !(tools.is_empty() && agents.is_empty() && tasks.is_empty());
                (any, "invoke", "calling anything".to_owned())
            }
            Wanted::Tool(name) => (
                matches(&self.invoke.tools, name),
                "invoke",
                format!("calling the tool `{name}`"),
            ),
            Wanted::Agent(name) => (
                matches(&self.invoke.agents, name),
                "invoke",
                format!("calling the agent `{name}`"),
            ),
            Wanted::Submit(kind) => (
                matches(&self.invoke.tasks, kind),
                "invoke",
                format!("submitting tasks of kind `{kind}`"),
            ),
            Wanted::Read(name) => {
                let mut both = self.records.read.iter().chain(&self.records.write);
                (
                    both.any(|c| c == name),
                    "records",
                    format!("reading `{name}`"),
                )
            }
            Wanted::Write(name) => (
                self.records.write.iter().any(|c| c == name),
                "records",
                format!("writing `{name}`"),
            ),
            Wanted::Events => (self.events, "events", "publishing".to_owned()),
            Wanted::Human => (self.human, "human", "asking people".to_owned()),
            Wanted::Telemetry(access) => (
                self.telemetry.iter().any(|a| a == access),
                "telemetry",
                format!("telemetry {access}"),
            ),
            Wanted::Request(request) => (
                self.http.as_ref().is_some_and(|http| http.allow(request)),
                "http",
                format!("sending {} to `{}`", request.method, request.url),
            ),
            Wanted::Secret(name) => (
                self.secrets.iter().any(|s| s == name),
                "secrets",
                format!("using the secret `{name}`"),
            ),
        };
        if granted {
            return Ok(());
        }
        Err(Error::Denied {
            capability: capability.to_owned(),
            reason: format!("{what} is not granted"),
        })
    }
}

/// As in the grant: names may end in `*`.
pub fn matches(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
}
