//! An execution as a document: everything that a replay needs, on whatever machine. Whoever
//! reads one has it from somebody else, so nothing in it is believed before it was checked.

use mandate_store::{Execution, Invocation, Step, Task};
use mandate_types::{Digest, InvocationId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;

/// What the documents say that they are.
pub const FORMAT: &str = "mandate-execution";
/// The version of the format that this host writes and reads.
pub const VERSION: u32 = 1;
/// The most bytes of a document that is read.
pub const MOST_BYTES: u64 = 1 << 30;
/// The most packages in one document.
const MOST_PACKAGES: usize = 256;

/// An execution with its journals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recording {
    /// `mandate-execution`
    pub format: String,
    /// Of the format: 1.
    pub version: u32,
    /// The execution.
    pub execution: Execution,
    /// The task that it is for; none when a client called a tool directly.
    pub task: Option<Task>,
    /// The packages that its invocations ran.
    pub packages: Vec<RecordedPackage>,
    /// Its invocations, oldest first.
    pub invocations: Vec<RecordedInvocation>,
}

/// A package that an execution ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordedPackage {
    /// SHA-256 of the file without its signature.
    pub digest: Digest,
    /// The file, in Base64, where the document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// One invocation with its journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordedInvocation {
    /// The invocation.
    pub invocation: Invocation,
    /// What it is about, for an agent.
    #[serde(default)]
    pub title: String,
    /// 64 hexadecimal digits, from which comes everything random that the guest saw.
    pub seed: String,
    /// What the operator had filled in.
    #[serde(default)]
    pub settings: Value,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// Why a document is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is something else, or does not have the form.
    #[error("this is no recording of an execution: {0}")]
    Form(#[from] serde_json::Error),
    /// It says that it is something else, or contradicts itself.
    #[error("{place}: expected {expected}")]
    Content {
        /// Where in the document.
        place: String,
        /// What should be there.
        expected: String,
    },
}

fn wrong(place: impl Into<String>, expected: impl Into<String>) -> RecordingError {
    RecordingError::Content {
        place: place.into(),
        expected: expected.into(),
    }
}

impl Recording {
    /// A recording of `execution` without packages.
    pub fn new(
        execution: Execution,
        task: Option<Task>,
        invocations: Vec<RecordedInvocation>,
    ) -> Self {
        let digests = invocations.iter().map(|one| &one.invocation.digest);
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            packages: packages(digests),
            execution,
            task,
            invocations,
        }
    }

    /// Reads a document; whoever does bounds its length before, by [`MOST_BYTES`].
    ///
    /// # Errors
    /// [`RecordingError`] says what is wrong, and where.
    pub fn read(text: &[u8]) -> Result<Self, RecordingError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            format: String,
            #[serde(default)]
            version: u32,
        }
        let head: Head = serde_json::from_slice(text)?;
        if head.format != FORMAT {
            return Err(wrong("format", format!("`{FORMAT}`")));
        }
        if head.version != VERSION {
            let known = format!("{VERSION}, which is what this version of mandate reads");
            return Err(wrong("version", known));
        }
        let recording: Self = serde_json::from_slice(text)?;
        recording.check()?;
        Ok(recording)
    }

    fn check(&self) -> Result<(), RecordingError> {
        if self.packages.len() > MOST_PACKAGES {
            return Err(wrong("packages", format!("at most {MOST_PACKAGES}")));
        }
        if let Some(task) = &self.task
            && self.execution.task.as_ref() != Some(&task.id)
        {
            return Err(wrong("task.id", "the task of the execution"));
        }
        let mut ids = HashSet::new();
        for (n, one) in self.invocations.iter().enumerate() {
            let place = |field: &str| format!("invocations[{n}].{field}");
            if !ids.insert(&one.invocation.id) {
                return Err(wrong(place("invocation.id"), "each invocation once"));
            }
            if one.invocation.execution != self.execution.id {
                let expected = self.execution.id.to_string();
                return Err(wrong(place("invocation.execution"), expected));
            }
            if one.seed().is_none() && !one.invocation.erased {
                return Err(wrong(place("seed"), "64 hexadecimal digits"));
            }
            let mut before = None;
            for (m, step) in one.steps.iter().enumerate() {
                let key = (step.sequence, step.index);
                if step.invocation != one.invocation.id {
                    let place = place(&format!("steps[{m}].invocation"));
                    return Err(wrong(place, one.invocation.id.to_string()));
                }
                if before.is_some_and(|before| before >= key) {
                    let place = place(&format!("steps[{m}]"));
                    return Err(wrong(place, "steps in their order, each once"));
                }
                before = Some(key);
            }
        }
        Ok(())
    }

    /// Its invocation `id`.
    pub fn invocation(&self, id: &InvocationId) -> Option<&RecordedInvocation> {
        let mut all = self.invocations.iter();
        all.find(|one| one.invocation.id == *id)
    }
}

impl RecordedInvocation {
    /// An invocation as the store holds it. The title of an agent below another is what `callers`
    /// know of it: it is in the arguments of the step that made the invocation.
    pub fn new(invocation: Invocation, title: String, steps: Vec<Step>) -> Self {
        Self {
            seed: hex::encode(&invocation.seed),
            settings: invocation.settings.clone().unwrap_or_else(|| json!({})),
            title,
            invocation,
            steps,
        }
    }

    /// The seed as bytes.
    pub fn seed(&self) -> Option<[u8; 32]> {
        let mut seed = [0; 32];
        hex::decode_to_slice(&self.seed, &mut seed).ok()?;
        Some(seed)
    }
}

/// The title that a step gave the agent that it called.
pub fn title(step: &Step) -> Option<&str> {
    step.arguments
        .pointer("/call/agent/title")
        .and_then(Value::as_str)
}

/// The packages of these digests, each once.
pub fn packages<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Vec<RecordedPackage> {
    let mut digests: Vec<Digest> = digests.into_iter().cloned().collect();
    digests.sort();
    digests.dedup();
    let package = |digest| RecordedPackage {
        digest,
        bytes: None,
    };
    digests.into_iter().map(package).collect()
}
