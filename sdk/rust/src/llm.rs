//! Language models by class, never by vendor.

use crate::error::Error;
use crate::port::Port;
use crate::{from_json, schema_of, to_json};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::mandate::llm_stream::llm_stream::Piece;

pub use crate::bindings::imports::mandate::llm::llm::{
    Embeddings, Finish, Message, ModelClass, Request, Response, Role, Tool, ToolCall, ToolChoice,
    Usage,
};

/// Asks models; from [`Host::llm`](crate::Host::llm).
#[derive(Clone, Copy)]
pub struct Llm<'h> {
    pub(crate) port: &'h Port,
}

impl<'h> Llm<'h> {
    /// One turn of a model.
    ///
    /// # Errors
    /// [`Error::Denied`] if the class is not granted; [`Error::Unavailable`] if no provider answers;
    /// [`Error::BudgetExhausted`]; [`Error::Invalid`] for a request that is none.
    pub fn complete(&self, request: &Request) -> Result<Response, Error> {
        self.port.complete(request)
    }

    /// One turn of a model, of which the text comes piece by piece. Nobody is asked before the first piece is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a request that is none; [`Error::Conflict`] if 16 answers are open already. The rest
    /// of what [`Llm::complete`] may say, the pieces say.
    pub fn stream(&self, request: &Request) -> Result<AnswerStream<'h>, Error> {
        Ok(AnswerStream {
            port: self.port,
            answer: self.port.open(request)?,
            is_open: true,
            over: None,
        })
    }

    /// An answer that is a `T`: its schema goes along, and an answer that does not fit is sent back once.
    ///
    /// # Errors
    /// As [`Llm::complete`]; [`Error::Failed`] if the second answer is not a `T` either.
    pub fn structured<T: DeserializeOwned + JsonSchema>(
        &self,
        mut request: Request,
    ) -> Result<Structured<T>, Error> {
        request.output_schema = Some(schema_of::<T>(true));
        let first = self.complete(&request)?;
        let problem = match parse(&first.message.text) {
            Ok(value) => {
                return Ok(Structured {
                    value,
                    cost: first.cost,
                    simulated: first.simulated,
                });
            }
            Err(problem) => problem,
        };
        request
            .messages
            .push(Message::assistant(&first.message.text));
        request.messages.push(Message::user(format!(
            "That was not an answer to the schema: {problem}. Answer again with the JSON alone."
        )));
        let second = self.complete(&request)?;
        let value = parse(&second.message.text).map_err(|problem| {
            Error::failed_for_now(format!(
                "the model's answer does not fit its schema: {problem}"
            ))
        })?;
        Ok(Structured {
            value,
            cost: first.cost + second.cost,
            simulated: second.simulated,
        })
    }

    /// One vector per text, in order.
    ///
    /// # Errors
    /// As [`Llm::complete`], for the class `embed`.
    pub fn embed(&self, texts: &[String]) -> Result<Embeddings, Error> {
        self.port.embed(texts)
    }
}

/// An answer on its way, from [`Llm::stream`]: an iterator over pieces of its text. Dropped, it ends the call; what the
/// model said by then is paid.
#[must_use]
pub struct AnswerStream<'h> {
    port: &'h Port,
    answer: u64,
    /// The host closes it with its end, and with an error.
    is_open: bool,
    /// What it ended with.
    over: Option<Result<Response, Error>>,
}

impl AnswerStream<'_> {
    /// The whole answer, once there are no more pieces; none before that, and none after an error.
    pub fn response(&self) -> Option<&Response> {
        self.over.as_ref()?.as_ref().ok()
    }

    /// Waits for the rest, and gives the whole answer.
    ///
    /// # Errors
    /// As [`Llm::complete`]; [`Error::Interrupted`] if the model broke off, or the host stopped, after a piece was
    /// heard. An error that a piece was is told again.
    pub fn into_response(mut self) -> Result<Response, Error> {
        for piece in &mut self {
            piece?;
        }
        let closed = || Err(Error::NotFound("open answer".to_owned()));
        self.over.take().unwrap_or_else(closed)
    }
}

impl Iterator for AnswerStream<'_> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.is_open {
            return None;
        }
        let (over, last) = match self.port.pull(self.answer) {
            Ok(Piece::Text(text)) => return Some(Ok(text)),
            Ok(Piece::End(response)) => (Ok(response), None),
            Err(error) => (Err(error.clone()), Some(Err(error))),
        };
        self.is_open = false;
        self.over = Some(over);
        last
    }
}

impl Drop for AnswerStream<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.port.close(self.answer);
        }
    }
}

/// Some models put the JSON they were asked for in a fence.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let text = text.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"));
    serde_json::from_str(inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner)))
}

/// A model's answer as a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Structured<T> {
    /// The answer.
    pub value: T,
    /// What it cost, in millionths of a US dollar.
    pub cost: i64,
    /// True when no model was asked and the host played its part.
    pub simulated: bool,
}

impl Request {
    /// An empty conversation with a model of `class`: at most 1,024 tokens of output, no tools.
    pub fn new(class: ModelClass) -> Self {
        Self {
            class,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output_schema: None,
            max_output_tokens: 1024,
            temperature: None,
            stop: Vec::new(),
        }
    }

    /// With a message from the system.
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::of(Role::System, text.into()))
    }

    /// With a message from the user.
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::user(text))
    }

    /// With a message more.
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// With a tool more that the model may call.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Whether the model may, must or must not call tools.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// At most so many tokens of output; the host reserves the money for all of them.
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = tokens;
        self
    }

    /// With a temperature; the provider's own otherwise.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// The model ends where it would write this.
    pub fn stop_at(mut self, text: impl Into<String>) -> Self {
        self.stop.push(text.into());
        self
    }
}

impl Message {
    /// From the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::of(Role::User, text.into())
    }

    /// From the model, without tool calls.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::of(Role::Assistant, text.into())
    }

    /// The answer to the tool call with this id.
    pub fn tool_answer(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            tool_call_id: Some(id.into()),
            ..Self::of(Role::Tool, text.into())
        }
    }

    fn of(role: Role, text: String) -> Self {
        Self {
            role,
            text,
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }
}

impl Tool {
    /// A tool whose arguments are an `A`, which the plugin plays itself.
    pub fn with_arguments<A: JsonSchema>(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: schema_of::<A>(true),
        }
    }
}

impl ToolCall {
    /// A call with its arguments as a type.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the model's arguments are not an `A`.
    pub fn typed<A: DeserializeOwned>(&self) -> Result<A, Error> {
        from_json("arguments", &self.arguments)
    }

    /// A call as a model would make it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the arguments have no JSON form.
    pub fn new(id: &str, name: &str, arguments: &impl Serialize) -> Result<Self, Error> {
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: to_json("arguments", arguments)?,
        })
    }
}
