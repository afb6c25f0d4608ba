//! Makes a value that satisfies a JSON Schema, of what the conversation holds: the arguments of
//! a tool call, or an answer to an output schema.

use super::facts::{self, Facts};
use super::scalar::{self, Field};
use super::schema::{self, Choices, Node};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A schema that branches more than this is not searched further.
const MAX_TRIES: usize = 64;
/// Of all tries together.
const MAX_NODES: usize = 4_000;
const MAX_DEPTH: usize = 32;
/// Below this, only what is required.
const DEEP: usize = 6;
/// Of a list, when nothing says how long.
const USUAL_ITEMS: usize = 5;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The answer: every property of the schema, from the lines nearest to the goal.
    Answer,
    /// A tool's arguments: optional ones only where the conversation gives them.
    Arguments,
}

/// A value, and where it came from.
#[derive(Debug)]
pub(super) struct Filled {
    /// Satisfies the schema.
    pub value: Value,
    /// Something required had no source in the conversation.
    pub invented: bool,
    /// Something required came from a tool's result.
    pub fed: bool,
    /// And it refers to one of the things that were found.
    pub referred: bool,
}

/// Fills `schema`; where several earlier values fit, `pick` chooses among them.
///
/// # Errors
/// What about the schema cannot be satisfied.
pub(super) fn fill(
    schema: &Value,
    facts: &Facts,
    purpose: Purpose,
    pick: usize,
) -> Result<Filled, String> {
    let validator = schema::compile(schema)?;
    let mut choices = Choices::default();
    let mut problem = String::new();
    let mut nodes = 0;
    for _ in 0..MAX_TRIES {
        let mut filler = Filler {
            root: schema,
            facts,
            purpose,
            pick,
            lines: None,
            used: BTreeSet::new(),
            choices: &mut choices,
            nodes,
            item: None,
            invented: false,
            fed: false,
            referred: false,
        };
        match filler.root_value() {
            Ok(value) => match validator.validate(&value) {
                Ok(()) => {
                    return Ok(Filled {
                        value,
                        invented: filler.invented,
                        fed: filler.fed,
                        referred: filler.referred,
                    });
                }
                Err(error) => problem = format!("`{}`: {error}", error.instance_path()),
            },
            Err(error) => problem = error,
        }
        nodes = filler.nodes;
        if nodes > MAX_NODES || !choices.next() {
            break;
        }
    }
    Err(format!(
        "the simulated provider found no value that satisfies this schema: {problem}"
    ))
}

/// One try.
pub(super) struct Filler<'a> {
    root: &'a Value,
    pub facts: &'a Facts,
    pub purpose: Purpose,
    pub pick: usize,
    lines: Option<Vec<(String, BTreeSet<String>)>>,
    used: BTreeSet<String>,
    choices: &'a mut Choices,
    nodes: usize,
    /// The place in the nearest list.
    item: Option<usize>,
    pub invented: bool,
    pub fed: bool,
    pub referred: bool,
}

