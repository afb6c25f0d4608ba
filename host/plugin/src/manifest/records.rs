//! What must hold for a collection that a manifest declares.

use super::RecordSection;
use super::check::{ManifestProblem, at};
use crate::schema::compile_schema;
use mandate_types::ids::{is_collection, is_kebab};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of indexed properties.
const KINDS: &[&str] = &["text", "number", "boolean", "texts"];
const MAX_INDEXED: usize = 32;

pub(super) fn check(name: &str, section: &RecordSection, found: &mut Vec<ManifestProblem>) {
    if !is_collection(name) {
        at![found, "records", name; "`{name}` cannot be a collection's name; expected at most 64 lower-case letters, digits and `_`, such as `incidents`"];
    }
    if let Err(expected) = check_pattern(&section.id) {
        at![found, "records", name, "id"; "`{}` is not a pattern for ids: {expected}", section.id];
    }
    let schema = &section.schema;
    if let Err(error) = compile_schema(schema) {
        at![found, "records", name, "schema"; "is not a JSON Schema that can be used: {error}"];
        return;
    }
    if !could_be(schema, schema, "object", 0) {
        at![found, "records", name, "schema"; "is not the schema of an object; expected `type = \"object\"` with `properties`"];
        return;
    }
    if section.indexed.len() > MAX_INDEXED {
        at![found, "records", name, "indexed"; "has {} properties, the most is {MAX_INDEXED}", section.indexed.len()];
    }
    for (property, kind) in &section.indexed {
        if !KINDS.contains(&kind.as_str()) {
            at![found, "records", name, "indexed", property; "`{kind}` is not a kind of index; expected one of {}", KINDS.join(", ")];
            continue;
        }
        match self::property(schema, schema, property, 0) {
            None => {
                at![found, "records", name, "indexed", property; "the schema has no property `{property}`; it has {}", properties(schema)];
            }
            Some(inner) if !fits(schema, inner, kind) => {
                at![found, "records", name, "indexed", property; "the schema says that `{property}` is something else than {}", type_of(kind)];
            }
            Some(_) => {}
        }
    }
    for (index, property) in section.full_text.iter().enumerate() {
        match self::property(schema, schema, property, 0) {
            None => {
                at![found, "records", name, "full_text", index; "the schema has no property `{property}`; it has {}", properties(schema)];
            }
            Some(inner) if !fits(schema, inner, "text") => {
                at![found, "records", name, "full_text", index; "the schema says that `{property}` is no text; only texts are searched by words"];
            }
            Some(_) => {}
        }
    }
    let mut seen = BTreeSet::new();
    for (index, action) in section.actions.iter().enumerate() {
        if !is_kebab(&action.name) {
            at![found, "records", name, "action", index, "name"; "`{}` is not kebab case; expected a name such as `start-resolution`", action.name];
        } else if !seen.insert(&action.name) {
            at![found, "records", name, "action", index, "name"; "there are two actions called `{}`", action.name];
        }
        if !is_kebab(&action.kind) {
            at![found, "records", name, "action", index, "kind"; "`{}` is not a kind of tasks; expected kebab case", action.kind];
        }
        if action.title.trim().is_empty() || action.title.len() > 200 {
            at![found, "records", name, "action", index, "title"; "expected what the button says, 1–200 bytes"];
        }
    }
}

/// `INC-{8}`: literal text with exactly one `{n}`, n random characters.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let expected =
        "expected a prefix and `{n}`, where n (4–32) random characters stand, such as `INC-{8}`";
    let (before, rest) = pattern.split_once('{').ok_or(expected)?;
    let (count, after) = rest.split_once('}').ok_or(expected)?;
    let count: usize = count.parse().map_err(|_| expected)?;
    if !(4..=32).contains(&count) {
        return Err(format!("{{{count}}} is not within 4–32"));
    }
    let literal = format!("{before}{after}");
    match literal
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "-_.:@".contains(*c)))
    {
        Some('{' | '}') => Err("it has more than one `{n}`".to_owned()),
        Some(other) => Err(format!(
            "`{other}` cannot be in an id; expected letters, digits and -_.:@"
        )),
        None if literal.len() > 64 => Err("it is longer than 64 characters".to_owned()),
        None => Ok(()),
    }
}

/// The schema behind a local reference, or `schema` itself.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..16 {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| r.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// The schemas of which one or all hold besides `schema`'s own keywords.
fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["allOf", "anyOf", "oneOf"]
        .into_iter()
        .filter_map(|key| schema.get(key).and_then(Value::as_array))
        .flatten()
}

/// The schema of a top-level property, also behind `$ref` and `allOf`.
fn property<'a>(root: &'a Value, schema: &'a Value, name: &str, depth: u32) -> Option<&'a Value> {
    if depth > 8 {
        return None;
    }
    let schema = resolved(root, schema);
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| alternatives(schema).find_map(|inner| property(root, inner, name, depth + 1)))
}

fn properties(schema: &Value) -> String {
    let schema = resolved(schema, schema);
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) if !properties.is_empty() => properties
            .keys()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
        _ => "none".to_owned(),
    }
}

fn type_of(kind: &str) -> &'static str {
    match kind {
        "text" => "a text (`type = \"string\"`)",
        "number" => "a number (`type = \"number\"` or \"integer\")",
        "boolean" => "true or false (`type = \"boolean\"`)",
        _ => "a list of texts (`type = \"array\"`, `items.type = \"string\"`)",
    }
}

fn fits(root: &Value, schema: &Value, kind: &str) -> bool {
    match kind {
        "text" => could_be(root, schema, "string", 0),
        "number" => could_be(root, schema, "number", 0) || could_be(root, schema, "integer", 0),
        "boolean" => could_be(root, schema, "boolean", 0),
        _ => list_of_texts(root, schema, 0),
    }
}

fn list_of_texts(root: &Value, schema: &Value, depth: u32) -> bool {
    let schema = resolved(root, schema);
    let own = could_be(root, schema, "array", 0)
        && schema
            .get("items")
            .is_some_and(|items| could_be(root, items, "string", 0));
    own || (depth < 8 && alternatives(schema).any(|inner| list_of_texts(root, inner, depth + 1)))
}

/// Whether a schema says that a value of JSON type `wanted` is meant.
fn could_be(root: &Value, schema: &Value, wanted: &str, depth: u32) -> bool {
    if depth > 8 {
        return false;
    }
    let schema = resolved(root, schema);
    let of_type = |value: &Value| match value {
        Value::String(_) => wanted == "string",
        Value::Bool(_) => wanted == "boolean",
        Value::Number(_) => wanted == "number",
        Value::Object(_) => wanted == "object",
        Value::Array(_) => wanted == "array",
        Value::Null => wanted == "null",
    };
    match schema.get("type") {
        Some(Value::String(kind)) => kind == wanted,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        _ => {
            schema.get("const").is_some_and(of_type)
                || schema
                    .get("enum")
                    .and_then(Value::as_array)
                    .is_some_and(|v| v.iter().any(of_type))
                || (wanted == "object" && schema.get("properties").is_some())
                || alternatives(schema).any(|inner| could_be(root, inner, wanted, depth + 1))
        }
    }
}
