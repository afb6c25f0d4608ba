//! Capability `events`: telling subscribers that something happened.

use super::{At, Capability, Fail, JsonText, Performed, Scope};
use crate::guest::{Guest, Told};
use mandate_policy::Refusal;
use mandate_runtime::bindings::events::events as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{NewEvent, Write};
use mandate_types::{Effects, Subject, Timestamp};
use serde::Serialize;

#[derive(Serialize)]
struct Publish {
    kind: String,
    subject: Option<String>,
    data: JsonText,
}

fn is_kind(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
}

impl Capability for Publish {
    const INTERFACE: &'static str = "mandate:events/events";
    const FUNCTION: &'static str = "publish";
    const EFFECTS: Effects = Effects::Internal;
    type Answer = ();

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        scope.plugin.grant().capabilities.publish()
    }

    async fn perform(self, at: At) -> Result<Performed<()>, Fail> {
        let event = self;
        if !is_kind(&event.kind) {
            let message = "kind: expected lower-case letters, digits, `-` and `_`, at most 64";
            return Err(Error::Invalid(message.to_owned()).into());
        }
        let subject = match event.subject {
            Some(text) => {
                Some(Subject::parse(&text).map_err(|e| Error::Invalid(format!("subject: {e}")))?)
            }
            None => at.scope.tree.subject.clone(),
        };
        let event = NewEvent {
            time: Timestamp::now(),
            // The prefix is the host's: no plugin can speak with another's voice, or the host's.
            kind: format!("{}.{}", at.scope.plugin.name(), event.kind),
            subject,
            task: at.scope.tree.task.clone(),
            tenant: at.scope.tree.tenant.clone(),
            data: event.data.value("data")?,
        };
        Ok(Performed::written((), vec![Write::Event(Box::new(event))]))
    }
}

impl wit::Host for Guest {
    async fn publish(&mut self, event: wit::Event) -> Told<Result<(), Error>> {
        let data = JsonText::new(event.data);
        self.step(Publish {
            kind: event.kind,
            subject: event.subject,
            data,
        })
        .await
    }
}
