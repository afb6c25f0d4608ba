//! Who answers model calls here: the providers whose key is in the environment, in their order,
//! and at last the simulated one.

mod config;

pub use config::ModelConfig;

use anyhow::{Context, bail};
use mandate_llm::bedrock::Bedrock;
use mandate_llm::catalog::{self, Row, Wire};
use mandate_llm::providers::Simulated;
use mandate_llm::upstream::{HttpClient, Upstream, client};
use mandate_llm::{Chain, Provider};
use std::sync::Arc;

/// The name under which the simulated model is in an order.
const SIMULATED: &str = "simulated";

/// The chain that `config` describes, with keys from the environment.
///
/// # Errors
/// What is wrong with `[models]`.
pub fn chain(config: &ModelConfig) -> anyhow::Result<Chain> {
    let rows = catalog::rows(&config.providers).context("[models.providers]")?;
    let settings = config.settings();
    let known: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let of_classes = settings.routes.iter().flat_map(|(class, route)| {
        let named = route.order.iter().chain(route.weights.keys());
        named.map(move |id| (format!("[models.classes.{}]", class.as_str()), id))
    });
    let of_limits = settings.limits.keys();
    let of_limits = of_limits.map(|id| ("[models.limits]".to_owned(), id));
    let of_order = config.order.iter();
    let of_order = of_order.map(|id| ("[models] order".to_owned(), id));
    let named = of_order.chain(of_classes).chain(of_limits);
    for (place, id) in named {
        if id != SIMULATED && !known.contains(&id.as_str()) {
            bail!(
                "{place}: there is no provider `{id}`; known are {}, and those of [models.providers]",
                known.join(", ")
            );
        }
    }
    let mut chosen = Vec::new();
    let mut simulated = config.order.is_empty();
    if config.order.is_empty() {
        for row in rows {
            // One of the operator's own machine is there if he says so.
            let is_wanted = !row.local || config.providers.contains_key(&row.id);
            let key = key(&row);
            if is_wanted && (row.local || key.is_some()) {
                chosen.push((row, key));
            }
        }
    } else {
        for id in &config.order {
            let Some(row) = rows.iter().find(|row| row.id == *id) else {
                simulated = true;
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
    }
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
    if simulated {
        providers.push(Arc::new(Simulated::priced(config.simulated.price())));
    }
    Ok(Chain::new(providers, settings))
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
fn tls() -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
