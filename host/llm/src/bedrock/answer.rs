//! What a model of Bedrock said, as ours.

use super::{document, thought};
use crate::fault::{Billed, Fault, Kind};
use crate::wire::{self, Answer, Names};
use crate::{Finish, Message, Role, ToolCall, Usage};
use aws_sdk_bedrockruntime::operation::RequestId as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::types as sdk;
use aws_sdk_bedrockruntime::types::{ContentBlock, ReasoningContentBlock, StopReason};
use aws_smithy_types::Document;
use serde_json::{Map, Value, json};

/// An answer as far as it has come.
#[derive(Default)]
pub struct Said {
    pub text: String,
    /// With arguments, or with what stands in their place and is no JSON.
    pub calls: Vec<(ToolCall, Option<String>)>,
    /// Content that is neither.
    pub others: Vec<Value>,
    pub stop: Option<StopReason>,
    pub usage: Option<Usage>,
    /// What else was said.
    pub extra: Map<String, Value>,
}

/// What an answer of Converse says.
///
/// # Errors
/// [`Kind::Garbled`]: it is none that can be used; with the usage, if it says one.
pub fn answer(output: ConverseOutput, names: &Names) -> Result<Answer, Fault> {
    let mut said = Said {
        stop: Some(output.stop_reason.clone()),
        usage: output.usage.as_ref().map(usage),
        ..Said::default()
    };
    if let Some(id) = output.request_id() {
        said.add("requestId", json!(id));
    }
    if let Some(metrics) = &output.metrics {
        said.add("metrics", json!({"latencyMs": metrics.latency_ms}));
    }
    said.add_trace(
        output.trace.as_ref().and_then(|t| t.guardrail.as_ref()),
        output.trace.as_ref().and_then(|t| t.prompt_router.as_ref()),
    );
    said.add_tier(
        output.performance_config.as_ref(),
        output.service_tier.as_ref(),
    );
    said.add_fields(output.additional_model_response_fields);
    let Some(sdk::ConverseOutput::Message(message)) = output.output else {
        return Err(said.garbled("the answer has no message"));
    };
    for block in message.content {
        said.take(block, names);
    }
    said.finish()
}

impl Said {
    fn take(&mut self, block: ContentBlock, names: &Names) {
        match block {
            ContentBlock::Text(text) => self.text.push_str(&text),
            // What has a type was called by the provider itself.
            ContentBlock::ToolUse(call) if call.r#type.is_none() => {
                let call = ToolCall {
                    id: call.tool_use_id,
                    name: names.back(&call.name),
                    arguments: document::back(call.input),
                };
                self.calls.push((call, None));
            }
            ContentBlock::CitationsContent(cited) => {
                for piece in cited.content.unwrap_or_default() {
                    if let sdk::CitationGeneratedContent::Text(text) = piece {
                        self.text.push_str(&text);
                    }
                }
            }
            ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(said)) => {
                let said = thought::readable(&said.text, said.signature.as_deref());
                self.others.push(said);
            }
            ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(said)) => {
                self.others.push(thought::sealed(said.as_ref()));
            }
            other => {
                let told = wire::limited(&format!("{other:?}"));
                self.others.push(json!({"unread": told}));
            }
        }
    }

    /// Keeps one more thing.
    pub fn add(&mut self, name: &str, value: Value) {
        self.extra.insert(name.to_owned(), value);
    }

    /// Keeps the fields that only this model has.
    pub fn add_fields(&mut self, fields: Option<Document>) {
        if let Some(fields) = fields.map(document::back).filter(|f| !f.is_null()) {
            self.add("additionalModelResponseFields", fields);
        }
    }

    /// Keeps why a guardrail stepped in, and whom a router asked.
    pub fn add_trace(
        &mut self,
        guardrail: Option<&sdk::GuardrailTraceAssessment>,
        router: Option<&sdk::PromptRouterTrace>,
    ) {
        let mut trace = Map::new();
        if let Some(why) = guardrail.and_then(|g| g.action_reason()) {
            trace.insert("guardrail".to_owned(), json!({"actionReason": why}));
        }
        if let Some(model) = router.and_then(|r| r.invoked_model_id()) {
            trace.insert("promptRouter".to_owned(), json!({"invokedModelId": model}));
        }
        if !trace.is_empty() {
            self.add("trace", Value::Object(trace));
        }
    }

    /// Keeps how it was served.
    pub fn add_tier(
        &mut self,
        performance: Option<&sdk::PerformanceConfiguration>,
        tier: Option<&sdk::ServiceTier>,
    ) {
        if let Some(performance) = performance {
            let latency = performance.latency.as_str();
            self.add("performanceConfig", json!({"latency": latency}));
        }
        if let Some(tier) = tier {
            self.add("serviceTier", json!({"type": tier.r#type.as_str()}));
        }
    }

    /// A fault of this answer, billed for what it says that it used.
    pub fn garbled(&self, what: &str) -> Fault {
        Fault {
            billed: self.usage.map_or(Billed::Unknown, Billed::Used),
            ..Fault::new(Kind::Garbled, what)
        }
    }

    /// The answer, once all of it was said.
    ///
    /// # Errors
    /// [`Kind::Garbled`]
    pub fn finish(mut self) -> Result<Answer, Fault> {
        let has_calls = !self.calls.is_empty();
        let finish = match self.stop.as_ref() {
            Some(StopReason::MaxTokens | StopReason::ModelContextWindowExceeded) => Finish::Length,
            Some(StopReason::GuardrailIntervened | StopReason::ContentFiltered) => Finish::Filtered,
            Some(reason @ (StopReason::MalformedModelOutput | StopReason::MalformedToolUse)) => {
                return Err(self.garbled(&format!("it stopped with `{}`", reason.as_str())));
            }
            _ if has_calls => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        let mut message = Message::text(Role::Assistant, std::mem::take(&mut self.text));
        for (call, broken) in std::mem::take(&mut self.calls) {
            match broken {
                None => message.tool_calls.push(call),
                // It is cut as the rest of the answer is.
                Some(_) if finish == Finish::Length => {}
                Some(why) => {
                    let name = call.name;
                    let told = format!("the arguments of a call of `{name}` are no JSON: {why}");
                    return Err(self.garbled(&told));
                }
            }
        }
        let is_empty = message.text.is_empty() && message.tool_calls.is_empty();
        if is_empty && finish == Finish::Stop {
            return Err(self.garbled("the answer is empty"));
        }
        if !self.others.is_empty() {
            let others = std::mem::take(&mut self.others);
            self.add("content", Value::Array(others));
        }
        Ok(Answer {
            message,
            finish,
            usage: self.usage,
            extra: self.extra,
            stood_for: None,
        })
    }
}

/// Tokens; what was read from the cache or written to it is counted beside `inputTokens` there.
pub fn usage(said: &sdk::TokenUsage) -> Usage {
    let count = |number: i32| u64::try_from(number).unwrap_or(0);
    let cached = count(said.cache_read_input_tokens.unwrap_or(0));
    let written = count(said.cache_write_input_tokens.unwrap_or(0));
    Usage {
        input_tokens: count(said.input_tokens) + cached + written,
        cached_tokens: cached,
        cache_write_tokens: written,
        output_tokens: count(said.output_tokens),
        reasoning_tokens: 0,
    }
}
