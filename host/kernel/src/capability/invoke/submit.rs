//! Child tasks, which outlive the call that made them.

use super::super::{At, Capability, Fail, JsonText, Performed, Scope, unavailable};
use super::{INTERFACE, check, not_found, refuse};
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{NewEvent, Task, Write};
use mandate_types::{Effects, EventKind, Subject, TaskId, Timestamp};
use serde::Serialize;
use serde_json::json;

/// The most bytes of a task's title and target.
pub const MOST_TITLE: usize = 500;
/// The most bytes of a task's description.
pub const MOST_DESCRIPTION: usize = 64 << 10;
/// How deep a chain of tasks that cause each other may be, whatever a grant says.
pub const MOST_DEPTH: u32 = 16;

#[derive(Serialize)]
pub(super) struct Submit {
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) input: JsonText,
    pub(super) priority: Option<u8>,
    pub(super) target: Option<String>,
    pub(super) subject: Option<String>,
}

impl Capability for Submit {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "submit";
    const EFFECTS: Effects = Effects::Internal;
    const SUBMITS: bool = true;
    type Answer = String;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.submit(&self.kind)?;
        let most = scope.limits.depth.min(MOST_DEPTH);
        if scope.tree.task_depth >= most {
            return Err(refuse(format!(
                "the chain of tasks is {most} deep already; the limit is `depth` = {most} under [limits] in plugin.toml, or in the plugin's grant"
            )));
        }
        Ok(())
    }

    async fn perform(self, at: At) -> Result<Performed<String>, Fail> {
        let scope = &at.scope;
        let new = self;
        for (what, text, most) in [
            ("title", Some(&new.title), MOST_TITLE),
            ("description", Some(&new.description), MOST_DESCRIPTION),
            ("target", new.target.as_ref(), MOST_TITLE),
        ] {
            if text.is_some_and(|text| text.len() > most) {
                let reason = format!("{what}: expected at most {most} bytes");
                return Err(Error::Invalid(reason).into());
            }
        }
        if !scope.kernel.has_room() {
            let reason = "the host has too many unfinished tasks; try again later";
            return Err(unavailable(reason).into());
        }
        let catalogue = scope.kernel.catalogue();
        let agent = catalogue
            .agents_for(&new.kind)
            .next()
            .cloned()
            .ok_or_else(|| {
                not_found(&format!(
                    "an agent that accepts tasks of the kind `{}`",
                    new.kind
                ))
            })?;
        let input = new.input.value("input")?;
        if let Some(schemas) = &agent.loaded.agent {
            check("input", &schemas.input, &input)?;
        }
        let priority = new.priority.unwrap_or(5);
        if priority > 9 {
            return Err(Error::Invalid("priority: expected 0 to 9".to_owned()).into());
        }
        let subject = match &new.subject {
            Some(text) => {
                Some(Subject::parse(text).map_err(|e| Error::Invalid(format!("subject: {e}")))?)
            }
            None => scope.tree.subject.clone(),
        };
        at.scope
            .lineage
            .admit_child()
            .map_err(|hit| Fail::End(End::Limit(hit)))?;
        let id = TaskId::derived(&scope.id, at.sequence, at.index);
        let tree = &scope.tree;
        let now = Timestamp::now();
        let mut task = Task::new(
            id.clone(),
            new.kind,
            new.title,
            tree.tenant.clone(),
            tree.principal.clone(),
            now,
        );
        task.description = new.description;
        task.input = input;
        task.priority = priority;
        task.target = new.target;
        task.subject = subject;
        task.assigned_agents = vec![agent.name().clone()];
        task.parent = tree.task.clone();
        task.root = tree.task_root.clone().unwrap_or_else(|| id.clone());
        task.depth = tree.task_depth.saturating_add(1);
        task.created_in = Some(scope.id.clone());
        let writes = created(task);
        Ok(Performed::written(id.to_string(), writes))
    }
}

/// The writes that accept a task: the row, and the event by which the host learns to run it.
pub fn created(task: Task) -> Vec<Write> {
    let event = NewEvent {
        time: task.created_at,
        kind: EventKind::TASK_CREATED.to_owned(),
        subject: task.subject.clone(),
        task: Some(task.id.clone()),
        tenant: task.tenant.clone(),
        data: json!({
            "kind": task.kind,
            "title": task.title,
            "priority": task.priority,
            "created_by": task.created_by,
            "assigned_agents": task.assigned_agents,
            "parent": task.parent,
            "by_agent": task.created_in.is_some(),
        }),
    };
    vec![
        Write::CreateTask(Box::new(task)),
        Write::Event(Box::new(event)),
    ]
}
