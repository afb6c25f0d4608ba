//! The simulated provider as agents meet it: through the chain, with tools nobody has heard of.

use crate::chain::tests::Purse;
use crate::{
    Chain, Finish, LlmError, Message, ModelClass, Price, Request, Response, Role, ToolChoice,
    ToolSpec,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn ask(messages: Vec<Message>) -> Request {
    Request::new(ModelClass::Smart, messages, 2000)
}

fn complete(request: &Request) -> Result<Response, LlmError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let purse = Purse::with(0);
    let chain = Chain::simulated(Price::FREE);
    runtime.block_on(chain.complete(request, &purse.caller()))
}

fn answered(request: &Request) -> Response {
    complete(request).unwrap()
}

fn user(text: &str) -> Vec<Message> {
    vec![Message::text(Role::User, text)]
}

fn tool(name: &str, description: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: description.into(),
        parameters,
    }
}

fn object(fields: Value, required: Value) -> Value {
    json!({"type": "object", "properties": fields, "required": required, "additionalProperties": false})
}

/// Plays the agent: answers calls with `results`, until the model answers. Returns all calls
/// made and the last response; panics when it does not end in 6 turns.
fn play(
    mut request: Request,
    results: impl Fn(&str, &Value) -> Value,
) -> (Vec<(String, Value)>, Response) {
    let mut made = Vec::new();
    for _ in 0..6 {
        let response = answered(&request);
        if response.finish != Finish::ToolCalls {
            return (made, response);
        }
        request.messages.push(response.message.clone());
        for call in &response.message.tool_calls {
            let spec = request
                .tools
                .iter()
                .find(|t| t.name == call.name)
                .expect("an offered tool");
            assert!(
                jsonschema::is_valid(&spec.parameters, &call.arguments),
                "{call:?}"
            );
            made.push((call.name.clone(), call.arguments.clone()));
            let result = results(&call.name, &call.arguments);
            request
                .messages
                .push(Message::tool_result(&call.id, result.to_string()));
        }
    }
    panic!("no answer after 6 turns; calls: {made:?}");
}

