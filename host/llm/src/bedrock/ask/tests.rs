//! Requests as Converse takes them.

use super::*;
use crate::{ModelClass, Thoughts, ToolCall, ToolSpec};
use std::sync::Arc;

fn request() -> Request {
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: json!({"city": "Bern"}),
    };
    let mut asked = Message::text(Role::Assistant, " ");
    asked.tool_calls = vec![call("functions.a:0", "a.b"), call("2", "a_b")];
    Request {
        class: ModelClass::Fast,
        messages: vec![
            Message::text(Role::System, "Be brief."),
            Message::text(Role::User, "hi"),
            asked,
            Message::tool_result("functions.a:0", ""),
            Message::tool_result("2", "sunny"),
            Message::text(Role::User, "so?"),
        ],
        tools: ["a.b", "a_b"]
            .map(|name| ToolSpec {
                name: name.into(),
                description: String::new(),
                parameters: json!({"type": "object"}),
            })
            .into(),
        tool_choice: ToolChoice::Auto,
        output_schema: None,
        max_output_tokens: u32::MAX,
        temperature: Some(1.5),
        stop: vec!["END".into()],
    }
}

fn asked(request: &Request, quirks: &[Quirk]) -> Asked {
    let whom = Whom {
        provider: "bedrock",
        model: "m",
        names: &Names::of(request),
        quirks: &quirks.iter().copied().collect(),
    };
    Asked::of(request, whom).unwrap()
}

#[test]
fn what_one_side_says_in_a_row_is_one_turn() {
    let asked = asked(&request(), &[]);
    let roles: Vec<_> = asked.messages.iter().map(|m| m.role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let calls = asked.messages[1].content();
    let ids: Vec<_> = calls.iter().map(|c| c.as_tool_use().unwrap()).collect();
    assert_eq!(
        (ids[0].tool_use_id(), ids[0].name()),
        ("functions_a_0", "a_b")
    );
    assert_eq!((ids[1].tool_use_id(), ids[1].name()), ("2", "a_b_2"));
    let answers = asked.messages[2].content();
    let first = answers[0].as_tool_result().unwrap();
    assert_eq!(first.tool_use_id(), "functions_a_0");
    assert_eq!(first.content()[0].as_text().unwrap(), NOTHING);
    assert_eq!(answers[2].as_text().unwrap(), "so?");
    assert_eq!(asked.inference.max_tokens(), Some(i32::MAX));
    assert_eq!(asked.inference.temperature(), Some(1.0));
    assert_eq!(asked.inference.stop_sequences(), ["END"]);
    let refuses = [Quirk::NoTemperature, Quirk::NoStop];
    let inference = self::asked(&request(), &refuses).inference;
    assert_eq!(inference.temperature(), None);
    assert!(inference.stop_sequences().is_empty());
}

#[test]
fn the_choice_of_tools_is_said_as_far_as_it_can_be() {
    let choice = |choice: ToolChoice, quirks: &[Quirk]| {
        let request = Request {
            tool_choice: choice,
            ..request()
        };
        let asked = asked(&request, quirks);
        let tools = asked.tools.unwrap();
        let offered = tools.tools().len();
        let system = asked.system.unwrap().len();
        (tools.tool_choice().cloned(), offered, system)
    };
    let (auto, offered, system) = choice(ToolChoice::Auto, &[]);
    assert_eq!((auto, offered, system), (None, 2, 1));
    let (none, offered, system) = choice(ToolChoice::None, &[]);
    assert_eq!((none, offered, system), (None, 2, 2), "told in words");
    assert!(choice(ToolChoice::Required, &[]).0.unwrap().is_any());
    assert_eq!(
        choice(ToolChoice::Required, &[Quirk::NoRequiredToolChoice]).0,
        None
    );
    let named = ToolChoice::Tool("a_b".into());
    let said = choice(named.clone(), &[]).0.unwrap();
    assert_eq!(said.as_tool().unwrap().name(), "a_b_2");
    let (said, offered, _) = choice(named, &[Quirk::NoNamedToolChoice]);
    assert!(said.unwrap().is_any() && offered == 1);
}

#[test]
fn tools_that_were_called_stay_where_none_are_on_offer() {
    let mut request = Request {
        tools: vec![],
        output_schema: Some(json!({"type": "object"})),
        ..request()
    };
    let asked = self::asked(&request, &[]);
    assert_eq!(asked.tools.unwrap().tools().len(), 2);
    let system = asked.system.unwrap();
    assert!(system[1].as_text().unwrap().contains("JSON Schema"));
    assert_eq!(system[2].as_text().unwrap(), NO_CALLS);
    request.messages = vec![Message::text(Role::User, "hi")];
    request.output_schema = None;
    let asked = self::asked(&request, &[]);
    assert!(asked.tools.is_none() && asked.system.is_none());
}

#[test]
fn its_own_thoughts_come_before_the_calls_that_they_led_to() {
    let said = json!({"content": [
        thought::readable("because", Some("signed")),
        thought::sealed(b"hidden"),
        {"unread": "a block that nobody knows"},
    ]});
    let mut request = request();
    let mut hear = |model: &str| {
        request.messages[2].thoughts = Some(Arc::new(Thoughts {
            provider: "bedrock".into(),
            model: model.into(),
            said: said.as_object().unwrap().clone(),
            stood_for: None,
        }));
        asked(&request, &[]).messages[1].content().to_vec()
    };
    let own = hear("m");
    let read = own[0].as_reasoning_content().unwrap();
    let read = read.as_reasoning_text().unwrap();
    assert_eq!((read.text(), read.signature()), ("because", Some("signed")));
    let sealed = own[1].as_reasoning_content().unwrap();
    assert_eq!(sealed.as_redacted_content().unwrap().as_ref(), b"hidden");
    assert!(own[2].is_tool_use() && own.len() == 4);
    assert_eq!(hear("another").len(), 2, "nobody hears another's");
}

#[test]
fn a_model_that_can_be_is_held_to_the_schema() {
    let request = Request {
        output_schema: Some(
            json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}),
        ),
        ..request()
    };
    let asked = self::asked(&request, &[Quirk::JsonSchema]);
    let output = asked.output.unwrap();
    let format = output.text_format().unwrap();
    assert_eq!(format.r#type(), &sdk::OutputFormatType::JsonSchema);
    let schema = format.structure().unwrap().as_json_schema().unwrap();
    assert_eq!(schema.name(), Some("answer"));
    let schema: Value = serde_json::from_str(schema.schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let in_words = |asked: &Asked| {
        let mut system = asked.system.iter().flatten();
        system.any(|text| text.as_text().unwrap().contains("JSON Schema"))
    };
    assert!(!in_words(&self::asked(&request, &[Quirk::JsonSchema])));
    let asked = self::asked(&request, &[]);
    assert!(asked.output.is_none() && in_words(&asked));
}
