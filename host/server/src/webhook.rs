//! What others deliver to webhooks: taken once, and what was promised to be done is done, also after a crash.

use crate::task::tool::ToolAnswer;
use crate::task::{Tasks, commit_problem, store_problem};
use mandate_plugin::manifest::{Reply, WebhookSection};
use mandate_store::{
    CommitError, Delivery, DeliveryKey, DeliveryStatus, SharedStore, StoreError, Write,
};
use mandate_types::{
    DeliveryId, Digest, Halt, PluginName, PrincipalName, Problem, TenantId, Timestamp,
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore};

/// Accepted deliveries that are being done at the same time.
const AT_ONCE: usize = 16;
/// Accepted deliveries that wait; more are refused.
const MOST_WAITING: usize = 10_000;
/// How often a tool is asked that cannot take a delivery now; about two minutes, all in all.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long to wait with what the database did not take.
const STORE_WAIT: Duration = Duration::from_secs(5);
/// Keys whose deliveries are under way, before those of finished ones are forgotten.
const MOST_TURNS: usize = 1_024;

/// What somebody delivers.
pub struct Delivered {
    /// The plugin.
    pub plugin: PluginName,
    /// Its webhook.
    pub webhook: WebhookSection,
    /// For whom.
    pub tenant: TenantId,
    /// Who delivers.
    pub by: PrincipalName,
    /// Digest of what the sender tells deliveries apart by, if he does.
    pub key: Option<Digest>,
    /// What is delivered.
    pub body: Value,
}

/// What whoever delivered is told.
#[derive(Debug)]
pub struct Taken {
    /// The tool's answer, or the id under which the delivery is kept.
    pub reply: Told,
    /// Whether it was delivered before.
    pub again: bool,
}

/// See [`Taken::reply`].
#[derive(Debug)]
pub enum Told {
    /// What the tool answered, as [`ToolAnswer`].
    Answer(Value),
    /// It will be done.
    Accepted(DeliveryId),
}

/// The deliveries of this host.
pub struct Webhooks {
    tasks: Arc<Tasks>,
    store: SharedStore,
    doing: Mutex<HashSet<DeliveryId>>,
    room: Semaphore,
    turns: Mutex<HashMap<DeliveryKey, Arc<tokio::sync::Mutex<()>>>>,
}

impl Webhooks {
    /// Deliveries to the tools of `tasks`.
    pub fn new(tasks: Arc<Tasks>, store: SharedStore) -> Arc<Self> {
        Arc::new(Self {
            tasks,
            store,
            doing: Mutex::default(),
            room: Semaphore::new(AT_ONCE),
            turns: Mutex::default(),
        })
    }

    /// Takes up what was accepted before this host started. To be called within a tokio runtime.
    pub fn start(self: &Arc<Self>) {
        let webhooks = self.clone();
        tokio::spawn(async move {
            loop {
                match webhooks.store.undelivered().await {
                    Ok(all) => {
                        for delivery in all {
                            webhooks.begin(delivery);
                        }
                        return;
                    }
                    Err(error) => {
                        tracing::error!(%error, "accepted deliveries cannot be read");
                        tokio::time::sleep(STORE_WAIT).await;
                    }
                }
            }
        });
    }

    /// Takes a delivery. One that comes again is answered as the first one was, as long as that is remembered.
    ///
    /// # Errors
    /// A [`Problem`] when it was not taken; it may then be delivered again.
    pub async fn take(self: &Arc<Self>, delivered: Delivered) -> Result<Taken, Problem> {
        let key = delivered.key.clone().map(|key| DeliveryKey {
            plugin: delivered.plugin.clone(),
            webhook: delivered.webhook.path.clone(),
            tenant: delivered.tenant.clone(),
            key,
        });
        // One after the other: the second finds what the first was answered.
        let _turn = match &key {
            Some(key) => Some(self.turn(key).await),
            None => None,
        };
        if let Some(key) = &key
            && let Some(before) = self.store.delivered(key).await.map_err(store_problem)?
        {
            return Ok(Taken {
                reply: match (before.status, before.answer) {
                    (DeliveryStatus::Done, Some(answer))
                        if delivered.webhook.reply == Reply::Result =>
                    {
                        Told::Answer(answer)
                    }
                    _ => Told::Accepted(before.id),
                },
                again: true,
            });
        }
        let reply = match delivered.webhook.reply {
            // While it is halted nobody can answer: it is done later, and not lost.
            Reply::Result if self.halted(&delivered.tenant, &delivered.plugin).is_none() => {
                Told::Answer(self.call(delivered).await?)
            }
            _ => Told::Accepted(self.accept(delivered).await?),
        };
        Ok(Taken {
            reply,
            again: false,
        })
    }

