//! Triggers by time. Ticks that nobody was there for are one.

use super::Triggers;
use crate::task::{NewTask, Origin};
use mandate_kernel::Active;
use mandate_plugin::manifest::{Schedule, ScheduleTrigger};
use mandate_store::{StoreError, TriggerState, Write};
use mandate_types::{TaskId, TaskStatus, TenantId, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A schedule is looked at again at least this often: clocks are set, plugins change.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// What the trigger of a task that a schedule started begins with.
const PREFIX: &str = "schedule:";
/// No schedule fires more often.
const SHORTEST: Duration = Duration::from_secs(1);

impl Triggers {
    pub(super) async fn watch_clock(self: Arc<Self>) {
        let mut last = self.unfinished_ticks().await;
        loop {
            let nap = match self.tick(&mut last).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "schedules cannot be read");
                    LONGEST_NAP
                }
            };
            tokio::time::sleep(nap.clamp(Duration::from_millis(20), LONGEST_NAP)).await;
        }
    }

    /// The tasks of schedules that were not finished when the host stopped.
    async fn unfinished_ticks(&self) -> HashMap<String, TaskId> {
        let unfinished = match self.kernel.store().unfinished().await {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::error!(%error, "the tasks of schedules cannot be read; one may run twice");
                Vec::new()
            }
        };
        let scheduled = unfinished.into_iter().filter_map(|task| {
            let name = task.trigger.as_deref()?.strip_prefix(PREFIX)?.to_owned();
            Some((name, task.id))
        });
        scheduled.collect()
    }

    /// Fires every schedule whose time has come, and says when to look again. `last` are the tasks
    /// of the last ticks: a tick waits for the one before it, and those that wait are one.
    async fn tick(&self, last: &mut HashMap<String, TaskId>) -> Result<Duration, StoreError> {
        let states = self.states().await?;
        let mut nap = SHORTEST;
        let now = Timestamp::now();
        let catalogue = self.kernel.catalogue();
        let tenant = TenantId::default_tenant();
        // Those of what is halted wait, and are one tick when it goes on.
        let fires = |active: &&Arc<Active>| {
            active.takes_work() && self.kernel.halted(&tenant, active.name()).is_none()
        };
        for active in catalogue.plugins().filter(fires) {
            for (name, trigger) in schedules(active) {
                let before = states.get(&name).and_then(|state| state.tick);
                // One from the future is from before the clock was set back.
                let Some(before) = before.filter(|before| *before <= now) else {
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
                let Some(next) = next_tick(trigger, before) else {
                    continue;
                };
                if next > now {
                    nap = nap.min(next.since(now));
                    continue;
                }
                if let Some(task) = last.get(&name)
                    && self.goes_on(task).await?
                {
                    continue;
                }
                let latest = latest_tick(trigger, next, now);
                match self.fire_schedule(active, &name, trigger, latest).await {
                    Some(task) => last.insert(name, task),
                    None => last.remove(&name),
                };
            }
        }
        Ok(nap)
    }

    /// Whether a task is still to end by itself. One that a human has to look at is not waited for.
    async fn goes_on(&self, task: &TaskId) -> Result<bool, StoreError> {
        use TaskStatus::{Pending, Running, Waiting};
        let task = self.kernel.store().task(task).await?;
        Ok(task.is_some_and(|task| matches!(task.status, Pending | Running | Waiting)))
    }

    /// Starts the task of a tick.
    async fn fire_schedule(
        &self,
        active: &Arc<Active>,
        name: &str,
        trigger: &ScheduleTrigger,
        tick: Timestamp,
    ) -> Option<TaskId> {
        let new = NewTask {
            kind: trigger.kind.clone(),
            title: Some(trigger.title.clone()),
            input: trigger.input.clone(),
            assigned_agents: vec![active.name().clone()],
            ..NewTask::default()
        };
        let origin = Origin::Trigger {
            name: format!("{PREFIX}{name}"),
            state: TriggerState {
                name: name.to_owned(),
                event: 0,
                tick: Some(tick),
            },
            cause: None,
            expires_at: Some(Timestamp::now().plus(self.keep)),
        };
        let by = active.installation.updated_by.clone();
        match self
            .tasks
            .submit(new, TenantId::default_tenant(), by, origin)
            .await
        {
            Ok(submitted) => Some(submitted.task.id),
            Err(problem) => {
                tracing::error!(trigger = name, %problem, "a schedule could not start its task");
                None
            }
        }
    }
}

fn schedules(active: &Active) -> impl Iterator<Item = (String, &ScheduleTrigger)> {
    let triggers = active.loaded.manifest.triggers.schedules.iter().enumerate();
    triggers.map(|(n, trigger)| (format!("{}/schedule/{n}", active.name()), trigger))
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
    use serde_json::Value;

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