fn library() -> Vec<ToolSpec> {
    vec![
        tool(
            "paint",
            "Paints a wall in a colour.",
            object(json!({"colour": {"type": "string"}}), json!(["colour"])),
        ),
        tool(
            "seek",
            "Seeks passages of the shelves that speak of something.",
            object(
                json!({"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}}),
                json!(["query"]),
            ),
        ),
        tool(
            "fetch",
            "Gives a whole passage.",
            object(
                json!({"passage_id": {"type": "string"}}),
                json!(["passage_id"]),
            ),
        ),
    ]
}

fn shelves(name: &str, arguments: &Value) -> Value {
    match name {
        "seek" => {
            json!({"passages": [{"id": "p-7", "title": "Lamps"}, {"id": "p-9", "title": "Doors"}]})
        }
        "fetch" if arguments["passage_id"] == "p-7" => {
            json!({"text": "Lamps are cleaned on Mondays. Paper burns."})
        }
        "fetch" => json!({"text": "Doors stay shut."}),
        other => panic!("{other} was not wanted"),
    }
}

#[test]
fn a_result_feeds_the_next_call_and_the_answer_quotes_what_was_found() {
    let wish = "Seek passages: when are lamps cleaned? Use limit 2.";
    let request = Request {
        tools: library(),
        ..ask(user(wish))
    };
    let (made, response) = play(request, shelves);
    assert_eq!(made[0].0, "seek");
    assert_eq!(made[0].1["limit"], 2);
    let fetched: Vec<&Value> = made
        .iter()
        .filter(|m| m.0 == "fetch")
        .map(|m| &m.1["passage_id"])
        .collect();
    assert_eq!(fetched, ["p-7", "p-9"]);
    assert!(
        response.message.text.contains("cleaned on Mondays"),
        "{}",
        response.message.text
    );
    assert!(response.simulated && response.provider == "simulated" && response.cost.0 == 0);
    assert_eq!(response.finish, Finish::Stop);
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let request = Request {
        tools: library(),
        ..ask(user("Seek passages on lamps and doors"))
    };
    let again: Request = serde_json::from_value(serde_json::to_value(&request).unwrap()).unwrap();
    assert_eq!(answered(&request), answered(&again));
}

#[test]
fn a_greeting_needs_no_tool() {
    let response = answered(&Request {
        tools: library(),
        ..ask(user("Hello!"))
    });
    assert_eq!(response.finish, Finish::Stop);
    assert!(!response.message.text.is_empty());
}

#[test]
fn the_choice_of_the_caller_is_kept() {
    let base = Request {
        tools: library(),
        ..ask(user("Seek the passage on lamps"))
    };
    let none = answered(&Request {
        tool_choice: ToolChoice::None,
        ..base.clone()
    });
    assert_eq!(none.finish, Finish::Stop);
    let forced = answered(&Request {
        tool_choice: ToolChoice::Tool("fetch".into()),
        ..base.clone()
    });
    assert_eq!(forced.message.tool_calls[0].name, "fetch");
    let hello = Request {
        tool_choice: ToolChoice::Required,
        messages: user("Hello!"),
        ..base
    };
    assert_eq!(answered(&hello).finish, Finish::ToolCalls);
}

#[test]
fn a_tool_that_cannot_be_called_is_an_error_only_when_forced() {
    let never = tool("seek", "Seeks.", object(json!({"a": false}), json!(["a"])));
    let base = Request {
        tools: vec![never],
        ..ask(user("Seek the lamps"))
    };
    assert_eq!(answered(&base).finish, Finish::Stop);
    let error = complete(&Request {
        tool_choice: ToolChoice::Required,
        ..base
    })
    .unwrap_err();
    assert!(error.to_string().contains("`seek`"), "{error}");
}

#[test]
fn length_and_stop_end_an_answer() {
    let text = "First comes a long sentence — with dashes. STOP Then comes another.";
    let short = answered(&Request {
        max_output_tokens: 11,
        ..ask(user(text))
    });
    assert_eq!(short.finish, Finish::Length);
    assert!(short.message.text.len() <= 44 && short.usage.output_tokens <= 11);
    let stopped = answered(&Request {
        stop: vec!["STOP".into()],
        ..ask(user(text))
    });
    assert_eq!(stopped.finish, Finish::Stop);
    assert!(!stopped.message.text.contains("STOP"));
    let cut = Request {
        tools: library(),
        max_output_tokens: 1,
        ..ask(user("Seek passages on lamps"))
    };
    assert_eq!(answered(&cut).finish, Finish::Length);
}

#[test]
fn a_question_falls_apart_into_its_parts() {
    let schema = object(
        json!({"questions": {"type": "array", "items": {"type": "string"}, "maxItems": 4}}),
        json!(["questions"]),
    );
    let wish = "How do we rotate signing keys, and how often should backups be tested?";
    let response = answered(&Request {
        output_schema: Some(schema),
        ..ask(user(wish))
    });
    let answer: Value = serde_json::from_str(&response.message.text).unwrap();
    assert_eq!(
        answer["questions"],
        json!([
            "How do we rotate signing keys",
            "how often should backups be tested?"
        ])
    );
}

#[test]
fn a_list_of_found_things_has_each_of_them_once() {
    let source = object(
        json!({"id": {"type": "string"}, "title": {"type": "string"}}),
        json!(["id", "title"]),
    );
    let schema = object(
        json!({"answer": {"type": "string"}, "sources": {"type": "array", "items": source}}),
        json!(["answer", "sources"]),
    );
    let request = Request {
        tools: library(),
        output_schema: Some(schema),
        ..ask(user("Seek passages on when lamps are cleaned"))
    };
    let (_, response) = play(request, shelves);
    let answer: Value = serde_json::from_str(&response.message.text).unwrap();
    assert_eq!(
        answer["sources"],
        json!([{"id": "p-7", "title": "Lamps"}, {"id": "p-9", "title": "Doors"}])
    );
    assert_eq!(answer["answer"], "Lamps are cleaned on Mondays.");
}

#[test]
fn arguments_come_from_quotes_labels_enums_and_numbers() {
    let parameters = object(
        json!({
            "text": {"type": "string"},
            "style": {"enum": ["plain", "fancy"]},
            "width": {"type": "integer", "maximum": 90},
            "unrelated": {"type": "string"},
        }),
        json!(["text", "width"]),
    );
    let wish = "Frame 'good morning' in the fancy style, 80 wide";
    let request = Request {
        tools: vec![tool("frame", "Frames a text.", parameters)],
        ..ask(user(wish))
    };
    let calls = answered(&request).message.tool_calls;
    assert_eq!(
        calls[0].arguments,
        json!({"text": "good morning", "style": "fancy", "width": 80})
    );
}

#[test]
fn schemas_with_references_branches_and_patterns_are_answered() {
    for schema in [
        json!({"$ref": "#/$defs/tree", "$defs": {"tree": object(
            json!({"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}),
            json!(["name", "children"]))}}),
        // What the first branch suggests satisfies both: another branch must be tried.
        json!({"oneOf": [{"type": "integer", "minimum": 0, "maximum": 10}, {"type": "integer", "minimum": 5, "maximum": 30}]}),
        json!({"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"}]}),
        json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {
            "a": {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"}}, "required": ["a"]},
            "b": {"type": "object", "properties": {"b": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}}, "required": ["b"]}}}),
        json!({"type": "object", "minProperties": 3, "additionalProperties": {"type": "boolean"}}),
        json!({"type": "array", "uniqueItems": true, "minItems": 4, "items": {"enum": [1, 2, 3, 4]}}),
        json!({"type": "array", "prefixItems": [{"const": "x"}, {"type": "integer"}], "items": false}),
        json!({"type": ["null", "string"], "minLength": 500}),
        json!({}),
        json!(true),
    ] {
        let response = answered(&Request {
            output_schema: Some(schema.clone()),
            ..ask(user("Name a few lamps, 3 of them"))
        });
        let answer: Value = serde_json::from_str(&response.message.text).unwrap();
        assert!(
            jsonschema::is_valid(&schema, &answer),
            "{schema} <- {answer}"
        );
    }
}

