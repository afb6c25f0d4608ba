//! Schemas of each kind and what becomes of them; and that right answers stay possible.

use super::*;
use crate::providers::Simulated;
use crate::{Message, ModelClass, Price, Provider as _, Request, Role};
use proptest::prelude::Strategy;

/// An object whose property `a` this is.
fn with(schema: Value) -> Value {
    json!({"type": "object", "properties": {"a": schema}, "required": ["a"]})
}

/// What becomes of that property.
fn made(schema: Value) -> Option<Value> {
    let made = of(&with(schema))?;
    assert_eq!(made["additionalProperties"], false);
    Some(made["properties"]["a"].clone())
}

#[test]
fn objects_are_closed_and_what_has_no_grammar_is_told() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": "Verdict",
        "description": "What to do.",
        "minProperties": 1,
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "why": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 3}},
        },
        "required": ["score"],
    });
    assert_eq!(
        of(&schema).unwrap(),
        json!({
            "type": "object",
            "title": "Verdict",
            "description": "What to do.\n\n{\"minProperties\":1}",
            "properties": {
                "score": {"type": "integer", "description": "{\"maximum\":5,\"minimum\":1}"},
                "why": {"type": "array", "minItems": 1, "items":
                    {"type": "string", "description": "{\"minLength\":3}"}},
            },
            "required": ["score"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn each_kind_of_schema_has_its_form() {
    let text = || json!({"type": "string"});
    let nothing = || json!({"type": "null"});
    for (asked, expected) in [
        (text(), text()),
        (
            json!({"type": "string", "format": "date"}),
            json!({"type": "string", "format": "date"}),
        ),
        (
            json!({"type": "string", "format": "phone"}),
            json!({"type": "string", "description": "{\"format\":\"phone\"}"}),
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!({"type": "string", "enum": ["a", "b"]}),
        ),
        (json!({"const": 1}), json!({"type": "integer", "const": 1})),
        (json!({"enum": ["a", null]}), json!({"enum": ["a", null]})),
        (
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [text(), nothing()]}),
        ),
        (
            json!({"type": ["integer", "null"], "minimum": 0, "description": "Days."}),
            json!({"description": "Days.\n\n{\"minimum\":0}", "anyOf":
                [{"type": "integer"}, nothing()]}),
        ),
        (
            json!({"oneOf": [text(), nothing()]}),
            json!({"anyOf": [text(), nothing()]}),
        ),
        (
            json!({"allOf": [text()], "title": "A"}),
            json!({"type": "string", "title": "A"}),
        ),
        (
            json!({"allOf": [{"type": "string", "description": "one"}], "title": "A"}),
            json!({"type": "string", "title": "A", "description": "one"}),
        ),
        (
            json!({"allOf": [{"type": "string", "description": "one"}], "description": "two"}),
            json!({"type": "string", "description": "one\n\ntwo"}),
        ),
        (
            json!({"items": text()}),
            json!({"type": "array", "items": text()}),
        ),
        (
            json!({"type": "array", "items": text(), "minItems": 2}),
            json!({"type": "array", "items": text(), "description": "{\"minItems\":2}"}),
        ),
        (
            json!({"properties": {"b": nothing()}, "required": []}),
            json!({"type": "object", "properties": {"b": nothing()}, "additionalProperties": false}),
        ),
    ] {
        assert_eq!(made(asked.clone()), Some(expected), "{asked}");
    }
}

#[test]
fn as_many_properties_as_there_are_can_be_asked_for() {
    let asked = |least: usize| json!({"properties": {"b": {"const": 1}}, "minProperties": least});
    let told = made(asked(1)).unwrap();
    assert_eq!(told["description"], "{\"minProperties\":1}");
    assert_eq!(made(asked(2)), None);
}

#[test]
fn what_would_be_narrowed_too_far_is_left_to_words() {
    for schema in [
        json!({}),
        json!(true),
        json!({"type": "object"}),
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"properties": {"b": {"type": "null"}}, "additionalProperties": true}),
        json!({"properties": {"b": {"type": "null"}}, "required": ["c"]}),
        json!({"properties": {"b": {"type": "null"}}, "required": "b"}),
        json!({"properties": {"b": {"type": "null"}}, "patternProperties": {"^x": true}}),
        json!({"properties": {"b": {"type": "null"}}, "anyOf": [{"required": ["c"]}]}),
        json!({"required": ["c"], "anyOf": [{"properties": {"b": {"type": "null"}}}]}),
        json!({"properties": {"b": {"type": "null"}}, "minProperties": 2}),
        json!({"properties": {"b": {"type": "null"}}, "unevaluatedProperties": true}),
        json!({"properties": {"b": {"type": "null"}}, "dependencies": {"b": ["c"]}}),
        json!({"allOf": [{"properties": {"b": {"type": "null"}}}], "additionalProperties": true}),
        json!({"$ref": "#/$defs/d", "if": {}, "then": {"required": ["c"]}}),
        json!({"type": "string", "properties": {"b": {"type": "null"}}}),
        json!({"properties": {"b": {"type": "null"}}, "if": {}, "then": {"required": ["c"]}}),
        json!({"type": "array"}),
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "null"}}),
        json!({"type": "text"}),
        json!({"type": []}),
        json!({"enum": []}),
        json!({"enum": "a"}),
        json!({"enum": [{"a": 1}]}),
        json!({"const": [1]}),
        json!({"anyOf": []}),
        json!({"allOf": [{"type": "string"}, {"minLength": 1}]}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "#/properties/a"}),
        json!({"$ref": "#/$defs/none"}),
    ] {
        assert_eq!(made(schema.clone()), None, "{schema}");
    }
    let two = json!({"type": "object", "$defs": {"x": {"const": 1}}, "definitions": {"x": {"const": 2}},
        "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/definitions/x"}}});
    assert_eq!(of(&two), None);
    let choice = json!({"type": "object", "anyOf": [{"properties": {"b": {"type": "null"}}}]});
    for root in [
        choice,
        json!({"type": "array", "items": {"type": "null"}}),
        json!(true),
        json!({}),
    ] {
        assert_eq!(of(&root), None, "{root}");
    }
}

