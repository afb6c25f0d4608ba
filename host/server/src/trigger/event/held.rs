//! Triggers of what is halted do not fire. Each keeps its place, and makes up for what it missed
//! when it goes on; others do not wait for it.

use super::{
    AFTER_FAILURE, BATCH, NotNow, Place, Watch, not_readable, plugin_in, state, triggers, wakes,
};
use mandate_store::{Event, EventQuery, StoreError};

impl Watch {
    /// Fires what was held for a halt that has ended, for the events since.
    pub(super) async fn let_go(&mut self) {
        let halts = self.kernel.halts();
        let halted = |name: &str| {
            halts
                .host()
                .or_else(|| halts.plugin(plugin_in(name)))
                .is_some()
        };
        let held: Vec<String> = self.held.keys().cloned().collect();
        for name in held.into_iter().filter(|name| !halted(name)) {
            while let Err(error) = self.make_up(&name).await {
                not_readable(&error).await;
            }
        }
    }

    /// Looks at all events that a trigger was held for.
    async fn make_up(&mut self, name: &str) -> Result<(), StoreError> {
        while let Some(after) = self.held.get(name).copied() {
            let query = EventQuery {
                after,
                limit: BATCH,
                ..EventQuery::default()
            };
            let events = self.kernel.store().events(&query).await?;
            let missed = events.into_iter().filter(|event| event.seq <= self.seen);
            let missed: Vec<Event> = missed.collect();
            if missed.is_empty() {
                self.held.remove(name);
            }
            for event in missed {
                while let Err(NotNow(reason)) = self.make_up_for(name, &event).await {
                    tracing::warn!(event = event.seq, reason, "a trigger that was halted waits");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
                if self.halted(plugin_in(name)) {
                    // Halted again: this one counts as seen, the next does not.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn make_up_for(&mut self, name: &str, event: &Event) -> Result<(), NotNow> {
        let catalogue = self.kernel.catalogue();
        let active = catalogue.plugin(plugin_in(name));
        let trigger = active.and_then(|active| {
            let (_, trigger) = triggers(active).find(|(known, _)| known == name)?;
            Some((active, trigger))
        });
        // One that is gone, or has seen the event, has missed nothing.
        let place = self.places.get(name).copied();
        let new = matches!(place, Some(Place::After(place)) if event.seq > place);
        if let Some((active, trigger)) = trigger
            && new
            && active.takes_work()
            && wakes(trigger, event)
        {
            self.fire(active, trigger, event, state(name, event.seq))
                .await?;
            self.places.insert(name.to_owned(), Place::After(event.seq));
        }
        self.held.insert(name.to_owned(), event.seq);
        Ok(())
    }

    /// Whether the triggers of a plugin do not fire now.
    pub(super) fn halted(&self, plugin: &str) -> bool {
        let halts = self.kernel.halts();
        halts.host().or_else(|| halts.plugin(plugin)).is_some()
    }
}
