//! A model that calls tools until it is done.
//!
//! Calls and their answers stay paired, whatever happens: providers refuse a conversation in which one is
//! missing.

use crate::error::Error;
use crate::host::Host;
use crate::invoke::{Call, Offer};
use crate::llm::{
    Finish, Message, ModelClass, Request, Role, Structured, Tool, ToolCall, ToolChoice,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Providers take no longer names of tools.
const NAME_LENGTH: usize = 64;

/// A loop being set up; from [`Host::react`].
pub struct React<'h> {
    host: &'h Host,
    request: Request,
    offers: Option<Vec<Offer>>,
    max_turns: u32,
    on_turn: Option<Tell<'h>>,
}

/// Is told of a turn.
type Tell<'h> = Box<dyn FnMut(&Turn<'_>) + 'h>;

/// What happened in one turn of the model.
pub struct Turn<'a> {
    /// 1 for the first.
    pub number: u32,
    /// What the model said beside its calls.
    pub text: &'a str,
    /// The calls that it made, with their answers.
    pub calls: &'a [MadeCall],
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeCall {
    /// The tool or agent, as it was offered.
    pub name: String,
    /// The arguments, as JSON text.
    pub arguments: String,
    /// What came of it, as JSON text.
    pub result: Result<String, Error>,
}

/// How a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model was done.
    Stopped,
    /// The turns were used up; the text is what the model could say without more calls.
    MaxTurns,
    /// The model's output was cut off.
    Length,
    /// The provider withheld the output.
    Filtered,
}

/// What a loop gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The model's last words.
    pub text: String,
    /// How it ended.
    pub end: End,
    /// All calls, in the order in which they were made.
    pub calls: Vec<MadeCall>,
    /// The whole conversation.
    pub messages: Vec<Message>,
    /// What the model's turns cost, in millionths of a US dollar; the tools' own costs are not in it.
    pub cost: i64,
    /// True when some turn was played by the host and not by a model.
    pub simulated: bool,
}

impl<'h> React<'h> {
    pub(crate) fn new(host: &'h Host, class: ModelClass) -> Self {
        Self {
            host,
            request: Request::new(class),
            offers: None,
            max_turns: 8,
            on_turn: None,
        }
    }

    /// With a message from the system.
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.request = self.request.system(text);
        self
    }

    /// With a message from the user.
    pub fn user(mut self, text: impl Into<String>) -> Self {
        self.request = self.request.user(text);
        self
    }

    /// Offers the model these and nothing else; everything that this plugin may call otherwise.
    pub fn offers(mut self, offers: Vec<Offer>) -> Self {
        self.offers = Some(offers);
        self
    }

    /// At most so many turns of the model, the last without calls; 8 otherwise.
    pub fn max_turns(mut self, turns: u32) -> Self {
        self.max_turns = turns.max(1);
        self
    }

    /// At most so many tokens of output per turn; 1,024 otherwise.
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.request.max_output_tokens = tokens;
        self
    }

    /// With a temperature; the provider's own otherwise.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.request.temperature = Some(temperature);
        self
    }

    /// Is told of every turn that made calls: for progress.
    pub fn on_turn(mut self, tell: impl FnMut(&Turn<'_>) + 'h) -> Self {
        self.on_turn = Some(Box::new(tell));
        self
    }

    /// Lets the model call and answers its calls, many at once in parallel, until it calls no more. A call
    /// that fails is no end: the model is told.
    ///
    /// # Errors
    /// What the host says to a turn of the model, or to the question for offers.
    pub fn run(mut self) -> Result<Outcome, Error> {
        let offers = match self.offers.take() {
            Some(offers) => offers,
            None => self.host.offers()?,
        };
        let named = named(offers);
        self.request.tools = named
            .iter()
            .map(|(name, offer)| as_tool(name, offer))
            .collect();
        let mut outcome = Outcome {
            text: String::new(),
            end: End::MaxTurns,
            calls: Vec::new(),
            messages: Vec::new(),
            cost: 0,
            simulated: false,
        };
        for number in 1..=self.max_turns {
            let last = number == self.max_turns;
            if last || named.is_empty() {
                self.request.tool_choice = ToolChoice::None;
            }
            let response = self.host.llm().complete(&self.request)?;
            outcome.cost += response.cost;
            outcome.simulated |= response.simulated;
            let mut message = response.message.clone();
            message.role = Role::Assistant;
            let wanted = message.tool_calls.clone();
            if last || wanted.is_empty() {
                outcome.end = end_of(response.finish, last && !named.is_empty());
                // Calls that nobody answers would break the conversation for whoever goes on with it.
                message.tool_calls = Vec::new();
                outcome.text = message.text.clone();
                self.request.messages.push(message);
                break;
            }
            let calls = self.answer(&named, &wanted);
            if let Some(tell) = self.on_turn.as_mut() {
                tell(&Turn {
                    number,
                    text: &message.text,
                    calls: &calls,
                });
            }
            self.request.messages.push(message);
            for (wanted, made) in wanted.iter().zip(&calls) {
                let text = match &made.result {
                    Ok(text) => text.clone(),
                    Err(error) => format!("error: {error}"),
                };
                self.request
                    .messages
                    .push(Message::tool_answer(wanted.id.clone(), text));
            }
            outcome.calls.extend(calls);
        }
        outcome.messages = self.request.messages;
        Ok(outcome)
    }

    /// [`React::run`], then one more turn without tools that puts the outcome into a `T`.
    ///
    /// # Errors
    /// As [`React::run`] and [`Llm::structured`](crate::llm::Llm::structured).
    pub fn run_as<T: DeserializeOwned + JsonSchema>(
        self,
        ask: impl Into<String>,
    ) -> Result<(Structured<T>, Outcome), Error> {
        let host = self.host;
        let mut request =
            Request::new(self.request.class).max_output_tokens(self.request.max_output_tokens);
        request.temperature = self.request.temperature;
        let outcome = self.run()?;
        request.messages.clone_from(&outcome.messages);
        let structured = host.llm().structured(request.user(ask))?;
        Ok((structured, outcome))
    }

    /// One answer per call, in order: those that can be made are made in parallel.
    fn answer(&self, named: &[(String, Offer)], wanted: &[ToolCall]) -> Vec<MadeCall> {
        let prepared: Vec<(String, Result<Call, Error>)> =
            wanted.iter().map(|wanted| prepare(named, wanted)).collect();
        let calls: Vec<Call> = prepared
            .iter()
            .filter_map(|(_, call)| call.as_ref().ok().cloned())
            .collect();
        let mut answers = self.host.call_many(&calls).into_iter();
        let mut next = || {
            answers.next().unwrap_or_else(|| {
                Err(Error::Interrupted(
                    "the host gave no answer to this call".into(),
                ))
            })
        };
        wanted
            .iter()
            .zip(prepared)
            .map(|(wanted, (name, call))| MadeCall {
                name,
                arguments: wanted.arguments.clone(),
                result: call.and_then(|_| next()).map(|answer| answer.output),
            })
            .collect()
    }
}

