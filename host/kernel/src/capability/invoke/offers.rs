//! What a plugin may call now.

use super::super::{At, Capability, Fail, Performed, Scope};
use super::{INTERFACE, allowed_effects, refuse};
use mandate_policy::{Refusal, grant::matches};
use mandate_runtime::bindings::invoke::invoke as wit;
use mandate_types::Effects;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Offers;

impl Capability for Offers {
    const INTERFACE: &'static str = INTERFACE;
    const FUNCTION: &'static str = "offers";
    type Answer = Vec<wit::Offer>;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        match &scope.plugin.grant().capabilities.invoke {
            Some(_) => Ok(()),
            None => Err(refuse("calling tools and agents is not granted".to_owned())),
        }
    }

    async fn perform(self, at: At) -> Result<Performed<Vec<wit::Offer>>, Fail> {
        let granted = at
            .scope
            .plugin
            .grant()
            .capabilities
            .invoke
            .clone()
            .unwrap_or_default();
        let catalogue = at.scope.kernel.catalogue();
        let mut offers = Vec::new();
        for active in catalogue.plugins().filter(|active| active.takes_work()) {
            let name = active.name();
            if let Some(agent) = active.loaded.description.agent()
                && matches(&granted.agents, name.as_str())
                && at.scope.lineage.circle(name).is_none()
                && at.scope.ceiling >= Effects::Internal
            {
                offers.push(wit::Offer {
                    name: name.to_string(),
                    is_agent: true,
                    summary: agent.summary.clone(),
                    arguments: agent.input.to_string(),
                });
            }
            for tool in active.loaded.tools.keys() {
                let full = format!("{name}.{tool}");
                let usable = active
                    .terms(tool)
                    .is_some_and(|terms| allowed_effects(&at.scope, &full, terms.effects).is_ok());
                let described = active.loaded.description.tool(tool);
                if let Some(described) = described
                    && usable
                    && matches(&granted.tools, &full)
                {
                    offers.push(wit::Offer {
                        name: full,
                        is_agent: false,
                        summary: described.summary.clone(),
                        arguments: described.arguments.to_string(),
                    });
                }
            }
        }
        offers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Performed::read(offers))
    }
}
