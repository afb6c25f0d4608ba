//! Answers in the form that was asked for: looked at whoever gave them, and asked for in words
//! where a provider cannot be told a schema.

use crate::grammar;
use crate::wire::{Answer, limited};
use crate::{Finish, Message, Request, Role, ToolChoice};
use serde_json::Value;

/// The most bytes of an answer that are shown to its author again.
const MOST_SHOWN: usize = 32 << 10;
/// The most problems of an answer that its author is told.
const MOST_PROBLEMS: usize = 5;

/// What a provider that takes no schema is told in its place.
pub fn in_words(schema: &Value) -> String {
    format!(
        "Answer with one JSON value and nothing else: no words around it, no code fence. It must satisfy this JSON Schema: {schema}"
    )
}

/// The schema of an answer as a grammar, where the model `can_be_held` to one, or else in words.
pub fn told(request: &Request, can_be_held: bool) -> (Option<Value>, Option<String>) {
    let schema = request.output_schema.as_ref();
    let grammar = schema.filter(|_| can_be_held).and_then(grammar::of);
    let words = schema.filter(|_| grammar.is_none()).map(in_words);
    (grammar, words)
}

/// Says the schema of an answer in words, after what the system says first.
pub fn say(request: &mut Request) {
    if let Some(schema) = request.output_schema.take() {
        let messages = &mut request.messages;
        let first = messages.iter().take_while(|it| it.role == Role::System);
        let place = first.count();
        messages.insert(place, Message::text(Role::System, in_words(&schema)));
    }
}

/// Whether an answer may not be what was asked for, so that it is asked again.
pub fn is_needed(request: &Request) -> bool {
    request.output_schema.is_some()
        || matches!(
            request.tool_choice,
            ToolChoice::Required | ToolChoice::Tool(_)
        )
}

/// Brings `answer` into the form that was asked for.
///
/// # Errors
/// What is wrong with it, for its author.
pub fn conform(answer: &mut Answer, request: &Request) -> Result<(), String> {
    // What was cut or withheld says so, and would be again.
    if matches!(answer.finish, Finish::Length | Finish::Filtered) {
        return Ok(());
    }
    let calls = &answer.message.tool_calls;
    match &request.tool_choice {
        ToolChoice::Required if calls.is_empty() => {
            return Err("No tool was called. Call one of the tools.".to_owned());
        }
        ToolChoice::Tool(name) if calls.iter().all(|call| call.name != *name) => {
            return Err(format!("The tool `{name}` was not called. Call it."));
        }
        _ => {}
    }
    let Some(schema) = &request.output_schema else {
        return Ok(());
    };
    if !calls.is_empty() {
        return Ok(());
    }
    let text = unfenced(&answer.message.text);
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("The answer is no JSON: {error}."))?;
    // What is wrong with the schema is nobody's fault who answers.
    if let Ok(validator) = jsonschema::validator_for(schema) {
        let problems: Vec<String> = validator
            .iter_errors(&value)
            .take(MOST_PROBLEMS)
            .map(|error| limited(&format!("`{}`: {error}", error.instance_path())))
            .collect();
        if !problems.is_empty() {
            let told = problems.join("; ");
            return Err(format!("The answer does not satisfy the schema: {told}."));
        }
    }
    answer.message.text = text.to_owned();
    Ok(())
}

/// The request that asks for a better answer.
pub fn again(request: &Request, answer: &Answer, wrong: &str) -> Request {
    let mut request = request.clone();
    let mut said = answer.message.text.clone();
    said.truncate(said.floor_char_boundary(MOST_SHOWN));
    // Calls stay out: nobody answered them.
    if !said.trim().is_empty() {
        request.messages.push(Message::text(Role::Assistant, said));
    }
    let asked = format!("{wrong} Give the whole answer again, and nothing else.");
    request.messages.push(Message::text(Role::User, asked));
    request
}

/// The text within a code fence, if there is one around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|rest| rest.split_once('\n'));
    inner.map_or(text, |(_, inner)| inner.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModelClass, ToolCall, ToolSpec};
    use serde_json::{Map, json};

    fn request() -> Request {
        let messages = vec![Message::text(Role::User, "hi")];
        Request {
            tools: vec![ToolSpec {
                name: "a".into(),
                description: String::new(),
                parameters: json!({}),
            }],
            output_schema: Some(
                json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}),
            ),
            ..Request::new(ModelClass::Fast, messages, 10)
        }
    }

    fn answer(text: &str) -> Answer {
        Answer {
            message: Message::text(Role::Assistant, text),
            finish: Finish::Stop,
            usage: None,
            extra: Map::new(),
            stood_for: None,
        }
    }

    #[test]
    fn what_satisfies_the_schema_is_taken_out_of_its_fence() {
        let mut good = answer("```json\n{\"n\": 1}\n```");
        assert_eq!(conform(&mut good, &request()), Ok(()));
        assert_eq!(good.message.text, "{\"n\": 1}");
        let wrong = conform(&mut answer("{\"n\": \"x\"}"), &request()).unwrap_err();
        assert!(wrong.contains("`/n`"), "{wrong}");
        assert!(conform(&mut answer("sure!"), &request()).is_err());
        let mut calls = answer("");
        calls.message.tool_calls.push(ToolCall {
            id: "1".into(),
            name: "a".into(),
            arguments: json!({}),
        });
        assert_eq!(conform(&mut calls, &request()), Ok(()), "first the tools");
    }

    #[test]
    fn a_call_that_must_come_is_missed() {
        let required = Request {
            tool_choice: ToolChoice::Tool("a".into()),
            output_schema: None,
            ..request()
        };
        assert!(is_needed(&required));
        let wrong = conform(&mut answer("no"), &required).unwrap_err();
        assert!(wrong.contains("`a`"), "{wrong}");
        let called = |name: &str| {
            let mut answer = answer("");
            answer.message.tool_calls.push(ToolCall {
                id: "1".into(),
                name: name.into(),
                arguments: json!({}),
            });
            answer
        };
        assert_eq!(conform(&mut called("a"), &required), Ok(()));
        assert!(conform(&mut called("b"), &required).is_err());
        let any = Request {
            tool_choice: ToolChoice::Required,
            ..required.clone()
        };
        assert_eq!(conform(&mut called("b"), &any), Ok(()));
        assert!(conform(&mut answer("no"), &any).is_err());
        let again = again(&required, &answer("no"), &wrong);
        assert_eq!(again.check(), Ok(()));
        assert_eq!(again.messages.len(), 3);
    }
}
