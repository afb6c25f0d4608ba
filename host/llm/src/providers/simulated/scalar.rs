//! Texts, numbers and truth values for one field of a schema, best source first: earlier values
//! of the same name, what the text labels so, what has the wanted form, then words of the goal.

use super::facts::Facts;
use super::fill::{Filler, Purpose};
use super::schema::{self, Node};
use super::{pattern, words};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longer texts are cut, unless the schema wants them longer.
const USUAL_CHARS: usize = 400;
const MAX_CHARS: usize = 65_536;

/// Which field a value is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    /// As the schema calls it.
    pub name: String,
    /// Stems of name and description.
    pub words: BTreeSet<String>,
    /// The place in the nearest list around it.
    pub index: usize,
    /// Whether it is, or is a field of, an item of a list.
    pub listed: bool,
    /// Whether it is itself an item of a list.
    pub in_list: bool,
    /// Whether the list wants each item once.
    pub distinct: bool,
}

impl Field {
    /// The property `name` with this schema, of the item `item` of a list.
    pub fn of(name: &str, schema: &Value, item: Option<usize>) -> Self {
        let about = schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Self {
            name: name.to_owned(),
            words: words::stem_set(&format!("{name} {about}")),
            index: item.unwrap_or_default(),
            listed: item.is_some(),
            ..Self::default()
        }
    }

    /// Whether it names one thing rather than telling something.
    fn is_reference(&self) -> bool {
        let last = words::stems(&self.name).pop().unwrap_or_default();
        ["id", "identifi", "uuid", "ref", "key", "slug"].contains(&last.as_str())
    }
}

/// Checks what a node says of scalars. One that cannot be compiled lets nothing pass.
struct Check(Option<jsonschema::Validator>);

