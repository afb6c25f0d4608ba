//! Capability `llm`: language models by class, through the provider chain.

use super::{At, Capability, Fail, Intent, JsonText, Performed, Scope};
use crate::decision::Lifted;
use crate::guest::{Guest, Told};
use crate::money::{CallMeter, Spending, who};
use crate::thoughts::{Beside, End};
use mandate_llm as llm;
use mandate_plugin::compile_schema;
use mandate_policy::{ModelClass, Refusal};
use mandate_runtime::bindings::llm::llm as wit;
use mandate_runtime::bindings::types::types::{Error, Outage};
use mandate_types::{DecisionStatus, MicroUsd};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

const INTERFACE: &str = "mandate:llm/llm";

/// What the first attempt of a call may cost, and how much the grant lets models cost.
fn spending(
    scope: &Scope,
    class: ModelClass,
    first: llm::Planned,
) -> Result<Option<Spending>, Error> {
    let granted = scope.plugin.grant().capabilities.llm(class);
    let granted = granted.map_err(super::denied)?;
    Ok((first.most > MicroUsd::ZERO).then_some(Spending {
        first,
        most_per_task: granted.max_cost_per_task,
    }))
}

/// Who pays for the call `at`. One whose first attempt is free has nothing reserved yet.
pub(super) fn meter(at: &At, class: ModelClass) -> Result<Arc<CallMeter>, Error> {
    if let Some(meter) = &at.meter {
        return Ok(meter.clone());
    }
    let granted = at.scope.plugin.grant().capabilities.llm(class);
    let most = granted.map_err(super::denied)?.max_cost_per_task;
    Ok(Arc::new(CallMeter::new(at, most, &Lifted::default())))
}

/// What a call came to, with the end of its last attempt.
fn paid<T>(meter: &CallMeter, answer: Result<T, llm::LlmError>) -> Result<Performed<T>, Fail> {
    match answer {
        Ok(answer) => {
            let (cost, writes) = meter.finish(DecisionStatus::Done)?;
            Ok(Performed {
                answer,
                writes,
                cost,
            })
        }
        Err(error) => {
            let (cost, writes) = meter.finish(DecisionStatus::Failed)?;
            Err(Fail::Ended(told(error), writes, cost))
        }
    }
}

/// What the guest hears of it.
pub fn told(error: llm::LlmError) -> Error {
    match error {
        llm::LlmError::Invalid { reason, .. } => Error::Invalid(reason),
        llm::LlmError::Interrupted { reason, .. } => Error::Interrupted(reason),
        llm::LlmError::Unavailable {
            reason,
            retry_after,
            ..
        } => Error::Unavailable(Outage {
            reason,
            retry_after_ms: retry_after.map(|d| d.as_millis().try_into().unwrap_or(u64::MAX)),
        }),
    }
}

/// The request as the provider chain takes it: the journal then says `smart` and not a
/// number or another language's name. What cannot be read is journalled as that.
#[derive(Serialize)]
pub struct Complete {
    /// As it is journalled.
    pub request: Value,
    /// Of the model.
    #[serde(skip)]
    pub class: ModelClass,
    /// As the chain takes it, or what is wrong with it.
    #[serde(skip)]
    pub read: Result<llm::Request, Error>,
    /// What conversation it is.
    #[serde(skip)]
    pub end: End,
}

impl Complete {
    pub(super) fn new(asked: wit::Request, beside: &Beside) -> Result<Self, serde_json::Error> {
        let class = match asked.class {
            wit::ModelClass::Fast => ModelClass::Fast,
            wit::ModelClass::Smart => ModelClass::Smart,
            wit::ModelClass::Embed => ModelClass::Embed,
        };
        let unread = asked.clone();
        let mut read = request(asked);
        let end = match &mut read {
            Ok(request) => beside.put_back(&mut request.messages),
            Err(_) => End::default(),
        };
        let journalled = match &read {
            Ok(request) => serde_json::to_value(request)?,
            Err(_) => serde_json::to_value(unread)?,
        };
        Ok(Self {
            request: journalled,
            class,
            read,
            end,
        })
    }

    /// Whether a provider would be asked that.
    ///
    /// # Errors
    /// `invalid`, which names what is wrong.
    pub(super) fn check(&self) -> Result<(), Error> {
        let request = self.read.as_ref().map_err(Error::clone)?;
        request.check().map_err(told)
    }
}

impl Capability for Complete {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "complete";
    const INTENT: Intent = Intent::Buffered;
    type Answer = llm::Response;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.llm(self.class).map(drop)
    }

    fn spending(&self, scope: &Scope) -> Result<Option<Spending>, Error> {
        match &self.read {
            Ok(request) if request.check().is_ok() => {
                let first = scope.kernel.models().first_cost(request, &who(scope));
                spending(scope, self.class, first)
            }
            // Nobody will be asked that.
            _ => Ok(None),
        }
    }

    async fn perform(self, at: At) -> Result<Performed<llm::Response>, Fail> {
        let request = self.read.as_ref().map_err(Error::clone)?;
        let meter = meter(&at, self.class)?;
        let models = at.scope.kernel.models();
        let answered = models.complete(request, &meter.caller()).await;
        if answered.as_ref().is_ok_and(|answer| answer.simulated) {
            at.scope.tree.note_simulated().await?;
        }
        paid(&meter, answered)
    }
}

