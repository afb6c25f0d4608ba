//! A plugin's component, ready to be called, and what it says about itself.

use crate::bindings::agent::AgentGuestPre;
use crate::bindings::estimating::EstimatingGuestPre;
use crate::bindings::tool::ToolGuestPre;
use crate::bindings::{agent_export, tool_export};
use crate::invocation::State;
use crate::nowhere::Nowhere;
use mandate_types::{Digest, GuestKind};
use std::sync::Arc;

/// Where a component's code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Compiled now.
    Compiled,
    /// Read from the cache.
    Cached,
}

/// The prepared instance, by world.
pub(crate) enum Entry<T: 'static> {
    Agent(AgentGuestPre<T>),
    Tool(ToolGuestPre<T>),
}

impl<T: 'static> Clone for Entry<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Agent(pre) => Self::Agent(pre.clone()),
            Self::Tool(pre) => Self::Tool(pre.clone()),
        }
    }
}

/// A component that is compiled, checked and linked. Clones share everything.
pub struct Component<H: 'static> {
    pub(crate) digest: Digest,
    pub(crate) kind: GuestKind,
    pub(crate) origin: Origin,
    pub(crate) component: wasmtime::component::Component,
    pub(crate) entry: Entry<State<H>>,
    /// Where its tools estimate what their calls cost.
    pub(crate) estimating: Option<EstimatingGuestPre<State<Nowhere>>>,
    pub(crate) imports: Arc<[String]>,
}

impl<H: 'static> Clone for Component<H> {
    fn clone(&self) -> Self {
        Self {
            digest: self.digest.clone(),
            kind: self.kind,
            origin: self.origin,
            component: self.component.clone(),
            entry: self.entry.clone(),
            estimating: self.estimating.clone(),
            imports: Arc::clone(&self.imports),
        }
    }
}

impl<H: 'static> Component<H> {
    /// The digest that it was compiled under.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it provides.
    pub fn kind(&self) -> GuestKind {
        self.kind
    }

    /// Where its code came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The interfaces that it imports, like `mandate:records/records@1.0.0`.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }
}

/// What a guest says about itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Description {
    /// Of an agent.
    Agent(agent_export::Description),
    /// Of each tool.
    Tools(Vec<tool_export::Description>),
}
