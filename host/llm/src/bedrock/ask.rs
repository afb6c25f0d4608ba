//! A conversation as Converse takes it.

use super::{document, thought};
use crate::catalog::Quirk;
use crate::fault::{Fault, Kind};
use crate::structured;
use crate::wire::{Names, Whom};
use crate::{Message, Request, Role, ToolChoice};
use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::types as sdk;
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, SystemContentBlock};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What stands for "no calls" where tools must be on offer, since some were called before.
const NO_CALLS: &str = "Do not call any tool now: answer in words.";
/// What stands for a tool's answer that is empty: a blank text is refused.
const NOTHING: &str = "(nothing)";

/// The parts of a request of Converse.
pub struct Asked {
    pub messages: Vec<sdk::Message>,
    pub system: Option<Vec<SystemContentBlock>>,
    pub tools: Option<sdk::ToolConfiguration>,
    pub inference: sdk::InferenceConfiguration,
    pub output: Option<sdk::OutputConfig>,
}

impl Asked {
    /// What asks `request`.
    ///
    /// # Errors
    /// [`Kind::Request`] if the SDK cannot say it.
    pub fn of(request: &Request, whom: Whom<'_>) -> Result<Self, Fault> {
        let (tools, no_calls) = tools(request, whom).map_err(unsaid)?;
        let system = request.messages.iter();
        let mut system: Vec<String> = system
            .filter(|message| message.role == Role::System)
            .map(|message| message.text.clone())
            .collect();
        let (grammar, words) = structured::told(request, can_be_held(whom));
        system.extend(words);
        system.extend(no_calls.map(str::to_owned));
        system.retain(|text| !text.trim().is_empty());
        let system: Vec<_> = system.into_iter().map(SystemContentBlock::Text).collect();
        let temperature = request
            .temperature
            .filter(|_| !whom.has(Quirk::NoTemperature));
        let stop =
            (!request.stop.is_empty() && !whom.has(Quirk::NoStop)).then(|| request.stop.clone());
        let inference = sdk::InferenceConfiguration::builder()
            .max_tokens(i32::try_from(request.max_output_tokens).unwrap_or(i32::MAX))
            // It goes to 1 here.
            .set_temperature(temperature.map(|temperature| temperature.min(1.0)))
            .set_stop_sequences(stop)
            .build();
        Ok(Self {
            messages: messages(request, whom).map_err(unsaid)?,
            system: (!system.is_empty()).then_some(system),
            tools,
            inference,
            output: grammar.map(output).transpose().map_err(unsaid)?,
        })
    }
}

/// Whether the model can be held to a schema.
pub fn can_be_held(whom: Whom<'_>) -> bool {
    whom.has(Quirk::JsonSchema)
}

fn output(schema: Value) -> Result<sdk::OutputConfig, BuildError> {
    let schema = sdk::JsonSchemaDefinition::builder()
        .schema(schema.to_string())
        .name("answer")
        .build()?;
    let format = sdk::OutputFormat::builder()
        .r#type(sdk::OutputFormatType::JsonSchema)
        .structure(sdk::OutputFormatStructure::JsonSchema(schema))
        .build()?;
    Ok(sdk::OutputConfig::builder().text_format(format).build())
}

fn unsaid(error: BuildError) -> Fault {
    Fault::new(
        Kind::Request,
        format!("the request cannot be said: {error}"),
    )
}

