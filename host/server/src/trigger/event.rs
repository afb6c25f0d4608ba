//! Triggers by event. Every event is looked at once, in order, also those that came while the
//! host was down; one whose task cannot be written now is waited for, not skipped.

mod held;

use crate::task::{NewTask, Origin, Tasks};
use mandate_kernel::{Active, Kernel};
use mandate_plugin::manifest::EventTrigger;
use mandate_store::{Event, EventQuery, StoreError, TriggerState, Write};
use mandate_types::EventKind;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How many events are read at a time when catching up.
const BATCH: u32 = 500;
/// Every so many events the places of all triggers are kept, so that a start does not begin
/// with the event that last fired, which may be long ago.
const KEEP_EVERY: u64 = 1_000;
/// How long to wait when the database cannot be read or written, or the host takes no tasks.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where a trigger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has seen everything up to this event.
    After(u64),
    /// Its plugin is not installed: what happens meanwhile does not concern it.
    Away,
}

/// Why an event cannot be dealt with now.
struct NotNow(String);

impl From<StoreError> for NotNow {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// Looks at all events for all triggers.
pub struct Watch {
    kernel: Arc<Kernel>,
    tasks: Arc<Tasks>,
    places: HashMap<String, Place>,
    /// Triggers of halted plugins that an event would have fired, each with the event before the
    /// first of those.
    held: HashMap<String, u64>,
    seen: u64,
}

impl Watch {
    /// A watch that goes on where `states` say that its triggers are.
    pub fn new(
        kernel: Arc<Kernel>,
        tasks: Arc<Tasks>,
        states: HashMap<String, TriggerState>,
    ) -> Self {
        let places = states
            .into_iter()
            .filter(|(_, state)| state.tick.is_none())
            .map(|(name, state)| (name, Place::After(state.event)))
            .collect();
        Self {
            kernel,
            tasks,
            places,
            held: HashMap::new(),
            seen: 0,
        }
    }

