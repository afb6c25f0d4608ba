//! Tasks that nobody asks for by hand: an event that a plugin waits for, or a time that came.
//! Each event and each tick fires once: how far a trigger has come is committed with its task.

use crate::task::{NewTask, Origin, Tasks};
use mandate_kernel::{Active, Kernel};
use mandate_plugin::manifest::{EventTrigger, Schedule, ScheduleTrigger};
use mandate_store::{Event, EventQuery, StoreError, TriggerState, Write};
use mandate_types::{EventKind, TenantId, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How many events are read at a time when catching up.
const BATCH: u32 = 500;
/// A schedule is looked at again at least this often: clocks are set, plugins change.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// No schedule fires more often.
const SHORTEST: Duration = Duration::from_secs(1);

/// The triggers of everything that is installed.
pub struct Triggers {
    kernel: Arc<Kernel>,
    tasks: Arc<Tasks>,
    keep: Duration,
}

impl Triggers {
    /// Triggers that submit to `tasks`; what schedules start is kept for `keep`.
    pub fn new(kernel: Arc<Kernel>, tasks: Arc<Tasks>, keep: Duration) -> Arc<Self> {
        Arc::new(Self {
            kernel,
            tasks,
            keep,
        })
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn start(self: Arc<Self>) -> Result<(), StoreError> {
        let changes = self.kernel.store().subscribe();
        let states = self.states().await?;
        tokio::spawn(self.clone().watch_events(changes, states.clone()));
        tokio::spawn(self.watch_clock());
        Ok(())
    }

    async fn states(&self) -> Result<HashMap<String, TriggerState>, StoreError> {
        let states = self.kernel.store().triggers().await?;
        Ok(states
            .into_iter()
            .map(|state| (state.name.clone(), state))
            .collect())
    }

    async fn watch_events(
        self: Arc<Self>,
        mut changes: tokio::sync::broadcast::Receiver<Arc<Event>>,
        states: HashMap<String, TriggerState>,
    ) {
        let mut states = states;
        // Where a trigger has been before, it goes on; new ones begin with what comes now.
        let mut seen = match self.catch_up(&mut states).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::error!(%error, "events cannot be read; triggers begin with the next one");
                0
            }
        };
        loop {
            match changes.recv().await {
                Ok(event) => {
                    if event.seq > seen {
                        seen = event.seq;
                        self.look_at(&event, &mut states).await;
                    }
                }
                Err(RecvError::Lagged(_)) => match self.read_after(seen, &mut states).await {
                    Ok(last) => seen = last,
                    Err(error) => tracing::error!(%error, "events cannot be read"),
                },
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn catch_up(
        &self,
        states: &mut HashMap<String, TriggerState>,
    ) -> Result<u64, StoreError> {
        let last = self.kernel.store().last_event().await?;
        let catalogue = self.kernel.catalogue();
        let mut oldest = last;
        for active in catalogue.plugins() {
            for (name, _) in event_triggers(active) {
                match states.get(&name) {
                    Some(state) => oldest = oldest.min(state.event),
                    None => self.begin(&name, last, states).await,
                }
            }
        }
        self.read_after(oldest, states).await
    }

    /// Remembers where a new trigger begins.
    async fn begin(&self, name: &str, event: u64, states: &mut HashMap<String, TriggerState>) {
        let state = TriggerState {
            name: name.to_owned(),
            event,
            tick: None,
        };
        let write = Write::PutTrigger(Box::new(state.clone()));
        if let Err(error) = self.kernel.store().commit(None, vec![write]).await {
            tracing::error!(trigger = name, %error, "a trigger's place cannot be kept");
        }
        states.insert(name.to_owned(), state);
    }

    async fn read_after(
        &self,
        after: u64,
        states: &mut HashMap<String, TriggerState>,
    ) -> Result<u64, StoreError> {
        let mut after = after;
        loop {
            let query = EventQuery {
                after,
                limit: BATCH,
                ..EventQuery::default()
            };
            let events = self.kernel.store().events(&query).await?;
            if events.is_empty() {
                return Ok(after);
            }
            for event in events {
                after = event.seq;
                self.look_at(&event, states).await;
            }
        }
    }

    async fn look_at(&self, event: &Event, states: &mut HashMap<String, TriggerState>) {
        let catalogue = self.kernel.catalogue();
        if event.kind == EventKind::PLUGIN_CHANGED {
            for active in catalogue.plugins() {
                for (name, _) in event_triggers(active) {
                    if !states.contains_key(&name) {
                        self.begin(&name, event.seq, states).await;
                    }
                }
            }
        }
        for active in catalogue.plugins().filter(|active| active.takes_work()) {
            for (name, trigger) in event_triggers(active) {
                let new = states
                    .get(&name)
                    .is_none_or(|state| event.seq > state.event);
                if !new || !wakes(trigger, event) {
                    continue;
                }
                let state = TriggerState {
                    name: name.clone(),
                    event: event.seq,
                    tick: None,
                };
                self.fire_event(active, trigger, event, state.clone()).await;
                states.insert(name, state);
            }
        }
    }

    async fn fire_event(
        &self,
        active: &Arc<Active>,
        trigger: &EventTrigger,
        event: &Event,
        state: TriggerState,
    ) {
        let cause = match &event.task {
            Some(id) => self.kernel.store().task(id).await.ok().flatten(),
            None => None,
        };
        let by = match &cause {
            Some(task) => task.created_by.clone(),
            None => active.installation.updated_by.clone(),
        };
        let name = state.name.clone();
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
            state,
            cause: cause.map(Box::new),
            expires_at: None,
        };
        if let Err(problem) = self
            .tasks
            .submit(new, event.tenant.clone(), by, origin)
            .await
        {
            tracing::error!(trigger = name, event = event.seq, %problem, "a trigger could not start its task");
        }
    }

    async fn watch_clock(self: Arc<Self>) {
        loop {
            let nap = match self.tick().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "schedules cannot be read");
                    LONGEST_NAP
                }
            };
            tokio::time::sleep(nap.clamp(Duration::from_millis(20), LONGEST_NAP)).await;
        }
    }

    /// Fires every schedule whose time has come, and says when to look again.
    async fn tick(&self) -> Result<Duration, StoreError> {
        let states = self.states().await?;
        let mut nap = SHORTEST;
        let now = Timestamp::now();
        let catalogue = self.kernel.catalogue();
        for active in catalogue.plugins().filter(|active| active.takes_work()) {
            for (name, trigger) in schedules(active) {
                let last = states.get(&name).and_then(|state| state.tick);
                let Some(last) = last else {
                    // It begins to count when it is first seen.
                    let state = TriggerState {
                        name,
                        event: 0,
                        tick: Some(now),
                    };
                    let write = Write::PutTrigger(Box::new(state));
                    if let Err(error) = self.kernel.store().commit(None, vec![write]).await {
                        tracing::error!(%error, "a schedule's place cannot be kept");
                    }
                    continue;
                };
                let Some(next) = next_tick(trigger, last) else {
                    continue;
                };
                if next > now {
                    nap = nap.min(next.since(now));
                    continue;
                }
                let latest = latest_tick(trigger, next, now);
                self.fire_schedule(active, &name, trigger, latest).await;
            }
        }
        Ok(nap)
    }

    async fn fire_schedule(
        &self,
        active: &Arc<Active>,
        name: &str,
        trigger: &ScheduleTrigger,
        tick: Timestamp,
    ) {
        let new = NewTask {
            kind: trigger.kind.clone(),
            title: Some(trigger.title.clone()),
            input: trigger.input.clone(),
            assigned_agents: vec![active.name().clone()],
            ..NewTask::default()
        };
        let origin = Origin::Trigger {
            name: format!("schedule:{name}"),
            state: TriggerState {
                name: name.to_owned(),
                event: 0,
                tick: Some(tick),
            },
            cause: None,
            expires_at: Some(Timestamp::now().plus(self.keep)),
        };
        let by = active.installation.updated_by.clone();
        if let Err(problem) = self
            .tasks
            .submit(new, TenantId::default_tenant(), by, origin)
            .await
        {
            tracing::error!(trigger = name, %problem, "a schedule could not start its task");
        }
    }
}

