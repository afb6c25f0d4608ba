//! Accepting tasks: checked, assigned to an agent, and on disk before anybody is told.

use super::{Tasks, commit_problem};
use mandate_kernel::Active;
use mandate_kernel::capability::invoke::{MOST_DEPTH, MOST_DESCRIPTION, MOST_TITLE};
use mandate_plugin::validate;
use mandate_store::{CommitError, Task, TriggerState, Write};
use mandate_types::{
    Digest, PluginName, PrincipalName, Problem, Subject, TaskId, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a client asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// Decides which agent does it.
    pub kind: String,
    /// One line; the kind when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// More, if there is more.
    #[serde(default)]
    pub description: String,
    /// What it is done to.
    #[serde(default)]
    pub target: Option<String>,
    /// 0–9, 9 first; 5 when absent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// By the agent's schema; see `GET /api/v1/agents/{name}`.
    #[serde(default)]
    pub input: Value,
    /// The conversation that it belongs to.
    #[serde(default)]
    pub session: Option<String>,
    /// The record that it is about, as `collection/id`.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// For whom; `default` when absent, or the only tenant of the caller.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// Which agent does it, if several accept the kind.
    #[serde(default)]
    pub assigned_agents: Vec<PluginName>,
    /// Kept with the task.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, Value>>,
    /// False holds the task until `POST /tasks/{id}/execute`.
    #[serde(default)]
    pub execute: Option<bool>,
    /// How many more executions a failure that may pass starts by itself, 0–10.
    #[serde(default)]
    pub retries: Option<u32>,
}

/// Where a task comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A client, who may have sent an idempotency key and the digest of the request.
    Client(Option<(String, Digest)>),
    /// A trigger: its name for the task, how far it has come, what caused it, and when the
    /// task may be removed.
    Trigger {
        /// `event:17`, `schedule:probe/0`.
        name: String,
        /// Committed with the task, so that it fires once.
        state: TriggerState,
        /// The task whose event it was.
        cause: Option<Box<Task>>,
        /// For short-lived ones.
        expires_at: Option<Timestamp>,
    },
}

/// An accepted task.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// As it is stored.
    pub task: Task,
    /// False when an idempotency key showed that it was accepted before.
    pub created: bool,
}

impl Tasks {
    /// Accepts a task and queues it, unless it is to be held.
    ///
    /// # Errors
    /// A [`Problem`] that names the field, or says why the host takes no tasks now.
    pub async fn submit(
        self: &Arc<Self>,
        new: NewTask,
        tenant: TenantId,
        by: PrincipalName,
        origin: Origin,
    ) -> Result<Submitted, Problem> {
        self.accepts_work()?;
        check(&new)?;
        let agent = self.agent_for(&new)?;
        let from_client = matches!(origin, Origin::Client(_));
        if from_client && let Some(schemas) = &agent.loaded.agent {
            validate(&schemas.input, &new.input).map_err(|problems| {
                let mut problem = Problem::invalid(format!(
                    "the input is not what the agent `{}` expects",
                    agent.name()
                ));
                for field in problems {
                    problem = problem.with_field(format!("/input{}", field.field), field.expected);
                }
                problem
            })?;
        }
        let now = Timestamp::now();
        let title = new.title.unwrap_or_else(|| new.kind.clone());
        let mut task = Task::new(TaskId::fresh(), new.kind, title, tenant, by.clone(), now);
        task.description = new.description;
        task.target = new.target;
        task.priority = new.priority.unwrap_or(5);
        task.input = new.input;
        task.session = new.session;
        task.subject = new.subject;
        task.metadata = Value::Object(new.metadata.unwrap_or_default());
        task.assigned_agents = vec![agent.name().clone()];
        task.queued = new.execute.unwrap_or(true);
        task.retries_left = new.retries.unwrap_or(0);
        let mut more = Vec::new();
        let mut request = None;
        match origin {
            Origin::Client(None) => {}
            Origin::Client(Some((key, digest))) => {
                request = Some(digest.clone());
                more.push(Write::IdempotencyKey {
                    principal: by,
                    key,
                    request: digest,
                    task: task.id.clone(),
                    at: now,
                });
            }
            Origin::Trigger {
                name,
                state,
                cause,
                expires_at,
            } => {
                task.trigger = Some(name);
                task.expires_at = expires_at;
                if let Some(cause) = cause {
                    task.depth = cause.depth.saturating_add(1);
                    task.root = cause.root;
                    task.parent = Some(cause.id);
                }
                if task.depth > MOST_DEPTH {
                    return Err(Problem::conflict(format!(
                        "the chain of tasks that cause each other is longer than {MOST_DEPTH}"
                    )));
                }
                more.push(Write::PutTrigger(Box::new(state)));
            }
        }
        let mut writes = mandate_kernel::capability::invoke::created(task.clone());
        writes.extend(more);
        match self.store().commit(None, writes).await {
            Ok(_) => {}
            Err(CommitError::KeyUsed {
                task: known,
                request: before,
            }) => {
                let known = self.get(&known).await?;
                // A name may have belonged to somebody of another tenant before.
                if request.as_ref() != Some(&before) || known.tenant != task.tenant {
                    return Err(Problem::new(
                        422,
                        "idempotency-key-reused",
                        "The key was used for another request",
                        format!(
                            "this Idempotency-Key made the task {} from a different request; use a new key",
                            known.id
                        ),
                    ));
                }
                return Ok(Submitted {
                    task: known,
                    created: false,
                });
            }
            Err(error) => return Err(commit_problem(error)),
        }
        metrics::counter!("mandate_tasks_accepted_total").increment(1);
        if task.queued {
            self.enqueue(Arc::new(task.clone()));
        }
        Ok(Submitted {
            task,
            created: true,
        })
    }

