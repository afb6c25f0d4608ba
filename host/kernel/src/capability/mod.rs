//! What a plugin may ask the host for: one file per WIT import, all of one shape. Each
//! function is a type that holds its arguments and implements [`Capability`]; each file ends
//! with the generated `Host` trait, which only passes the arguments to the seam.

pub mod continuation;
pub mod events;
pub mod http;
pub mod human;
pub mod invoke;
pub mod llm;
pub mod llm_stream;
pub mod records;
pub mod system;
pub mod telemetry;

use crate::catalogue::Active;
use crate::decision::{Action, Pledge};
use crate::kernel::Kernel;
use crate::loaded::Loaded;
use crate::money::{CallMeter, Spending};
use crate::tree::{Halted, Lineage, Tree};
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::types::types::{Denial, Error, Failure, Outage};
use mandate_store::{StoreError, Wait, Write};
use mandate_types::{Effects, GuestKind, InvocationId, Limits, MicroUsd, Timestamp, WaitReason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;

/// Who asks: what is fixed for the whole of an invocation, but for the grant.
#[derive(Clone)]
pub struct Scope {
    /// The host.
    pub kernel: Arc<Kernel>,
    /// The execution.
    pub tree: Arc<Tree>,
    /// The invocation and those above it.
    pub lineage: Arc<Lineage>,
    /// The invocation.
    pub id: InvocationId,
    /// The installed plugin, with its grant as it is now.
    pub plugin: Arc<Active>,
    /// The component, pinned.
    pub loaded: Arc<Loaded>,
    /// Agent or tool.
    pub kind: GuestKind,
    /// The gravest class of effects that this invocation may have.
    pub ceiling: Effects,
    /// The decision under which it may have effects outside of the host.
    pub pledge: Option<Arc<Pledge>>,
    /// Pinned at the start.
    pub limits: Limits,
}

/// One call: who asks, and which step it is.
pub struct At {
    /// Who asks.
    pub scope: Arc<Scope>,
    /// The step's number.
    pub sequence: u64,
    /// Its place within an `invoke-many`.
    pub index: u32,
    /// When it was first asked.
    pub since: Timestamp,
    /// What was reserved for the effect that it may have.
    pub pledge: Option<Arc<Pledge>>,
    /// Who pays for a model that it asks; none as long as that is free.
    pub meter: Option<Arc<CallMeter>>,
}

/// When the intent of a call is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Not at all: asking again is the same.
    None,
    /// With the next commit.
    Buffered,
    /// On disk before the call is made.
    Committed,
}

/// What a call came to.
pub struct Performed<T> {
    /// What the guest is told.
    pub answer: T,
    /// What is committed together with the answered step.
    pub writes: Vec<Write>,
    /// What it cost.
    pub cost: MicroUsd,
}

impl<T> Performed<T> {
    /// An answer that writes nothing and costs nothing.
    pub fn read(answer: T) -> Self {
        Self {
            answer,
            writes: Vec::new(),
            cost: MicroUsd::ZERO,
        }
    }

    /// An answer that holds once `writes` are committed with it.
    pub fn written(answer: T, writes: Vec<Write>) -> Self {
        Self {
            answer,
            writes,
            cost: MicroUsd::ZERO,
        }
    }
}

/// Why a call has no answer of its own.
pub enum Fail {
    /// The guest is told.
    Answer(Error),
    /// The guest is told, and this is committed with it; so much it cost.
    Ended(Error, Vec<Write>, MicroUsd),
    /// The guest is stopped: a limit.
    End(End),
    /// The execution cannot go on here.
    Halt(Halted),
    /// It cannot go on before something is there, and holds nothing meanwhile.
    Park(Wait, WaitReason),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<Halted> for Fail {
    fn from(halted: Halted) -> Self {
        Self::Halt(halted)
    }
}

impl From<StoreError> for Fail {
    /// A question that the guest put wrongly is answered; a database that is away is not its fault.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor | StoreError::Query(_) => {
                Self::Answer(Error::Invalid(error.to_string()))
            }
            other => Self::Halt(other.into()),
        }
    }
}

/// One function of one import.
pub trait Capability: Serialize + Send + Sync + Sized + 'static {
    /// `mandate:records/records`
    const INTERFACE: &'static str;
    /// `create`
    const FUNCTION: &'static str;
    /// The class of the function, fixed by the host.
    const EFFECTS: Effects = Effects::None;
    /// When the intent of the function's calls is written.
    const INTENT: Intent = Intent::None;
    /// Whether an answer is a task of its own, which counts among the children.
    const SUBMITS: bool = false;
    /// What the guest gets.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Whether the plugin's grant allows it.
    ///
    /// # Errors
    /// [`Refusal`], which the guest gets as `denied`.
    fn granted(&self, scope: &Scope) -> Result<(), Refusal>;

    /// The class of this call, where that depends on its arguments.
    fn effects(&self) -> Effects {
        Self::EFFECTS
    }

    /// The effect that this call would have by a tool, which must be judged before; nothing if it
    /// has none.
    ///
    /// # Errors
    /// What the guest is told when it would fail before it is judged.
    fn action(&self, _at: &At) -> Result<Option<Action>, Error> {
        Ok(None)
    }

    /// What this call may cost by asking a model; nothing if that is free.
    ///
    /// # Errors
    /// What the guest is told when nobody knows what it may cost.
    fn spending(&self, _scope: &Scope) -> Result<Option<Spending>, Error> {
        Ok(None)
    }

    /// When the intent of this call is written, where that depends on its arguments.
    fn intent(&self) -> Intent {
        Self::INTENT
    }

    /// The invocation that this call makes.
    fn child(&self, _at: &At) -> Option<InvocationId> {
        None
    }

    /// Does it. Internal writes are returned, not done: the seam commits them with the answer.
    fn perform(self, at: At) -> impl Future<Output = Result<Performed<Self::Answer>, Fail>> + Send;
}

/// What a guest is told of a refusal.
pub fn denied(refusal: Refusal) -> Error {
    Error::Denied(Denial {
        capability: refusal.capability,
        reason: refusal.reason,
    })
}

/// What a guest is told when something behind the host does not answer.
pub fn unavailable(reason: impl Into<String>) -> Error {
    Error::Unavailable(Outage {
        reason: reason.into(),
        retry_after_ms: None,
    })
}

/// What a guest is told when whom it called did not answer.
pub fn failed(message: impl Into<String>, retryable: bool) -> Error {
    Error::Failed(Failure {
        message: message.into(),
        retryable,
    })
}

/// JSON text from a guest: journalled as the JSON that it is, or as text when it is none.
pub struct JsonText(Result<Value, (String, String)>);

impl JsonText {
    /// Reads it; that it is not JSON is told by [`JsonText::value`].
    pub fn new(text: String) -> Self {
        Self(serde_json::from_str(&text).map_err(|error| (text, error.to_string())))
    }

    /// The value; `what` names it in the error.
    ///
    /// # Errors
    /// `invalid`, with the place of the mistake.
    pub fn value(self, what: &str) -> Result<Value, Error> {
        self.0
            .map_err(|(_, error)| Error::Invalid(format!("{what} is not JSON: {error}")))
    }
}

impl JsonText {
    /// The value, if it is one.
    pub fn get(&self) -> Option<&Value> {
        self.0.as_ref().ok()
    }
}

impl Serialize for JsonText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(value) => value.serialize(serializer),
            Err((text, _)) => serializer.serialize_str(text),
        }
    }
}

impl mandate_runtime::bindings::types::types::Host for crate::guest::Guest {}
