//! The part of JSON Schema to which a model can be held while it speaks: what providers make a
//! grammar of. The rest goes into descriptions, and every answer is looked at anyway.
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
/// Formats of texts that are known to all of them, and that no placeholder of a redacted text
/// stands in the place of: an address would have to be made up.
const FORMATS: [&str; 6] = ["date-time", "time", "date", "duration", "hostname", "uuid"];
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
/// Each makes a form of its own. Without one of them it is the type that does.
const FORMS: [&str; 6] = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
/// What decides which answers there can be at all: where a form has no place for it, it has no
/// grammar. Everything else only rules out some of them.
const DECISIVE: [&str; 24] = [
    "$ref",
    "$dynamicRef",
    "anyOf",
    "oneOf",
    "allOf",
    "enum",
    "const",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "minProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "items",
    "additionalItems",
    "unevaluatedItems",
    "prefixItems",
    "if",
    "then",
    "else",
];
/// What of that an object has a place for.
const OF_OBJECTS: [&str; 5] = [
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "minProperties",
];

/// `schema` in the form that a grammar can be made of. An answer in that form satisfies `schema`
/// but for what is told in descriptions and what its types and choices say beside each other; and
/// whatever satisfies `schema` has such an answer, with the properties that it names. None if it
/// has no such form. It is at most twice as long.
pub fn of(schema: &Value) -> Option<Value> {
    made(schema).map(|(made, _)| made)
}

/// As [`of`], where no property may be left out: others take only such schemas.
pub fn strict(schema: &Value) -> Option<Value> {
    made(schema).and_then(|(made, optional)| (optional == 0).then_some(made))
}

/// And how many properties may be left out.
fn made(schema: &Value) -> Option<(Value, usize)> {
    let mut maker = Maker {
        root: schema,
        defs: BTreeMap::new(),
        optional: 0,
        choices: 0,
    };
    let mut made = maker.schema(schema, 0)?;
    let root = made.as_object_mut()?;
    if root.get("type")? != "object" {
        return None;
    }
    let optional = maker.optional;
    let defs = maker.defs.into_iter();
    let defs: Map<String, Value> = defs
        .filter_map(|(name, def)| Some((name.to_owned(), def?)))
        .collect();
    if !defs.is_empty() {
        root.insert("$defs".to_owned(), Value::Object(defs));
    }
    let is_short = made.to_string().len() <= 2 * schema.to_string().len();
    is_short.then_some((made, optional))
}

struct Maker<'a> {
    root: &'a Value,
    /// What was referred to; none while it is made, since what contains itself has no grammar.
    defs: BTreeMap<&'a str, Option<Value>>,
    optional: usize,
    choices: usize,
}

