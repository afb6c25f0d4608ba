//! From the text of `plugin.toml` to a manifest, with the line of whatever is wrong.

use super::check::{ManifestProblem, Segment, shown};
use super::{
    AgentSection, AutonomySection, Manifest, PluginSection, RecordSection, Route, ToolSection,
    Triggers, WebhookSection,
};
use mandate_policy::Capabilities;
use mandate_types::Limits;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Component, Path};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const SECTIONS: &[&str] = &[
    "plugin",
    "agent",
    "tool",
    "capabilities",
    "autonomy",
    "limits",
    "settings",
    "triggers",
    "webhook",
    "records",
    "routes",
];
/// The most bytes of a schema file that a manifest names.
const MAX_SCHEMA_FILE: u64 = 1 << 20;

/// One thing that is wrong in a `plugin.toml`, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The key, as `tool[0].name`; empty when the file is no TOML.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin.toml:{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong in a `plugin.toml`, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestErrors(pub Vec<ManifestError>);

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestErrors {}

impl Manifest {
    /// Reads and checks the text of a `plugin.toml`. Schemas that it names by path are read
    /// from below `base_dir`, so that the manifest is whole in itself.
    ///
    /// # Errors
    /// [`ManifestErrors`]: all that is wrong, each with line, column, key and what was expected.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Self, ManifestErrors> {
        let mut source = Source {
            text,
            errors: Vec::new(),
        };
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                source.at(error.span(), String::new(), sentence(error.message()));
            }
            return source.end(None);
        }
        let manifest = source.sections(root.get_ref(), base_dir);
        // Rules are judged on whole sections only: a broken one would give wrong accusations.
        if source.errors.is_empty() {
            for ManifestProblem { path, message } in manifest.check() {
                let span = find(root.get_ref(), &path);
                source.at(span, shown(&path), message);
            }
        }
        source.end(Some(manifest))
    }
}

struct Source<'t> {
    text: &'t str,
    errors: Vec<ManifestError>,
}

impl Source<'_> {
    fn at(&mut self, span: Option<Range<usize>>, key: String, message: String) {
        let offset = span.map_or(0, |span| span.start).min(self.text.len());
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.errors.push(ManifestError {
            line,
            column,
            key,
            message,
        });
    }

    fn end(mut self, manifest: Option<Manifest>) -> Result<Manifest, ManifestErrors> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        match manifest {
            Some(manifest) if self.errors.is_empty() => Ok(manifest),
            _ => Err(ManifestErrors(self.errors)),
        }
    }

    /// Each section by itself, so that a mistake in one does not hide those in others.
    fn sections(&mut self, root: &DeTable<'_>, base_dir: &Path) -> Manifest {
        for key in root.keys() {
            let name: &str = key.get_ref();
            if !SECTIONS.contains(&name) {
                let message = format!(
                    "there is no such section; expected one of {}",
                    SECTIONS.join(", ")
                );
                self.at(Some(key.span()), name.to_owned(), message);
            }
        }
        if root.get("plugin").is_none() {
            let message = "the section [plugin] is missing; it says id, publisher, version, description and contract";
            self.at(None, "plugin".to_owned(), message.to_owned());
        }
        let plugin: Option<PluginSection> = self.section(root, "plugin");
        let agent: Option<AgentSection> = self.section(root, "agent");
        let capabilities: Option<Capabilities> = self.section(root, "capabilities");
        let autonomy: Option<AutonomySection> = self.section(root, "autonomy");
        let limits: Option<Limits> = self.section(root, "limits");
        let triggers: Option<Triggers> = self.section(root, "triggers");
        let mut settings: Option<Value> = self.section(root, "settings");
        if let Some(schema) = &mut settings {
            let path = [Segment::from("settings")];
            self.whole(schema, base_dir, root, &path);
        }
        for (index, trigger) in triggers.iter().flat_map(|t| &t.schedules).enumerate() {
            let path = [
                "triggers".into(),
                "schedule".into(),
                index.into(),
                "input".into(),
            ];
            self.no_dates(&trigger.input, root, &path);
        }
        let mut records: BTreeMap<String, RecordSection> = self.map(root, "records");
        for (name, section) in &mut records {
            let path = ["records".into(), name.as_str().into(), "schema".into()];
            self.whole(&mut section.schema, base_dir, root, &path);
        }
        Manifest {
            plugin: plugin.unwrap_or_else(nothing),
            agent,
            tools: self.list::<ToolSection>(root, "tool"),
            capabilities: capabilities.unwrap_or_default(),
            autonomy: autonomy.unwrap_or_default(),
            limits: limits.unwrap_or_default(),
            settings,
            triggers: triggers.unwrap_or_default(),
            webhooks: self.list::<WebhookSection>(root, "webhook"),
            records,
            routes: self.map::<Route>(root, "routes"),
        }
    }

    fn read<'de, T: Deserialize<'de>>(
        &mut self,
        value: &Spanned<DeValue<'de>>,
        key: String,
    ) -> Option<T> {
        let span = value.span();
        match T::deserialize(toml::de::ValueDeserializer::from(value.clone())) {
            Ok(section) => Some(section),
            Err(error) => {
                let here = error.span().unwrap_or(span);
                let inner = key_at(value, here.start)
                    .map(|path| shown(&path))
                    .unwrap_or_default();
                let dot = if inner.is_empty() || inner.starts_with('[') {
                    ""
                } else {
                    "."
                };
                self.at(
                    Some(here),
                    format!("{key}{dot}{inner}"),
                    sentence(error.message()),
                );
                None
            }
        }
    }

    fn section<'de, T: Deserialize<'de>>(&mut self, root: &DeTable<'de>, name: &str) -> Option<T> {
        let value = root.get(name)?;
        self.read(value, name.to_owned())
    }

    fn list<'de, T: Deserialize<'de>>(&mut self, root: &DeTable<'de>, name: &str) -> Vec<T> {
        match root.get(name) {
            None => Vec::new(),
            Some(value) => match value.get_ref().as_array() {
                Some(items) => items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.read(item, format!("{name}[{index}]")))
                    .collect(),
                None => {
                    let message =
                        format!("expected one [[{name}]] (with two brackets) for each {name}");
                    self.at(Some(value.span()), name.to_owned(), message);
                    Vec::new()
                }
            },
        }
    }

    fn map<'de, T: Deserialize<'de>>(
        &mut self,
        root: &DeTable<'de>,
        name: &str,
    ) -> BTreeMap<String, T> {
        match root.get(name) {
            None => BTreeMap::new(),
            Some(value) => match value.get_ref().as_table() {
                Some(table) => table
                    .iter()
                    .filter_map(|(key, item)| {
                        let key: &str = key.get_ref();
                        Some((key.to_owned(), self.read(item, format!("{name}.{key}"))?))
                    })
                    .collect(),
                None => {
                    self.at(
                        Some(value.span()),
                        name.to_owned(),
                        "expected a table".to_owned(),
                    );
                    BTreeMap::new()
                }
            },
        }
    }

    /// Puts a schema in place of the path of its file.
    fn whole(&mut self, schema: &mut Value, base_dir: &Path, root: &DeTable<'_>, path: &[Segment]) {
        if let Value::String(file) = schema {
            match read_schema(base_dir, file) {
                Ok(read) => *schema = read,
                Err(message) => self.at(find(root, path), shown(path), message),
            }
        } else {
            self.no_dates(schema, root, path);
        }
    }

    /// TOML has dates, JSON has not: one would arrive as something that nobody wrote.
    fn no_dates(&mut self, value: &Value, root: &DeTable<'_>, path: &[Segment]) {
        if has_date(value) {
            let message = "has a date without quotes, and JSON has no dates; write it as a text";
            self.at(find(root, path), shown(path), message.to_owned());
        }
    }
}