    async fn turn(&self, key: &DeliveryKey) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= MOST_TURNS {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            turns.entry(key.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }

    async fn call(&self, delivered: Delivered) -> Result<Value, Problem> {
        let tool = format!("{}.{}", delivered.plugin, delivered.webhook.tool);
        let (body, tenant, by) = (
            delivered.body.clone(),
            delivered.tenant.clone(),
            delivered.by.clone(),
        );
        let answer = self.tasks.call_tool(&tool, body, tenant, by).await?;
        let answer = shown(&answer)?;
        if delivered.key.is_some() {
            let done = Delivery {
                status: DeliveryStatus::Done,
                attempts: 1,
                body: Value::Null,
                answer: Some(answer.clone()),
                ended_at: Some(Timestamp::now()),
                ..new(delivered)
            };
            // It was taken: to say otherwise would have it taken twice.
            if let Err(error) = self
                .store
                .commit(None, vec![Write::CreateDelivery(Box::new(done))])
                .await
            {
                tracing::warn!(tool, %error, "a delivery was taken and cannot be remembered");
            }
        }
        Ok(answer)
    }

    async fn accept(self: &Arc<Self>, delivered: Delivered) -> Result<DeliveryId, Problem> {
        let tool = format!("{}.{}", delivered.plugin, delivered.webhook.tool);
        self.tasks.callable(&tool, &delivered.body)?;
        if self.doing().len() >= MOST_WAITING {
            return Err(Problem::unavailable(format!(
                "{MOST_WAITING} deliveries wait already; try again in a moment"
            )));
        }
        let delivery = new(delivered);
        let write = Write::CreateDelivery(Box::new(delivery.clone()));
        self.store
            .commit(None, vec![write])
            .await
            .map_err(commit_problem)?;
        let id = delivery.id.clone();
        self.begin(delivery);
        Ok(id)
    }

    fn halted(&self, tenant: &TenantId, plugin: &PluginName) -> Option<Halt> {
        self.tasks.halts().covering(tenant, [plugin]).cloned()
    }

    fn doing(&self) -> std::sync::MutexGuard<'_, HashSet<DeliveryId>> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does it, unless that is going on already.
    fn begin(self: &Arc<Self>, delivery: Delivery) {
        if !self.doing().insert(delivery.id.clone()) {
            return;
        }
        let webhooks = self.clone();
        tokio::spawn(async move {
            let id = delivery.id.clone();
            webhooks.carry_out(delivery).await;
            webhooks.doing().remove(&id);
        });
    }

    async fn carry_out(&self, mut delivery: Delivery) {
        let mut wait = FIRST_WAIT;
        let mut halts = self.tasks.watch_halts();
        loop {
            halts.mark_unchanged();
            if self.halted(&delivery.tenant, &delivery.plugin).is_some() {
                // The host holds the other end.
                let _ = halts.changed().await;
                continue;
            }
            let outcome = {
                // Never closed.
                let _room = self.room.acquire().await;
                self.attempt(&delivery).await
            };
            if let Err(problem) = &outcome
                && problem.halt.is_some()
            {
                // It was halted meanwhile, or somebody whom it needs is: that is no attempt.
                let _ = halts.changed().await;
                continue;
            }
            delivery.attempts = delivery.attempts.saturating_add(1);
            let (status, answer) = match outcome {
                Ok(answer) => (DeliveryStatus::Done, shown(&answer)),
                Err(problem) if passes(&problem) && delivery.attempts < ATTEMPTS => {
                    self.write(&delivery).await;
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    continue;
                }
                Err(problem) => {
                    tracing::warn!(
                        delivery = %delivery.id, plugin = %delivery.plugin, webhook = delivery.webhook,
                        problem = problem.detail, "a delivery was accepted and cannot be done"
                    );
                    // What failed for good may be delivered again.
                    delivery.key = None;
                    (DeliveryStatus::Failed, shown(&problem))
                }
            };
            delivery.status = status;
            delivery.answer = answer.ok();
            delivery.body = Value::Null;
            delivery.ended_at = Some(Timestamp::now());
            self.write(&delivery).await;
            return;
        }
    }

    /// By what the plugin says now: it may be another version than that which accepted it.
    async fn attempt(&self, delivery: &Delivery) -> Result<ToolAnswer, Problem> {
        let tool = self
            .tasks
            .webhook(&delivery.plugin, &delivery.webhook)
            .map(|webhook| format!("{}.{}", delivery.plugin, webhook.tool))
            .ok_or_else(|| {
                Problem::not_found(format!(
                    "webhook `{}` of the plugin `{}`",
                    delivery.webhook, delivery.plugin
                ))
            })?;
        let (body, tenant, by) = (
            delivery.body.clone(),
            delivery.tenant.clone(),
            delivery.principal.clone(),
        );
        self.tasks.call_tool(&tool, body, tenant, by).await
    }

    /// Keeps how it stands. What cannot be written is done again after the next start.
    async fn write(&self, delivery: &Delivery) {
        for last in [false, false, true] {
            let write = Write::ChangeDelivery(Box::new(delivery.clone()));
            match self.store.commit(None, vec![write]).await {
                Ok(_) | Err(CommitError::NotFound(_)) => return,
                Err(error) if last => {
                    tracing::error!(delivery = %delivery.id, %error, "how a delivery ended cannot be written");
                }
                Err(CommitError::Store(StoreError::Unavailable(_) | StoreError::Full(_))) => {
                    tokio::time::sleep(STORE_WAIT).await;
                }
                Err(_) => {}
            }
        }
    }
}

fn new(delivered: Delivered) -> Delivery {
    Delivery {
        id: DeliveryId::fresh(),
        plugin: delivered.plugin,
        webhook: delivered.webhook.path,
        tenant: delivered.tenant,
        principal: delivered.by,
        key: delivered.key,
        status: DeliveryStatus::Accepted,
        attempts: 0,
        body: delivered.body,
        answer: None,
        at: Timestamp::now(),
        ended_at: None,
    }
}

/// Whether the same may succeed later: the host is busy or stopping, or the operator changes the plugin.
fn passes(problem: &Problem) -> bool {
    matches!(problem.status, 404 | 409 | 429 | 500 | 503 | 507)
}

fn shown(value: &impl serde::Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(error.to_string()))
}
