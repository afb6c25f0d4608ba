//! A client calls a tool: the same seam, in an execution of its own.

use super::Tasks;
use mandate_kernel::{Active, Called, Stop, ToolRun};
use mandate_plugin::manifest::WebhookSection;
use mandate_plugin::validate;
use mandate_types::{DecisionId, ExecutionId, PluginName, PrincipalName, Problem, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a called tool answered.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ToolAnswer {
    /// By the tool's schema; null while it waits.
    pub result: Value,
    /// Whether it waits, for a human or for the end of a halt that came between its decision and
    /// its beginning: it goes on then, and its result is in the decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
    /// The decision that it waits for: `GET /api/v1/decisions/{decision}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Its journal: `GET /api/v1/executions/{execution}/steps`.
    pub execution: ExecutionId,
    /// How long it took.
    pub duration_seconds: f64,
}

impl ToolAnswer {
    fn waiting(execution: ExecutionId, decision: Option<DecisionId>) -> Self {
        Self {
            result: Value::Null,
            waiting: true,
            decision,
            execution,
            duration_seconds: 0.0,
        }
    }
}

impl Tasks {
    /// Calls the tool `plugin.tool`.
    ///
    /// # Errors
    /// A [`Problem`] that says whether the call, the tool or the host was at fault.
    pub async fn call_tool(
        self: &Arc<Self>,
        name: &str,
        arguments: Value,
        tenant: TenantId,
        by: PrincipalName,
    ) -> Result<ToolAnswer, Problem> {
        let (plugin, tool) = self.callable(name, &arguments)?;
        self.not_halted(&tenant, plugin.name())?;
        let stop = Stop::new();
        // A client that goes away takes its call with it, unless that may have begun to do
        // something outside of the host.
        let harmless = plugin.terms(&tool).is_none_or(|terms| !terms.is_external());
        let _stop = harmless.then(|| StopOnDrop(stop.clone()));
        let run = ToolRun {
            plugin,
            tool,
            arguments,
            tenant,
            principal: by,
            stop,
        };
        // On a task of its own: how the call ended is on record even if nobody waits for it.
        let kernel = self.kernel.clone();
        let called = tokio::spawn(async move { kernel.call_tool(run).await }).await;
        let called = called.map_err(|lost| Problem::internal(lost.to_string()))?;
        let end = called.map_err(|halted| match halted {
            mandate_kernel::Halted::Store(error) => super::store_problem(error),
            mandate_kernel::Halted::ByOperator(halt) => Problem::halted(*halt),
            other => Problem::internal(other.to_string()),
        })?;
        let end = match end {
            Called::Ended(end) => *end,
            Called::Waiting {
                execution,
                decision,
            } => return Ok(ToolAnswer::waiting(execution, decision)),
            Called::Held {
                execution,
                decision,
                halt,
            } => {
                self.hold_call(execution.clone(), &halt);
                return Ok(ToolAnswer::waiting(execution, Some(decision)));
            }
        };
        if let (Err(_), Some(halt)) = (&end.report, &end.halted) {
            return Err(Problem::halted(halt.clone()));
        }
        match end.report {
            Ok(report) => Ok(ToolAnswer {
                result: report.output,
                waiting: false,
                decision: None,
                execution: end.execution,
                duration_seconds: end.took.as_secs_f64(),
            }),
            Err(error) => {
                let status = match error.kind.as_str() {
                    "invalid" => 422,
                    "not_found" => 404,
                    "denied" => 403,
                    "conflict" => 409,
                    "unavailable" => 503,
                    _ => 502,
                };
                let title = "The tool did not answer";
                let slug = format!("tool-{}", error.kind.replace('_', "-"));
                Err(Problem::new(
                    status,
                    &slug,
                    title,
                    format!("{name}: {}", error.message),
                ))
            }
        }
    }

    /// The plugin of the tool `plugin.tool`, and the tool's short name, if it may be called with these arguments now.
    ///
    /// # Errors
    /// A [`Problem`] that says why not.
    pub fn callable(
        &self,
        name: &str,
        arguments: &Value,
    ) -> Result<(Arc<Active>, String), Problem> {
        self.accepts_work()?;
        let catalogue = self.kernel.catalogue();
        let missing = || Problem::not_found(format!("tool `{name}`; GET /api/v1/tools lists them"));
        let (plugin, tool) = catalogue.tool(name).ok_or_else(missing)?;
        let schemas = plugin.loaded.tools.get(tool).ok_or_else(missing)?;
        if plugin.terms(tool).is_none() {
            return Err(Problem::forbidden(format!(
                "the operator has not accepted the tool `{name}`: PUT /api/v1/plugins/{}/grant",
                plugin.name()
            )));
        };
        if !plugin.takes_work() {
            return Err(Problem::conflict(format!(
                "the plugin `{}` is quarantined",
                plugin.name()
            )));
        }
        validate(&schemas.arguments, arguments).map_err(|problems| {
            let problem = Problem::invalid(format!("the arguments are not what `{name}` expects"));
            problems.into_iter().fold(problem, |p, field| {
                p.with_field(field.field, field.expected)
            })
        })?;
        Ok((plugin.clone(), tool.to_owned()))
    }

    /// The webhook at `path` of a plugin.
    pub fn webhook(&self, plugin: &PluginName, path: &str) -> Option<WebhookSection> {
        let catalogue = self.kernel.catalogue();
        let active = catalogue.installed(plugin)?;
        active.loaded.manifest.webhook(path).cloned()
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop("the client went away");
    }
}
