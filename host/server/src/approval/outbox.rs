//! People are told of what waits for them: at once, again when nobody answers, then the next.
//! What is to be told is planned on disk; a decision for which nothing is planned is found by
//! itself. So nothing is lost, and what was sent in the moment of a crash is sent again under the
//! same key.

use crate::task::Tasks;
use futures::StreamExt as _;
use mandate_store::{
    CommitError, Decision, Event, Notification, NotificationStatus, SharedStore, Write,
};
use mandate_types::{DecisionId, DecisionStatus, EventKind, PrincipalName, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;

/// The clock is looked at again at least this often: it may be set.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// How long to wait when the database cannot be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How many are looked at in one query.
const BATCH: u32 = 256;
/// How many are delivered at the same time.
const TOGETHER: usize = 8;
/// How often each channel is told before the next one is.
const TIMES: u32 = 2;
/// Where to, if the policy names no channel: as the tool understands that.
const SOMEBODY: &str = "default";
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most characters of why a delivery failed.
const MOST_REASON: usize = 500;

/// What one host has to tell people.
pub struct Outbox {
    tasks: Arc<Tasks>,
    /// The tool that tells them, `plugin.tool`.
    tool: String,
    /// Where people reach this host.
    url: String,
}

impl Outbox {
    /// Begins to tell, through `tool`; links lead to `url`.
    pub fn start(tasks: Arc<Tasks>, tool: String, url: &str) {
        let url = url.trim_end_matches('/').to_owned();
        let events = tasks.store().subscribe();
        let outbox = Self { tasks, tool, url };
        tokio::spawn(outbox.run(events));
    }

    fn store(&self) -> &SharedStore {
        self.tasks.store()
    }

    async fn run(self, mut events: Receiver<Arc<Event>>) {
        let mut missed = true;
        loop {
            let nap = match self.round(missed).await {
                Ok(nap) => {
                    missed = false;
                    nap
                }
                Err(error) => {
                    tracing::error!(%error, "people cannot be told what waits for them");
                    AFTER_FAILURE
                }
            };
            match next_request(&mut events, Instant::now() + nap).await {
                Heard::Nothing => {}
                Heard::Request(id) => missed |= self.plan_for(&id).await.is_err(),
                Heard::Gap => missed = true,
                Heard::End => return,
            }
        }
    }

    /// Delivers what is due, and says when the next is.
    async fn round(&self, missed: bool) -> Result<Duration, CommitError> {
        if missed {
            loop {
                let unknown = self.store().unnotified(&self.tool, BATCH).await?;
                if unknown.is_empty() {
                    break;
                }
                for decision in unknown {
                    self.keep_plan(&decision).await?;
                }
            }
        }
        let due = self
            .store()
            .notifications_due(Timestamp::now(), BATCH)
            .await?;
        let mut delivered = futures::stream::iter(due)
            .map(|one| self.deliver(one))
            .buffer_unordered(TOGETHER);
        while let Some(done) = delivered.next().await {
            done?;
        }
        let next = self.store().next_notification().await?;
        let nap = next.map_or(LONGEST_NAP, |next| next.since(Timestamp::now()));
        Ok(nap.clamp(Duration::from_millis(1), LONGEST_NAP))
    }

    async fn plan_for(&self, id: &DecisionId) -> Result<(), CommitError> {
        match self.store().decision(id).await? {
            // Who is told with the tool is not told about the tool.
            Some(decision) if decision.request.tool != self.tool => self.keep_plan(&decision).await,
            _ => Ok(()),
        }
    }

    async fn keep_plan(&self, decision: &Decision) -> Result<(), CommitError> {
        let request = &decision.request;
        let policy = self.tasks.kernel().policy();
        let approvals = &policy.document().approvals;
        let terms = approvals.terms(&request.tenant, request.cost);
        let plan = plan(decision, &terms.channels, terms.repeat_after);
        let write = Write::PlanNotifications(plan);
        self.store().commit(None, vec![write]).await.map(drop)
    }

    /// Tries one, and keeps how that went.
    async fn deliver(&self, planned: Notification) -> Result<(), CommitError> {
        let decision = self.store().decision(&planned.decision).await?;
        let open = |decision: &Decision| decision.status == DecisionStatus::Pending;
        let Some(decision) = decision.filter(open) else {
            let drop_it = Write::DropNotifications(planned.decision);
            return self.store().commit(None, vec![drop_it]).await.map(drop);
        };
        let tried = self.send(&decision, &planned).await;
        let now = Timestamp::now();
        let attempts = planned.attempts.saturating_add(1);
        let result = if tried.is_ok() { "delivered" } else { "failed" };
        metrics::counter!("mandate_notifications_total", "result" => result).increment(1);
        let tried = match tried {
            Ok(()) => Notification {
                status: NotificationStatus::Delivered,
                attempts,
                error: None,
                delivered_at: Some(now),
                ..planned
            },
            Err(error) => {
                tracing::warn!(decision = %decision.id, channel = planned.channel, attempts, error, "nobody was told of a decision; it is tried again");
                Notification {
                    due_at: now.plus(pause(attempts)),
                    attempts,
                    error: Some(error),
                    ..planned
                }
            }
        };
        let change = Write::ChangeNotification(Box::new(tried));
        self.store().commit(None, vec![change]).await.map(drop)
    }

    async fn send(&self, decision: &Decision, planned: &Notification) -> Result<(), String> {
        let said = message(decision, planned, &self.url);
        let (tenant, host) = (decision.request.tenant.clone(), PrincipalName::host());
        let answer = self.tasks.call_tool(&self.tool, said, tenant, host).await;
        let reason = match answer {
            Ok(answer) => match answer.decision {
                None => return Ok(()),
                Some(own) => format!("`{}` itself waits for the decision {own}", self.tool),
            },
            Err(problem) => problem.detail,
        };
        Err(reason.chars().take(MOST_REASON).collect())
    }
}

enum Heard {
    Nothing,
    Request(DecisionId),
    Gap,
    End,
}

/// What happens until then that concerns the outbox.
async fn next_request(events: &mut Receiver<Arc<Event>>, until: Instant) -> Heard {
    loop {
        match tokio::time::timeout_at(until, events.recv()).await {
            Err(_) => return Heard::Nothing,
            Ok(Ok(event)) if event.kind == EventKind::DECISION_REQUESTED => {
                let id = event.data.get("decision").and_then(Value::as_str);
                return match id.map(DecisionId::parse) {
                    Some(Ok(id)) => Heard::Request(id),
                    _ => Heard::Gap,
                };
            }
            Ok(Ok(_)) => {}
            Ok(Err(RecvError::Lagged(_))) => return Heard::Gap,
            Ok(Err(RecvError::Closed)) => return Heard::End,
        }
    }
}

/// Who is told when: each channel several times before the next, as long as it can be answered.
fn plan(decision: &Decision, channels: &[String], every: Duration) -> Vec<Notification> {
    let somebody = [SOMEBODY.to_owned()];
    let channels = if channels.is_empty() {
        somebody.as_slice()
    } else {
        channels
    };
    let times = channels
        .iter()
        .flat_map(|channel| std::iter::repeat_n(channel, TIMES as usize));
    times
        .zip(0..)
        .map(|(channel, number)| Notification {
            decision: decision.id.clone(),
            number,
            channel: channel.clone(),
            due_at: decision.requested_at.plus(every.saturating_mul(number)),
            status: NotificationStatus::Planned,
            attempts: 0,
            error: None,
            delivered_at: None,
        })
        .take_while(|one| {
            // The first always: time may be short, and a human shorter.
            one.number == 0 || decision.expires_at.is_none_or(|end| one.due_at < end)
        })
        .collect()
}

/// What the tool is called with.
fn message(decision: &Decision, planned: &Notification, url: &str) -> Value {
    let request = &decision.request;
    json!({
        "channel": planned.channel,
        "key": format!("{}/{}", decision.id, planned.number),
        "decision": decision.id,
        "sentence": request.sentence,
        "link": format!("{url}/decisions/{}", decision.id),
        "tenant": request.tenant,
        "cost_micro_usd": request.cost,
        "expires_at": decision.expires_at,
        "reminder": planned.number > 0,
    })
}

/// How long to wait after so many tries: longer each time.
fn pause(attempts: u32) -> Duration {
    Duration::from_secs(1)
        .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16)))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::tests::decision;

    const EVERY: Duration = Duration::from_secs(600);

    fn planned(channels: &[&str], expires_after: Option<u64>) -> Vec<(String, Duration)> {
        let mut asked = decision();
        asked.expires_at = expires_after.map(|s| asked.requested_at.plus(Duration::from_secs(s)));
        let channels: Vec<String> = channels.iter().map(|c| (*c).to_owned()).collect();
        let plan = plan(&asked, &channels, EVERY);
        let when = |one: &Notification| one.due_at.since(asked.requested_at);
        plan.iter()
            .map(|one| (one.channel.clone(), when(one)))
            .collect()
    }

    #[test]
    fn each_is_told_twice_and_then_the_next() {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        let all = planned(&["a", "b"], None);
        let expected = [("a", 0), ("a", 10), ("b", 20), ("b", 30)];
        assert_eq!(all, expected.map(|(c, m)| (c.to_owned(), minutes(m))));
        // Nobody is told of what cannot be answered any more.
        assert_eq!(planned(&["a", "b"], Some(1_800)).len(), 3);
        assert_eq!(planned(&["a"], Some(0)).len(), 1);
        assert_eq!(planned(&[], None)[0].0, "default");
    }

    #[test]
    fn the_message_has_the_sentence_the_link_and_a_key_of_its_own() {
        let asked = decision();
        let plan = plan(&asked, &["a".to_owned()], EVERY);
        let first = message(&asked, &plan[0], "https://ops.example.org");
        let again = message(&asked, &plan[1], "https://ops.example.org");
        assert_eq!(first["sentence"], json!(asked.request.sentence));
        let link = format!("https://ops.example.org/decisions/{}", asked.id);
        assert_eq!(first["link"], json!(link));
        assert!(first["key"] != again["key"] && first["reminder"] == json!(false));
        assert_eq!(again["reminder"], json!(true));
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let seconds: Vec<u64> = (1..9).map(|n| pause(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
