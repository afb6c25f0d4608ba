//! Capability `continuation`: the agent of a task ends its execution and has the next one begin
//! with another input. Everybody has it: what a task may spend counts over all of its executions.

use super::{At, Capability, Fail, Intent, JsonText, Performed, Scope};
use crate::guest::{Guest, Told};
use crate::records::list;
use mandate_plugin::validate;
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::continuation::continuation as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_types::{Effects, GuestKind};
use serde::Serialize;

#[derive(Serialize)]
struct ContinueAsNew {
    input: JsonText,
}

impl Capability for ContinueAsNew {
    const INTERFACE: &'static str = "mandate:continuation/continuation";
    const FUNCTION: &'static str = "continue-as-new";
    const EFFECTS: Effects = Effects::Internal;
    const INTENT: Intent = Intent::None;
    type Answer = ();

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        let of_task = scope.tree.task.is_some() && scope.lineage.depth == 0;
        if of_task && scope.kind == GuestKind::Agent {
            return Ok(());
        }
        Err(Refusal {
            capability: "continuation".to_owned(),
            reason: "only the agent of a task goes on in a new execution; tools, and agents that were called, answer whoever called them".to_owned(),
        })
    }

    async fn perform(self, at: At) -> Result<Performed<()>, Fail> {
        let input = self.input.value("input")?;
        // By what is installed: that is what goes on.
        if let Some(agent) = &at.scope.plugin.loaded.agent {
            validate(&agent.input, &input)
                .map_err(|problems| Error::Invalid(format!("input: {}", list(&problems))))?;
        }
        Ok(Performed::read(()))
    }
}

impl wit::Host for Guest {
    async fn continue_as_new(&mut self, input: String) -> Told<Result<(), Error>> {
        let input = JsonText::new(input);
        let value = input.get().cloned();
        match self.step(ContinueAsNew { input }).await? {
            Ok(()) => {
                // The end of the execution says so, in its own transaction.
                self.continuation = value;
                Err(self.end(End::Stopped("it goes on in a new execution".to_owned())))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}