/// The last turn may not call, so nobody can say whether the model was done.
fn end_of(finish: Finish, cut_short: bool) -> End {
    match finish {
        Finish::Length => End::Length,
        Finish::Filtered => End::Filtered,
        Finish::Stop | Finish::ToolCalls if cut_short => End::MaxTurns,
        Finish::Stop | Finish::ToolCalls => End::Stopped,
    }
}

/// The call that the model wants, under the name that was offered; or what the model is told instead.
fn prepare(named: &[(String, Offer)], wanted: &ToolCall) -> (String, Result<Call, Error>) {
    let Some((_, offer)) = named.iter().find(|(name, _)| *name == wanted.name) else {
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        let problem = format!(
            "there is no tool `{}`; there are: {}",
            wanted.name,
            names.join(", ")
        );
        return (wanted.name.clone(), Err(Error::NotFound(problem)));
    };
    let arguments = if wanted.arguments.trim().is_empty() {
        "{}"
    } else {
        &wanted.arguments
    };
    let call = serde_json::from_str::<Value>(arguments)
        .map_err(|error| Error::Invalid(format!("the arguments are not JSON: {error}")))
        .and_then(|arguments| {
            if offer.is_agent {
                Call::to_agent(&offer.name, &offer.summary, &arguments)
            } else {
                Call::to_tool(&offer.name, &arguments)
            }
        });
    (offer.name.clone(), call)
}

/// Providers allow letters, digits, `_` and `-` in names; ours have a dot.
pub(crate) fn model_name(name: &str) -> String {
    let mut model_name = String::with_capacity(name.len() + 1);
    for character in name.chars() {
        match character {
            '.' => model_name.push_str("__"),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => model_name.push(character),
            _ => model_name.push('_'),
        }
    }
    model_name.truncate(NAME_LENGTH);
    model_name
}

/// The offers under names that providers take, each name once.
fn named(offers: Vec<Offer>) -> Vec<(String, Offer)> {
    let mut named: Vec<(String, Offer)> = Vec::with_capacity(offers.len());
    for offer in offers {
        let base = model_name(&offer.name);
        let mut name = base.clone();
        let mut number = 2;
        while named.iter().any(|(taken, _)| *taken == name) {
            let suffix = format!("_{number}");
            name = base.clone();
            name.truncate(NAME_LENGTH - suffix.len());
            name.push_str(&suffix);
            number += 1;
        }
        named.push((name, offer));
    }
    named
}

fn as_tool(name: &str, offer: &Offer) -> Tool {
    Tool {
        name: name.to_owned(),
        description: offer.summary.clone(),
        parameters: offer.arguments.clone(),
    }
}

#[cfg(test)]
mod tests;
