//! A tool that cost more than it said is not called again before an operator accepts it anew.

use super::Pledge;
use crate::kernel::Kernel;
use mandate_store::{NewAct, Write};
use mandate_types::{Act, Actor, PrincipalName, Timestamp};
use serde_json::json;
use std::sync::Arc;

impl Kernel {
    /// Takes the terms of the tool out of its plugin's grant. On a task of its own: what the call
    /// came to is on record already, and does not wait for this.
    pub(crate) fn suspend(self: &Arc<Self>, pledge: &Pledge) {
        let (kernel, plugin, tool) = (self.clone(), pledge.plugin.clone(), pledge.tool.clone());
        let decision = pledge.decision.clone();
        self.host().spawn(async move {
            let Some(active) = kernel.catalogue().installed(&plugin).cloned() else {
                return;
            };
            let mut grant = active.grant().clone();
            if grant.tools.remove(&tool).is_none() {
                return;
            }
            let by = PrincipalName::host();
            let changed = kernel
                .change_installation(&plugin, Some(grant), None, None, by)
                .await;
            if let Err(error) = changed {
                tracing::error!(%plugin, %tool, %error, "a tool cost more than was reserved, and cannot be suspended");
                return;
            }
            tracing::error!(%plugin, %tool, %decision, "a tool cost more than was reserved: it is suspended until its terms are accepted again");
            let act = NewAct {
                at: Timestamp::now(),
                actor: Actor::host(),
                act: Act::TOOL_SUSPENDED,
                subject: format!("plugin/{plugin}"),
                tenant: None,
                data: json!({ "tool": tool, "decision": decision }),
            };
            let written = kernel
                .store()
                .commit(None, vec![Write::Audit(Box::new(act))])
                .await;
            if let Err(error) = written {
                tracing::error!(%plugin, %error, "that a tool was suspended is not in the audit");
            }
        });
    }
}