/// The event triggers of a plugin with their names: unlike names, positions are stable over
/// versions that only add.
fn event_triggers(active: &Active) -> impl Iterator<Item = (String, &EventTrigger)> {
    let triggers = active.loaded.manifest.triggers.events.iter().enumerate();
    triggers.map(|(n, trigger)| (format!("{}/event/{n}", active.name()), trigger))
}

fn schedules(active: &Active) -> impl Iterator<Item = (String, &ScheduleTrigger)> {
    let triggers = active.loaded.manifest.triggers.schedules.iter().enumerate();
    triggers.map(|(n, trigger)| (format!("{}/schedule/{n}", active.name()), trigger))
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

fn next_tick(trigger: &ScheduleTrigger, last: Timestamp) -> Option<Timestamp> {
    // Manifests with schedules that make no sense are not installed.
    match trigger.schedule().ok()? {
        Schedule::Every(every) => Some(last.plus(every)),
        Schedule::Cron(cron) => {
            let next = cron.find_next_occurrence(&last.to_utc()?, false).ok()?;
            Some(Timestamp::from_micros(next.timestamp_micros()))
        }
    }
}

/// Ticks that were missed are one: the last of those from `due` on that are past. The next is
/// counted from there, so that a late host does not drift.
fn latest_tick(trigger: &ScheduleTrigger, due: Timestamp, now: Timestamp) -> Timestamp {
    match trigger.schedule() {
        Ok(Schedule::Every(every)) => {
            let missed = now.since(due).as_micros() / every.as_micros().max(1);
            due.plus(every.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX)))
        }
        // From now on backwards is not what cron expressions can do: the tick counts as now.
        _ if now.since(due) > LONGEST_NAP => now,
        _ => due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::Subject;
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
    fn intervals_and_cron() {
        let mut schedule = ScheduleTrigger {
            every: Some("5m".into()),
            cron: None,
            kind: "k".into(),
            title: "t".into(),
            input: Value::Null,
        };
        let last = Timestamp::parse("2026-01-01T00:02:00Z").unwrap();
        assert_eq!(
            next_tick(&schedule, last),
            Timestamp::parse("2026-01-01T00:07:00Z")
        );
        schedule.every = None;
        schedule.cron = Some("0 * * * *".into());
        assert_eq!(
            next_tick(&schedule, last),
            Timestamp::parse("2026-01-01T01:00:00Z")
        );
    }

    #[test]
    fn missed_ticks_are_one() {
        let schedule = ScheduleTrigger {
            every: Some("5m".into()),
            cron: None,
            kind: "k".into(),
            title: "t".into(),
            input: Value::Null,
        };
        let time = |text| Timestamp::parse(text).unwrap();
        let (due, now) = (time("2026-01-01T00:05:00Z"), time("2026-01-01T01:02:00Z"));
        assert_eq!(
            latest_tick(&schedule, due, now),
            time("2026-01-01T01:00:00Z")
        );
        assert_eq!(latest_tick(&schedule, due, due), due);
    }
}
