//! What somebody wants: a call of a tool, and what he and the tool say of it.

use crate::capability::invoke::Reasons;
use crate::catalogue::Active;
use crate::kernel::Kernel;
use crate::tree::Tree;
use mandate_policy::{Estimate, ToolCost};
use mandate_types::{Digest, InvocationId};
use serde_json::Value;
use std::sync::Arc;

/// What he wants: a call of a tool.
pub struct Action {
    /// The tool's plugin.
    pub active: Arc<Active>,
    /// The tool's short name.
    pub tool: String,
    /// The exact arguments.
    pub arguments: Value,
    /// What he says of it.
    pub reasons: Reasons,
    /// The invocation that will do it.
    pub child: InvocationId,
    /// What the tool says that it costs.
    pub(super) estimate: Estimate,
    /// How the tool says that it is undone, and what the cost is made of.
    pub(super) undo: Option<String>,
    pub(super) cost_is_for: Option<String>,
}

impl Action {
    /// What somebody wants, before the tool was asked about it.
    pub fn new(
        active: Arc<Active>,
        tool: String,
        arguments: Value,
        reasons: Reasons,
        child: InvocationId,
    ) -> Self {
        Self {
            active,
            tool,
            arguments,
            reasons,
            child,
            estimate: Estimate::None,
            undo: None,
            cost_is_for: None,
        }
    }

    /// Asks the tool what the call would cost, where the operator accepted that it says so.
    pub(super) async fn ask_for_cost(&mut self, kernel: &Kernel) {
        let terms = self.active.terms(&self.tool);
        if terms.and_then(|terms| terms.cost) != Some(ToolCost::Estimate) {
            self.estimate = Estimate::None;
            return;
        }
        let told = kernel.estimate(&self.active, &self.tool, &self.arguments);
        self.estimate = match told.await {
            Ok(told) => {
                self.undo = told.undo;
                self.cost_is_for = told.why;
                Estimate::Known(told.cost)
            }
            Err(error) => Estimate::Failed(error.to_string()),
        };
    }

    /// `plugin.tool`
    pub fn name(&self) -> String {
        format!("{}.{}", self.active.name(), self.tool)
    }

    /// The arguments' digest, as approvals are bound to it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.arguments.to_string().as_bytes())
    }

    pub(super) fn section(&self) -> Option<&mandate_plugin::manifest::ToolSection> {
        self.active.loaded.manifest.tool(&self.tool)
    }

    /// What it is done to.
    pub fn target(&self) -> Option<String> {
        let pointer = self.section()?.target.as_deref()?;
        text(self.arguments.pointer(pointer)?)
    }

    /// The tenant that the arguments name, if that is not the one for whom it is done.
    pub(super) fn other_tenant(&self, tree: &Tree) -> Option<String> {
        let pointer = self.section()?.tenant.as_deref()?;
        let named = text(self.arguments.pointer(pointer)?)?;
        (named != tree.tenant.as_str()).then_some(named)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
