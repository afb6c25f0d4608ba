//! In which order the providers of a class are asked.

use super::question::Without;
use crate::seat::Seat;
use crate::{ModelClass, Price};
use mandate_types::MicroUsd;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Executions whose provider is remembered.
const MOST_EXECUTIONS: u64 = 100_000;
/// Prompt caches live about as long.
const STICKY: Duration = Duration::from_secs(300);

/// By what the order is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As the operator wrote it.
    #[default]
    Priority,
    /// What costs least for this request first.
    Cheapest,
    /// Who lately answered quickest first; who was not measured yet before that.
    Fastest,
    /// By lot, with the weights.
    Weighted,
}

/// How the calls of one class find their provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Only these, in this order; empty means all, in the order of the chain.
    pub order: Vec<String>,
    /// How they are ordered.
    pub strategy: Strategy,
    /// Weights of the lots; 1 for who is not named.
    pub weights: BTreeMap<String, u32>,
    /// Who has not answered after the time within which 19 of 20 answers came gets company: the
    /// next is asked too, the first answer counts, and both are paid.
    pub hedge: bool,
    /// Whether the simulated model may answer when nobody else does.
    pub simulated: bool,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            strategy: Strategy::default(),
            weights: BTreeMap::new(),
            hedge: false,
            simulated: true,
        }
    }
}

impl Route {
    /// The seats in the order in which they are asked; `worst` says what a request may cost.
    pub fn order(
        &self,
        seats: &[Arc<Seat>],
        class: ModelClass,
        worst: impl Fn(&Price) -> MicroUsd,
    ) -> Vec<Arc<Seat>> {
        let mut seats: Vec<Arc<Seat>> = if self.order.is_empty() {
            seats.to_vec()
        } else {
            let named = |id: &String| seats.iter().find(|seat| seat.provider.id() == id);
            self.order.iter().filter_map(named).cloned().collect()
        };
        seats.retain(|seat| seat.provider.model(class).is_some());
        match self.strategy {
            Strategy::Priority => {}
            Strategy::Cheapest => seats.sort_by_key(|seat| {
                let price = seat.provider.price(class);
                price.map_or(MicroUsd(i64::MAX), |price| worst(&price))
            }),
            Strategy::Fastest => seats.sort_by_key(|seat| seat.latency(50).unwrap_or_default()),
            Strategy::Weighted => {
                // Efraimidis and Spirakis 2006: the order of u^(1/w) draws without replacement
                // by weight.
                let mut lots: Vec<(f64, Arc<Seat>)> = seats
                    .into_iter()
                    .map(|seat| {
                        let weight = self.weights.get(seat.provider.id()).copied().unwrap_or(1);
                        let lot = fastrand::f64().powf(1.0 / f64::from(weight));
                        (if weight == 0 { -1.0 } else { lot }, seat)
                    })
                    .collect();
                lots.sort_by(|a, b| b.0.total_cmp(&a.0));
                seats = lots.into_iter().map(|(_, seat)| seat).collect();
            }
        }
        // The stand-in comes last, however cheap and quick it is.
        seats.sort_by_key(|seat| seat.provider.is_simulated());
        seats
    }
}

/// What is remembered of executions, for as long as their prompts are in somebody's cache.
#[derive(Clone)]
pub struct Sticky {
    /// Who answered last.
    last: moka::sync::Cache<(String, ModelClass), Arc<Seat>>,
    /// Who refused to hear his thoughts again, in which execution.
    thoughtless: moka::sync::Cache<(String, String), ()>,
    /// Which model of whom refused which schema of a tenant.
    worded: moka::sync::Cache<(String, String, String, u64), ()>,
}

/// Who is asked for whom.
pub struct Whom<'a> {
    /// For which tenant,
    pub tenant: &'a str,
    /// for which execution,
    pub execution: &'a str,
    /// who,
    pub provider: &'a str,
    /// and with which model.
    pub model: &'a str,
}

impl Whom<'_> {
    fn thoughts(&self) -> (String, String) {
        (self.execution.to_owned(), self.provider.to_owned())
    }

    fn schema(&self, schema: &Value) -> (String, String, String, u64) {
        let mut hasher = DefaultHasher::new();
        schema.hash(&mut hasher);
        let [tenant, provider, model] = [self.tenant, self.provider, self.model].map(str::to_owned);
        (tenant, provider, model, hasher.finish())
    }
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            last: remembered(),
            thoughtless: remembered(),
            worded: remembered(),
        }
    }
}

fn remembered<K, V>() -> moka::sync::Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    moka::sync::Cache::builder()
        .max_capacity(MOST_EXECUTIONS)
        .time_to_idle(STICKY)
        .build()
}

impl Sticky {
    /// Puts who answered `execution` last before all others.
    pub fn first(&self, execution: &str, class: ModelClass, seats: &mut [Arc<Seat>]) {
        let Some(last) = self.last.get(&(execution.to_owned(), class)) else {
            return;
        };
        if let Some(place) = seats.iter().position(|seat| Arc::ptr_eq(seat, &last))
            && let Some(before) = seats.get_mut(..=place)
        {
            before.rotate_right(1);
        }
    }

    /// Remembers who answered.
    pub fn answered(&self, execution: &str, class: ModelClass, seat: &Arc<Seat>) {
        if !seat.provider.is_simulated() {
            self.last
                .insert((execution.to_owned(), class), seat.clone());
        }
    }

    /// What is left out at once, because `whom` refused it before.
    pub fn without(&self, whom: &Whom<'_>, schema: Option<&Value>) -> Without {
        Without {
            schema: schema.is_some_and(|it| self.worded.contains_key(&whom.schema(it))),
            thoughts: self.thoughtless.contains_key(&whom.thoughts()),
        }
    }

    /// Remembers what `whom` answered without, having refused the same with it.
    pub fn refused(&self, whom: &Whom<'_>, schema: Option<&Value>, without: Without) {
        if without.thoughts {
            self.thoughtless.insert(whom.thoughts(), ());
        }
        if let Some(schema) = schema.filter(|_| without.schema) {
            self.worded.insert(whom.schema(schema), ());
        }
    }
}
