//! Who answers model calls here: the providers whose key is in the environment, in their order,
//! and at last the simulated one.

mod config;

pub use config::ModelConfig;

use anyhow::{Context, bail};
use mandate_llm::bedrock::Bedrock;
use mandate_llm::catalog::{self, Row, Wire};
use mandate_llm::exchange::{HttpClient, client};
use mandate_llm::providers::Simulated;
use mandate_llm::upstream::Upstream;
use mandate_llm::{Chain, Provider};
use std::sync::Arc;

/// The name under which the simulated model is in an order.
const SIMULATED: &str = "simulated";

/// A provider that takes part, with the variable that holds its key, and the key.
type Chosen = (Row, Option<(String, String)>);

/// The chain that `config` describes, with keys from the environment.
///
/// # Errors
/// What is wrong with `[models]`.
pub fn chain(config: &ModelConfig) -> anyhow::Result<Chain> {
    let rows = catalog::rows(&config.providers).context("[models.providers]")?;
    check_names(config, &rows)?;
    let chosen = choose(config, rows)?;
    check_routes(config, &chosen)?;
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    if !chosen.is_empty() {
        let deadlines = config.deadlines.deadlines();
        let client: HttpClient = client(tls()?, deadlines.connect);
        for (row, key) in chosen {
            let (variable, key) = key.unzip();
            tracing::info!(provider = row.id, "models are asked here");
            let row = row.with_key(variable.as_deref());
            let client = client.clone();
            providers.push(match row.wire {
                // It finds its key itself, and not before it is asked.
                Wire::Bedrock => Arc::new(Bedrock::new(row, client, deadlines)),
                Wire::OpenAi | Wire::Anthropic => {
                    Arc::new(Upstream::new(row, key, client, deadlines))
                }
            });
        }
    }
    if config.order.is_empty() || config.order.iter().any(|id| id == SIMULATED) {
        providers.push(Arc::new(Simulated::priced(config.simulated.price())));
    }
    Ok(Chain::new(providers, config.settings()))
}

/// Every provider that is named is one.
fn check_names(config: &ModelConfig, rows: &[Row]) -> anyhow::Result<()> {
    let of_order = config.order.iter();
    let of_order = of_order.map(|id| ("[models] order".to_owned(), id));
    let of_classes = config.classes.iter().flat_map(|(class, route)| {
        let named = route.order.iter().chain(route.weights.keys());
        named.map(move |id| (format!("[models.classes.{}]", class.as_str()), id))
    });
    let of_limits = config.limits.keys();
    let of_limits = of_limits.map(|id| ("[models.limits]".to_owned(), id));
    for (place, id) in of_order.chain(of_classes).chain(of_limits) {
        if id != SIMULATED && rows.iter().all(|row| row.id != *id) {
            let known: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
            bail!(
                "{place}: there is no provider `{id}`; known are {}, and those of [models.providers]",
                known.join(", ")
            );
        }
    }
    Ok(())
}

/// Who takes part, in order.
fn choose(config: &ModelConfig, rows: Vec<Row>) -> anyhow::Result<Vec<Chosen>> {
    if config.order.is_empty() {
        let with_keys = rows.into_iter().map(|row| {
            let key = key(&row);
            (row, key)
        });
        // One of the operator's own machine is there if he says so.
        let takes_part = |(row, key): &Chosen| match row.local {
            true => config.providers.contains_key(&row.id),
            false => key.is_some(),
        };
        return Ok(with_keys.filter(takes_part).collect());
    }
    let mut chosen = Vec::new();
    for id in &config.order {
        let Some(row) = rows.iter().find(|row| row.id == *id) else {
            continue;
        };
        let key = key(row);
        if key.is_none() && !row.local {
            bail!(
                "[models] order: the provider `{id}` has no key; set {}",
                row.keys.join(" or ")
            );
        }
        chosen.push((row.clone(), key));
    }
    Ok(chosen)
}

/// Whom a class asks takes part.
fn check_routes(config: &ModelConfig, chosen: &[Chosen]) -> anyhow::Result<()> {
    let takes_part = |id: &str| id == SIMULATED || chosen.iter().any(|(row, _)| row.id == id);
    for (class, route) in &config.classes {
        if let Some(id) = route.order.iter().find(|id| !takes_part(id)) {
            bail!(
                "[models.classes.{}] order: the provider `{id}` takes no part: it has no key, or [models] order leaves it out",
                class.as_str()
            );
        }
    }
    Ok(())
}

/// The environment variable that holds the key of `row`, and the key.
fn key(row: &Row) -> Option<(String, String)> {
    row.keys.iter().find_map(|variable| {
        let key = std::env::var(variable).ok()?;
        let key = key.trim();
        (!key.is_empty()).then(|| (variable.clone(), key.to_owned()))
    })
}

/// TLS with the authorities that this machine trusts.
pub fn tls() -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
