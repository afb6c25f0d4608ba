//! Names of things: each kind of id is a type of its own, so that one cannot stand for another.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: expected {expected}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`IdError`] when the text has not the form of this kind of id.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(IdError { kind: $kind, text: text.chars().take(80).collect(), expected: $expected })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

/// Lower-case letters, digits and single inner hyphens, beginning with a letter: `incident-triage`.
pub fn is_kebab(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_prefixed(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == 26
            && rest
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    })
}

id!(
    /// A task's id: `task-` and 26 characters that sort by time.
    TaskId, "a task id", "`task-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "task-")
);
id!(
    /// An execution's id: `exec-` and 26 characters that sort by time.
    ExecutionId, "an execution id", "`exec-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "exec-")
);
id!(
    /// An invocation's id. That of a child derives from the step that made it.
    InvocationId, "an invocation id", "`inv-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "inv-")
);
id!(
    /// A delivery's id: `dlv-` and 26 characters that sort by time.
    DeliveryId, "a delivery id", "`dlv-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "dlv-")
);
id!(
    /// A decision's id: `dec-` and 26 characters that sort by time.
    DecisionId, "a decision id", "`dec-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "dec-")
);
id!(
    /// A question's id: `qst-` and 26 characters that sort by time.
    QuestionId, "a question id", "`qst-` and 26 lower-case letters and digits",
    |text| is_prefixed(text, "qst-")
);
id!(
    /// The name under which a plugin is installed; by default the plugin's id.
    PluginName, "a plugin name", "kebab case of at most 64 characters, such as `incident-triage`",
    is_kebab
);
id!(
    /// A principal's name.
    PrincipalName, "a principal name", "1–64 letters, digits, `.`, `_`, `@`, `:` or `-`",
    |text| !text.is_empty() && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_@:".contains(c))
);
id!(
    /// For whom work is done.
    TenantId, "a tenant", "kebab case of at most 64 characters, such as `default`",
    is_kebab
);
id!(
    /// SHA-256 in lower-case hex.
    Digest, "a digest", "64 lower-case hex digits",
    |text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);
id!(
    /// The record that something is about: `collection/id`.
    Subject, "a subject", "`collection/id`",
    |text| text.len() <= 200 && text.split_once('/').is_some_and(|(collection, id)| {
        is_collection(collection) && is_record_id(id)
    })
);

/// Whether `text` can name a collection: lower-case letters, digits and underscores.
pub fn is_collection(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Whether `text` can be a record's id: 1–128 letters, digits and `-_.:@`.
pub fn is_record_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.:@".contains(c))
}

fn fresh(prefix: &str) -> Arc<str> {
    Arc::from(format!(
        "{prefix}{}",
        ulid::Ulid::new().to_string().to_ascii_lowercase()
    ))
}

impl TaskId {
    /// A new id, later than those before.
    pub fn fresh() -> Self {
        Self(fresh("task-"))
    }

    /// The id of the task that step `sequence`/`index` of `parent` creates: the same on replay.
    pub fn derived(parent: &InvocationId, sequence: u64, index: u32) -> Self {
        Self(derive("task-", parent, sequence, index))
    }
}

impl DeliveryId {
    /// A new id, later than those before.
    pub fn fresh() -> Self {
        Self(fresh("dlv-"))
    }
}

impl DecisionId {
    /// A new id, later than those before.
    pub fn fresh() -> Self {
        Self(fresh("dec-"))
    }
}

impl QuestionId {
    /// A new id, later than those before.
    pub fn fresh() -> Self {
        Self(fresh("qst-"))
    }
}

impl ExecutionId {
    /// A new id, later than those before.
    pub fn fresh() -> Self {
        Self(fresh("exec-"))
    }
}

impl InvocationId {
    /// A new id for the root of an execution.
    pub fn fresh() -> Self {
        Self(fresh("inv-"))
    }

    /// The id of the child that step `sequence`/`index` of `parent` makes: the same on replay.
    pub fn derived(parent: &InvocationId, sequence: u64, index: u32) -> Self {
        Self(derive("inv-", parent, sequence, index))
    }
}

fn derive(prefix: &str, parent: &InvocationId, sequence: u64, index: u32) -> Arc<str> {
    let mut hash = Sha256::new();
    hash.update(parent.as_str());
    hash.update(sequence.to_be_bytes());
    hash.update(index.to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut half = [0_u8; 16];
    half.copy_from_slice(hash.split_at(16).0);
    let text = ulid::Ulid::from(u128::from_be_bytes(half))
        .to_string()
        .to_ascii_lowercase();
    Arc::from(format!("{prefix}{text}"))
}

impl PrincipalName {
    /// The name under which the host itself acts: nobody can be made under it.
    pub fn host() -> Self {
        Self(Arc::from("mandate"))
    }
}

impl TenantId {
    /// The tenant for whom work is done when nobody says otherwise.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self::default_tenant()
    }
}

impl Digest {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Arc::from(hex::encode(Sha256::digest(bytes))))
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl Subject {
    /// The two halves, collection and record id.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or((&self.0, ""))
    }

    /// The subject that a record is.
    ///
    /// # Errors
    /// [`IdError`] when collection or id have not their form.
    pub fn of(collection: &str, id: &str) -> Result<Self, IdError> {
        Self::parse(&format!("{collection}/{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_have_their_form() {
        assert!(TaskId::parse(TaskId::fresh().as_str()).is_ok());
        assert!(TaskId::parse(ExecutionId::fresh().as_str()).is_err());
    }

    #[test]
    fn derived_ids_depend_on_every_part() {
        let parent = InvocationId::fresh();
        let id = InvocationId::derived(&parent, 1, 0);
        assert_eq!(id, InvocationId::derived(&parent, 1, 0));
        assert_ne!(id, InvocationId::derived(&parent, 1, 1));
        assert_ne!(id, InvocationId::derived(&parent, 2, 0));
        assert!(InvocationId::parse(id.as_str()).is_ok());
    }

    #[test]
    fn kebab_case_is_strict() {
        for good in ["a", "incident-triage", "a1-b2"] {
            assert!(is_kebab(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "1a", "é"] {
            assert!(!is_kebab(bad), "{bad}");
        }
    }

    #[test]
    fn a_subject_is_a_collection_and_an_id() {
        assert_eq!(
            Subject::parse("incidents/INC-1").unwrap().parts(),
            ("incidents", "INC-1")
        );
        assert!(Subject::parse("incidents").is_err());
        assert!(Subject::parse("incidents/../x").is_err());
    }
}
