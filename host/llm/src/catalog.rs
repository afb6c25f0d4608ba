//! The providers that are known: where each is, how it is spoken to, which of its models serve a
//! class, and what they cost. Data, that an operator adds to or changes without a new host.

use crate::ModelClass;
use crate::price::{Price, Rates};
use mandate_types::MicroUsd;
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};

/// The rows that are shipped, in the order in which they are asked.
const SHIPPED: &str = include_str!("providers.toml");

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// As OpenAI's chat completions.
    OpenAi,
    /// As Anthropic's messages.
    Anthropic,
    /// As Amazon's SDK does; where `url` is empty it finds the endpoint by the region.
    Bedrock,
}

/// What a provider, or a model of it, refuses of its wire; `providers.toml` says what is done
/// instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quirk {
    /// It takes no temperature: left out.
    NoTemperature,
    /// It takes no temperature above 1.
    #[serde(rename = "temperature-at-most-1")]
    TemperatureAtMostOne,
    /// It takes no stop: left out, and the answer is cut here.
    NoStop,
    /// Says by itself what a stream used, or not at all: `stream_options` is left out.
    NoStreamOptions,
    /// `max_completion_tokens` stands for `max_tokens`.
    MaxCompletionTokens,
    /// No call can be required: it is looked whether one came.
    NoRequiredToolChoice,
    /// No tool can be named: only that one is offered.
    NoNamedToolChoice,
    /// `any` stands for `required`.
    RequiredIsAny,
    /// With tools, `reasoning_effort` is `none`.
    ToolsNeedEffortNone,
    /// It knows only `json_object`, and with Anthropic's wire nothing: the schema goes into words,
    /// and the answer is looked at.
    NoJsonSchema,
    /// It knows no `response_format` at all; as with [`Self::NoJsonSchema`].
    NoJsonMode,
    /// As [`Self::NoJsonMode`], where there are tools.
    SchemaNotWithTools,
    /// Of Bedrock's models, those that can be held to a schema: not all can.
    JsonSchema,
    /// It is held to a schema only if told so, and then takes none with properties that may be left
    /// out.
    StrictSchema,
    /// Embeddings say `input_type`.
    EmbedInputType,
    /// Its messages carry what its model thought, and others' a blank in its place.
    ThoughtsBack,
    /// As [`Self::ThoughtsBack`], where there are tools; if they are not all its own, it is told
    /// not to think.
    ThoughtsBackOrNone,
    /// Its calls carry their signatures, and others' the word that says that there is none.
    SignaturesBack,
}

/// The quirks of one model.
pub type Quirks = BTreeSet<Quirk>;

/// One provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name in answers, bills and metrics.
    pub id: String,
    /// How it is spoken to.
    pub wire: Wire,
    /// What the paths of the wire are added to.
    pub url: String,
    /// Environment variables that may hold its key; the first that does counts.
    #[serde(default)]
    pub keys: Vec<String>,
    /// It is the operator's own: it needs no key, and what has no price is free.
    #[serde(default)]
    pub local: bool,
    /// Which model serves a class.
    #[serde(default)]
    pub models: BTreeMap<ModelClass, String>,
    /// Where it is for other keys.
    #[serde(default)]
    pub host: Vec<OtherHost>,
    /// What it refuses.
    #[serde(default)]
    pub quirks: Quirks,
    /// What is known of its models.
    #[serde(default)]
    pub model: Vec<ModelFacts>,
    /// What its models cost; of one that is not here nobody knows.
    #[serde(default)]
    pub price: Vec<ModelPrice>,
}

/// Where a provider is for another key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherHost {
    /// The environment variable that holds that key.
    pub key: String,
    /// Stands for the row's.
    pub url: String,
    /// Stand for the row's.
    pub models: BTreeMap<ModelClass, String>,
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// Which.
    pub model: String,
    /// The most tokens of input.
    pub context: Option<u64>,
    /// The most tokens of output.
    pub max_output: Option<u32>,
    /// What it refuses beside what its provider does.
    #[serde(default)]
    pub quirks: Quirks,
}

/// What a model costs: dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Which.
    pub model: String,
    /// With this key only.
    pub key: Option<String>,
    #[serde(deserialize_with = "dollars")]
    input: i64,
    #[serde(default, deserialize_with = "opt_dollars")]
    cached: Option<i64>,
    #[serde(default, deserialize_with = "opt_dollars")]
    cache_write: Option<i64>,
    /// None for what writes nothing: vectors.
    #[serde(default, deserialize_with = "opt_dollars")]
    output: Option<i64>,
    long: Option<LongPrice>,
}

/// What it costs once all of its input is longer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LongPrice {
    above: u64,
    #[serde(deserialize_with = "dollars")]
    input: i64,
    #[serde(default, deserialize_with = "opt_dollars")]
    cached: Option<i64>,
    #[serde(default, deserialize_with = "opt_dollars")]
    cache_write: Option<i64>,
    #[serde(deserialize_with = "dollars")]
    output: i64,
}

fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    let amount = MicroUsd::parse_dollars(&text).map_err(serde::de::Error::custom)?;
    if amount == MicroUsd::ZERO {
        let told = "0 is no price: leave it out if nobody knows it, or say `local = true`";
        return Err(serde::de::Error::custom(told));
    }
    Ok(amount.0)
}

