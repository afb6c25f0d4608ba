//! A client of the host that acts for one tenant, waits its turn when the host says so, and gives reasons instead of
//! panicking: an evaluation goes on when one of its faults does not work out.

use crate::Client;
use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The tools and agents of the incident system, without the simulated environment.
pub const INCIDENT_PLUGINS: [&str; 7] = [
    "monitoring",
    "incidents",
    "knowledge",
    "incident-triage",
    "incident-root-cause",
    "incident-remediation",
    "incident-commander",
];

/// The simulated environment, without what keeps it running.
pub const ENVIRONMENT_PLUGINS: [&str; 2] = ["simulator", "actions"];

/// Bytes of one request with telemetry: small enough for any host's limit.
const CHUNK: usize = 512 * 1024;
/// How often a request is made that the host has no room for.
const TRIES: u32 = 20;

/// A client for one tenant.
#[derive(Clone, Debug)]
pub struct Desk {
    client: Client,
    tenant: String,
}

impl Desk {
    /// Acts for this tenant.
    pub fn new(client: Client, tenant: &str) -> Self {
        Self {
            client,
            tenant: tenant.to_owned(),
        }
    }

    /// The same for another tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Self {
        Self::new(self.client.clone(), tenant)
    }

    /// For whom it acts.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The client that it uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("/api/v1/{path}{mark}tenant={}", self.tenant);
        self.client.request(method, &path)
    }

    /// Sends a request; again when the host has no room for it now.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        for _ in 1..TRIES {
            let Some(attempt) = request.try_clone() else {
                break;
            };
            let answer = self
                .client
                .try_send(attempt)
                .await
                .map_err(anyhow::Error::msg)?;
            if !matches!(answer.status, 429 | 503) {
                return answer.checked();
            }
            let seconds = answer.header("retry-after").parse().unwrap_or(1.0_f64);
            tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.1, 10.0))).await;
        }
        self.client
            .try_send(request)
            .await
            .map_err(anyhow::Error::msg)?
            .checked()
    }

    /// `GET /api/v1/…`
    ///
    /// # Errors
    /// When the host is gone or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST /api/v1/…`
    ///
    /// # Errors
    /// When the host is gone or refuses.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// The items of a listing, at most a thousand.
    ///
    /// # Errors
    /// When the host is gone or refuses.
    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let page = self.get(&format!("{path}{mark}limit=1000")).await?;
        let items = page.get("items").and_then(Value::as_array);
        items
            .cloned()
            .with_context(|| format!("{path} is no listing: {page}"))
    }

    /// Calls a tool; its result.
    ///
    /// # Errors
    /// When the host is gone, or the tool refuses or fails.
    pub async fn tool(&self, name: &str, arguments: &Value) -> anyhow::Result<Value> {
        let answer = self.post(&format!("tools/{name}/call"), arguments).await?;
        answer
            .get("result")
            .cloned()
            .with_context(|| format!("{name} has no result: {answer}"))
    }

    /// Sends lines of telemetry: `metrics`, `logs`, `spans` or `topology`. Of topology, all lines go in one request,
    /// since each replaces what was given before.
    ///
    /// # Errors
    /// When the host is gone or refuses.
    pub async fn ingest(
        &self,
        what: &str,
        lines: impl IntoIterator<Item = Value>,
    ) -> anyhow::Result<()> {
        let mut body = String::new();
        for line in lines {
            writeln!(body, "{line}")?;
            if body.len() >= CHUNK && what != "topology" {
                self.ingest_body(what, std::mem::take(&mut body)).await?;
            }
        }
        if body.is_empty() {
            return Ok(());
        }
        self.ingest_body(what, body).await
    }

    async fn ingest_body(&self, what: &str, body: String) -> anyhow::Result<()> {
        let request = self
            .request(Method::POST, &format!("telemetry/{what}"))
            .header("content-type", "application/x-ndjson")
            .body(body);
        self.send(request).await?;
        Ok(())
    }

    /// Installs a built plugin with all that it asks for.
    ///
    /// # Errors
    /// When the host does not take it, or not wholly.
    pub async fn install(&self, id: &str) -> anyhow::Result<()> {
        let file = plugin_file(id);
        let bytes =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let request = self
            .client
            .request(Method::POST, "/api/v1/plugins?accept=true")
            .header("content-type", "application/wasm")
            .body(bytes);
        let installed = self
            .send(request)
            .await
            .with_context(|| format!("{id} was not installed"))?;
        match installed.get("not_granted") {
            Some(Value::Array(refused)) if refused.is_empty() => Ok(()),
            other => bail!("{id} was installed without all that it asks for: {other:?}"),
        }
    }

    /// Fills in a plugin's settings.
    ///
    /// # Errors
    /// When the host refuses them.
    pub async fn settings(&self, id: &str, settings: &Value) -> anyhow::Result<()> {
        let path = format!("/api/v1/plugins/{id}/settings");
        let request = self.client.request(Method::PUT, &path).json(settings);
        self.send(request)
            .await
            .with_context(|| format!("the settings of {id} were not taken"))?;
        Ok(())
    }

    /// Opens an incident; its id.
    ///
    /// # Errors
    /// When the host is gone or refuses.
    pub async fn open_incident(&self, incident: &Value) -> anyhow::Result<String> {
        let record = self.post("incidents", incident).await?;
        let id = record.get("id").and_then(Value::as_str);
        id.map(str::to_owned)
            .with_context(|| format!("the incident has no id: {record}"))
    }
}

impl crate::Answer {
    /// The body, if the status is a success.
    fn checked(self) -> anyhow::Result<Value> {
        if !(200..300).contains(&self.status) {
            bail!("{}: {}", self.status, self.text);
        }
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).with_context(|| format!("no JSON: {}", self.text))
    }
}

/// Where `make build` puts a plugin.
pub fn plugin_file(id: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/plugins/{id}.wasm"))
}

/// Builds the host and the plugins where they are missing: nothing can be measured without.
///
/// # Errors
/// When that fails.
pub fn build_missing(plugins: &[&str]) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let binary = std::env::var_os("MANDATE_BIN")
        .map_or_else(|| root.join("target/release/mandate"), PathBuf::from);
    let needed: Vec<PathBuf> = std::iter::once(binary)
        .chain(plugins.iter().map(|id| plugin_file(id)))
        .collect();
    let missing = || {
        let missing = needed.iter().filter(|file| !file.is_file());
        let names: Vec<String> = missing.map(|file| file.display().to_string()).collect();
        names.join(", ")
    };
    if missing().is_empty() {
        return Ok(());
    }
    eprintln!("not built yet: {}; building", missing());
    let built = Command::new(root.join("scripts/build")).status();
    let built = built.context("scripts/build cannot be run")?;
    if !built.success() || !missing().is_empty() {
        bail!("not built: {}; see what `make build` says", missing());
    }
    Ok(())
}

/// A line of topology.
pub fn edge(caller: &str, callee: &str) -> Value {
    json!({"caller": caller, "callee": callee})
}

/// A line of metrics: a series, with seconds since 1970 as times.
pub fn series(metric: &str, labels: &Value, points: &[(f64, f64)]) -> Value {
    json!({"metric": metric, "labels": labels, "points": points})
}
