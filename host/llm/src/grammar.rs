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
/// So many bytes more than twice the schema's a grammar may have: short ones grow the most.
pub const MOST_MORE: usize = 256;
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
/// has no such form. It is at most twice as long, and [`MOST_MORE`].
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
    let is_short = made.to_string().len() <= 2 * schema.to_string().len() + MOST_MORE;
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
                let Value::Object(one) = self.schema(one, depth + 1)? else {
                    return None;
                };
                (one, vec![form, "type"])
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
        let mut told = told(all, &said);
        if told.is_empty() {
            return Some(Value::Object(made));
        }
        if made.contains_key("$ref") {
            // Nothing may stand beside it.
            made = self.choice(vec![Value::Object(made)])?;
        }
        // The one that `allOf` has may be described, too.
        if let (Some(Value::String(before)), Some(Value::String(more))) =
            (made.get("description"), told.get_mut("description"))
        {
            *more = format!("{before}\n\n{more}");
        }
        made.extend(told);
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
mod tests;