impl Filler<'_> {
    fn root_value(&mut self) -> Result<Value, String> {
        let mut node = self.resolve(self.root, 0)?;
        if self.purpose == Purpose::Arguments {
            // Arguments are always an object, whatever the schema leaves open.
            node.entry("type").or_insert_with(|| Value::from("object"));
        }
        self.value(&node, &Field::default(), 0)
    }

    fn resolve(&mut self, schema: &Value, depth: usize) -> Result<Node, String> {
        schema::resolve(
            schema,
            self.root,
            &self.facts.goal_words,
            depth > DEEP,
            self.choices,
        )
    }

    fn child(&mut self, schema: &Value, field: &Field, depth: usize) -> Result<Value, String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err("it asks for a value too large or too deep".to_owned());
        }
        let node = self.resolve(schema, depth)?;
        self.value(&node, field, depth)
    }

    fn value(&mut self, node: &Node, field: &Field, depth: usize) -> Result<Value, String> {
        if let Some(value) = node.get("const") {
            return Ok(value.clone());
        }
        if let Some(Value::Array(values)) = node.get("enum") {
            return self.one_of(values, node, field);
        }
        match schema::type_of(node, self.choices)?.as_str() {
            "null" => Ok(Value::Null),
            "object" => self.object(node, depth),
            "array" => self.array(node, field, depth),
            kind => scalar::value(self, kind, node, field),
        }
    }

    fn one_of(&mut self, values: &[Value], node: &Node, field: &Field) -> Result<Value, String> {
        let mut ranked: Vec<&Value> = values.iter().collect();
        let mut best = 0;
        if let Some(earlier) = scalar::named_value(self, node, field) {
            ranked.sort_by_key(|v| **v != earlier);
            best = 1;
        } else {
            let near = |v: &&Value| scalar::nearness(self.facts, v);
            best = ranked.iter().map(near).max().unwrap_or(best);
            ranked.sort_by_cached_key(|v| std::cmp::Reverse(near(v)));
        }
        if best == 0 {
            self.invented = true;
        }
        if field.distinct && !ranked.is_empty() {
            ranked.rotate_left(field.index % values.len().max(1));
        }
        // Only when other keywords may forbid some of them is it worth trying another.
        let plain = ["enum", "type", "title", "description", "default"];
        let open = node.keys().any(|key| !plain.contains(&key.as_str()));
        let chosen = if open {
            self.choices.take(ranked.len())
        } else {
            0
        };
        ranked
            .get(chosen)
            .map(|v| (*v).clone())
            .ok_or_else(|| "`enum` is empty".to_owned())
    }

    fn object(&mut self, node: &Node, depth: usize) -> Result<Value, String> {
        let empty = Map::new();
        let properties = node
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required: Vec<&str> = node
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let rest = node
            .get("additionalProperties")
            .cloned()
            .unwrap_or(Value::Bool(true));
        let most = schema::count(node, "maxProperties").unwrap_or(usize::MAX);
        let mut fields = Map::new();
        for name in &required {
            let schema = properties.get(*name).unwrap_or(&rest);
            let value = self.child(schema, &Field::of(name, schema, self.item), depth + 1)?;
            fields.insert((*name).to_owned(), value);
        }
        for (name, schema) in properties {
            if fields.contains_key(name) || fields.len() >= most || schema == &Value::Bool(false) {
                continue;
            }
            if let Some(value) = self.optional(name, schema, depth) {
                fields.insert(name.clone(), value);
            }
        }
        let least = schema::count(node, "minProperties")
            .unwrap_or(0)
            .min(MAX_NODES);
        for (name, schema) in properties {
            if fields.len() < least && !fields.contains_key(name) {
                let value = self.child(schema, &Field::of(name, schema, self.item), depth + 1)?;
                fields.insert(name.clone(), value);
            }
        }
        for place in 1..=least {
            if fields.len() >= least {
                break;
            }
            let name = format!("item{place}");
            let value = self.child(&rest, &Field::of(&name, &rest, self.item), depth + 1)?;
            fields.entry(name).or_insert(value);
        }
        Ok(Value::Object(fields))
    }

    /// A property that may be left out; what goes wrong with it is no reason to fail.
    fn optional(&mut self, name: &str, schema: &Value, depth: usize) -> Option<Value> {
        let field = Field::of(name, schema, self.item);
        if self.purpose == Purpose::Answer {
            return (depth <= DEEP)
                .then(|| self.child(schema, &field, depth + 1).ok())
                .flatten();
        }
        let before = (self.invented, self.fed, self.referred);
        let node = self.resolve(schema, depth).ok()?;
        let given = scalar::given(self, &node, &field);
        // Whether a call is worth making is decided by what is required alone.
        (self.invented, self.fed, self.referred) = before;
        given
    }

    fn array(&mut self, node: &Node, field: &Field, depth: usize) -> Result<Value, String> {
        let least = schema::count(node, "minItems").unwrap_or(0);
        let most = schema::count(node, "maxItems").unwrap_or(usize::MAX);
        if least > MAX_NODES {
            return Err(format!(
                "`minItems`: {least} are more than a simulation makes"
            ));
        }
        let first: Vec<Value> = node
            .get("prefixItems")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let rest = node.get("items").cloned().unwrap_or(Value::Bool(true));
        let unique = node.get("uniqueItems") == Some(&Value::Bool(true));
        let wanted = match rest {
            Value::Bool(false) => first.len(),
            _ if depth > DEEP => least,
            _ => self
                .units(&rest, field)
                .clamp(1, USUAL_ITEMS)
                .max(first.len()),
        };
        let wanted = wanted.clamp(least.min(most), most);
        let mut items: Vec<Value> = Vec::new();
        for index in 0..wanted {
            let schema = first.get(index).unwrap_or(&rest);
            let item_field = Field {
                index,
                listed: true,
                in_list: true,
                distinct: unique,
                ..field.clone()
            };
            let outer = self.item.replace(index);
            let item = self.child(schema, &item_field, depth + 1);
            self.item = outer;
            let item = match item {
                Ok(item) => item,
                Err(_) if items.len() >= least.max(first.len().min(wanted)) => break,
                Err(error) => return Err(error),
            };
            match (unique && items.contains(&item)).then(|| scalar::another(&item, &items, schema))
            {
                None => items.push(item),
                Some(Some(other)) => items.push(other),
                Some(None) if items.len() >= least => break,
                Some(None) => {
                    return Err("`uniqueItems`: there are not enough different items".to_owned());
                }
            }
        }
        Ok(Value::Array(items))
    }

    /// How many things of this schema the conversation speaks of.
    fn units(&mut self, schema: &Value, field: &Field) -> usize {
        let goal = &self.facts.goal_words;
        let node = schema::resolve(schema, self.root, goal, false, &mut Choices::default());
        let properties = node.ok().and_then(|mut node| node.remove("properties"));
        let known = match properties.as_ref().and_then(Value::as_object) {
            Some(properties) => properties
                .keys()
                .map(|name| self.earlier(name).0.len())
                .max(),
            None => Some(self.earlier(&field.name).0.len()),
        };
        if let Some(known) = known.filter(|known| *known > 0) {
            return known;
        }
        if self.purpose == Purpose::Arguments {
            return scalar::phrases(self.facts).len();
        }
        self.lines().len()
    }

    fn lines(&mut self) -> &[(String, BTreeSet<String>)] {
        let facts = self.facts;
        self.lines.get_or_insert_with(|| {
            let lines = facts.lines().into_iter();
            lines
                .map(|line| (line.clone(), super::words::stem_set(&line)))
                .collect()
        })
    }

    /// The line that says most on `words` and was not used yet; the first when all were.
    pub fn next_line(&mut self, words: &BTreeSet<String>) -> Option<String> {
        self.lines();
        let lines = self.lines.as_deref().unwrap_or_default();
        let unused = lines
            .iter()
            .enumerate()
            .filter(|(_, (line, _))| !self.used.contains(line));
        let best = unused.max_by_key(|(place, (_, stems))| {
            (stems.intersection(words).count(), std::cmp::Reverse(*place))
        });
        let line = best
            .map(|(_, (line, _))| line)
            .or(lines.first().map(|(line, _)| line))?
            .clone();
        self.used.insert(line.clone());
        Some(line)
    }

    /// The phrase to use next for a free text of a call.
    pub fn next_phrase(&mut self) -> Option<String> {
        let phrases = scalar::phrases(self.facts);
        let next = phrases
            .iter()
            .find(|p| !self.used.contains(*p))
            .or(phrases.first())?
            .clone();
        self.used.insert(next.clone());
        Some(next)
    }

    /// Earlier values that a field of this name may mean: from results first.
    pub fn earlier(&self, name: &str) -> (Vec<Value>, bool) {
        for (source, fed) in [
            (&self.facts.from_results, true),
            (&self.facts.from_goal, false),
        ] {
            let found = facts::named(source, name);
            if !found.is_empty() {
                return (found.into_iter().cloned().collect(), fed);
            }
        }
        (Vec::new(), false)
    }
}
