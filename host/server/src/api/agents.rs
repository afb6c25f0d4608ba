//! `/agents`: who does tasks here, and what they expect.

use super::auth::Viewer;
use super::doc::{Finds, Reads};
use super::error::ApiResult;
use super::input::PathOf;
use super::{Api, Listing};
use axum::Json;
use axum::extract::State;
use mandate_kernel::Active;
use mandate_plugin::AgentDescription;
use mandate_policy::Grant;
use mandate_store::InstallationStatus;
use mandate_types::{Digest, PluginName, Problem};
use serde::Serialize;
use serde_json::Value;

/// An agent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Agent {
    /// The name that it is installed under.
    pub name: PluginName,
    /// What it does.
    pub summary: String,
    /// The kinds of tasks that it accepts.
    pub kinds: Vec<String>,
    /// Of the plugin.
    pub version: String,
    /// Who says that they made it.
    pub publisher: String,
    /// The exact component.
    pub digest: Digest,
    /// Whether it takes work.
    pub status: InstallationStatus,
}

/// An agent with its schemas.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AgentDetail {
    /// The agent.
    #[serde(flatten)]
    pub agent: Agent,
    /// By its author, in a line.
    pub description: String,
    /// JSON Schema of a task's input.
    pub input: Value,
    /// JSON Schema of the report's output.
    pub output: Value,
    /// What the operator allows it.
    pub grant: Grant,
}

/// An agent and its description; none if the plugin is a family of tools.
fn agent(active: &Active) -> Option<(Agent, &AgentDescription)> {
    let manifest = &active.loaded.manifest;
    let description = active.loaded.description.agent()?;
    let agent = Agent {
        name: active.name().clone(),
        summary: description.summary.clone(),
        kinds: manifest
            .agent
            .as_ref()
            .map(|agent| agent.kinds.clone())
            .unwrap_or_default(),
        version: manifest.plugin.version.clone(),
        publisher: manifest.plugin.publisher.clone(),
        digest: active.installation.digest.clone(),
        status: active.installation.status,
    };
    Some((agent, description))
}

/// The agents of this host, by name.
#[utoipa::path(
    get, path = "/api/v1/agents", tag = "agents",
    responses((status = 200, body = Listing<Agent>), Reads),
)]
pub async fn list(_: Viewer, State(api): State<Api>) -> Json<Listing<Agent>> {
    let catalogue = api.kernel.catalogue();
    let agents = catalogue
        .plugins()
        .filter_map(|active| agent(active).map(|(agent, _)| agent));
    Json(agents.collect::<Vec<_>>().into())
}

/// One agent, with the schemas of its input and output.
#[utoipa::path(
    get, path = "/api/v1/agents/{name}", tag = "agents",
    params(("name" = String, Path)),
    responses((status = 200, body = AgentDetail), Finds),
)]
pub async fn get(
    _: Viewer,
    State(api): State<Api>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<AgentDetail>> {
    let catalogue = api.kernel.catalogue();
    let active = catalogue.plugin(&name);
    let found = active.and_then(|active| Some((active, agent(active)?)));
    let Some((active, (agent, description))) = found else {
        return Err(
            Problem::not_found(format!("agent `{name}`; GET /api/v1/agents lists them")).into(),
        );
    };
    Ok(Json(AgentDetail {
        agent,
        description: active.loaded.manifest.plugin.description.clone(),
        input: description.input.clone(),
        output: description.output.clone(),
        grant: active.grant().clone(),
    }))
}