/// Stands for a `[plugin]` that could not be read; an error was recorded for it.
fn nothing() -> PluginSection {
    PluginSection {
        id: String::new(),
        publisher: String::new(),
        version: String::new(),
        description: String::new(),
        license: None,
        homepage: None,
        contract: String::new(),
    }
}

/// A message of the parser on one line, in an author's words for types.
fn sentence(message: &str) -> String {
    let mut message = message
        .trim()
        .replace('\n', "; ")
        .replace("a sequence", "a list");
    for number in ["u32", "u64", "usize"] {
        if let Some(start) = message.strip_suffix(&format!("expected {number}")) {
            message = format!("{start}expected a whole number, 0 or more");
        }
    }
    message
}

/// The way from `value` to the innermost key or value that is written at `offset`.
fn key_at(value: &Spanned<DeValue<'_>>, offset: usize) -> Option<Vec<Segment>> {
    let below = |segment: Segment, inner: &Spanned<DeValue<'_>>| {
        key_at(inner, offset).map(|mut path| {
            path.insert(0, segment);
            path
        })
    };
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, inner) in table {
                let segment = Segment::from(key.get_ref().as_ref());
                if let Some(path) = below(segment.clone(), inner) {
                    return Some(path);
                }
                if key.span().contains(&offset) {
                    return Some(vec![segment]);
                }
            }
        }
        DeValue::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                if let Some(path) = below(Segment::Index(index), inner) {
                    return Some(path);
                }
            }
        }
        _ => {}
    }
    value.span().contains(&offset).then(Vec::new)
}

fn has_date(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, inner)| key == "$__toml_private_datetime" || has_date(inner)),
        Value::Array(items) => items.iter().any(has_date),
        _ => false,
    }
}

fn read_schema(base_dir: &Path, file: &str) -> Result<Value, String> {
    let path = Path::new(file);
    if !path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(format!(
            "`{file}` is not below the plugin's folder; expected a schema, or the path of its JSON file such as \"note.schema.json\""
        ));
    }
    let full = base_dir.join(path);
    let length = std::fs::metadata(&full)
        .map_err(|error| format!("cannot read the schema `{file}`: {error}"))?
        .len();
    if length > MAX_SCHEMA_FILE {
        return Err(format!(
            "the schema `{file}` is {length} bytes long, the most is {MAX_SCHEMA_FILE}"
        ));
    }
    let text = std::fs::read(&full)
        .map_err(|error| format!("cannot read the schema `{file}`: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("the schema `{file}` is not JSON: {error}"))
}

/// Where a path is in the text: of its last key that is there.
fn find(root: &DeTable<'_>, path: &[Segment]) -> Option<Range<usize>> {
    let mut span = None;
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for segment in path {
        let next = match segment {
            Segment::Key(key) => {
                let table = match value {
                    None => Some(root),
                    Some(value) => value.get_ref().as_table(),
                };
                table
                    .and_then(|table| table.get_key_value(key.as_str()))
                    .map(|(k, v)| (k.span(), v))
            }
            Segment::Index(index) => value
                .and_then(|value| value.get_ref().as_array())
                .and_then(|items| items.get(*index))
                .map(|item| (item.span(), item)),
        };
        let Some((here, next)) = next else { break };
        span = Some(here);
        value = Some(next);
    }
    span
}
