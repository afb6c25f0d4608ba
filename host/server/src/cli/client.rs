//! How subcommands talk to a running host.

use anyhow::{Context, bail};
use mandate_types::Problem;
use serde_json::Value;
use std::path::PathBuf;

/// Where the host is, and who calls.
#[derive(clap::Args, Clone)]
pub struct Connection {
    /// The host
    #[arg(long, env = "MANDATE_URL", default_value = "http://127.0.0.1:7300")]
    url: String,
    /// A token; without one, the administrator's in the data directory is used
    #[arg(long, env = "MANDATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The host's data directory, for its administrator token
    #[arg(long, env = "MANDATE_DATA_DIR", default_value = ".mandate")]
    data_dir: PathBuf,
}

impl Connection {
    /// To the host at `url`; without a token, with the administrator's in `data_dir`.
    pub fn new(url: String, token: Option<String>, data_dir: PathBuf) -> Self {
        Self {
            url,
            token,
            data_dir,
        }
    }

    /// A request to `path` below `/api/v1`, signed in.
    ///
    /// # Errors
    /// When there is no token.
    pub fn request(
        &self,
        method: reqwest::Method,
        path: &str,
    ) -> anyhow::Result<reqwest::RequestBuilder> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => {
                let file = self.data_dir.join("admin.token");
                std::fs::read_to_string(&file).with_context(|| {
                    format!(
                        "no token: pass --token, set MANDATE_TOKEN, or point --data-dir at the host's data directory ({} cannot be read)",
                        file.display()
                    )
                })?
            }
        };
        let url = format!("{}/api/v1{path}", self.url.trim_end_matches('/'));
        Ok(reqwest::Client::new()
            .request(method, url)
            .bearer_auth(token.trim()))
    }

    /// Sends a request and reads its JSON answer.
    ///
    /// # Errors
    /// When the host does not answer, or answers with a problem.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let body = self.bytes(request).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).context("the answer is not JSON")
    }

    /// Sends a request and reads its answer as it is.
    ///
    /// # Errors
    /// When the host does not answer, or answers with a problem.
    pub async fn bytes(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let response = request.send().await.with_context(|| {
            format!(
                "the host at {} does not answer; is `mandate serve` running?",
                self.url
            )
        })?;
        let status = response.status();
        let body = response.bytes().await.context("the answer broke off")?;
        if status.is_success() {
            return Ok(body.into());
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => {
                let fields: String = problem
                    .fields
                    .iter()
                    .map(|f| format!("\n  {}: expected {}", f.field, f.expected))
                    .collect();
                bail!("{}{fields}", problem.detail)
            }
            Err(_) => bail!(
                "the host answered {status}: {}",
                String::from_utf8_lossy(&body).trim()
            ),
        }
    }
}
