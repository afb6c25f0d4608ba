//! A package that can be run: read, checked, compiled, its schemas ready.

use crate::guest::Guest;
use mandate_plugin::{Description, SchemaError};
use mandate_plugin::{Manifest, Package, PackageError, Validator, compile_schema};
use mandate_runtime::{CompileError, Component, Runtime};
use mandate_types::{Digest, GuestKind};
use std::collections::BTreeMap;

/// Why a package cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not a plugin.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The component does not compile within its limits, or needs what this host has not.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A schema of the description does not compile.
    #[error("{what}: {error}")]
    Schema {
        /// Which.
        what: String,
        /// Why.
        error: SchemaError,
    },
}

/// The schemas of an agent.
pub struct AgentSchemas {
    /// Of a task's input.
    pub input: Validator,
    /// Of the report's output.
    pub output: Validator,
}

/// The schemas of one tool.
pub struct ToolSchemas {
    /// Of the arguments.
    pub arguments: Validator,
    /// Of the result.
    pub result: Validator,
}

/// A package that can be run.
pub struct Loaded {
    /// Which.
    pub digest: Digest,
    /// What its author says of it.
    pub manifest: Manifest,
    /// What its code says of itself.
    pub description: Description,
    /// The compiled component.
    pub component: Component<Guest>,
    /// If it is an agent.
    pub agent: Option<AgentSchemas>,
    /// If it is a family of tools, by short name.
    pub tools: BTreeMap<String, ToolSchemas>,
}

impl Loaded {
    /// Compiles a package, from the cache if it is there.
    ///
    /// # Errors
    /// [`LoadError`] when something in it is wrong.
    pub async fn load(runtime: &Runtime<Guest>, package: &Package) -> Result<Self, LoadError> {
        let schema = |what: String, schema| {
            compile_schema(schema).map_err(|error| LoadError::Schema { what, error })
        };
        let mut agent = None;
        let mut tools = BTreeMap::new();
        let kind = match &package.description {
            Description::Agent(description) => {
                agent = Some(AgentSchemas {
                    input: schema("the schema of the input".to_owned(), &description.input)?,
                    output: schema("the schema of the output".to_owned(), &description.output)?,
                });
                GuestKind::Agent
            }
            Description::Tools(descriptions) => {
                for tool in descriptions {
                    let name = &tool.name;
                    let schemas = ToolSchemas {
                        arguments: schema(
                            format!("the schema of the arguments of `{name}`"),
                            &tool.arguments,
                        )?,
                        result: schema(
                            format!("the schema of the result of `{name}`"),
                            &tool.result,
                        )?,
                    };
                    tools.insert(name.clone(), schemas);
                }
                GuestKind::Tool
            }
        };
        let component = runtime
            .compile(&package.digest, kind, &package.bytes)
            .await?;
        Ok(Self {
            digest: package.digest.clone(),
            manifest: package.manifest.clone(),
            description: package.description.clone(),
            component,
            agent,
            tools,
        })
    }
}
