//! Capability `invoke`: tools, other agents and child tasks, within the guards that follow
//! the whole chain of causes.

mod offers;
mod reasons;
mod submit;

use super::{At, Capability, Fail, Intent, JsonText, Performed, Scope, failed, unavailable};
use crate::catalogue::Active;
use crate::decision::Action;
use crate::guest::{Guest, Told};
use crate::invocation::{Call, Report, ReportResult, failure, invoke};
use crate::records::list;
use crate::seam::Begun;
use crate::tree::Halted;
use futures::stream::{FuturesOrdered, StreamExt};
use mandate_plugin::{Validator, validate};
use mandate_policy::{Refusal, ToolTerms};
use mandate_runtime::End;
use mandate_runtime::bindings::invoke::invoke as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{TaskError, Write};
use mandate_types::{Effects, GuestKind, InvocationId, MicroUsd, Timestamp};
use offers::Offers;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use submit::Submit;

pub use reasons::Reasons;
pub use submit::{MOST_DEPTH, MOST_DESCRIPTION, MOST_TITLE, created};

const INTERFACE: &str = "mandate:invoke/invoke";
/// How many children of one invocation run at the same time; the rest of an `invoke-many` waits.
const PARALLEL: usize = 16;

fn refuse(reason: String) -> Refusal {
    Refusal {
        capability: "invoke".to_owned(),
        reason,
    }
}

fn not_found(what: &str) -> Error {
    Error::NotFound(what.to_owned())
}

fn check(what: &str, validator: &Validator, value: &Value) -> Result<(), Error> {
    validate(validator, value)
        .map_err(|problems| Error::Invalid(format!("{what}: {}", list(&problems))))
}

/// A call as the journal shows it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Tool {
        name: String,
        arguments: JsonText,
    },
    Agent {
        name: String,
        title: String,
        input: JsonText,
    },
}

impl From<wit::Call> for Target {
    fn from(call: wit::Call) -> Self {
        match call {
            wit::Call::Tool(call) => Self::Tool {
                name: call.name,
                arguments: JsonText::new(call.arguments),
            },
            wit::Call::Agent(call) => Self::Agent {
                name: call.name,
                title: call.title,
                input: JsonText::new(call.input),
            },
        }
    }
}

#[derive(Serialize)]
struct Invoke {
    call: Target,
}

impl Capability for Invoke {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "invoke";
    const INTENT: Intent = Intent::Buffered;
    type Answer = wit::Answer;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        self.call.granted(scope)
    }

    fn child(&self, at: &At) -> Option<InvocationId> {
        Some(child(at))
    }

    fn action(&self, at: &At) -> Result<Option<Action>, Error> {
        self.call.action(at, &Reasons::default())
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Answer>, Fail> {
        self.call.perform(at).await
    }
}

/// A call of a tool, with what speaks for it.
#[derive(Serialize)]
struct Act {
    call: Target,
    reasons: Reasons,
}

impl Capability for Act {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "act";
    const INTENT: Intent = Intent::Buffered;
    type Answer = wit::Answer;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        self.call.granted(scope)
    }

    fn child(&self, at: &At) -> Option<InvocationId> {
        Some(child(at))
    }

    fn action(&self, at: &At) -> Result<Option<Action>, Error> {
        self.reasons.check()?;
        self.call.action(at, &self.reasons)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Answer>, Fail> {
        self.call.perform(at).await
    }
}

/// The invocation that a call makes.
fn child(at: &At) -> InvocationId {
    InvocationId::derived(&at.scope.id, at.sequence, at.index)
}

