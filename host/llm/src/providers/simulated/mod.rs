//! Plays a model's part without one: deterministic, and knowing no tool, plugin or domain word.
//! Whatever it says comes from the conversation, the offered tools and the schemas.

mod embed;

use crate::{
    Embeddings, Finish, LlmError, Message, ModelClass, Price, Provider, Request, Response, Role,
    Usage,
};
use mandate_types::MicroUsd;

const ID: &str = "simulated";
const MODEL: &str = "simulated-1";

/// The provider of last resort, and of tests: free, always there, labelled in every answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated;

#[async_trait::async_trait]
impl Provider for Simulated {
    fn id(&self) -> &str {
        ID
    }

    fn serves(&self, _class: ModelClass) -> bool {
        true
    }

    fn worst_case(&self, request: &Request) -> Option<MicroUsd> {
        Some(Price::FREE.worst_case(request))
    }

    fn worst_case_embed(&self, texts: &[String]) -> Option<MicroUsd> {
        Some(Price::FREE.worst_case_embed(texts))
    }

    async fn complete(&self, request: &Request) -> Result<Response, LlmError> {
        let message = Message::text(
            Role::Assistant,
            request.messages.last().map_or("", |m| m.text.as_str()),
        );
        let usage = Usage {
            input_tokens: tokens(request.input_bytes()),
            output_tokens: tokens(message.text.len() as u64),
            ..Usage::default()
        };
        Ok(Response {
            message,
            finish: Finish::Stop,
            usage,
            cost: Price::FREE.cost(&usage),
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
            cost: Price::FREE.cost(&usage),
            provider: ID.to_owned(),
            model: MODEL.to_owned(),
            simulated: true,
        })
    }
}

/// Four bytes to a token, as is usual for English; rounded up.
fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}