fn opt_dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    dollars(from).map(Some)
}

impl ModelPrice {
    fn price(&self) -> Price {
        // A rate that is not said is the dearest it can be.
        let rates = |input: i64, cached: Option<i64>, written: Option<i64>, output: i64| Rates {
            input,
            cached: cached.unwrap_or(input),
            cache_write: written.unwrap_or(input),
            output,
        };
        Price {
            rates: rates(
                self.input,
                self.cached,
                self.cache_write,
                self.output.unwrap_or(0),
            ),
            long: self.long.as_ref().map(|long| {
                let said = rates(long.input, long.cached, long.cache_write, long.output);
                (long.above, said)
            }),
        }
    }
}

impl Row {
    /// The row as it is with the key of the environment variable `key`.
    #[must_use]
    pub fn with_key(mut self, key: Option<&str>) -> Self {
        if let Some(other) = self.host.iter().find(|host| Some(host.key.as_str()) == key) {
            self.url.clone_from(&other.url);
            self.models.clone_from(&other.models);
        }
        self.price
            .retain(|price| price.key.is_none() || price.key.as_deref() == key);
        self
    }

    /// What `model` costs; none if nobody knows.
    pub fn price(&self, model: &str) -> Option<Price> {
        let said = self.price.iter().find(|price| price.model == model);
        match said {
            Some(said) => Some(said.price()),
            None if self.local => Some(Price::FREE),
            None => None,
        }
    }

    /// What `model` refuses.
    pub fn quirks(&self, model: &str) -> Quirks {
        let facts = self.model.iter().find(|facts| facts.model == model);
        let own = facts.map(|facts| facts.quirks.clone()).unwrap_or_default();
        self.quirks.union(&own).copied().collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Row>,
}

/// The rows that are shipped, with what an operator says `over` them: a table of tables by id.
/// What he says of a known provider replaces those keys of its row; another is one more, at the
/// end.
///
/// # Errors
/// Where a row is wrong, and what was expected.
pub fn rows(over: &toml::Table) -> Result<Vec<Row>, toml::de::Error> {
    let mut file: toml::Table = SHIPPED.parse()?;
    let known = file.get_mut("provider").and_then(toml::Value::as_array_mut);
    if let Some(known) = known {
        for (id, said) in over {
            let mut said = said.as_table().cloned().unwrap_or_default();
            said.insert("id".to_owned(), id.clone().into());
            let row = known.iter_mut().filter_map(toml::Value::as_table_mut);
            let same = |row: &&mut toml::Table| {
                row.get("id").and_then(toml::Value::as_str) == Some(id.as_str())
            };
            match row.into_iter().find(same) {
                Some(row) => row.extend(said),
                None => known.push(said.into()),
            }
        }
    }
    File::deserialize(file).map(|file| file.provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<Row> {
        rows(&toml::Table::new()).unwrap()
    }

    #[test]
    fn what_is_shipped_can_be_asked_and_billed() {
        let rows = shipped();
        assert_eq!(rows.len(), 16);
        for row in &rows {
            let is_found = row.wire == Wire::Bedrock && row.url.is_empty();
            let is_safe = is_found || row.url.starts_with("https://");
            assert!(row.local != is_safe, "{}", row.id);
            assert!(row.local || !row.keys.is_empty(), "{}", row.id);
            assert!(row.models.contains_key(&ModelClass::Fast), "{}", row.id);
        }
        let unknown: Vec<&str> = rows
            .iter()
            .filter(|row| {
                let row = (*row)
                    .clone()
                    .with_key(row.keys.first().map(String::as_str));
                row.price(&row.models[&ModelClass::Fast]).is_none()
            })
            .map(|row| row.id.as_str())
            .collect();
        assert_eq!(
            unknown,
            ["nvidia", "codestral"],
            "nobody says what they cost"
        );
    }

    #[test]
    fn another_key_leads_to_another_host() {
        let row = shipped().into_iter().find(|row| row.id == "codestral");
        let row = row.unwrap().with_key(Some("MISTRAL_API_KEY"));
        assert_eq!(row.url, "https://api.mistral.ai/v1");
        assert!(row.price(&row.models[&ModelClass::Smart]).is_some());
    }

    #[test]
    fn an_operator_changes_and_adds_rows() {
        let over: toml::Table = r#"
            [openai]
            url = "http://127.0.0.1:9/v1"
            [house]
            wire = "openai"
            url = "http://10.0.0.7:8000/v1"
            local = true
            models = { fast = "small" }
        "#
        .parse()
        .unwrap();
        let rows = rows(&over).unwrap();
        let openai = rows.iter().find(|row| row.id == "openai").unwrap();
        assert_eq!(openai.url, "http://127.0.0.1:9/v1");
        assert!(openai.models.len() == 3 && !openai.price.is_empty());
        let last = rows.last().unwrap();
        assert_eq!(
            (last.id.as_str(), last.price("small")),
            ("house", Some(Price::FREE))
        );
        for wrong in [
            "[openai]\nwire = \"soap\"",
            "[openai]\nquirks = [\"odd\"]",
            "[openai]\nprice = [{ model = \"a\", input = \"0\", output = \"0\" }]",
            "[other]\nurl = \"https://x\"",
        ] {
            assert!(super::rows(&wrong.parse().unwrap()).is_err(), "{wrong}");
        }
    }
}
