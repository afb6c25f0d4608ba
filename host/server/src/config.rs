//! What an operator can set: a TOML file, over which flags and environment win.

use crate::api::ApiSettings;
use crate::models::ModelConfig;
use crate::policy::PolicyConfig;
use crate::task;
use crate::telemetry::TelemetryConfig;
use anyhow::Context;
use mandate_kernel::TrustPolicy;
use mandate_plugin::TrustedKeys;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole of the configuration file. Everything has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[api]`
    pub api: ApiSettings,
    /// `[approvals]`
    pub approvals: ApprovalConfig,
    /// `[tasks]`
    pub tasks: TaskConfig,
    /// `[events]`
    pub events: EventConfig,
    /// `[journal]`
    pub journal: JournalConfig,
    /// `[guests]`
    pub guests: GuestConfig,
    /// `[models]`
    pub models: ModelConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[secrets.NAME]`
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretConfig>,
    /// `[trust]`
    pub trust: TrustConfig,
    /// `[policy]`
    pub policy: PolicyConfig,
}

/// `[http]`: requests of plugins to other hosts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Bytes of an answer's body; longer ones are not taken.
    pub most_bytes: u64,
    /// Seconds that a request may take when the plugin does not say.
    pub timeout_seconds: u64,
    /// Seconds that it may take at most.
    pub most_timeout_seconds: u64,
    /// Addresses and networks that are not public and may be sent to all the same.
    pub allow_private: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        let settings = mandate_egress::Settings::default();
        Self {
            most_bytes: settings.most_bytes,
            timeout_seconds: settings.timeout.as_secs(),
            most_timeout_seconds: settings.most_timeout.as_secs(),
            allow_private: Vec::new(),
        }
    }
}

impl HttpConfig {
    /// As the way out takes it.
    pub fn settings(&self) -> mandate_egress::Settings {
        mandate_egress::Settings {
            most_bytes: self.most_bytes,
            timeout: Duration::from_secs(self.timeout_seconds),
            most_timeout: Duration::from_secs(self.most_timeout_seconds),
        }
    }
}

/// `[secrets.NAME]`: put into the requests of plugins that may use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretConfig {
    /// The environment variable that holds it; or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The file that holds it; or `env`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Where it may be sent to.
    pub hosts: Vec<String>,
}

impl From<SecretConfig> for mandate_egress::SecretSettings {
    fn from(config: SecretConfig) -> Self {
        Self {
            env: config.env,
            file: config.file,
            hosts: config.hosts,
        }
    }
}

/// `[approvals]`: how people hear that something waits for them. Who they are is in the policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalConfig {
    /// The tool that tells them, `plugin.tool`; without one nobody is told.
    pub notify: String,
}

/// `[trust]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// `publisher = ["key in base64"]`; a publisher that is named here must sign.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Whether every plugin must be signed with one of these keys.
    pub require_signature: bool,
}

impl TrustConfig {
    /// As the kernel takes it.
    ///
    /// # Errors
    /// When a key is none.
    pub fn policy(&self) -> anyhow::Result<TrustPolicy> {
        let mut keys = TrustedKeys::default();
        for (publisher, theirs) in &self.keys {
            for key in theirs {
                keys.trust(publisher, key)
                    .with_context(|| format!("[trust.keys] {publisher}: `{key}` is no key"))?;
            }
        }
        Ok(TrustPolicy {
            keys,
            require_signature: self.require_signature,
        })
    }
}

/// `[tasks]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskConfig {
    /// Executions at the same time.
    pub concurrency: usize,
    /// Accepted and unfinished tasks; more are refused.
    pub most_queued: usize,
    /// Seconds that tasks started by schedules are kept.
    pub keep_scheduled_seconds: u64,
    /// Seconds that running executions have to end when the host is told to stop.
    pub drain_seconds: u64,
}

impl Default for TaskConfig {
    fn default() -> Self {
        let tasks = task::Settings::default();
        Self {
            concurrency: tasks.concurrency,
            most_queued: tasks.most_queued,
            keep_scheduled_seconds: tasks.keep_scheduled.as_secs(),
            drain_seconds: 20,
        }
    }
}

impl TaskConfig {
    /// As the task service takes it.
    pub fn settings(&self) -> task::Settings {
        task::Settings {
            concurrency: self.concurrency,
            most_queued: self.most_queued,
            keep_scheduled: Duration::from_secs(self.keep_scheduled_seconds),
        }
    }
}

/// `[events]`: how long it is kept what happened.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventConfig {
    /// Days that events are kept.
    pub keep_days: u32,
    /// Events that are kept; beyond that the oldest go first.
    pub most: u64,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            keep_days: 30,
            most: 2_000_000,
        }
    }
}

/// `[journal]`: how long it is kept what executions did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Days that executions of finished tasks are kept; 0: as long as the task.
    pub keep_days: u32,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}

/// `[guests]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuestConfig {
    /// Guests alive at the same time, those that wait for their children included.
    pub max_instances: u32,
    /// Seconds that the compilation of one component may take.
    pub compile_seconds: u64,
    /// Bytes of memory that the compilation of one component may take.
    pub compile_memory_bytes: u64,
}

impl Default for GuestConfig {
    fn default() -> Self {
        let runtime = mandate_runtime::Settings::default();
        Self {
            max_instances: runtime.max_instances,
            compile_seconds: runtime.compile_limits.time.as_secs(),
            compile_memory_bytes: runtime.compile_limits.memory_bytes,
        }
    }
}

impl Config {
    /// Reads the file; without one, everything has its default.
    ///
    /// # Errors
    /// When the file cannot be read or names something that is no setting; the message has the line.
    pub fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the configuration file {} cannot be read", file.display()))?;
        toml::from_str(&text)
            .with_context(|| format!("the configuration file {} is not valid", file.display()))
    }
}

/// Where a host keeps everything, made if it is not there, readable by nobody else.
///
/// # Errors
/// When it cannot be made.
pub fn data_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the data directory {} cannot be made", dir.display()))?;
    dir.canonicalize()
        .with_context(|| format!("{} cannot be found", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[tasks]\nconcurency = 3\n").unwrap();
        let error = format!("{:#}", Config::read(Some(file.path())).unwrap_err());
        assert!(
            error.contains("line 2") && error.contains("concurency"),
            "{error}"
        );
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(Config::read(None).unwrap().tasks.concurrency, 64);
    }

    #[test]
    fn the_guide_for_operators_has_every_setting_with_its_default() {
        let guide = include_str!("../../../docs/operators.md");
        let settings = guide.split("\n## Settings\n").nth(1).unwrap();
        let block = settings.split("```toml\n").nth(1).unwrap();
        let block = block.split("```").next().unwrap();
        let said: toml::Table = toml::from_str(block).unwrap();
        let mut all = toml::Table::try_from(Config::default()).unwrap();
        // Keys of publishers have no default.
        all["trust"].as_table_mut().unwrap().remove("keys");
        assert_eq!(said, all);
    }
}