#[test]
fn what_is_referred_to_comes_along_once_and_never_within_itself() {
    let both = |defs: &Value| {
        json!({"type": "object", "$defs": defs, "properties": {
            "a": {"$ref": "#/$defs/b", "description": "the first"},
            "c": {"$ref": "#/$defs/b"},
        }})
    };
    let leaf = json!({"properties": {"n": {"type": "number"}}});
    let made = of(&both(&json!({"b": leaf, "unused": {"type": "object"}}))).unwrap();
    // Nothing may stand beside a reference.
    let there = json!({"$ref": "#/$defs/b"});
    let described = json!({"anyOf": [there], "description": "the first"});
    assert_eq!(made["properties"]["a"], described);
    assert_eq!(made["properties"]["c"], there);
    assert_eq!(made["$defs"].as_object().unwrap().len(), 1);
    assert_eq!(made["$defs"]["b"]["additionalProperties"], false);
    let list = json!({"items": {"$ref": "#/$defs/b"}});
    assert_eq!(of(&both(&json!({"b": list}))), None);
    let old = json!({"type": "object", "definitions": {"b": leaf}, "properties": {"a": {"$ref": "#/definitions/b"}}});
    assert_eq!(of(&old).unwrap()["$defs"]["b"]["type"], "object");
}

#[test]
fn a_placeholder_can_stand_for_what_is_redacted() {
    for format in ["email", "ipv4", "ipv6", "uri"] {
        let made = made(json!({"type": "string", "format": format})).unwrap();
        assert!(made.get("format").is_none(), "{made}");
        assert!(made["description"].as_str().unwrap().contains(format));
    }
}

#[test]
fn deep_schemas_with_much_in_them_are_left_to_words() {
    let much: Vec<Value> = (0..20_000).map(|_| json!({"": 0})).collect();
    let mut schema = json!({"type": "array", "default": much});
    for _ in 0..60 {
        schema = json!({"type": ["array", "string", "number", "integer"], "items": schema});
    }
    assert_eq!(made(schema), None);
}

