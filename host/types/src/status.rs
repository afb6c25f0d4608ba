//! The closed sets of the product: states, roles, kinds.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A text that is none of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: expected one of {expected}")]
pub struct NotOneOf {
    what: &'static str,
    text: String,
    expected: String,
}

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = NotOneOf;
            fn from_str(text: &str) -> Result<Self, NotOneOf> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| NotOneOf {
                    what: $what,
                    text: text.chars().take(80).collect(),
                    expected: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

closed_set!(
    /// Where a task is.
    TaskStatus, "task status" {
        /// Accepted, not started.
        Pending = "pending",
        /// Its execution runs.
        Running = "running",
        /// Its execution is parked; the reason is in [`WaitReason`].
        Waiting = "waiting",
        /// Ended with a report.
        Succeeded = "succeeded",
        /// Ended without one.
        Failed = "failed",
        /// Stopped by somebody.
        Cancelled = "cancelled",
        /// Its replay did not agree with its journal.
        Diverged = "diverged",
        /// Its plugin was revoked.
        Blocked = "blocked",
    }
);

impl TaskStatus {
    /// Whether nothing more happens unless somebody asks for it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

closed_set!(
    /// What a parked execution waits for.
    WaitReason, "wait reason" {
        /// A human's approval.
        Approval = "approval",
        /// A human's answer.
        Answer = "answer",
        /// Money.
        Budget = "budget",
        /// Time.
        Sleep = "sleep",
        /// The end of a halt.
        Halt = "halt",
    }
);

closed_set!(
    /// Where an invocation is.
    InvocationStatus, "invocation status" {
        /// Runs, or ran when the host stopped.
        Running = "running",
        /// Dropped until something is answered.
        Waiting = "waiting",
        /// Ended with a result.
        Succeeded = "succeeded",
        /// Ended without one.
        Failed = "failed",
        /// Stopped.
        Cancelled = "cancelled",
        /// Its replay did not agree with its journal.
        Diverged = "diverged",
        /// Its plugin was revoked.
        Blocked = "blocked",
    }
);

closed_set!(
    /// Where a step is in the journal.
    StepState, "step state" {
        /// Written before the effect is had.
        Intended = "intended",
        /// The answer is recorded; refusals are answers.
        Answered = "answered",
    }
);

closed_set!(
    /// What a plugin provides.
    GuestKind, "guest kind" {
        /// Does tasks.
        Agent = "agent",
        /// Does one thing.
        Tool = "tool",
    }
);

closed_set!(
    /// What a tool does to the world, as declared and accepted; ordered from harmless to grave.
    Effects, "class of effects" {
        /// Reads only.
        None = "none",
        /// The host's own state: records, events, child tasks.
        Internal = "internal",
        /// The outside world, and it can be undone.
        Reversible = "reversible",
        /// The outside world, for good.
        Irreversible = "irreversible",
    }
);

closed_set!(
    /// Where a decision is.
    DecisionStatus, "decision status" {
        /// Escalated: a human must answer.
        Pending = "pending",
        /// A human allowed it; it is not begun yet.
        Approved = "approved",
        /// Policy or a human refused it.
        Denied = "denied",
        /// Nobody answered in time, which denies it.
        Expired = "expired",
        /// What was asked is not what would be done any more, or its execution ended before.
        Withdrawn = "withdrawn",
        /// The approval is consumed, and the tool runs under it.
        Executing = "executing",
        /// The tool ended with a result.
        Done = "done",
        /// The tool ended without one.
        Failed = "failed",
        /// Judged only: the plugin runs dry.
        DryRun = "dry_run",
    }
);

closed_set!(
    /// How much can go wrong.
    Risk, "risk" {
        /// Hardly anything.
        Low = "low",
        /// Something, for some.
        Medium = "medium",
        /// Much, or for many.
        High = "high",
    }
);

closed_set!(
    /// Where a question to people is.
    QuestionStatus, "question status" {
        /// Nobody answered yet.
        Open = "open",
        /// Somebody did.
        Answered = "answered",
        /// Somebody did, and what he allowed has been begun: it allows nothing more.
        Acted = "acted",
        /// Its execution ended before.
        Withdrawn = "withdrawn",
    }
);

closed_set!(
    /// Why people are asked.
    QuestionKind, "kind of question" {
        /// An agent wants to know something.
        Ask = "ask",
        /// The host does not know whether an effect happened.
        UnknownEffect = "unknown_effect",
    }
);

closed_set!(
    /// What a principal may do; each role includes those before it.
    Role, "role" {
        /// Reads.
        Viewer = "viewer",
        /// Submits tasks and calls tools.
        Client = "client",
        /// Answers decisions.
        Approver = "approver",
        /// Installs, grants, halts.
        Operator = "operator",
        /// Everything, principals included.
        Admin = "admin",
    }
);

/// What happened: the host's kinds, or `<plugin>.<kind>` for those that a plugin publishes.
pub struct EventKind;

#[allow(missing_docs)] // the names are the texts
impl EventKind {
    pub const TASK_CREATED: &'static str = "task_created";
    pub const TASK_EXECUTION_STARTED: &'static str = "task_execution_started";
    pub const TASK_PROGRESS: &'static str = "task_progress";
    /// A piece of what a model says to the task's agent, or to whom that calls.
    pub const TASK_TEXT: &'static str = "task_text";
    pub const TASK_WAITING: &'static str = "task_waiting";
    pub const TASK_CONTINUED: &'static str = "task_continued";
    pub const TASK_COMPLETED: &'static str = "task_completed";
    pub const TASK_FAILED: &'static str = "task_failed";
    pub const TASK_CANCELLED: &'static str = "task_cancelled";
    pub const AGENT_STARTED: &'static str = "agent_started";
    pub const AGENT_COMPLETED: &'static str = "agent_completed";
    pub const DECISION_REQUESTED: &'static str = "decision_requested";
    pub const DECISION_RESOLVED: &'static str = "decision_resolved";
    /// So much of a budget is spent or reserved.
    pub const BUDGET_WARNING: &'static str = "budget_warning";
    pub const RECORD_CHANGED: &'static str = "record_changed";
    pub const PLUGIN_CHANGED: &'static str = "plugin_changed";
    pub const HALTED: &'static str = "halted";
    pub const RESUMED: &'static str = "resumed";
    pub const SYSTEM_UPDATE: &'static str = "system_update";

    /// Every kind of the host's own.
    pub const ALL: &'static [&'static str] = &[
        Self::TASK_CREATED,
        Self::TASK_EXECUTION_STARTED,
        Self::TASK_PROGRESS,
        Self::TASK_TEXT,
        Self::TASK_WAITING,
        Self::TASK_CONTINUED,
        Self::TASK_COMPLETED,
        Self::TASK_FAILED,
        Self::TASK_CANCELLED,
        Self::AGENT_STARTED,
        Self::AGENT_COMPLETED,
        Self::DECISION_REQUESTED,
        Self::DECISION_RESOLVED,
        Self::BUDGET_WARNING,
        Self::RECORD_CHANGED,
        Self::PLUGIN_CHANGED,
        Self::HALTED,
        Self::RESUMED,
        Self::SYSTEM_UPDATE,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_effects_are_ordered() {
        assert!(Role::Admin > Role::Operator && Role::Operator > Role::Approver);
        assert!(Role::Client > Role::Viewer);
        assert!(Effects::Irreversible > Effects::Reversible && Effects::Internal > Effects::None);
    }

    #[test]
    fn an_unknown_word_lists_the_known() {
        let error = "done".parse::<TaskStatus>().unwrap_err().to_string();
        assert!(
            error.contains("succeeded") && error.contains("done"),
            "{error}"
        );
    }
}