    /// Works until there can be no more events.
    pub async fn run(mut self, mut changes: Receiver<Arc<Event>>) {
        while let Err(error) = self.find_start().await {
            not_readable(&error).await;
        }
        self.catch_up().await;
        let mut halts = self.kernel.watch_halts();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                // The kernel holds the other end.
                _ = halts.changed() => {
                    self.let_go().await;
                    continue;
                }
            };
            match change {
                Ok(event) if event.seq <= self.seen => {}
                Ok(event) if event.seq == self.seen + 1 => self.look_at(&event).await,
                Ok(_) | Err(RecvError::Lagged(_)) => self.catch_up().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Begins with the oldest event that some trigger has not seen.
    async fn find_start(&mut self) -> Result<(), StoreError> {
        let mut oldest = self.kernel.store().last_event().await?;
        let catalogue = self.kernel.catalogue();
        for active in catalogue.plugins() {
            for (name, _) in triggers(active) {
                let place = match self.places.get(&name) {
                    Some(Place::After(place)) => *place,
                    Some(Place::Away) => continue,
                    // Installed, and the host was gone before the first event after that.
                    None => {
                        let installed = self.installed_at(active.name().as_str()).await?;
                        self.places.insert(name, Place::After(installed));
                        installed
                    }
                };
                oldest = oldest.min(place);
            }
        }
        self.seen = oldest;
        Ok(())
    }

    /// The event of the plugin's last change.
    async fn installed_at(&self, plugin: &str) -> Result<u64, StoreError> {
        let mut query = EventQuery {
            kinds: vec![EventKind::PLUGIN_CHANGED.to_owned()],
            limit: BATCH,
            ..EventQuery::default()
        };
        let mut found = 0;
        loop {
            let events = self.kernel.store().events(&query).await?;
            let Some(last) = events.last() else {
                return Ok(found);
            };
            query.after = last.seq;
            let of_plugin = |event: &&Event| plugin_of(event) == Some(plugin);
            found = events.iter().rfind(of_plugin).map_or(found, |e| e.seq);
        }
    }

    /// Looks at all events that are in the database.
    async fn catch_up(&mut self) {
        loop {
            let query = EventQuery {
                after: self.seen,
                limit: BATCH,
                ..EventQuery::default()
            };
            match self.kernel.store().events(&query).await {
                Ok(events) if events.is_empty() => return,
                Ok(events) => {
                    for event in events {
                        self.look_at(&event).await;
                    }
                }
                Err(error) => not_readable(&error).await,
            }
        }
    }

    /// Looks at one event until that is done with.
    async fn look_at(&mut self, event: &Event) {
        let mut told = false;
        while let Err(NotNow(reason)) = self.fire_all(event).await {
            if !told {
                tracing::warn!(event = event.seq, reason, "an event's triggers wait");
                told = true;
            }
            tokio::time::sleep(AFTER_FAILURE).await;
        }
        self.seen = event.seq;
        if event.seq.is_multiple_of(KEEP_EVERY) {
            self.keep_places().await;
        }
    }

    async fn fire_all(&mut self, event: &Event) -> Result<(), NotNow> {
        if event.kind == EventKind::PLUGIN_CHANGED
            && let Some(plugin) = plugin_of(event)
        {
            let away = event.data.get("action").and_then(Value::as_str) == Some("removed");
            change(&mut self.places, plugin, away, event.seq);
        }
        let catalogue = self.kernel.catalogue();
        for active in catalogue.plugins() {
            for (name, trigger) in triggers(active) {
                // One that nobody has seen yet was installed a moment ago.
                let before = Place::After(event.seq.saturating_sub(1));
                let place = *self.places.entry(name.clone()).or_insert(before);
                let new = matches!(place, Place::After(place) if event.seq > place);
                if !new || !active.takes_work() || !wakes(trigger, event) {
                    continue;
                }
                // Also while it makes up for others: they come in order.
                if self.halted(active.name().as_str()) || self.held.contains_key(&name) {
                    self.held.entry(name).or_insert(event.seq.saturating_sub(1));
                } else {
                    self.fire(active, trigger, event, state(&name, event.seq))
                        .await?;
                    self.places.insert(name, Place::After(event.seq));
                }
            }
        }
        Ok(())
    }

    async fn fire(
        &self,
        active: &Arc<Active>,
        trigger: &EventTrigger,
        event: &Event,
        state: TriggerState,
    ) -> Result<(), NotNow> {
        let cause = match &event.task {
            Some(id) => self.kernel.store().task(id).await?,
            None => None,
        };
        let by = match &cause {
            Some(task) => task.created_by.clone(),
            None => active.installation.updated_by.clone(),
        };
        let new = NewTask {
            kind: trigger.kind.clone(),
            title: Some(trigger.title.clone()),
            input: serde_json::to_value(event).unwrap_or(Value::Null),
            subject: event.subject.clone(),
            assigned_agents: vec![active.name().clone()],
            ..NewTask::default()
        };
        let origin = Origin::Trigger {
            name: format!("event:{}", event.seq),
            state: state.clone(),
            cause: cause.map(Box::new),
            expires_at: None,
        };
        let tenant = event.tenant.clone();
        match self.tasks.submit(new, tenant, by, origin).await {
            Ok(_) => Ok(()),
            // No room, too much to do, going down: that passes.
            Err(problem) if matches!(problem.status, 503 | 507) => Err(NotNow(problem.detail)),
            Err(problem) => {
                let name = state.name.clone();
                tracing::error!(trigger = name, event = event.seq, %problem, "a trigger could not start its task");
                self.keep(vec![state]).await;
                Ok(())
            }
        }
    }

    /// Keeps where all triggers are now.
    async fn keep_places(&mut self) {
        let mut states = Vec::new();
        for (name, place) in &mut self.places {
            if let Place::After(seen) = place {
                *seen = self.held.get(name).copied().unwrap_or(self.seen);
                states.push(state(name, *seen));
            }
        }
        self.keep(states).await;
    }

    async fn keep(&self, states: Vec<TriggerState>) {
        let writes: Vec<Write> = states
            .into_iter()
            .map(|state| Write::PutTrigger(Box::new(state)))
            .collect();
        if writes.is_empty() {
            return;
        }
        if let Err(error) = self.kernel.store().commit(None, writes).await {
            // The place before is as true, only longer to read from.
            tracing::warn!(%error, "the places of triggers cannot be kept");
        }
    }
}

async fn not_readable(error: &StoreError) {
    tracing::error!(%error, "events cannot be read; triggers wait");
    tokio::time::sleep(AFTER_FAILURE).await;
}

fn state(name: &str, event: u64) -> TriggerState {
    TriggerState {
        name: name.to_owned(),
        event,
        tick: None,
    }
}

fn plugin_of(event: &Event) -> Option<&str> {
    event.data.get("plugin").and_then(Value::as_str)
}

/// The plugin in the name of a trigger.
fn plugin_in(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// A plugin that was removed and is installed again begins anew.
fn change(places: &mut HashMap<String, Place>, plugin: &str, away: bool, seq: u64) {
    let prefix = format!("{plugin}/event/");
    for (_, place) in places
        .iter_mut()
        .filter(|(name, _)| name.starts_with(&prefix))
    {
        match *place {
            Place::After(seen) if away && seq > seen => *place = Place::Away,
            Place::Away if !away => *place = Place::After(seq),
            _ => {}
        }
    }
}

/// The event triggers of a plugin with their names: unlike names, positions are stable over
/// versions that only add.
fn triggers(active: &Active) -> impl Iterator<Item = (String, &EventTrigger)> {
    let triggers = active.loaded.manifest.triggers.events.iter().enumerate();
    triggers.map(|(n, trigger)| (format!("{}/event/{n}", active.name()), trigger))
}

fn wakes(trigger: &EventTrigger, event: &Event) -> bool {
    let about = |collection: &String| {
        event
            .subject
            .as_ref()
            .is_some_and(|subject| subject.parts().0 == collection)
    };
    trigger.on == event.kind
        && trigger.collection.as_ref().is_none_or(about)
        && trigger
            .when
            .iter()
            .all(|(field, value)| event.data.get(field) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{Subject, TenantId, Timestamp};
    use serde_json::json;

    fn event(kind: &str, data: Value) -> Event {
        Event {
            seq: 1,
            time: Timestamp::default(),
            kind: kind.into(),
            subject: Some(Subject::parse("notes/N-1").unwrap()),
            task: None,
            tenant: TenantId::default(),
            data,
        }
    }

    fn trigger(collection: Option<&str>, when: Value) -> EventTrigger {
        EventTrigger {
            on: "record_changed".into(),
            collection: collection.map(Into::into),
            when: serde_json::from_value(when).unwrap(),
            kind: "k".into(),
            title: "t".into(),
        }
    }

    #[test]
    fn kind_collection_and_data_must_all_agree() {
        let created = event("record_changed", json!({"action": "created"}));
        assert!(wakes(&trigger(None, json!({})), &created));
        assert!(wakes(
            &trigger(Some("notes"), json!({"action": "created"})),
            &created
        ));
        assert!(!wakes(&trigger(Some("incidents"), json!({})), &created));
        assert!(!wakes(
            &trigger(None, json!({"action": "deleted"})),
            &created
        ));
        assert!(!wakes(
            &trigger(None, json!({})),
            &event("task_created", json!({}))
        ));
    }

    #[test]
    fn a_plugin_that_comes_back_has_missed_nothing_that_concerns_it() {
        let mut places = HashMap::from([
            ("a/event/0".to_owned(), Place::After(10)),
            ("ab/event/0".to_owned(), Place::After(10)),
        ]);
        change(&mut places, "a", true, 20);
        assert_eq!(places["a/event/0"], Place::Away);
        assert_eq!(places["ab/event/0"], Place::After(10), "another plugin");
        change(&mut places, "a", false, 30);
        assert_eq!(places["a/event/0"], Place::After(30));
        // Read again from an older place: what is known to be later stays.
        change(&mut places, "a", true, 20);
        change(&mut places, "a", false, 25);
        assert_eq!(places["a/event/0"], Place::After(30));
    }
}
