//! Plays a model's part without one: deterministic, and knowing no tool, plugin or domain word.
//! Whatever it says comes from the conversation, the offered tools and the schemas.

mod answer;
mod embed;
mod facts;
mod fill;
mod pattern;
mod scalar;
mod schema;
#[cfg(test)]
mod tests;
mod turn;
mod words;

use crate::ToolCall;
use crate::{
    Embeddings, Finish, LlmError, Message, ModelClass, Price, Provider, Request, Response, Role,
    Usage,
};
use mandate_types::MicroUsd;
use turn::Turn;

const ID: &str = "simulated";
const MODEL: &str = "simulated-1";
const BYTES_PER_TOKEN: usize = 4;
/// Bytes of a request that take more than a moment to read.
const LONG: u64 = 16 << 10;

/// The provider of last resort, and of tests: always there, labelled in every answer, and free
/// unless somebody wants to see what budgets do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated {
    price: Price,
}

impl Simulated {
    /// Counts as though it had these prices.
    pub const fn priced(price: Price) -> Self {
        Self { price }
    }
}

#[async_trait::async_trait]
impl Provider for Simulated {
    fn id(&self) -> &str {
        ID
    }

    fn serves(&self, _class: ModelClass) -> bool {
        true
    }

    fn worst_case(&self, request: &Request) -> Option<MicroUsd> {
        Some(self.price.worst_case(request))
    }

    fn worst_case_embed(&self, texts: &[String]) -> Option<MicroUsd> {
        Some(self.price.worst_case_embed(texts))
    }

    async fn complete(&self, request: &Request) -> Result<Response, LlmError> {
        let turn = if request.input_bytes() > LONG {
            // A long conversation takes long to read: not on a thread that others wait for.
            let request = request.clone();
            let turn = tokio::task::spawn_blocking(move || turn::take(&request)).await;
            turn.map_err(|lost| LlmError::Unavailable {
                reason: format!("the simulated model broke off: {lost}"),
                retry_after: None,
                sent: false,
            })??
        } else {
            turn::take(request)?
        };
        let (message, finish) = limited(turn, request);
        let written: usize = message.tool_calls.iter().map(call_bytes).sum();
        let usage = Usage {
            input_tokens: tokens(request.input_bytes()),
            output_tokens: tokens((message.text.len() + written) as u64),
            ..Usage::default()
        };
        Ok(Response {
            message,
            finish,
            usage,
            cost: self.price.cost(&usage),
            provider: ID.to_owned(),
            model: MODEL.to_owned(),
            simulated: true,
        })
    }

    async fn embed(&self, texts: &[String]) -> Result<Embeddings, LlmError> {
        let bytes: usize = texts.iter().map(String::len).sum();
        let usage = Usage {
            input_tokens: tokens(bytes as u64),
            ..Usage::default()
        };
        Ok(Embeddings {
            vectors: texts.iter().map(|text| embed::vector(text)).collect(),
            usage,
            cost: self.price.cost(&usage),
            provider: ID.to_owned(),
            model: MODEL.to_owned(),
            simulated: true,
        })
    }
}

/// The turn as far as `stop` and `max_output_tokens` let it come.
fn limited(turn: Turn, request: &Request) -> (Message, Finish) {
    let bytes = request.max_output_tokens as usize * BYTES_PER_TOKEN;
    let mut message = Message::text(Role::Assistant, "");
    match turn {
        Turn::Calls(calls) => {
            let mut left = bytes;
            // A call that is cut is none: only whole ones are passed on.
            for call in calls {
                match left.checked_sub(call_bytes(&call)) {
                    Some(rest) => left = rest,
                    None => break,
                }
                message.tool_calls.push(call);
            }
            let finish = if message.tool_calls.is_empty() {
                Finish::Length
            } else {
                Finish::ToolCalls
            };
            (message, finish)
        }
        Turn::Text(mut text) => {
            let end = request.stop.iter().filter_map(|stop| text.find(stop)).min();
            text.truncate(end.unwrap_or(text.len()));
            let cut = text.floor_char_boundary(bytes);
            let finish = if cut < text.len() {
                Finish::Length
            } else {
                Finish::Stop
            };
            text.truncate(cut);
            message.text = text;
            (message, finish)
        }
    }
}

fn call_bytes(call: &ToolCall) -> usize {
    call.name.len() + call.arguments.to_string().len()
}

/// Four bytes to a token, as is usual for English; rounded up.
fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN as u64)
}