impl Check {
    fn of(node: &Node) -> Self {
        let kept: Node = node
            .iter()
            .filter(|(key, _)| {
                !key.starts_with('$') && !matches!(key.as_str(), "properties" | "items" | "allOf")
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Self(schema::compile(&Value::Object(kept)).ok())
    }

    fn passes(&self, value: &Value) -> bool {
        self.0
            .as_ref()
            .is_some_and(|validator| validator.is_valid(value))
    }

    /// `value` as the type that is wanted, if it fits.
    fn fitted(&self, value: &Value) -> Option<Value> {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let candidates = [
            Some(value.clone()),
            text.parse::<i64>().ok().map(Value::from),
            text.parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .map(Value::from),
            text.parse::<bool>().ok().map(Value::from),
            Some(Value::String(text)),
        ];
        candidates
            .into_iter()
            .flatten()
            .find(|candidate| self.passes(candidate))
    }
}

/// An earlier value of the same name that fits.
pub(super) fn named_value(filler: &mut Filler<'_>, node: &Node, field: &Field) -> Option<Value> {
    let (values, fed) = filler.earlier(&field.name);
    if values.is_empty() {
        return None;
    }
    let check = Check::of(node);
    let fitting: Vec<Value> = values
        .iter()
        .filter_map(|value| check.fitted(value))
        .collect();
    let place = if field.listed {
        field.index
    } else {
        filler.pick
    };
    let chosen = match fitting.get(place) {
        None if field.listed => return None,
        found => found.or(fitting.last())?.clone(),
    };
    filler.fed |= fed;
    filler.referred |= fed && field.is_reference();
    Some(chosen)
}

/// What the conversation gives a field by its name.
pub(super) fn given(filler: &mut Filler<'_>, node: &Node, field: &Field) -> Option<Value> {
    if let Some(value) = named_value(filler, node, field) {
        return Some(value);
    }
    // Looking through the whole goal is worth it only for names that occur in it.
    if words::stems(&field.name)
        .iter()
        .all(|stem| filler.facts.goal_words.contains(stem))
        && let Some(label) = words::labelled(&filler.facts.goal, &field.name)
        && let Some(value) = Check::of(node).fitted(&Value::String(label))
    {
        return Some(value);
    }
    let Some(Value::Array(values)) = node.get("enum") else {
        return None;
    };
    let near = |value: &&Value| nearness(filler.facts, value);
    values
        .iter()
        .filter(|v| near(v) > 0)
        .max_by_key(near)
        .cloned()
}

/// How much the goal speaks of an enumerated value.
pub(super) fn nearness(facts: &Facts, value: &Value) -> usize {
    value
        .as_str()
        .map_or(0, |text| words::overlap(text, &facts.goal_words))
}

/// A value of the scalar type `kind`.
pub(super) fn value(
    filler: &mut Filler<'_>,
    kind: &str,
    node: &Node,
    field: &Field,
) -> Result<Value, String> {
    let mut typed = node.clone();
    typed.insert("type".to_owned(), json!(kind));
    if let Some(value) = given(filler, &typed, field) {
        return Ok(value);
    }
    if let Some(default) = node.get("default").filter(|v| Check::of(&typed).passes(v)) {
        return Ok(default.clone());
    }
    match kind {
        "string" => text(filler, &typed, field),
        "boolean" => {
            filler.invented = true;
            // What was asked for is there once there are results.
            Ok(Value::Bool(!filler.facts.results.is_empty()))
        }
        "integer" | "number" => number(filler, kind == "integer", &typed, field),
        other => Err(format!("`type`: `{other}` is not a type of JSON")),
    }
}

fn number(
    filler: &mut Filler<'_>,
    whole: bool,
    node: &Node,
    field: &Field,
) -> Result<Value, String> {
    let check = Check::of(node);
    let in_text: Vec<Value> = words::numbers(&filler.facts.goal)
        .into_iter()
        .filter_map(|n| check.fitted(&number_value(n, whole)))
        .take(field.index + 1)
        .collect();
    let usable = filler.purpose == Purpose::Arguments || field.in_list;
    if let Some(value) = in_text.get(field.index).filter(|_| usable) {
        return Ok(value.clone());
    }
    filler.invented = true;
    let bound = |key: &str| node.get(key).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|s| *s > 0.0);
    let unit = step.unwrap_or(1.0);
    let low = max(bound("minimum"), bound("exclusiveMinimum"));
    let high = min(bound("maximum"), bound("exclusiveMaximum"));
    let near = match (low, high) {
        (Some(low), Some(high)) => vec![(low + high) / 2.0, low, high, low + unit, high - unit],
        (Some(low), None) => vec![low, low + unit],
        (None, Some(high)) => vec![high, high - unit],
        (None, None) => vec![0.0, unit],
    };
    let rounded = near.iter().flat_map(|n| match (step, whole) {
        (Some(step), _) => vec![(n / step).floor() * step, (n / step).ceil() * step],
        (None, true) => vec![n.floor(), n.ceil()],
        (None, false) => vec![*n],
    });
    rounded
        .map(|n| number_value(n, whole))
        .find(|candidate| check.passes(candidate))
        .ok_or_else(|| "no number is within the bounds".to_owned())
}

fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a.max(b)).or(a).or(b)
}

fn min(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a.min(b)).or(a).or(b)
}

fn number_value(n: f64, whole: bool) -> Value {
    // Beyond 2^53 a float is no longer the integer that was meant.
    if whole && n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0 {
        Value::from(n as i64)
    } else {
        Value::from(n)
    }
}

fn text(filler: &mut Filler<'_>, node: &Node, field: &Field) -> Result<Value, String> {
    let least = schema::count(node, "minLength").unwrap_or(0);
    let most = schema::count(node, "maxLength").unwrap_or(usize::MAX);
    if least > MAX_CHARS {
        return Err(format!(
            "`minLength`: {least} are more characters than a simulation writes"
        ));
    }
    let pattern = node.get("pattern").and_then(Value::as_str);
    let format = node.get("format").and_then(Value::as_str);
    if pattern.is_some() || format.is_some() {
        if let Some(word) = word_that_fits(filler.facts, node, field) {
            return Ok(word);
        }
        let made = match pattern {
            Some(pattern) => pattern::example(pattern, least, most),
            None => format.and_then(example_of_format).map(str::to_owned),
        };
        if let Some(made) = made {
            filler.invented = true;
            return Ok(Value::String(made));
        }
        if let Some(pattern) = pattern {
            return Err(format!("no text was found that matches `{pattern}`"));
        }
    }
    let found = match filler.purpose {
        Purpose::Answer => {
            let mut about = field.words.clone();
            about.extend(filler.facts.goal_words.iter().cloned());
            filler.next_line(&about)
        }
        Purpose::Arguments if field.is_reference() => words::raw_words(&filler.facts.goal)
            .find(|w| w.contains(|c: char| c.is_ascii_digit() || "-_./".contains(c)))
            .map(str::to_owned),
        Purpose::Arguments => filler.next_phrase(),
    };
    let found = found.unwrap_or_else(|| {
        filler.invented = true;
        "none".to_owned()
    });
    Ok(Value::String(sized(&found, least, most)))
}

