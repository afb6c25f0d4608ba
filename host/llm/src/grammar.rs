//! The part of JSON Schema to which a model can be held while it speaks: what providers make a
//! grammar of. The rest is told in descriptions, and every answer is looked at anyway.
//!
//! As Anthropic's SDK for Python does it (2.12.0, `lib/_parse/_transform.py`), but for what would
//! narrow more than who wrote the schema meant: that has no such form, and is said in words.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// More properties that may be left out are refused as too complex (LiteLLM 1.109.1,
/// `llms/anthropic/chat/transformation.py`),
const MOST_OPTIONAL: usize = 24;
/// and more choices between schemas.
const MOST_CHOICES: usize = 16;
/// Deeper ones are left to words.
const MOST_DEPTH: usize = 64;
/// Formats of texts that are known to all of them.
const FORMATS: [&str; 9] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
];
/// What says nothing of an answer.
const SILENT: [&str; 9] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// What makes a form of its own, so that it cannot stand beside another; the last ones have none.
const FORMS: [&str; 13] = [
    "properties",
    "patternProperties",
    "items",
    "prefixItems",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "if",
    "dependentRequired",
    "dependentSchemas",
];

/// `schema` in the form that a grammar can be made of: what satisfies it satisfies `schema`, but
/// for what its descriptions say. None if it has no such form. It is at most twice as long.
pub fn of(schema: &Value) -> Option<Value> {
    made(schema).map(|(made, _)| made)
}

/// As [`of`], where no property may be left out: others take only such schemas.
pub fn strict(schema: &Value) -> Option<Value> {
    made(schema).and_then(|(made, optional)| (optional == 0).then_some(made))
}

/// And how many properties may be left out.
fn made(schema: &Value) -> Option<(Value, usize)> {
    if schema.get("type")? != "object" {
        return None;
    }
    let mut maker = Maker {
        root: schema,
        defs: BTreeMap::new(),
        optional: 0,
        choices: 0,
    };
    let mut made = maker.schema(schema, 0)?;
    let defs: Map<String, Value> = maker
        .defs
        .into_iter()
        .filter_map(|(name, def)| Some((name, def?)))
        .collect();
    if let (Some(made), false) = (made.as_object_mut(), defs.is_empty()) {
        made.insert("$defs".to_owned(), Value::Object(defs));
    }
    let is_short = made.to_string().len() <= 2 * schema.to_string().len();
    let fits = is_short && maker.optional <= MOST_OPTIONAL && maker.choices <= MOST_CHOICES;
    fits.then_some((made, maker.optional))
}

struct Maker<'a> {
    root: &'a Value,
    /// What was referred to; none while it is made, since what contains itself has no grammar.
    defs: BTreeMap<String, Option<Value>>,
    optional: usize,
    choices: usize,
}