#[test]
fn a_schema_that_nothing_satisfies_is_named_as_such() {
    for schema in [
        json!(false),
        json!({"$ref": "#/nowhere"}),
        json!({"$ref": "#"}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"type": "array", "minItems": 4_000_000_000_u64}),
        json!({"type": "string", "minLength": 4_000_000_000_u64}),
        json!({"type": "integer", "minimum": 2, "maximum": 1}),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
        json!({"type": 3}),
    ] {
        let error = complete(&Request {
            output_schema: Some(schema.clone()),
            ..ask(user("Lamps"))
        })
        .unwrap_err();
        assert!(
            error.to_string().starts_with("output-schema: "),
            "{schema}: {error}"
        );
    }
}

#[test]
fn what_is_made_to_take_long_does_not() {
    let names: serde_json::Map<String, Value> = (0..3000)
        .map(|n| (format!("f{n}"), json!({"type": "string"})))
        .collect();
    let wide = json!({"type": "object", "properties": names});
    let doubling: serde_json::Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (
                format!("d{n}"),
                object(json!({"a": next, "b": next}), json!(["a", "b"])),
            )
        })
        .chain([("d40".to_owned(), json!({"type": "integer"}))])
        .collect();
    let deep = json!({"$ref": "#/$defs/d0", "$defs": doubling});
    let branches: Vec<Value> = (0..200)
        .map(|n| json!({"type": "integer", "minimum": 2 * n + 1, "maximum": 2 * n}))
        .collect();
    let hopeless = json!({"type": "array", "minItems": 4, "items": {"anyOf": branches}});
    let empty =
        json!({"type": "string", "pattern": "^(((a*)*)*)*(){4000000000}$", "minLength": 50});
    let text = "Lamps are cleaned on Mondays. ".repeat(20_000);
    for schema in [wide, deep, hopeless, empty] {
        let mut request = Request {
            output_schema: Some(schema),
            max_output_tokens: 1000,
            ..ask(user(&text))
        };
        let call = crate::ToolCall {
            id: "1".into(),
            name: "x".into(),
            arguments: json!({}),
        };
        request.messages.push(Message {
            tool_calls: vec![call],
            ..Message::text(Role::Assistant, "")
        });
        let rows: Vec<Value> = (0..20_000)
            .map(|n| json!({"f1": n, "text": "Lamps are cleaned on Mondays, says one more line."}))
            .collect();
        request
            .messages
            .push(Message::tool_result("1", json!(rows).to_string()));
        // It ends: with an answer or an error, after a bounded amount of work.
        if let Err(error) = complete(&request) {
            assert!(error.to_string().starts_with("output-schema: "), "{error}");
        }
    }
}

