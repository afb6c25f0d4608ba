//! `[models]`: what an operator says about who answers model calls.

use mandate_llm::ModelClass;
use mandate_llm::breaker::BreakerSettings;
use mandate_llm::cache::CacheSettings;
use mandate_llm::chain::{Route, Settings};
use mandate_llm::exchange::Deadlines;
use mandate_llm::gate::Limits;
use mandate_llm::price::{Price, Rates};
use mandate_llm::redact;
use mandate_types::MicroUsd;
use mandate_types::money::dollars;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// `[models]`: who answers model calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The providers, in the order in which they are asked. Empty: those whose key is in the
    /// environment, in the order of their table, and `simulated` at last.
    pub order: Vec<String>,
    /// Plugins that are told `unavailable` rather than a simulated answer.
    pub never_simulated_for: BTreeSet<String>,
    /// `[models.simulated]`: what the simulated model is counted as, so that budgets can be tried
    /// out. It is free, and its answers say that they are simulated.
    pub simulated: PriceConfig,
    /// `[models.unknown_price]`: as what a model counts whose price nobody knows, always uncertain.
    /// Without it such a model is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_price: Option<PriceConfig>,
    /// `[models.classes.CLASS]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<ModelClass, Route>,
    /// `[models.limits.ID]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Limits>,
    /// `[models.deadlines]`
    pub deadlines: DeadlineConfig,
    /// `[models.breaker]`
    pub breaker: BreakerConfig,
    /// `[models.redaction]`
    pub redaction: RedactionConfig,
    /// `[models.cache]`
    pub cache: CacheSettings,
    /// `[models.providers.ID]`: keys of a row of the table that are other here, or one more row.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub providers: toml::Table,
}

impl ModelConfig {
    /// As the provider chain takes it.
    pub fn settings(&self) -> Settings {
        Settings {
            breaker: BreakerSettings {
                failures: self.breaker.failures,
                window: Duration::from_secs(self.breaker.window_seconds),
                cool_down: Duration::from_secs(self.breaker.cool_down_seconds),
            },
            limits: self.limits.clone(),
            routes: self.classes.clone(),
            never_simulated: self.never_simulated_for.clone(),
            unknown: self.unknown_price.map(PriceConfig::price),
            redaction: self.redaction.enabled.then_some(redact::Settings {
                ip: self.redaction.ip,
            }),
            cache: self.cache,
        }
    }
}

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// Of input.
    #[serde(with = "dollars")]
    pub input: MicroUsd,
    /// Of output.
    #[serde(with = "dollars")]
    pub output: MicroUsd,
}

impl PriceConfig {
    /// As the provider chain takes it.
    pub const fn price(self) -> Price {
        Price {
            rates: Rates {
                input: self.input.0,
                cached: self.input.0,
                cache_write: self.input.0,
                output: self.output.0,
            },
            long: None,
        }
    }
}

/// What is taken out of prompts before they leave this machine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionConfig {
    /// Secrets and personal data are.
    pub enabled: bool,
    /// IP addresses are, too.
    pub ip: bool,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ip: false,
        }
    }
}

/// How long a provider may take, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadlineConfig {
    /// Until there is a connection, TLS included.
    pub connect_seconds: u64,
    /// To the first piece of an answer; of one that comes as a whole, to its head.
    pub first_seconds: u64,
    /// Between two pieces.
    pub between_seconds: u64,
    /// For the whole.
    pub total_seconds: u64,
}

impl Default for DeadlineConfig {
    fn default() -> Self {
        let Deadlines {
            connect,
            first,
            between,
            total,
        } = Deadlines::default();
        Self {
            connect_seconds: connect.as_secs(),
            first_seconds: first.as_secs(),
            between_seconds: between.as_secs(),
            total_seconds: total.as_secs(),
        }
    }
}

impl DeadlineConfig {
    /// As providers take them.
    pub fn deadlines(self) -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(self.connect_seconds),
            first: Duration::from_secs(self.first_seconds),
            between: Duration::from_secs(self.between_seconds),
            total: Duration::from_secs(self.total_seconds),
        }
    }
}

/// When a provider is left alone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// So many failures
    pub failures: u32,
    /// within so many seconds
    pub window_seconds: u64,
    /// leave it alone for so many, or for longer if it wants.
    pub cool_down_seconds: u64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let BreakerSettings {
            failures,
            window,
            cool_down,
        } = BreakerSettings::default();
        Self {
            failures,
            window_seconds: window.as_secs(),
            cool_down_seconds: cool_down.as_secs(),
        }
    }
}
