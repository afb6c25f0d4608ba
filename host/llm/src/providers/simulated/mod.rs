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

use crate::fault::{Fault, Kind};
use crate::wire::{Answer, Vectors};
use crate::{Finish, Message, ModelClass, Price, Provider, Request, Role, ToolCall, Usage};
use serde_json::Map;
use turn::Turn;

const ID: &str = "simulated";
const MODEL: &str = "simulated-1";
const BYTES_PER_TOKEN: usize = 4;
/// Bytes of a request that take more than a moment to read.
const LONG: u64 = 16 << 10;

/// The provider of last resort, and of tests: always there, labelled in every answer, and free
/// unless somebody wants to see what budgets do.
#[derive(Clone, Copy, Debug)]
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

    fn model(&self, _class: ModelClass) -> Option<&str> {
        Some(MODEL)
    }

    fn price(&self, _class: ModelClass) -> Option<Price> {
        Some(self.price)
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn complete(&self, request: &Request) -> Result<Answer, Fault> {
        let turn = if request.input_bytes() > LONG {
            // A long conversation takes long to read: not on a thread that others wait for.
            let request = request.clone();
            let turn = tokio::task::spawn_blocking(move || turn::take(&request)).await;
            turn.map_err(|lost| {
                Fault::new(
                    Kind::Interrupted,
                    format!("the simulated model broke off: {lost}"),
                )
            })?
        } else {
            turn::take(request)
        };
        let turn = turn.map_err(|error| Fault::new(Kind::Request, error.to_string()))?;
        let (message, finish) = limited(turn, request);
        let written: usize = message.tool_calls.iter().map(call_bytes).sum();
        Ok(Answer {
            usage: Some(Usage {
                input_tokens: tokens(request.input_bytes()),
                output_tokens: tokens((message.text.len() + written) as u64),
                ..Usage::default()
            }),
            message,
            finish,
            extra: Map::new(),
            stood_for: None,
        })
    }

    async fn embed(&self, texts: &[String]) -> Result<Vectors, Fault> {
        let bytes: usize = texts.iter().map(String::len).sum();
        Ok(Vectors {
            vectors: texts.iter().map(|text| embed::vector(text)).collect(),
            usage: Some(Usage {
                input_tokens: tokens(bytes as u64),
                ..Usage::default()
            }),
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
