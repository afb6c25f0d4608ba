//! An answer of ConverseStream: its events, put together.

use super::answer::{Said, usage};
use super::{fault, thought};
use crate::exchange::{Deadlines, late};
use crate::fault::{Billed, Fault, Kind};
use crate::wire::{Answer, Names};
use crate::{Heard, ToolCall, Usage};
use aws_sdk_bedrockruntime::operation::RequestId as _;
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamOutput;
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamMetadataEvent,
    ConverseStreamOutput as Event, ReasoningContentBlockDelta,
};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A block of content that goes on from event to event.
#[derive(Default)]
struct Block {
    /// Id and name of a call.
    call: Option<(String, String)>,
    /// The provider itself called, and answers.
    is_theirs: bool,
    input: String,
    thought: String,
    signature: Option<String>,
    /// Thoughts that only their model can read.
    sealed: Vec<u8>,
}

/// What has come so far.
#[derive(Default)]
struct Coming {
    said: Said,
    blocks: BTreeMap<i32, Block>,
    begun: bool,
}

/// The whole answer; `heard` gets each piece of text as it comes.
///
/// # Errors
/// [`Fault`]
pub async fn answer(
    mut output: ConverseStreamOutput,
    names: &Names,
    deadlines: Deadlines,
    heard: Heard<'_>,
) -> Result<Answer, Fault> {
    let mut coming = Coming::default();
    if let Some(id) = output.request_id() {
        coming.said.add("requestId", json!(id));
    }
    let Deadlines { first, between, .. } = deadlines;
    let mut until = Instant::now() + first;
    let mut silence = late("no piece of an answer", first);
    loop {
        let event = tokio::time::timeout_at(until, output.stream.recv()).await;
        let fault = match event {
            Ok(Ok(Some(event))) => {
                // That it begins says nothing yet.
                if !matches!(event, Event::MessageStart(_)) {
                    until = Instant::now() + between;
                    silence = late("the answer stopped", between);
                }
                coming.take(event, heard);
                continue;
            }
            Ok(Ok(None)) => Fault::arrived(Kind::Interrupted, "the stream ended in the middle"),
            Ok(Err(error)) => fault::of_stream(&error, coming.begun),
            Err(_) => silence,
        };
        // Only what it used may be missing then.
        if coming.said.stop.is_some() {
            return coming.finish(names);
        }
        return Err(coming.failed(fault));
    }
}

impl Coming {
    fn take(&mut self, event: Event, heard: Heard<'_>) {
        self.begun = true;
        match event {
            Event::ContentBlockStart(event) => {
                let block = self.blocks.entry(event.content_block_index).or_default();
                if let Some(ContentBlockStart::ToolUse(call)) = event.start {
                    block.is_theirs = call.r#type.is_some();
                    block.call = Some((call.tool_use_id, call.name));
                }
            }
            Event::ContentBlockDelta(event) => {
                let block = self.blocks.entry(event.content_block_index).or_default();
                match event.delta {
                    Some(ContentBlockDelta::Text(text)) if !text.is_empty() => {
                        self.said.text.push_str(&text);
                        heard(&text);
                    }
                    Some(ContentBlockDelta::ToolUse(piece)) => block.input.push_str(&piece.input),
                    Some(ContentBlockDelta::ReasoningContent(thought)) => match thought {
                        ReasoningContentBlockDelta::Text(text) => block.thought.push_str(&text),
                        ReasoningContentBlockDelta::Signature(signature) => {
                            block.signature = Some(signature);
                        }
                        ReasoningContentBlockDelta::RedactedContent(sealed) => {
                            block.sealed.extend_from_slice(sealed.as_ref());
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
            Event::MessageStop(event) => {
                self.said.stop = Some(event.stop_reason);
                self.said.add_fields(event.additional_model_response_fields);
            }
            Event::Metadata(event) => self.metadata(&event),
            _ => {}
        }
    }

    fn metadata(&mut self, event: &ConverseStreamMetadataEvent) {
        let said = &mut self.said;
        if let Some(used) = event.usage.as_ref().map(usage) {
            said.usage = Some(most(said.usage, used));
        }
        if let Some(metrics) = &event.metrics {
            said.add("metrics", json!({"latencyMs": metrics.latency_ms}));
        }
        let trace = event.trace.as_ref();
        said.add_trace(
            trace.and_then(|trace| trace.guardrail.as_ref()),
            trace.and_then(|trace| trace.prompt_router.as_ref()),
        );
        said.add_tier(
            event.performance_config.as_ref(),
            event.service_tier.as_ref(),
        );
    }

    fn failed(&self, mut fault: Fault) -> Fault {
        if let Some(usage) = self.said.usage {
            fault.billed = Billed::Used(usage);
        }
        fault
    }

    fn finish(mut self, names: &Names) -> Result<Answer, Fault> {
        for block in std::mem::take(&mut self.blocks).into_values() {
            if !block.thought.is_empty() || block.signature.is_some() {
                let said = thought::readable(&block.thought, block.signature.as_deref());
                self.said.others.push(said);
            }
            if !block.sealed.is_empty() {
                self.said.others.push(thought::sealed(&block.sealed));
            }
            let Some((id, name)) = block.call else {
                continue;
            };
            if block.is_theirs {
                let called = json!({"toolUseId": id, "name": name, "input": block.input});
                self.said.others.push(json!({"toolUse": called}));
                continue;
            }
            let input = block.input.trim();
            let (arguments, broken) = match serde_json::from_str(input) {
                Ok(arguments) => (arguments, None),
                // A call without arguments may have no piece of them.
                Err(_) if input.is_empty() => (json!({}), None),
                Err(error) => (json!({}), Some(error.to_string())),
            };
            let name = names.back(&name);
            let call = ToolCall {
                id,
                name,
                arguments,
            };
            self.said.calls.push((call, broken));
        }
        self.said.finish()
    }
}

/// Of two counts the larger: they are never added up.
fn most(before: Option<Usage>, now: Usage) -> Usage {
    let before = before.unwrap_or_default();
    Usage {
        input_tokens: before.input_tokens.max(now.input_tokens),
        cached_tokens: before.cached_tokens.max(now.cached_tokens),
        cache_write_tokens: before.cache_write_tokens.max(now.cache_write_tokens),
        output_tokens: before.output_tokens.max(now.output_tokens),
        reasoning_tokens: before.reasoning_tokens.max(now.reasoning_tokens),
    }
}
