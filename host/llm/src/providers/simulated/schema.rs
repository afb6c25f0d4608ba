//! Schemas taken apart: references followed, branches chosen, what applies together merged.

use super::words;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One schema whose references, `allOf` and branches are resolved.
pub(super) type Node = Map<String, Value>;

/// Larger schemas are refused, as everywhere in the host.
const MAX_BYTES: usize = 256 * 1024;

/// A schema is compiled with every check on and nothing fetched; patterns in linear time.
pub(super) fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    let bytes = schema.to_string().len();
    if bytes > MAX_BYTES {
        return Err(format!(
            "{bytes} bytes are too many for a schema: at most {MAX_BYTES}"
        ));
    }
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("this is not a JSON Schema: {error}"))
}

/// Which branch was taken where alternatives exist, so that another try takes another one.
#[derive(Debug, Default)]
pub(super) struct Choices {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// The branch to take of `count` (at least 1).
    pub fn take(&mut self, count: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, count.max(1)));
        }
        let chosen = self.taken.get(self.at).map_or(0, |(chosen, _)| *chosen);
        self.at += 1;
        chosen
    }

    /// Prepares the next try: the last choice that has another branch takes it. False when all
    /// were tried.
    pub fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, count)) = self.taken.pop() {
            if chosen + 1 < count {
                self.taken.push((chosen + 1, count));
                return true;
            }
        }
        false
    }
}

/// Resolves `schema`; `deep` prefers the branches that end soonest.
pub(super) fn resolve(
    schema: &Value,
    root: &Value,
    goal: &BTreeSet<String>,
    deep: bool,
    choices: &mut Choices,
) -> Result<Node, String> {
    let mut node = match schema {
        Value::Bool(true) => return Ok(Node::new()),
        Value::Object(map) => map.clone(),
        _ => return Err("nothing satisfies the schema `false`".to_owned()),
    };
    // Each round takes one layer off; more layers than this are a circle.
    for _ in 0..64 {
        if let Some(Value::String(reference)) = node.remove("$ref") {
            let target = reference
                .strip_prefix('#')
                .and_then(|pointer| root.pointer(&pointer.replace("%25", "%")))
                .ok_or_else(|| format!("`$ref`: `{reference}` is not within this schema"))?;
            merge_schema(&mut node, target)?;
        } else if let Some(Value::Array(parts)) = node.remove("allOf") {
            for part in &parts {
                merge_schema(&mut node, part)?;
            }
        } else if let Some(Value::Array(branches)) =
            node.remove("anyOf").or_else(|| node.remove("oneOf"))
        {
            let mut ranked: Vec<&Value> = branches.iter().collect();
            ranked.sort_by_cached_key(|branch| rank(branch, goal, deep));
            let branch = ranked
                .get(choices.take(ranked.len()))
                .ok_or("no branch to choose from")?;
            merge_schema(&mut node, branch)?;
        } else {
            return Ok(node);
        }
    }
    Err("`$ref`, `allOf` and `anyOf` lead in a circle".to_owned())
}

/// Lower comes first.
fn rank(branch: &Value, goal: &BTreeSet<String>, deep: bool) -> (usize, usize) {
    let size = match branch.get("type").and_then(Value::as_str) {
        Some("object" | "array") => 2,
        None if branch.get("const").is_none() && branch.get("enum").is_none() => 3,
        _ => 1,
    };
    if deep {
        return (size, 0);
    }
    let null = usize::from(branch.get("type") == Some(&json!("null")));
    let near = words::overlap(&branch.to_string(), goal);
    (null, usize::MAX - near)
}

fn merge_schema(node: &mut Node, part: &Value) -> Result<(), String> {
    match part {
        Value::Bool(true) => Ok(()),
        Value::Object(map) => {
            for (key, value) in map {
                merge_keyword(node, key, value);
            }
            Ok(())
        }
        _ => Err("nothing satisfies the schema `false`".to_owned()),
    }
}

fn merge_keyword(node: &mut Node, key: &str, value: &Value) {
    let Some(old) = node.get_mut(key) else {
        node.insert(key.to_owned(), value.clone());
        return;
    };
    if *old == *value {
        return;
    }
    let (was, now) = (old.as_f64(), value.as_f64());
    match (key, &mut *old, value) {
        ("required", Value::Array(old), Value::Array(new)) => {
            old.extend(
                new.iter()
                    .filter(|n| !old.contains(n))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        ("properties" | "$defs" | "definitions", Value::Object(old), Value::Object(new)) => {
            for (name, schema) in new {
                let both = match old.get(name) {
                    Some(first) if first != schema => json!({"allOf": [first, schema]}),
                    _ => schema.clone(),
                };
                old.insert(name.clone(), both);
            }
        }
        ("enum", Value::Array(old), Value::Array(new)) => old.retain(|v| new.contains(v)),
        ("type", _, _) => {
            let (first, second) = (types(old), types(value));
            let mut both: Vec<String> = first
                .iter()
                .filter(|t| second.contains(t))
                .cloned()
                .collect();
            let has = |types: &[String], wanted: &str| types.iter().any(|t| t == wanted);
            let narrows = |a: &[String], b: &[String]| has(a, "integer") && has(b, "number");
            if !has(&both, "integer") && (narrows(&first, &second) || narrows(&second, &first)) {
                both.push("integer".to_owned());
            }
            *old = json!(both);
        }
        ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", _, _)
            if now > was =>
        {
            *old = value.clone();
        }
        ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", _, _)
            if now < was =>
        {
            *old = value.clone();
        }
        ("$ref" | "anyOf" | "oneOf" | "allOf" | "items" | "additionalProperties", _, _) => {
            // Two of them: both must hold.
            let wrapped = json!({ key: value });
            match (key, node.get_mut("allOf")) {
                ("items" | "additionalProperties", _) => {
                    let both = json!({"allOf": [node.get(key), value]});
                    node.insert(key.to_owned(), both);
                }
                (_, Some(Value::Array(all))) => all.push(wrapped),
                _ => {
                    node.insert("allOf".to_owned(), json!([wrapped]));
                }
            }
        }
        // An outer description or bound stands nearer to the value than a referred one.
        _ => {}
    }
}

/// The types that a `type` keyword allows.
pub(super) fn types(keyword: &Value) -> Vec<String> {
    match keyword {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// The type of a node's value; from its other keywords when it does not say.
pub(super) fn type_of(node: &Node, choices: &mut Choices) -> Result<String, String> {
    if let Some(keyword) = node.get("type") {
        let mut all = types(keyword);
        all.sort_by_key(|t| t == "null");
        return all
            .get(choices.take(all.len()))
            .cloned()
            .ok_or_else(|| "nothing is of all the types asked for".to_owned());
    }
    let has = |keys: &[&str]| keys.iter().any(|key| node.contains_key(*key));
    let inferred = if has(&[
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
    ]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems", "uniqueItems"]) {
        "array"
    } else if has(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        "number"
    } else {
        "string"
    };
    Ok(inferred.to_owned())
}

/// A non-negative whole number of a keyword.
pub(super) fn count(node: &Node, key: &str) -> Option<usize> {
    node.get(key)
        .and_then(Value::as_f64)
        .filter(|n| *n >= 0.0)
        .map(|n| n as usize)
}