    fn agent_for(&self, new: &NewTask) -> Result<Arc<Active>, Problem> {
        let catalogue = self.kernel.catalogue();
        if let Some(name) = new.assigned_agents.first() {
            let active = catalogue
                .plugin(name.as_str())
                .filter(|p| p.loaded.agent.is_some());
            let active = active.ok_or_else(|| {
                Problem::invalid_field(
                    "/assigned_agents/0",
                    format!("an installed agent; `{name}` is none"),
                )
            })?;
            if !active.accepts(&new.kind) {
                return Err(Problem::invalid_field(
                    "/kind",
                    format!("a kind that the agent `{name}` accepts"),
                ));
            }
            if !active.takes_work() {
                return Err(Problem::conflict(format!(
                    "the agent `{name}` is quarantined"
                )));
            }
            return Ok(active.clone());
        }
        catalogue
            .agents_for(&new.kind)
            .next()
            .cloned()
            .ok_or_else(|| {
                if let Some(resting) = catalogue.plugins().find(|p| p.accepts(&new.kind)) {
                    let name = resting.name();
                    return Problem::conflict(format!(
                        "the agent `{name}`, which accepts tasks of this kind, is quarantined"
                    ));
                }
                let kinds = catalogue.kinds();
                if kinds.is_empty() {
                    return Problem::conflict(
                        "no agent is installed: `mandate plugin install FILE`",
                    );
                }
                Problem::invalid_field("/kind", format!("one of {}", kinds.join(", ")))
            })
    }
}

fn check(new: &NewTask) -> Result<(), Problem> {
    let text = |field: &str, value: Option<&str>, most: usize| match value {
        Some(value) if value.len() > most => Err(Problem::invalid_field(
            field,
            format!("at most {most} bytes"),
        )),
        _ => Ok(()),
    };
    if new.kind.is_empty() {
        return Err(Problem::invalid_field("/kind", "the kind of the task"));
    }
    text("/kind", Some(&new.kind), MOST_TITLE)?;
    text("/title", new.title.as_deref(), MOST_TITLE)?;
    text("/description", Some(&new.description), MOST_DESCRIPTION)?;
    text("/target", new.target.as_deref(), MOST_TITLE)?;
    text("/session", new.session.as_deref(), MOST_TITLE)?;
    if new.priority.is_some_and(|priority| priority > 9) {
        return Err(Problem::invalid_field("/priority", "0 to 9"));
    }
    if new.retries.is_some_and(|retries| retries > 10) {
        return Err(Problem::invalid_field("/retries", "0 to 10"));
    }
    if new.assigned_agents.len() > 1 {
        return Err(Problem::invalid_field(
            "/assigned_agents",
            "at most one agent",
        ));
    }
    Ok(())
}
