//! How much one invocation may use, and what is said when it uses more.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The limits pinned to an invocation when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes over all memories and tables of the instance together.
    pub memory_bytes: u64,
    /// Milliseconds of wall-clock time, without parking.
    pub time_ms: u64,
    /// Calls across the sandbox boundary.
    pub steps: u64,
    /// Bytes of arguments and answers in the journal.
    pub journal_bytes: u64,
    /// Bytes of log lines.
    pub log_bytes: u64,
    /// Bytes of the result or report.
    pub result_bytes: u64,
    /// Bytes of one argument list crossing into the host.
    pub argument_bytes: u64,
    /// Invocations below this one, all levels together.
    pub children: u64,
    /// How deep the tree of invocations may grow below the task.
    pub depth: u32,
    /// Invocations of this plugin running at the same time.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            time_ms: 30_000,
            steps: 10_000,
            journal_bytes: 16 << 20,
            log_bytes: 256 << 10,
            result_bytes: 1 << 20,
            argument_bytes: 8 << 20,
            children: 256,
            depth: 8,
            concurrency: 16,
        }
    }
}

/// Which limit was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the variants are the fields of `Limits`
pub enum LimitName {
    MemoryBytes,
    TimeMs,
    Steps,
    JournalBytes,
    LogBytes,
    ResultBytes,
    ArgumentBytes,
    Children,
    Depth,
    Concurrency,
    /// The guest's call stack; fixed by the host.
    StackBytes,
}

impl LimitName {
    /// As it is written in `[limits]` and in the grant.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemoryBytes => "memory_bytes",
            Self::TimeMs => "time_ms",
            Self::Steps => "steps",
            Self::JournalBytes => "journal_bytes",
            Self::LogBytes => "log_bytes",
            Self::ResultBytes => "result_bytes",
            Self::ArgumentBytes => "argument_bytes",
            Self::Children => "children",
            Self::Depth => "depth",
            Self::Concurrency => "concurrency",
            Self::StackBytes => "stack_bytes",
        }
    }
}

/// A limit that was hit: which, how much it allows, and how to change it.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, utoipa::ToSchema,
)]
pub struct LimitHit {
    /// Which limit.
    pub limit: LimitName,
    /// How much it allows.
    pub value: u64,
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.limit.as_str();
        write!(f, "the limit `{name}` = {} was exceeded; ", self.value)?;
        if self.limit == LimitName::StackBytes {
            return f.write_str("the call stack is fixed by the host: use less recursion");
        }
        write!(
            f,
            "to change it, set `{name}` under [limits] in plugin.toml, or in the plugin's grant (PUT /api/v1/plugins/{{name}}/grant)"
        )
    }
}
