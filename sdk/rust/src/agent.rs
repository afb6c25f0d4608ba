//! What an author implements to be an agent, and how it is exported.

use crate::bindings::WireError;
use crate::bindings::agent::exports::mandate::agent::agent as wire;
use crate::{Error, Host, from_json, schema_of, to_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Does tasks. Export it with [`agent!`](crate::agent!).
pub trait Agent {
    /// The task's input; its schema is validated by the host before the agent runs.
    type Input: DeserializeOwned + JsonSchema;
    /// The report's output; its schema is validated by the host afterwards.
    type Output: Serialize + JsonSchema;
    /// One line for people and for models that choose among agents.
    const SUMMARY: &'static str;

    /// Does one task. Runs from the start again, over recorded answers, after a crash or a pause: so it takes
    /// time and randomness from `host` alone.
    ///
    /// # Errors
    /// Why the task failed.
    fn run(task: Task<Self::Input>, host: &Host) -> Result<Report<Self::Output>, Error>;
}

/// What somebody asked for.
#[derive(Clone, Debug)]
pub struct Task<I> {
    /// Its id.
    pub id: String,
    /// One of the kinds that the manifest accepts.
    pub kind: String,
    /// For people.
    pub title: String,
    /// For people; may be empty.
    pub description: String,
    /// What it is to be done to, if the client said so.
    pub target: Option<String>,
    /// 0–9, 9 first.
    pub priority: u8,
    /// The input.
    pub input: I,
    /// What groups tasks of one conversation.
    pub session: Option<String>,
    /// The record that it is about, as `collection/id`.
    pub subject: Option<String>,
    /// For whom.
    pub tenant: String,
    /// 1 for the first execution of the task.
    pub attempt: u32,
    /// What the operator filled in, as JSON text; see [`Task::settings`].
    pub raw_settings: String,
}

impl<I> Task<I> {
    /// A task as tests give it: kind `test`, priority 5, tenant `default`, no settings.
    pub fn new(input: I) -> Self {
        Self {
            id: "task-1".to_owned(),
            kind: "test".to_owned(),
            title: "test".to_owned(),
            description: String::new(),
            target: None,
            priority: 5,
            input,
            session: None,
            subject: None,
            tenant: "default".to_owned(),
            attempt: 1,
            raw_settings: "{}".to_owned(),
        }
    }

    /// The same task about a record.
    pub fn about(mut self, collection: &str, id: &str) -> Self {
        self.subject = Some(format!("{collection}/{id}"));
        self
    }

    /// The same task with other settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `settings` has no JSON form.
    pub fn with_settings(mut self, settings: &impl Serialize) -> Result<Self, Error> {
        self.raw_settings = to_json("settings", settings)?;
        Ok(self)
    }

    /// What the operator filled in, by the manifest's `[settings]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the settings are not a `T`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json("settings", &self.raw_settings)
    }

    /// The id of the record that this task is about, if it is of `collection`.
    pub fn subject_in(&self, collection: &str) -> Option<&str> {
        let (of, id) = self.subject.as_deref()?.split_once('/')?;
        (of == collection).then_some(id)
    }
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<O> {
    /// The output.
    pub output: O,
    /// One or two sentences for people.
    pub summary: String,
    /// The agent's own judgement, 0–1.
    pub quality: Option<f64>,
}

impl<O> Report<O> {
    /// A report without a judgement of its quality.
    pub fn new(output: O, summary: impl Into<String>) -> Self {
        Self {
            output,
            summary: summary.into(),
            quality: None,
        }
    }

    /// The same report with the agent's own judgement, 0–1; others are cut to that range.
    pub fn with_quality(mut self, quality: f64) -> Self {
        self.quality = Some(quality.clamp(0.0, 1.0));
        self
    }
}

/// The export `describe`.
#[doc(hidden)]
pub fn describe<A: Agent>() -> wire::Description {
    wire::Description {
        summary: A::SUMMARY.to_owned(),
        input: schema_of::<A::Input>(false),
        output: schema_of::<A::Output>(false),
    }
}

/// The export `run`, over whichever host.
#[doc(hidden)]
pub fn run<A: Agent>(task: wire::Task, host: &Host) -> Result<wire::Report, WireError> {
    run_typed::<A>(task, host).map_err(WireError::from)
}

fn run_typed<A: Agent>(task: wire::Task, host: &Host) -> Result<wire::Report, Error> {
    let task = Task {
        id: task.id,
        kind: task.kind,
        title: task.title,
        description: task.description,
        target: task.target,
        priority: task.priority,
        input: from_json("input", &task.input)?,
        session: task.session,
        subject: task.subject,
        tenant: task.tenant,
        attempt: task.attempt,
        raw_settings: task.settings,
    };
    let report = A::run(task, host)?;
    Ok(wire::Report {
        output: to_json("output", &report.output)?,
        summary: report.summary,
        quality: report.quality,
    })
}

/// Makes a type that implements [`Agent`] this plugin's agent.
#[macro_export]
macro_rules! agent {
    ($agent:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::agent::exports::mandate::agent::agent as wire;
            struct Exported;
            impl wire::Guest for Exported {
                fn describe() -> wire::Description {
                    $crate::agent::describe::<$agent>()
                }
                fn run(
                    task: wire::Task,
                ) -> ::core::result::Result<wire::Report, $crate::bindings::WireError> {
                    $crate::agent::run::<$agent>(task, &$crate::Host::of_guest())
                }
            }
    $crate::bindings::agent::export_agent!(Exported with_types_in $crate::bindings::agent);
        };
        // Without wasm nothing is exported; the agent must fit all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            let _ = $crate::agent::run::<$agent>;
        };
    };
}
