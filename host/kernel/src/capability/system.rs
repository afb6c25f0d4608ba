//! What every plugin has without asking: log, progress, clock, random, sleep. Only sleep is a
//! step; the others derive from the journal, or are for people and suppressed on replay.

use super::{At, Capability, Fail, Intent, Performed, Scope};
use crate::guest::{Guest, Told};
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::system::{clock, log, progress, random, sleep};
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{LogLevel, NewEvent, TaskChange, Wait, WaitKey, Write};
use mandate_types::{EventKind, LimitHit, LimitName, TaskStatus, Timestamp, WaitReason};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// The most characters of a progress message.
const MOST_MESSAGE: usize = 1_000;

impl log::Host for Guest {
    async fn log(&mut self, level: log::Level, message: String) -> Told<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log_line(level, message).await
    }
}

impl progress::Host for Guest {
    async fn report(&mut self, fraction: Option<f64>, message: String) -> Told<()> {
        // Counted like a step, or a loop of reports would be free.
        if let Err(hit) = self.journal.count_step(&self.scope.limits, message.len()) {
            return Err(self.end(End::Limit(hit)));
        }
        if self.journal.replaying() {
            return Ok(());
        }
        let scope = self.scope.clone();
        let Some(task) = scope.tree.task.clone() else {
            return Ok(());
        };
        let now = Timestamp::now();
        let fraction = fraction
            .filter(|f| f.is_finite())
            .map(|f| f.clamp(0.0, 1.0));
        let message: String = message.chars().take(MOST_MESSAGE).collect();
        let mut writes = vec![Write::Event(Box::new(NewEvent {
            time: now,
            kind: EventKind::TASK_PROGRESS.to_owned(),
            subject: scope.tree.subject.clone(),
            task: Some(task.clone()),
            tenant: scope.tree.tenant.clone(),
            data: json!({
                "progress": fraction,
                "message": message,
                "plugin": scope.plugin.name(),
            }),
        }))];
        // Only the task's own agent says how far the task is.
        if scope.lineage.depth == 0 {
            writes.push(Write::ChangeTask {
                id: task,
                from: &[TaskStatus::Running],
                change: Box::new(TaskChange {
                    progress: fraction,
                    progress_message: Some(message),
                    updated_at: now,
                    ..TaskChange::default()
                }),
            });
        }
        scope
            .tree
            .push(writes)
            .await
            .map_err(|halted| self.halt(halted))
    }
}

impl clock::Host for Guest {
    async fn now(&mut self) -> Told<u64> {
        Ok(self.journal.now().micros().unsigned_abs())
    }
}

impl random::Host for Guest {
    async fn bytes(&mut self, length: u32) -> Told<Vec<u8>> {
        const MOST: u32 = 65_536;
        if length > MOST {
            let hit = LimitHit {
                limit: LimitName::ArgumentBytes,
                value: u64::from(MOST),
            };
            return Err(self.end(End::Limit(hit)));
        }
        Ok(self.random_bytes(length as usize))
    }
}

/// Who sleeps longer is parked: a shorter sleep costs less than dropping and rebuilding the guest.
const PARKS_FROM: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Sleep {
    milliseconds: u64,
}

impl Capability for Sleep {
    const INTERFACE: &'static str = "mandate:system/sleep";
    const FUNCTION: &'static str = "sleep";
    const INTENT: Intent = Intent::Buffered;
    type Answer = ();

    fn granted(&self, _: &Scope) -> Result<(), Refusal> {
        Ok(())
    }

    async fn perform(self, at: At) -> Result<Performed<()>, Fail> {
        // Counted from when it was first asked, whatever happened since.
        let until = at.since.plus(Duration::from_millis(self.milliseconds));
        let left = until.since(Timestamp::now());
        // A client that called a tool waits for its answer.
        if left >= PARKS_FROM && at.scope.tree.task.is_some() {
            let wait = Wait {
                key: WaitKey::Sleep(at.scope.id.clone(), at.sequence, at.index),
                wake_at: Some(until),
            };
            return Err(Fail::Park(wait, WaitReason::Sleep));
        }
        // Who watches wants to see what led here, and a crash must not begin it anew.
        at.scope.tree.flush().await?;
        // The timer counts in milliseconds: what is over already would wait for one.
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
        Ok(Performed::read(()))
    }
}

impl sleep::Host for Guest {
    async fn sleep(&mut self, milliseconds: u64) -> Told<Result<(), Error>> {
        self.step(Sleep { milliseconds }).await
    }
}
