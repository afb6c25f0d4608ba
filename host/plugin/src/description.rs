//! What a guest says of itself: embedded when the plugin is built, read without running it.

use crate::schema::compile_schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the code's `describe` returned when the plugin was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Description {
    /// Of an agent.
    Agent(AgentDescription),
    /// Of each tool of a family, in the code's order.
    Tools(Vec<ToolDescription>),
}

/// An agent, as its code describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentDescription {
    /// What it does, in a sentence or two.
    pub summary: String,
    /// JSON Schema of a task's input.
    pub input: Value,
    /// JSON Schema of the report's output.
    pub output: Value,
}

/// A tool, as its code describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolDescription {
    /// Its short name; the manifest has a `[[tool]]` of the same name.
    pub name: String,
    /// What it does, in a sentence or two.
    pub summary: String,
    /// JSON Schema of the arguments.
    pub arguments: Value,
    /// JSON Schema of the result.
    pub result: Value,
}

/// Why a description does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DescriptionError(String);

impl Description {
    /// The tool `name`, if this is a family of tools and has it.
    pub fn tool(&self, name: &str) -> Option<&ToolDescription> {
        match self {
            Self::Tools(tools) => tools.iter().find(|tool| tool.name == name),
            Self::Agent(_) => None,
        }
    }

    /// The agent, if this is one.
    pub fn agent(&self) -> Option<&AgentDescription> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Tools(_) => None,
        }
    }

    /// Checks that every schema compiles and that code and manifest speak of the same tools.
    ///
    /// # Errors
    /// [`DescriptionError`] names the schema, or the tool that only one side has.
    pub fn check(&self, manifest: &crate::Manifest) -> Result<(), DescriptionError> {
        let schema = |of: &str, schema: &Value| {
            compile_schema(schema).map(drop).map_err(|error| {
                DescriptionError(format!(
                    "the JSON Schema of {of}, as the code describes it, {error}"
                ))
            })
        };
        match (self, &manifest.agent) {
            (Self::Agent(agent), Some(_)) => {
                schema("the agent's input", &agent.input)?;
                schema("the agent's output", &agent.output)
            }
            (Self::Agent(_), None) => Err(DescriptionError(
                "the code is an agent, but the manifest has no [agent]".to_owned(),
            )),
            (Self::Tools(_), Some(_)) => Err(DescriptionError(
                "the code is a family of tools, but the manifest has [agent]".to_owned(),
            )),
            (Self::Tools(tools), None) => {
                for (position, tool) in tools.iter().enumerate() {
                    let name = &tool.name;
                    if tools.iter().take(position).any(|other| other.name == *name) {
                        return Err(DescriptionError(format!(
                            "the code describes the tool `{name}` twice"
                        )));
                    }
                    if !manifest.tools.iter().any(|declared| declared.name == *name) {
                        return Err(DescriptionError(format!(
                            "the code has a tool `{name}` that the manifest does not declare; add to plugin.toml:\n\n    [[tool]]\n    name = \"{name}\"\n    effects = \"none\""
                        )));
                    }
                    schema(&format!("the arguments of `{name}`"), &tool.arguments)?;
                    schema(&format!("the result of `{name}`"), &tool.result)?;
                }
                match manifest
                    .tools
                    .iter()
                    .find(|declared| self.tool(&declared.name).is_none())
                {
                    Some(missing) => Err(DescriptionError(format!(
                        "the manifest declares the tool `{}` that the code does not have",
                        missing.name
                    ))),
                    None => Ok(()),
                }
            }
        }
    }
}