impl Maker<'_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        let mut rest = schema.as_object()?.clone();
        if depth > MOST_DEPTH {
            return None;
        }
        rest.retain(|name, _| !SILENT.contains(&name.as_str()));
        let form = FORMS.iter().find(|form| rest.contains_key(**form));
        let is_alone = |form: &str| FORMS.iter().all(|f| *f == form || !rest.contains_key(*f));
        let mut made = match form.copied() {
            Some(form @ ("anyOf" | "oneOf")) if is_alone(form) => {
                rest.remove("type");
                let among = rest.remove(form)?;
                self.choice(among.as_array()?, depth)?
            }
            Some(form @ ("enum" | "const")) if is_alone(form) => {
                rest.remove("type");
                literal(form, rest.remove(form)?)?
            }
            Some("allOf") if is_alone("allOf") => {
                rest.remove("type");
                let all = rest.remove("allOf")?;
                let [one] = all.as_array()?.as_slice() else {
                    return None;
                };
                self.schema(one, depth + 1)?.as_object()?.clone()
            }
            // What stands beside it is looked at in the answer.
            Some("$ref") => return self.referred(rest.get("$ref")?.as_str()?, depth),
            None => self.typed(&mut rest, depth)?,
            Some(form @ ("properties" | "items")) if is_alone(form) => {
                self.typed(&mut rest, depth)?
            }
            Some(_) => return None,
        };
        tell(&mut made, rest);
        Some(Value::Object(made))
    }

    fn choice(&mut self, among: &[Value], depth: usize) -> Option<Map<String, Value>> {
        self.choices += 1;
        let among = among.iter().map(|one| self.schema(one, depth + 1));
        let among: Vec<Value> = among.collect::<Option<_>>()?;
        (!among.is_empty()).then(|| Map::from_iter([("anyOf".to_owned(), Value::Array(among))]))
    }

    fn referred(&mut self, name: &str, depth: usize) -> Option<Value> {
        let place = name.strip_prefix('#')?;
        let name = place
            .strip_prefix("/$defs/")
            .or_else(|| place.strip_prefix("/definitions/"))?;
        if name.contains(['/', '~', '%']) {
            return None;
        }
        match self.defs.get(name) {
            Some(None) => return None,
            Some(Some(_)) => {}
            None => {
                self.defs.insert(name.to_owned(), None);
                let root = self.root;
                let def = self.schema(root.pointer(place)?, depth + 1)?;
                self.defs.insert(name.to_owned(), Some(def));
            }
        }
        Some(json!({"$ref": format!("#/$defs/{name}")}))
    }

    /// A schema that says of which type an answer is, in one way or another.
    fn typed(&mut self, rest: &mut Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
        let kind = match rest.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let described = rest.remove("description");
                let each = kinds.into_iter().map(|kind| {
                    let says_more = !matches!(kind.as_str(), Some("null" | "boolean"));
                    let mut one = if says_more { rest.clone() } else { Map::new() };
                    one.insert("type".to_owned(), kind);
                    Value::Object(one)
                });
                let each: Vec<Value> = each.collect();
                rest.clear();
                rest.extend(described.map(|text| ("description".to_owned(), text)));
                return self.choice(&each, depth);
            }
            None if rest.contains_key("properties") => "object".to_owned(),
            None if rest.contains_key("items") => "array".to_owned(),
            _ => return None,
        };
        let mut made = Map::new();
        match kind.as_str() {
            "object" => self.object(&mut made, rest, depth)?,
            "array" => {
                let items = self.schema(rest.get("items")?, depth + 1)?;
                made.insert("items".to_owned(), items);
                rest.remove("items");
                if rest
                    .get("minItems")
                    .is_some_and(|least| *least == 0 || *least == 1)
                {
                    made.extend(rest.remove_entry("minItems"));
                }
            }
            "string" => {
                let format = rest.get("format").and_then(Value::as_str);
                if format.is_some_and(|format| FORMATS.contains(&format)) {
                    made.extend(rest.remove_entry("format"));
                }
            }
            "number" | "integer" | "boolean" | "null" => {}
            _ => return None,
        }
        made.insert("type".to_owned(), Value::String(kind));
        Some(made)
    }

    fn object(
        &mut self,
        made: &mut Map<String, Value>,
        rest: &mut Map<String, Value>,
        depth: usize,
    ) -> Option<()> {
        // Who says that there may be others means it, and one without names has any.
        if !matches!(
            rest.remove("additionalProperties"),
            None | Some(Value::Bool(false))
        ) {
            return None;
        }
        let properties = rest.remove("properties")?;
        let properties = properties.as_object()?;
        if properties.is_empty() {
            return None;
        }
        let required = rest.remove("required").unwrap_or_else(|| json!([]));
        let mut named = required.as_array()?.iter();
        if !named.all(|name| {
            name.as_str()
                .is_some_and(|name| properties.contains_key(name))
        }) {
            return None;
        }
        self.optional += properties.len().saturating_sub(required.as_array()?.len());
        let each = properties
            .iter()
            .map(|(name, schema)| Some((name.clone(), self.schema(schema, depth + 1)?)));
        let each: Map<String, Value> = each.collect::<Option<_>>()?;
        made.insert("properties".to_owned(), Value::Object(each));
        if required.as_array().is_some_and(|names| !names.is_empty()) {
            made.insert("required".to_owned(), required);
        }
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
        Some(())
    }
}

