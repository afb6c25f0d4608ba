//! Passes events on to WebSocket clients. Each event is written as JSON once, however many
//! listen; a client that is slow falls behind alone and reads the rest from the store.

use super::doorstep::{Doorstep, Stranger};
use super::state::ApiState;
use axum::extract::ws::Utf8Bytes;
use mandate_store::Event;
use mandate_types::{EventKind, Problem, TaskStatus, Timestamp};
use serde::Serialize;
use serde_json::json;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often listeners are told how the host is.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);

/// What clients are told.
pub enum Notice {
    /// Something happened.
    Event {
        /// What.
        event: Arc<Event>,
        /// The message.
        text: Utf8Bytes,
    },
    /// How the host is, for those who see all tenants and for the others.
    Snapshot {
        /// With the numbers of all tenants together.
        whole: Utf8Bytes,
        /// Without them.
        bound: Utf8Bytes,
    },
}

/// An event as a message.
pub fn event_text(event: &Event) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        event: &'a Event,
    }
    let message = Message {
        r#type: "event",
        event,
    };
    // Ids, texts and JSON values always can be written as JSON.
    Utf8Bytes::from(serde_json::to_string(&message).unwrap_or_default())
}

/// Where clients listen.
pub struct Hub {
    notices: broadcast::Sender<Arc<Notice>>,
    places: Arc<Semaphore>,
    most: usize,
    doorstep: Doorstep,
}

impl Hub {
    /// A hub for so many clients, each of which may fall `buffer` events behind.
    pub fn new(buffer: usize, clients: usize) -> Self {
        let (notices, _) = broadcast::channel(buffer.clamp(16, 1 << 20));
        let most = clients.min(Semaphore::MAX_PERMITS);
        Self {
            notices,
            places: Arc::new(Semaphore::new(most)),
            most,
            doorstep: Doorstep::default(),
        }
    }

    /// A place for one more client that has signed in.
    ///
    /// # Errors
    /// When all places are taken.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let most = self.most;
        self.places.clone().try_acquire_owned().map_err(|_| {
            Problem::unavailable(format!(
                "{most} clients listen, which is all that this host takes (`ws_clients`)"
            ))
        })
    }

    /// A client that has not signed in yet.
    pub fn stranger(&self) -> Stranger {
        self.doorstep.step_up()
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// Everything from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    fn tell(&self, notice: impl FnOnce() -> Notice) {
        // Nobody listens: whoever begins to, reads what was before from the store.
        if self.notices.receiver_count() > 0 {
            let _ = self.notices.send(Arc::new(notice()));
        }
    }
}

/// Begins to pass on what the store publishes, until the API is dropped.
pub fn start(state: &Arc<ApiState>) {
    let events = state.store().subscribe();
    tokio::spawn(pass_on(Arc::downgrade(state), events));
    tokio::spawn(keep_house(Arc::downgrade(state)));
}

async fn pass_on(state: Weak<ApiState>, mut events: broadcast::Receiver<Arc<Event>>) {
    loop {
        match events.recv().await {
            Ok(event) => {
                let Some(state) = state.upgrade() else { return };
                if let Some(task) = &event.task {
                    state.finished.changed(task);
                }
                state.hub.tell(|| {
                    let text = event_text(&event);
                    Notice::Event { event, text }
                });
            }
            // Listeners see the gap in the numbers and read what is missing from the store.
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "the event hub fell behind"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Tells listeners how the host is, and tidies up what grows.
async fn keep_house(state: Weak<ApiState>) {
    let mut ticks = tokio::time::interval(SNAPSHOT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(state) = state.upgrade() else { return };
        state.door.rates().tidy();
        state.metrics.run_upkeep();
        if state.hub.notices.receiver_count() > 0 {
            match snapshot(&state).await {
                Ok(notice) => state.hub.tell(|| notice),
                Err(error) => tracing::warn!(%error, "the host's numbers cannot be read"),
            }
        }
    }
}

async fn snapshot(state: &ApiState) -> Result<Notice, mandate_store::StoreError> {
    let counts = state.store().task_counts().await?;
    let tasks: serde_json::Map<_, _> = TaskStatus::ALL
        .iter()
        .map(|status| {
            let count = counts
                .iter()
                .find(|(known, _)| known == status)
                .map_or(0, |(_, n)| *n);
            (status.as_str().to_owned(), json!(count))
        })
        .collect();
    let (queued, running) = state.tasks.load();
    let catalogue = state.kernel.catalogue();
    let agents = catalogue
        .plugins()
        .filter(|active| active.loaded.agent.is_some())
        .count();
    let bound = json!({
        "uptime_seconds": state.started.elapsed().as_secs(),
        "plugins": catalogue.plugins().count(),
        "agents": agents,
        "draining": state.tasks.is_draining(),
        "last_event": state.store().last_event().await?,
    });
    let mut whole = bound.clone();
    if let Some(members) = whole.as_object_mut() {
        members.insert("tasks".to_owned(), tasks.into());
        members.insert("queued".to_owned(), json!(queued));
        members.insert("running".to_owned(), json!(running));
        members.insert("ws_clients".to_owned(), json!(state.hub.clients()));
    }
    let now = Timestamp::now();
    let text = |data| {
        let message = json!({
            "type": "event", "kind": EventKind::SYSTEM_UPDATE, "time": now, "data": data,
        });
        Utf8Bytes::from(message.to_string())
    };
    Ok(Notice::Snapshot {
        whole: text(whole),
        bound: text(bound),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::TenantId;

    #[test]
    fn a_message_is_the_event_and_its_type() {
        let event = Event {
            seq: 7,
            time: Timestamp::from_micros(0),
            kind: "task_created".into(),
            subject: None,
            task: None,
            tenant: TenantId::default(),
            data: json!({"a": 1}),
        };
        let value: serde_json::Value = serde_json::from_str(event_text(&event).as_str()).unwrap();
        assert_eq!(value["type"], "event");
        assert_eq!(
            (value["seq"].as_u64(), value["kind"].as_str()),
            (Some(7), Some("task_created"))
        );
    }

    #[test]
    fn places_are_counted() {
        let hub = Hub::new(16, 1);
        let place = hub.place().unwrap();
        assert!(hub.place().is_err());
        assert_eq!(hub.clients(), 1);
        drop(place);
        assert_eq!(hub.clients(), 0);
    }
}
