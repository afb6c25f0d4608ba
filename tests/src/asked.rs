//! An agent that asks for an effect, a human who may answer, and what became of it.

use crate::{Answer, Client, Do, Host, Plugin, agent, tool};
use serde_json::{Value, json};

/// The tool `NAME-pay`, which nobody knows the cost of.
pub fn pay(name: &str) -> Plugin {
    tool(&format!("{name}-pay"), "reversible").input(json!({"type": "object"}))
}

/// The agent `NAME`, which pays 7.
fn payer(name: &str) -> Plugin {
    let tool = format!("{name}-pay.it");
    agent(name)
        .manifest(&format!("[capabilities.invoke]\ntools = [\"{tool}\"]"))
        .does([Do::tool(&tool, r#"{"amount":7}"#)])
}

/// What an agent asked, and a human who may answer.
pub struct Asked {
    /// Who installed it, and asked.
    pub admin: Client,
    /// Who may answer.
    pub ann: Client,
    /// The task.
    pub task: String,
    /// The decision that it waits for.
    pub id: String,
}

impl Asked {
    /// The agent `name` asks on `host`.
    pub async fn on(host: &Host, name: &str) -> Self {
        Self::with(host, name, pay(name)).await
    }

    /// The same, for this tool.
    pub async fn with(host: &Host, name: &str, pay: Plugin) -> Self {
        let admin = host.admin();
        admin.install(pay.file()).await;
        admin.install(payer(name).file()).await;
        let ann = host
            .principal(&format!("{name}-ann"), "approver", &[])
            .await;
        let task = admin.submit(&json!({"kind": name})).await;
        let mut asked = Self {
            admin,
            ann,
            task: task["id"].as_str().unwrap().to_owned(),
            id: String::new(),
        };
        asked.id = asked.pending().await;
        asked
    }

    /// The same on another host over the same directory.
    pub fn over(self, host: &Host) -> Self {
        Self {
            admin: host.admin(),
            ann: Client::new(&host.url, Some(self.ann.token())),
            ..self
        }
    }

    /// The decision that the task waits for, as the task itself says.
    pub async fn pending(&self) -> String {
        let waits = async || {
            let task = self.admin.task(&self.task).await;
            let wait = &task["waits"][0];
            let known = wait["decision"].as_str().filter(|id| *id != self.id)?;
            assert_eq!(wait["kind"], "decision", "{task}");
            assert_eq!(wait["link"], format!("/api/v1/decisions/{known}"));
            Some(known.to_owned())
        };
        self.admin.until(waits).await
    }

    /// Answers the decision.
    pub async fn answer(&self, by: &Client, verb: &str, body: Value) -> Answer {
        let path = format!("/api/v1/decisions/{}/{verb}", self.id);
        by.post(&path, &body).await
    }

    /// The human approves it.
    pub async fn approve(&self) -> Answer {
        self.answer(&self.ann, "approve", json!({})).await
    }

    /// The decision as it is now.
    pub async fn decision(&self) -> Value {
        let path = format!("/api/v1/decisions/{}", self.id);
        self.admin.get(&path).await.ok()
    }

    /// Nothing was decided, and the task waits.
    pub async fn is_open(&self) {
        assert_eq!(self.decision().await["status"], "pending");
        assert_eq!(self.admin.task(&self.task).await["status"], "waiting");
    }

    /// The task once it has ended, which it did by paying once.
    pub async fn paid(&self) {
        let task = self.admin.ended(&self.task).await;
        assert_eq!(task["status"], "succeeded", "{task}");
        assert_eq!(task["waits"], Value::Null, "{task}");
        let steps = self.admin.steps(&self.task).await;
        let paid = |step: &&Value| step["function"] == "invoke" && step["refused"] == false;
        let paid = steps.iter().filter(paid);
        assert_eq!(paid.count(), 1, "{steps:?}");
    }
}

/// The answer is this problem, and its sentence has this in it.
#[track_caller]
pub fn refused(answer: Answer, status: u16, slug: &str, said: &str) {
    let problem = answer.expect(status);
    assert_eq!(
        problem["type"],
        format!("urn:mandate:problem:{slug}"),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(said), "`{said}` is not in: {detail}");
}