impl Target {
    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        let capabilities = &scope.plugin.grant().capabilities;
        let catalogue = scope.kernel.catalogue();
        match self {
            Self::Tool { name, .. } => {
                capabilities.call_tool(name)?;
                let Some((active, tool)) = catalogue.tool(name) else {
                    return Ok(());
                };
                let Some(terms) = active.terms(tool) else {
                    return Err(refuse(format!(
                        "the operator has not accepted the tool `{name}`"
                    )));
                };
                allowed_effects(scope, name, terms.effects)
            }
            Self::Agent { name, .. } => {
                capabilities.call_agent(name)?;
                let Some(active) = catalogue.plugin(name) else {
                    return Ok(());
                };
                if let Some(circle) = scope.lineage.circle(active.name()) {
                    return Err(refuse(format!("a circle of delegation: {circle}")));
                }
                // An agent writes the host's state.
                allowed_effects(scope, name, Effects::Internal)
            }
        }
    }

    /// The effect that has to be judged before the call is made.
    fn action(&self, at: &At, reasons: &Reasons) -> Result<Option<Action>, Error> {
        let Self::Tool { name, arguments } = self else {
            return Ok(None);
        };
        let catalogue = at.scope.kernel.catalogue();
        let Some((active, tool)) = catalogue.tool(name) else {
            return Ok(None);
        };
        if !active.terms(tool).is_some_and(ToolTerms::is_external) {
            return Ok(None);
        }
        // People are not asked about what would fail anyway.
        takes_work(active)?;
        let (Some(arguments), Some(schemas)) = (arguments.get(), active.loaded.tools.get(tool))
        else {
            return Ok(None);
        };
        check("arguments", &schemas.arguments, arguments)?;
        Ok(Some(Action::new(
            active.clone(),
            tool.to_owned(),
            arguments.clone(),
            reasons.clone(),
            child(at),
        )))
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Answer>, Fail> {
        let Some(pledge) = at.pledge.clone() else {
            return answered(run(&at, self).await?, Vec::new());
        };
        let report = match run(&at, self).await {
            Ok(report) => report,
            // It did not even begin: its decision ends all the same.
            Err(Fail::Answer(error)) => {
                let failure = failure("failed", &format!("{error:?}"), false);
                let writes = pledge.end(
                    &Err(failure),
                    false,
                    &at.scope.tree.tenant,
                    Timestamp::now(),
                );
                return Err(Fail::Ended(error, writes, MicroUsd::ZERO));
            }
            Err(other) => return Err(other),
        };
        let child = child(&at);
        let scope = &at.scope;
        let touched = report.is_ok() || scope.kernel.had_effects(&scope.tree, &child).await?;
        let writes = pledge.end(&report, touched, &at.scope.tree.tenant, Timestamp::now());
        answered(report, writes)
    }
}

/// Calls whom it names, to the end.
async fn run(at: &At, call: Target) -> Result<ReportResult, Fail> {
    let call = prepare(at, call)?;
    if let Some(pledge) = &at.pledge
        && call.plugin.loaded.digest != pledge.digest
        && at
            .scope
            .kernel
            .store()
            .invocation(&call.id)
            .await?
            .is_none()
    {
        return Err(Error::Conflict(format!(
            "`{}` is not the version any more that decision {} allowed; ask again",
            call.plugin.name(),
            pledge.decision
        ))
        .into());
    }
    at.scope
        .lineage
        .admit_child()
        .map_err(|hit| Fail::End(End::Limit(hit)))?;
    Ok(invoke(at.scope.kernel.clone(), at.scope.tree.clone(), call).await?)
}

fn answered(report: ReportResult, writes: Vec<Write>) -> Result<Performed<wit::Answer>, Fail> {
    match report {
        Ok(Report {
            output, summary, ..
        }) => Ok(Performed::written(
            wit::Answer {
                output: output.to_string(),
                summary: summary.unwrap_or_default(),
            },
            writes,
        )),
        Err(error) => Err(Fail::Ended(told(error), writes, MicroUsd::ZERO)),
    }
}

/// A tool's caller may not have through another what it may not have itself.
fn allowed_effects(scope: &Scope, name: &str, effects: Effects) -> Result<(), Refusal> {
    // Agents act through tools: what those do is judged when it is asked.
    if effects > Effects::Internal && scope.kind == GuestKind::Agent {
        return Ok(());
    }
    if effects > scope.ceiling {
        return Err(refuse(format!(
            "`{name}` has `{effects}` effects, and its caller is accepted with `{}`",
            scope.ceiling
        )));
    }
    Ok(())
}

/// How the caller hears of a child's failure.
fn told(error: TaskError) -> Error {
    match error.kind.as_str() {
        "unavailable" => unavailable(error.message),
        "invalid" => Error::Invalid(error.message),
        _ => failed(error.message, error.retryable),
    }
}