/// `text` with `least` to `most` characters.
fn sized(text: &str, least: usize, most: usize) -> String {
    let cut = words::shorten(text, most.min(USUAL_CHARS.max(least)));
    let missing = least.saturating_sub(cut.chars().count());
    if missing == 0 {
        return cut;
    }
    let more = text.chars().chain([' ']).cycle();
    let padded: String = cut.chars().chain([' ']).chain(more).take(least).collect();
    // White space at the end would not survive a trim.
    let kept = padded.trim_end().chars().count();
    padded
        .trim_end()
        .chars()
        .chain(std::iter::repeat_n('.', least.saturating_sub(kept)))
        .collect()
}

/// A word of the conversation that has the wanted form.
fn word_that_fits(facts: &Facts, node: &Node, field: &Field) -> Option<Value> {
    let validator = schema::compile(&Value::Object(node.clone())).ok()?;
    words::quoted(&facts.goal)
        .into_iter()
        .chain(facts.goal.split_whitespace().map(|w| {
            w.trim_matches(|c: char| !c.is_alphanumeric() && c != '/')
                .to_owned()
        }))
        .map(Value::String)
        .filter(|candidate| validator.is_valid(candidate))
        .nth(field.index)
}

fn example_of_format(format: &str) -> Option<&'static str> {
    // Names, addresses and times that stand for nothing (RFC 2606, RFC 5737, RFC 3849).
    Some(match format {
        "date-time" => "2000-01-01T00:00:00Z",
        "date" => "2000-01-01",
        "time" => "00:00:00Z",
        "duration" => "PT0S",
        "email" | "idn-email" => "name@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "uri-reference" | "iri" | "iri-reference" => "https://example.com/",
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "json-pointer" => "/a",
        "regex" => "a",
        _ => return None,
    })
}

/// The phrases that a call's free texts are taken from: those of JSON, else what is quoted, else what follows a
/// colon, else the whole goal.
pub(super) fn phrases(facts: &Facts) -> Vec<String> {
    if !facts.from_goal.is_empty() {
        // Quotation marks are JSON's here, not the user's.
        return vec![facts.subject()];
    }
    let mut phrases = words::quoted(&facts.goal);
    if phrases.is_empty() {
        phrases.extend(words::after_colon(&facts.goal));
    }
    if phrases.is_empty() {
        let whole = facts.goal.split_whitespace().collect::<Vec<_>>().join(" ");
        phrases.extend((!whole.is_empty()).then_some(whole));
    }
    phrases
}

/// A value like `item` that is not among `items`, for lists that want each once.
pub(super) fn another(item: &Value, items: &[Value], schema: &Value) -> Option<Value> {
    let validator = schema::compile(schema).ok()?;
    let step = schema
        .get("multipleOf")
        .and_then(Value::as_f64)
        .unwrap_or(1.0);
    (1..=items.len() + 16)
        .flat_map(|more| match item {
            Value::String(text) => vec![
                json!(format!("{text} {more}")),
                json!(format!("{more}{text}")),
            ],
            Value::Number(n) => {
                let whole = n.is_i64() || n.is_u64();
                let (base, by) = (n.as_f64().unwrap_or_default(), step * more as f64);
                vec![
                    number_value(base + by, whole),
                    number_value(base - by, whole),
                ]
            }
            Value::Bool(yes) => vec![Value::Bool(!yes)],
            _ => Vec::new(),
        })
        .find(|other| !items.contains(other) && validator.is_valid(other))
}