/// Schemas that something satisfies.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0_usize..30, 0_usize..30).prop_map(|(a, b)| json!({"type": "string", "minLength": a, "maxLength": a + b})),
        (-50_i64..50, 0_i64..9).prop_map(|(a, b)| json!({"type": "integer", "minimum": a, "maximum": a + b})),
        (-50_i32..50).prop_map(|a| json!({"type": "number", "exclusiveMinimum": a})),
        (1_i64..9).prop_map(|a| json!({"type": "integer", "multipleOf": a, "minimum": 1})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["null", "integer"]})),
        proptest::collection::btree_set("[a-z]{1,8}", 1..4).prop_map(|e| json!({"enum": e})),
        "[a-z]{3}".prop_map(|c| json!({"const": c})),
        prop::sample::select(vec!["date", "date-time", "email", "uri", "uuid", "ipv4"]).prop_map(|f| json!({"type": "string", "format": f})),
        (1_u32..5, 0_u32..5).prop_map(|(a, b)| json!({"type": "string", "pattern": format!("^[A-Z]{{{a},{}}}_[0-9]+$", a + b)})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (proptest::collection::btree_map("[a-z]{1,6}", inner.clone(), 0..4), any::<bool>()).prop_map(|(fields, all)| {
                let names: Vec<&String> = fields.keys().filter(|name| all || name.len() > 3).collect();
                json!({"type": "object", "required": names, "properties": fields, "additionalProperties": false})
            }),
            (inner.clone(), 0_usize..4, 0_usize..4).prop_map(|(items, a, b)| json!({"type": "array", "items": items, "minItems": a, "maxItems": a + b})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"anyOf": [a, b]})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}, "it": a}, "required": ["kind", "it"]},
                {"type": "object", "properties": {"kind": {"const": "b"}, "it": b}, "required": ["kind", "it"]}]})),
            inner.prop_map(|a| json!({"$ref": "#/$defs/a", "$defs": {"a": a}})).prop_filter("references are to the root", |s| {
                !s["$defs"]["a"].to_string().contains("$ref")
            }),
        ]
    })
    // `$ref` is relative to the root: only there does the generated one resolve.
    .prop_filter("references are to the root", |s| s.get("$ref").is_some() || !s.to_string().contains("$ref"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_satisfy_their_schema(schema in schemas(), words in "[a-z ,.0-9]{0,80}") {
        let request = Request { output_schema: Some(schema.clone()), max_output_tokens: 1_000_000, ..ask(user(&words)) };
        let text = answered(&request).message.text;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        prop_assert!(validator.is_valid(&answer), "{} <- {}", schema, answer);
    }

    #[test]
    fn tools_with_any_names_are_found_called_and_left(
        // A form of a word is the word: `refed` would be a reference.
        subjects in proptest::collection::btree_set("[bcdfgklmnprtvz][aeiou][bcdfgklmnprtvz][aeiou][bgklmnprtvz]", 6),
        wanted in 0_usize..3,
    ) {
        let subjects: Vec<String> = subjects.into_iter().collect();
        let tools: Vec<ToolSpec> = subjects.chunks(2).map(|pair| {
            let (name, argument) = (&pair[0], &pair[1]);
            tool(name, &format!("Looks up the {name} of a thing."), object(json!({argument: {"type": "string"}}), json!([argument])))
        }).collect();
        let name = tools[wanted].name.clone();
        let argument = subjects[wanted * 2 + 1].clone();
        let request = Request { tools, ..ask(user(&format!("Tell me the {name} of \"north tower\""))) };
        let (made, response) = play(request, |_, arguments| json!({"found": format!("It is what {arguments} says.")}));
        prop_assert_eq!(&made[0], &(name, json!({argument: "north tower"})));
        for (place, call) in made.iter().enumerate() {
            prop_assert!(!made[..place].contains(call), "made twice: {:?}", call);
        }
        prop_assert!(response.message.text.contains("It is what"));
    }

    #[test]
    fn every_loop_ends(results in proptest::collection::vec("[a-z]{0,9}", 1..6), wish in "[a-z ]{0,60}") {
        // Results that feed every argument with something new each time.
        let tools = vec![
            tool("one", "Seeks a b c.", object(json!({"id": {"type": "string"}}), json!(["id"]))),
            tool("two", "Finds d e f.", object(json!({"id": {"type": "string"}, "q": {"type": "string"}}), json!(["q"]))),
        ];
        let request = Request { tools, ..ask(user(&wish)) };
        let (made, _) = play(request, |_, arguments| json!({"items": results, "id": arguments.to_string(), "q": arguments.to_string()}));
        prop_assert!(made.len() <= 9);
    }
}