fn prepare(at: &At, call: Target) -> Result<Call, Error> {
    let scope = &at.scope;
    let catalogue = scope.kernel.catalogue();
    let below = |plugin: Arc<Active>, kind, function: String, title, input, ceiling| Call {
        id: child(at),
        parent: Some((scope.id.clone(), at.sequence)),
        lineage: Some(scope.lineage.clone()),
        plugin,
        kind,
        function,
        title,
        task: None,
        input,
        ceiling,
        pledge: at.pledge.clone(),
    };
    match call {
        Target::Tool { name, arguments } => {
            let missing = || {
                not_found(&format!(
                    "the tool `{}`; none of this name is installed",
                    name
                ))
            };
            let (active, tool) = catalogue.tool(&name).ok_or_else(missing)?;
            takes_work(active)?;
            let arguments = arguments.value("arguments")?;
            let schemas = active.loaded.tools.get(tool).ok_or_else(missing)?;
            check("arguments", &schemas.arguments, &arguments)?;
            let declared = active
                .terms(tool)
                .map_or(Effects::None, |terms| terms.effects);
            let ceiling = match &at.pledge {
                Some(_) => declared,
                None => declared.min(scope.ceiling).min(Effects::Internal),
            };
            let title = String::new();
            Ok(below(
                active.clone(),
                GuestKind::Tool,
                tool.to_owned(),
                title,
                arguments,
                ceiling,
            ))
        }
        Target::Agent { name, title, input } => {
            let missing = || {
                not_found(&format!(
                    "the agent `{}`; none of this name is installed",
                    name
                ))
            };
            let active = catalogue.plugin(&name).ok_or_else(missing)?;
            takes_work(active)?;
            let schemas = active.loaded.agent.as_ref().ok_or_else(missing)?;
            let input = input.value("input")?;
            check("input", &schemas.input, &input)?;
            let kinds = active
                .loaded
                .manifest
                .agent
                .as_ref()
                .map(|agent| agent.kinds.as_slice());
            let kind = kinds
                .and_then(<[String]>::first)
                .cloned()
                .unwrap_or_default();
            Ok(below(
                active.clone(),
                GuestKind::Agent,
                kind,
                title,
                input,
                Effects::Internal,
            ))
        }
    }
}

fn takes_work(active: &Active) -> Result<(), Error> {
    if active.takes_work() {
        Ok(())
    } else {
        Err(unavailable(format!(
            "`{}` is quarantined and takes no new work",
            active.name()
        )))
    }
}

impl wit::Host for Guest {
    async fn offers(&mut self) -> Told<Result<Vec<wit::Offer>, Error>> {
        self.step(Offers).await
    }

    async fn invoke(&mut self, call: wit::Call) -> Told<Result<wit::Answer, Error>> {
        self.step(Invoke { call: call.into() }).await
    }

    async fn act(
        &mut self,
        call: wit::ToolCall,
        reasons: wit::Reasons,
    ) -> Told<Result<wit::Answer, Error>> {
        let call = wit::Call::Tool(call).into();
        let reasons = reasons.into();
        self.step(Act { call, reasons }).await
    }

    async fn invoke_many(
        &mut self,
        calls: Vec<wit::Call>,
    ) -> Told<Vec<Result<wit::Answer, Error>>> {
        let sequence = self.journal.next();
        let mut answers = Vec::with_capacity(calls.len());
        let mut waiting = calls.into_iter().zip(0_u32..);
        loop {
            // A batch at a time: what is let in is bounded, and answers stay in order.
            let mut batch = Vec::new();
            let mut parked = false;
            let mut running = FuturesOrdered::new();
            for (call, index) in waiting.by_ref().take(PARALLEL) {
                match self
                    .begin(sequence, index, Invoke { call: call.into() })
                    .await?
                {
                    Begun::Answered(answer) => batch.push((index, Some(answer), None)),
                    Begun::Parked => parked = true,
                    Begun::Go { call, at, step } => {
                        // Not polled before all are let in, so none holds anything yet.
                        running.push_back(call.perform(at));
                        batch.push((index, None, step));
                    }
                }
            }
            if batch.is_empty() && !parked {
                return Ok(answers);
            }
            // All to their ends before anything is written for them: children write too, and one
            // that is not polled while it does would keep the journal from its siblings.
            let mut performed = running.collect::<Vec<_>>().await.into_iter();
            for (index, answered, step) in batch {
                let answer = match answered {
                    Some(answer) => answer,
                    None => {
                        let Some(performed) = performed.next() else {
                            return Ok(answers);
                        };
                        // Those that have their answers are recorded before any of them parks.
                        if matches!(performed, Err(Fail::Halt(Halted::Parked))) {
                            parked = true;
                            continue;
                        }
                        self.finish::<Invoke>(sequence, index, step, performed)
                            .await?
                    }
                };
                answers.push(answer);
            }
            if parked {
                return Err(self.halt(Halted::Parked));
            }
        }
    }

    async fn submit(&mut self, task: wit::NewTask) -> Told<Result<String, Error>> {
        self.step(Submit {
            kind: task.kind,
            title: task.title,
            description: task.description,
            input: JsonText::new(task.input),
            priority: task.priority,
            target: task.target,
            subject: task.subject,
        })
        .await
    }
}
