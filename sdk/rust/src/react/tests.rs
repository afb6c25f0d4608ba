//! The loop of a model with tools, against the recording fake host.

use super::*;
use crate::testing::FakeHost;
use serde_json::json;

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.tool("a.one", |arguments| Ok(json!({ "one": arguments })));
    fake.tool("a.two", |_| Err(Error::failed("two is broken")));
    fake
}

#[test]
fn calls_are_made_in_parallel_and_answered_in_order() {
    let fake = fake();
    fake.model_calls(&[
        ("a.two", json!({})),
        ("a.one", json!({ "x": 1 })),
        ("a.none", json!({})),
    ]);
    fake.model_says("done");
    let host = fake.host();
    let mut told = Vec::new();
    let outcome = host
        .react(ModelClass::Smart)
        .user("go")
        .on_turn(|turn| told.push((turn.number, turn.calls.len())))
        .run()
        .unwrap();
    assert_eq!((outcome.text.as_str(), outcome.end), ("done", End::Stopped));
    assert_eq!(told, [(1, 3)]);
    assert_eq!(outcome.calls[0].result, Err(Error::failed("two is broken")));
    assert_eq!(outcome.calls[1].result, Ok(r#"{"one":{"x":1}}"#.to_owned()));
    assert!(
        matches!(&outcome.calls[2].result, Err(Error::NotFound(text)) if text.contains("a__one"))
    );
    let roles: Vec<Role> = outcome
        .messages
        .iter()
        .map(|message| message.role)
        .collect();
    assert_eq!(
        roles,
        [
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool,
            Role::Tool,
            Role::Assistant
        ]
    );
    let asked: Vec<&str> = outcome.messages[1]
        .tool_calls
        .iter()
        .map(|call| call.id.as_str())
        .collect();
    let answered: Vec<&str> = outcome.messages[2..5]
        .iter()
        .filter_map(|message| message.tool_call_id.as_deref())
        .collect();
    assert_eq!(asked, answered);
    assert_eq!(
        fake.calls_of("invoke")
            .iter()
            .filter(|call| call.function == "invoke-many")
            .count(),
        1
    );
}

#[test]
fn the_last_turn_may_not_call_and_leaves_no_call_unanswered() {
    let fake = fake();
    fake.model(|_| Ok(crate::testing::model_calls(&[("a.one", json!({}))])));
    let outcome = fake
        .host()
        .react(ModelClass::Fast)
        .user("go")
        .max_turns(3)
        .run()
        .unwrap();
    assert_eq!((outcome.end, outcome.calls.len()), (End::MaxTurns, 2));
    assert!(outcome.messages.last().unwrap().tool_calls.is_empty());
    let turns = fake.calls_of("llm");
    assert_eq!(turns.len(), 3);
    assert!(turns[2].arguments.contains("None"));
}

#[test]
fn an_outcome_can_have_a_type() {
    #[derive(serde::Deserialize, JsonSchema, PartialEq, Debug)]
    struct Verdict {
        good: bool,
    }
    let fake = fake();
    fake.model_calls(&[("a.one", json!({}))]);
    fake.model_says("looks good");
    fake.model_says("I think so");
    fake.model_says("```json\n{\"good\": true}\n```");
    let (verdict, outcome) = fake
        .host()
        .react(ModelClass::Fast)
        .run_as::<Verdict>("Good?")
        .unwrap();
    assert_eq!(verdict.value, Verdict { good: true });
    assert_eq!(outcome.calls.len(), 1);
}

#[test]
fn names_are_what_providers_take_and_different() {
    let offer = |name: &str| Offer {
        name: name.to_owned(),
        is_agent: false,
        summary: String::new(),
        arguments: "{}".to_owned(),
    };
    let long = "x".repeat(80);
    let names = named(vec![
        offer("a.b"),
        offer("a__b"),
        offer(&long),
        offer(&long),
        offer("ä!"),
    ]);
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["a__b", "a__b_2"]);
    assert_eq!((names[2].len(), names[3].len(), names[4]), (64, 64, "__"));
    assert_ne!(names[2], names[3]);
}