/// One value, or one of several, and of which type they are if that is one.
fn literal(form: &str, value: Value) -> Option<Map<String, Value>> {
    let all = match (form, &value) {
        ("enum", Value::Array(all)) => all.as_slice(),
        ("const", one) => std::slice::from_ref(one),
        _ => return None,
    };
    let kinds: Option<BTreeSet<&str>> = all.iter().map(kind).collect();
    let kinds = kinds.filter(|kinds| !kinds.is_empty())?;
    let mut made = Map::new();
    if let (Some(kind), 1) = (kinds.first(), kinds.len()) {
        made.insert("type".to_owned(), json!(kind));
    }
    made.insert(form.to_owned(), value);
    Some(made)
}

/// None if it has parts.
fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => Some("null"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::String(_) => Some("string"),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Says in words what is left of a schema.
fn tell(made: &mut Map<String, Value>, mut rest: Map<String, Value>) {
    made.extend(rest.remove_entry("title"));
    let mut told: Vec<String> = Vec::new();
    if let Some(Value::String(text)) = rest.remove("description") {
        told.push(text);
    }
    if !rest.is_empty() {
        told.push(Value::Object(rest).to_string());
    }
    if !told.is_empty() {
        made.insert("description".to_owned(), json!(told.join("\n\n")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                json!({"description": "Days.", "anyOf":
                    [{"type": "integer", "description": "{\"minimum\":0}"}, nothing()]}),
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
        for root in [
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
                "a": {"$ref": "#/$defs/b", "description": "not told"},
                "c": {"$ref": "#/$defs/b"},
            }})
        };
        let leaf = json!({"properties": {"n": {"type": "number"}}});
        let made = of(&both(&json!({"b": leaf, "unused": {"type": "object"}}))).unwrap();
        assert_eq!(made["properties"]["a"], json!({"$ref": "#/$defs/b"}));
        assert_eq!(made["$defs"].as_object().unwrap().len(), 1);
        assert_eq!(made["$defs"]["b"]["additionalProperties"], false);
        let list = json!({"items": {"$ref": "#/$defs/b"}});
        assert_eq!(of(&both(&json!({"b": list}))), None);
        let old = json!({"type": "object", "definitions": {"b": leaf}, "properties": {"a": {"$ref": "#/definitions/b"}}});
        assert_eq!(of(&old).unwrap()["$defs"]["b"]["type"], "object");
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
        let chained = |n: usize| {
            let defs = (0..n).map(|n| {
                let next = json!({"items": {"$ref": format!("#/$defs/d{}", n + 1)}});
                (format!("d{n}"), next)
            });
            let mut defs: Map<_, _> = defs.collect();
            defs.insert(format!("d{n}"), json!({"type": "null"}));
            json!({"type": "object", "$defs": defs, "properties": {"a": {"$ref": "#/$defs/d0"}}})
        };
        assert!(of(&chained(9)).is_some());
        assert_eq!(of(&chained(10_000)), None);
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_schema_with_closed_objects_and_not_much_longer(
            names in proptest::collection::vec(proptest::sample::select(&FORMS[..]), 0..4),
            kinds in proptest::collection::vec(
                proptest::sample::select(vec!["string", "null", "integer", "object", "array"]), 1..4),
            text in "[a-z\"\\\\ ]{0,9}",
        ) {
            let leaf = json!({"type": kinds, "description": text, "items": {"const": text}, "minLength": 2});
            let mut schema = json!({"type": "object", "properties": {"a": leaf.clone()}});
            for name in names {
                let value = match name {
                    "enum" => json!([text]),
                    "anyOf" | "oneOf" | "allOf" => json!([leaf]),
                    _ => json!({"b": leaf}),
                };
                schema["properties"]["c"] = json!({name: value});
            }
            if let Some(made) = of(&schema) {
                assert!(made.to_string().len() <= 2 * schema.to_string().len());
                jsonschema::validator_for(&made).unwrap();
                assert_eq!(of(&made), Some(made.clone()), "it has its form already");
            }
        }
    }
}