/// The tools on offer, and what has to be said about them.
type Offer = (Option<sdk::ToolConfiguration>, Option<&'static str>);

fn tools(request: &Request, whom: Whom<'_>) -> Result<Offer, BuildError> {
    let calls = request.messages.iter().flat_map(|m| &m.tool_calls);
    let called: BTreeSet<&str> = calls.map(|call| call.name.as_str()).collect();
    let is_wanted = !request.tools.is_empty() && request.tool_choice != ToolChoice::None;
    if !is_wanted && called.is_empty() {
        return Ok((None, None));
    }
    if request.tools.is_empty() {
        // A conversation with calls in it is refused without tools.
        let anything = json!({"type": "object"});
        let tools = called.into_iter();
        let tools = tools.map(|name| tool(whom.names.there(name), "", &anything));
        return Ok((offer(tools, None)?, Some(NO_CALLS)));
    }
    let any = || sdk::ToolChoice::Any(sdk::AnyToolChoice::builder().build());
    let required = (!whom.has(Quirk::NoRequiredToolChoice)).then(any);
    let mut only = None;
    let choice = match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => None,
        ToolChoice::Required => required,
        ToolChoice::Tool(name) if whom.has(Quirk::NoNamedToolChoice) => {
            only = Some(name);
            required
        }
        ToolChoice::Tool(name) => {
            let named = sdk::SpecificToolChoice::builder().name(whom.names.there(name));
            Some(sdk::ToolChoice::Tool(named.build()?))
        }
    };
    let offered = request.tools.iter();
    let tools = offered
        .filter(|tool| only.is_none_or(|only| *only == tool.name))
        .map(|t| tool(whom.names.there(&t.name), &t.description, &t.parameters));
    Ok((offer(tools, choice)?, (!is_wanted).then_some(NO_CALLS)))
}

fn tool(name: &str, description: &str, parameters: &Value) -> Result<sdk::Tool, BuildError> {
    let schema = sdk::ToolInputSchema::Json(document::there(parameters));
    // An empty one is refused.
    let description = (!description.trim().is_empty()).then(|| description.to_owned());
    let tool = sdk::ToolSpecification::builder()
        .name(name)
        .set_description(description)
        .input_schema(schema)
        .build()?;
    Ok(sdk::Tool::ToolSpec(tool))
}

fn offer(
    tools: impl Iterator<Item = Result<sdk::Tool, BuildError>>,
    choice: Option<sdk::ToolChoice>,
) -> Result<Option<sdk::ToolConfiguration>, BuildError> {
    sdk::ToolConfiguration::builder()
        .set_tools(Some(tools.collect::<Result<_, _>>()?))
        .set_tool_choice(choice)
        .build()
        .map(Some)
}

/// The conversation in turns: what one side says in a row is one message of several blocks.
fn messages(request: &Request, whom: Whom<'_>) -> Result<Vec<sdk::Message>, BuildError> {
    // Ids of other providers' calls may have letters that are refused here.
    let ids = Names::of_calls(request);
    let mut turns: Vec<(ConversationRole, Vec<ContentBlock>)> = Vec::new();
    for message in &request.messages {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => ConversationRole::User,
            Role::Assistant => ConversationRole::Assistant,
        };
        let blocks = blocks(message, whom, &ids)?;
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter().map(|(role, content)| {
        let message = sdk::Message::builder().role(role);
        message.set_content(Some(content)).build()
    });
    turns.collect()
}

fn blocks(message: &Message, whom: Whom<'_>, ids: &Names) -> Result<Vec<ContentBlock>, BuildError> {
    // A blank text is refused.
    let is_blank = message.text.trim().is_empty();
    if message.role == Role::Tool {
        let id = message.tool_call_id.as_deref().unwrap_or_default();
        let text = if is_blank { NOTHING } else { &message.text };
        let result = sdk::ToolResultBlock::builder()
            .tool_use_id(ids.there(id))
            .content(sdk::ToolResultContentBlock::Text(text.to_owned()));
        return Ok(vec![ContentBlock::ToolResult(result.build()?)]);
    }
    let own = message.thoughts_of(whom.provider, whom.model);
    let own = own.and_then(|said| said.get("content")?.as_array());
    // They come before all that follows from them.
    let mut blocks = Vec::new();
    for said in own.into_iter().flatten() {
        blocks.extend(thought::back(said)?);
    }
    if !is_blank {
        blocks.push(ContentBlock::Text(message.text.clone()));
    }
    for call in &message.tool_calls {
        let call = sdk::ToolUseBlock::builder()
            .tool_use_id(ids.there(&call.id))
            .name(whom.names.there(&call.name))
            .input(document::there(&call.arguments));
        blocks.push(ContentBlock::ToolUse(call.build()?));
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests;