#[test]
fn what_is_too_complex_is_left_to_words() {
    let optional = |n: usize| {
        let each = (0..n).map(|n| (format!("p{n}"), json!({"type": "null"})));
        json!({"type": "object", "properties": each.collect::<Map<_, _>>()})
    };
    assert!(of(&optional(MOST_OPTIONAL)).is_some());
    assert_eq!(strict(&optional(1)), None);
    assert!(strict(&with(json!({"const": 1}))).is_some());
    assert_eq!(of(&optional(MOST_OPTIONAL + 1)), None);
    let choices = |n: usize| {
        let each = (0..n).map(|n| (format!("p{n}"), json!({"type": ["string", "null"]})));
        let each = each.collect::<Map<_, _>>();
        let names: Vec<&String> = each.keys().collect();
        json!({"type": "object", "required": names, "properties": each})
    };
    assert!(of(&choices(MOST_CHOICES)).is_some());
    assert_eq!(of(&choices(MOST_CHOICES + 1)), None);
    // A chain of references is as deep as it is long.
    let chained = |n: usize, within: &dyn Fn(Value) -> Value| {
        let defs = (0..n).map(|n| {
            let next = within(json!({"$ref": format!("#/$defs/d{}", n + 1)}));
            (format!("d{n}"), next)
        });
        let mut defs: Map<_, _> = defs.collect();
        defs.insert(format!("d{n}"), json!({"type": "null"}));
        json!({"type": "object", "$defs": defs, "properties": {"a": {"$ref": "#/$defs/d0"}}})
    };
    let within: [&dyn Fn(Value) -> Value; 5] = [
        &|next| next,
        &|next| json!({"items": next}),
        &|next| json!({"properties": {"b": next}, "required": ["b"]}),
        &|next| json!({"anyOf": [next]}),
        &|next| json!({"allOf": [next]}),
    ];
    for within in within {
        assert!(of(&chained(9, within)).is_some());
        assert_eq!(of(&chained(10_000, within)), None);
    }
}

/// All objects within are closed.
fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_open = fields.get("type") == Some(&json!("object"))
                && fields.get("additionalProperties") != Some(&json!(false));
            !is_open && fields.values().all(is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}

/// Something that satisfies `schema`.
fn example(schema: &Value) -> Value {
    let request = Request {
        output_schema: Some(schema.clone()),
        ..Request::new(
            ModelClass::Fast,
            vec![Message::text(Role::User, "the disk of db-1 is full")],
            4_000,
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let answer = runtime
        .unwrap()
        .block_on(Simulated::priced(Price::FREE).complete(&request));
    serde_json::from_str(&answer.unwrap().message.text).unwrap()
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = proptest::sample::select(vec![
        json!({"type": "string"}),
        json!({"type": "integer", "minimum": 3, "title": "T"}),
        json!({"type": ["string", "null"], "description": "d"}),
        json!({"type": ["array", "integer"], "items": {"type": "boolean"}}),
        json!({"enum": ["a", "b", null]}),
        json!({"type": "string", "const": "c"}),
        json!({"$ref": "#/$defs/d"}),
        json!({"$ref": "#/$defs/d", "description": "a d"}),
        json!({"type": "string", "format": "date"}),
    ]);
    let node = leaf.prop_recursive(4, 12, 3, |inner| {
        let properties = proptest::collection::btree_map("[a-c]", inner.clone(), 1..4);
        proptest::prop_oneof![
            (properties, 0..3_usize, proptest::bool::ANY).prop_map(|(all, count, closed)| {
                let required: Vec<_> = all.keys().take(count).collect();
                let mut made = json!({"type": "object", "required": required, "properties": all});
                if closed {
                    made["additionalProperties"] = json!(false);
                }
                made
            }),
            inner
                .clone()
                .prop_map(|one| json!({"type": "array", "items": one, "minItems": 1})),
            inner
                .clone()
                .prop_map(|one| json!({"items": one, "minItems": 2})),
            inner
                .clone()
                .prop_map(|one| json!({"allOf": [one], "description": "one"})),
            proptest::collection::vec(inner, 1..3).prop_map(|some| json!({"anyOf": some})),
        ]
    });
    proptest::collection::btree_map("[a-d]", node, 1..4).prop_map(|all| {
        let defs = json!({"d": {"type": "object", "properties": {"x": {"type": "number"}}}});
        json!({"type": "object", "$defs": defs, "properties": all})
    })
}

proptest::proptest! {
    #[test]
    fn who_speaks_by_it_can_answer_and_answers_right(schema in schemas()) {
        let Some(made) = of(&schema) else {
            return Ok(());
        };
        assert!(is_closed(&made), "{made}");
        assert!(made.to_string().len() <= 2 * schema.to_string().len() + MOST_MORE);
        assert_eq!(of(&made).as_ref(), Some(&made), "it has its form already");
        let fits = |schema: &Value, answer: &Value| {
            jsonschema::validator_for(schema).unwrap().is_valid(answer)
        };
        let answer = example(&schema);
        assert!(fits(&made, &answer), "{answer} was right by {schema}, and is not by {made}");
        // What is only told need not be heeded.
        if !made.to_string().contains("{\\\"") {
            let answer = example(&made);
            assert!(fits(&schema, &answer), "{answer} is right by {made}, but not by {schema}");
        }
    }
}