#[derive(Serialize)]
struct Embed {
    texts: Vec<String>,
}

impl Capability for Embed {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "embed";
    const INTENT: Intent = Intent::Buffered;
    type Answer = wit::Embeddings;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope
            .plugin
            .grant()
            .capabilities
            .llm(ModelClass::Embed)
            .map(drop)
    }

    fn spending(&self, scope: &Scope) -> Result<Option<Spending>, Error> {
        if self.texts.is_empty() {
            return Ok(None);
        }
        let models = scope.kernel.models();
        let first = models.first_cost_embed(&self.texts, &who(scope));
        spending(scope, ModelClass::Embed, first)
    }

    async fn perform(self, at: At) -> Result<Performed<wit::Embeddings>, Fail> {
        let meter = meter(&at, ModelClass::Embed)?;
        let models = at.scope.kernel.models();
        let answered = models.embed(&self.texts, &meter.caller()).await;
        if answered.as_ref().is_ok_and(|answer| answer.simulated) {
            at.scope.tree.note_simulated().await?;
        }
        paid(&meter, answered.map(embeddings))
    }
}

fn embeddings(embeddings: llm::Embeddings) -> wit::Embeddings {
    wit::Embeddings {
        vectors: embeddings.vectors,
        usage: usage(embeddings.usage),
        cost: embeddings.cost.0,
        provider: embeddings.provider,
        model: embeddings.model,
        simulated: embeddings.simulated,
    }
}

fn request(request: wit::Request) -> Result<llm::Request, Error> {
    let tools = request
        .tools
        .into_iter()
        .map(|tool| {
            Ok(llm::ToolSpec {
                parameters: JsonText::new(tool.parameters)
                    .value(&format!("tool `{}`, parameters", tool.name))?,
                name: tool.name,
                description: tool.description,
            })
        })
        .collect::<Result<_, Error>>()?;
    let messages = request
        .messages
        .into_iter()
        .map(message)
        .collect::<Result<_, Error>>()?;
    let output_schema = request
        .output_schema
        .map(|text| JsonText::new(text).value("output-schema"))
        .transpose()?;
    // Answers are held against it here: it may not take for ever.
    if let Some(Err(wrong)) = output_schema.as_ref().map(compile_schema) {
        return Err(Error::Invalid(format!("output-schema: {wrong}")));
    }
    Ok(llm::Request {
        class: match request.class {
            wit::ModelClass::Fast => llm::ModelClass::Fast,
            wit::ModelClass::Smart => llm::ModelClass::Smart,
            wit::ModelClass::Embed => llm::ModelClass::Embed,
        },
        messages,
        tools,
        tool_choice: match request.tool_choice {
            wit::ToolChoice::Auto => llm::ToolChoice::Auto,
            wit::ToolChoice::None => llm::ToolChoice::None,
            wit::ToolChoice::Required => llm::ToolChoice::Required,
            wit::ToolChoice::Tool(name) => llm::ToolChoice::Tool(name),
        },
        output_schema,
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        stop: request.stop,
    })
}

fn message(message: wit::Message) -> Result<llm::Message, Error> {
    let tool_calls = message
        .tool_calls
        .into_iter()
        .map(|call| {
            Ok(llm::ToolCall {
                arguments: JsonText::new(call.arguments)
                    .value(&format!("tool call `{}`, arguments", call.id))?,
                id: call.id,
                name: call.name,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(llm::Message {
        role: match message.role {
            wit::Role::System => llm::Role::System,
            wit::Role::User => llm::Role::User,
            wit::Role::Assistant => llm::Role::Assistant,
            wit::Role::Tool => llm::Role::Tool,
        },
        text: message.text,
        tool_calls,
        tool_call_id: message.tool_call_id,
        thoughts: None,
    })
}

fn usage(usage: llm::Usage) -> wit::Usage {
    wit::Usage {
        input_tokens: usage.input_tokens,
        cached_tokens: usage.cached_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
    }
}

pub(super) fn answer(response: llm::Response) -> wit::Response {
    let message = response.message;
    wit::Response {
        message: wit::Message {
            role: wit::Role::Assistant,
            text: message.text,
            tool_calls: message
                .tool_calls
                .into_iter()
                .map(|call| wit::ToolCall {
                    id: call.id,
                    name: call.name,
                    arguments: call.arguments.to_string(),
                })
                .collect(),
            tool_call_id: message.tool_call_id,
        },
        finish: match response.finish {
            llm::Finish::Stop => wit::Finish::Stop,
            llm::Finish::ToolCalls => wit::Finish::ToolCalls,
            llm::Finish::Length => wit::Finish::Length,
            llm::Finish::Filtered => wit::Finish::Filtered,
        },
        usage: usage(response.usage),
        cost: response.cost.0,
        provider: response.provider,
        model: response.model,
        simulated: response.simulated,
    }
}

impl wit::Host for Guest {
    async fn complete(&mut self, request: wit::Request) -> Told<Result<wit::Response, Error>> {
        let call = Complete::new(request, &self.beside).map_err(|error| self.broken(&error))?;
        let asked = call.end;
        Ok(self.step(call).await?.map(|response| {
            self.beside.keep(asked, &response);
            answer(response)
        }))
    }

    async fn embed(&mut self, texts: Vec<String>) -> Told<Result<wit::Embeddings, Error>> {
        self.step(Embed { texts }).await
    }
}