/// A form, and what of the schema it says.
type Form = (Map<String, Value>, Vec<&'static str>);

impl<'a> Maker<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        let all = schema.as_object()?;
        let is_too_complex = self.optional > MOST_OPTIONAL || self.choices > MOST_CHOICES;
        if depth > MOST_DEPTH || is_too_complex {
            return None;
        }
        let form = FORMS.iter().find_map(|form| Some((*form, all.get(*form)?)));
        let (mut made, mut said) = match form {
            Some((form @ "$ref", name)) => (self.referred(name.as_str()?, depth)?, vec![form]),
            Some((form @ ("anyOf" | "oneOf"), among)) => {
                let among = among.as_array()?.iter();
                let among = among.map(|one| self.schema(one, depth + 1));
                let among: Option<Vec<Value>> = among.collect();
                (self.choice(among?)?, vec![form, "type"])
            }
            Some((form @ "allOf", all)) => {
                let [one] = all.as_array()?.as_slice() else {
                    return None;
                };
                let one = self.schema(one, depth + 1)?;
                (one.as_object()?.clone(), vec![form, "type"])
            }
            Some((form, value)) => (literal(form, value)?, vec![form, "type"]),
            None => self.typed(all, depth)?,
        };
        if DECISIVE
            .iter()
            .any(|name| all.contains_key(*name) && !said.contains(name))
        {
            return None;
        }
        said.retain(|name| *name != "minProperties");
        let told = told(all, &said);
        if told.is_empty() {
            return Some(Value::Object(made));
        }
        if made.contains_key("$ref") {
            // Nothing may stand beside it.
            made = self.choice(vec![Value::Object(made)])?;
        }
        if let (Some(before), Some(Value::String(more))) =
            (made.remove("description"), told.get("description"))
        {
            // Of the one that `allOf` has.
            let both = format!("{}\n\n{more}", before.as_str().unwrap_or_default());
            made.extend(told);
            made.insert("description".to_owned(), json!(both));
        } else {
            made.extend(told);
        }
        Some(Value::Object(made))
    }

    fn choice(&mut self, among: Vec<Value>) -> Option<Map<String, Value>> {
        self.choices += 1;
        let fits = !among.is_empty() && self.choices <= MOST_CHOICES;
        fits.then(|| Map::from_iter([("anyOf".to_owned(), Value::Array(among))]))
    }

    fn referred(&mut self, place: &'a str, depth: usize) -> Option<Map<String, Value>> {
        let place = place.strip_prefix('#')?;
        let name = place
            .strip_prefix("/$defs/")
            .or_else(|| place.strip_prefix("/definitions/"))?;
        let root = self.root;
        let has_both = root.get("$defs").is_some() && root.get("definitions").is_some();
        if has_both || name.contains(['/', '~', '%']) {
            return None;
        }
        match self.defs.get(name) {
            Some(None) => return None,
            Some(Some(_)) => {}
            None => {
                self.defs.insert(name, None);
                let def = self.schema(root.pointer(place)?, depth + 1)?;
                self.defs.insert(name, Some(def));
            }
        }
        let there = json!(format!("#/$defs/{name}"));
        Some(Map::from_iter([("$ref".to_owned(), there)]))
    }

    /// A schema that says of which types an answer is, in one way or another.
    fn typed(&mut self, all: &'a Map<String, Value>, depth: usize) -> Option<Form> {
        let kinds: Vec<&str> = match all.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().map(Value::as_str).collect::<Option<_>>()?,
            Some(_) => return None,
            None if all.contains_key("properties") => vec!["object"],
            None if all.contains_key("items") => vec!["array"],
            None => return None,
        };
        let mut said = vec!["type"];
        let mut forms = Vec::new();
        for kind in kinds {
            let (mut form, of_kind) = self.kind(kind, all, depth)?;
            form.insert("type".to_owned(), json!(kind));
            forms.push(Value::Object(form));
            said.extend(of_kind);
        }
        let form = match <[Value; 1]>::try_from(forms) {
            Ok([Value::Object(one)]) => one,
            Ok(_) => return None,
            Err(several) => self.choice(several)?,
        };
        Some((form, said))
    }

    fn kind(&mut self, kind: &str, all: &'a Map<String, Value>, depth: usize) -> Option<Form> {
        let mut made = Map::new();
        let mut keep = |name: &'static str, fits: &dyn Fn(&Value) -> bool| {
            let kept = all.get(name).filter(|value| fits(value));
            made.extend(kept.map(|value| (name.to_owned(), value.clone())));
            kept.map_or(vec![], |_| vec![name])
        };
        match kind {
            "object" => Some((self.object(all, depth)?, OF_OBJECTS.into())),
            "array" => {
                let mut said = keep("minItems", &|least| *least == 0 || *least == 1);
                let items = self.schema(all.get("items")?, depth + 1)?;
                made.insert("items".to_owned(), items);
                said.push("items");
                Some((made, said))
            }
            "string" => {
                let is_known = |it: &Value| it.as_str().is_some_and(|it| FORMATS.contains(&it));
                let said = keep("format", &is_known);
                Some((made, said))
            }
            "number" | "integer" | "boolean" | "null" => Some((made, vec![])),
            _ => None,
        }
    }

    fn object(&mut self, all: &'a Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
        // Who says that there may be others means it, and one without names has any.
        let is_closed = |name| matches!(all.get(name), None | Some(Value::Bool(false)));
        if !is_closed("additionalProperties") || !is_closed("unevaluatedProperties") {
            return None;
        }
        let properties = all.get("properties")?.as_object()?;
        let least = all.get("minProperties").map_or(Some(0), Value::as_u64)?;
        if properties.is_empty() || least > properties.len() as u64 {
            return None;
        }
        let none = Vec::new();
        let required = all.get("required").map_or(Some(&none), Value::as_array)?;
        let is_named = |name: &Value| name.as_str().is_some_and(|it| properties.contains_key(it));
        if !required.iter().all(is_named) {
            return None;
        }
        self.optional += properties.len().saturating_sub(required.len());
        let each = properties
            .iter()
            .map(|(name, schema)| Some((name.clone(), self.schema(schema, depth + 1)?)));
        let each: Map<String, Value> = each.collect::<Option<_>>()?;
        let mut made = Map::new();
        made.insert("properties".to_owned(), Value::Object(each));
        if !required.is_empty() {
            made.insert("required".to_owned(), json!(required));
        }
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
        Some(made)
    }
}

/// One value, or one of several, and of which type they are if that is one.
fn literal(form: &str, value: &Value) -> Option<Map<String, Value>> {
    let all = match (form, value) {
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
    made.insert(form.to_owned(), value.clone());
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

/// What a schema says beside what is `said`: its title, and the rest in a description.
fn told(all: &Map<String, Value>, said: &[&str]) -> Map<String, Value> {
    let mut told = Map::new();
    let mut texts: Vec<String> = Vec::new();
    let mut rest = Map::new();
    for (name, value) in all {
        match (name.as_str(), value) {
            ("title", Value::String(_)) => drop(told.insert(name.clone(), value.clone())),
            ("description", Value::String(text)) => texts.push(text.clone()),
            (name, _) if SILENT.contains(&name) || said.contains(&name) => {}
            _ => drop(rest.insert(name.clone(), value.clone())),
        }
    }
    if !rest.is_empty() {
        texts.push(Value::Object(rest).to_string());
    }
    if !texts.is_empty() {
        told.insert("description".to_owned(), json!(texts.join("\n\n")));
    }
    told
}

#[cfg(test)]
mod tests {
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
                    let mut made =
                        json!({"type": "object", "required": required, "properties": all});
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
            assert!(made.to_string().len() <= 2 * schema.to_string().len());
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
}
