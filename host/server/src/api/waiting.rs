//! What a task waits for, and where that is answered or looked at.

use super::Api;
use super::error::ApiResult;
use mandate_store::{Task, Wait, WaitKey};
use mandate_types::{DecisionId, QuestionId, TaskStatus, Timestamp, WaitReason};
use serde::Serialize;

/// A task, and what it waits for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskDetail {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// What it waits for, while it is `waiting`; it goes on when one of them is over. Absent otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Waiting>,
}

/// One thing that a task waits for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// What it is.
    pub kind: WaitKind,
    /// The decision's sentence, or the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The decision, which a human has to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// The question, which a human has to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionId>,
    /// When it is over by itself: a sleep ends, a decision is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Where to look at it, at this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A human's approval, also where money has run out.
    Decision,
    /// A human's answer.
    Question,
    /// A time.
    Sleep,
    /// The end of a halt.
    Halt,
}

impl Waiting {
    fn new(kind: WaitKind) -> Self {
        Self {
            kind,
            text: None,
            decision: None,
            question: None,
            until: None,
            link: None,
        }
    }

    /// What `task` waits for now.
    async fn of(api: &Api, task: &Task) -> ApiResult<Vec<Self>> {
        if task.status != TaskStatus::Waiting {
            return Ok(Vec::new());
        }
        let parked = match &task.execution {
            Some(execution) => api.store().waits(execution).await?,
            None => Vec::new(),
        };
        let mut waits = Vec::with_capacity(parked.len());
        for wait in parked {
            waits.push(Self::one(api, wait).await?);
        }
        if task.waiting_for == Some(WaitReason::Halt) {
            let link = Some("/api/v1/halts".to_owned());
            waits.push(Self {
                link,
                ..Self::new(WaitKind::Halt)
            });
        }
        Ok(waits)
    }

    async fn one(api: &Api, wait: Wait) -> ApiResult<Self> {
        Ok(match wait.key {
            WaitKey::Decision(id) => {
                let decision = api.store().decision(&id).await?;
                Self {
                    link: Some(format!("/api/v1/decisions/{id}")),
                    until: decision.as_ref().and_then(|decision| decision.expires_at),
                    text: decision.map(|decision| decision.request.sentence),
                    decision: Some(id),
                    ..Self::new(WaitKind::Decision)
                }
            }
            WaitKey::Question(id) => {
                let question = api.store().question(&id).await?;
                Self {
                    link: Some(format!("/api/v1/questions/{id}")),
                    text: question.map(|question| question.text),
                    question: Some(id),
                    ..Self::new(WaitKind::Question)
                }
            }
            WaitKey::Sleep(..) => Self {
                until: wait.wake_at,
                ..Self::new(WaitKind::Sleep)
            },
        })
    }
}

impl TaskDetail {
    /// `task`, and what it waits for now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of(api: &Api, task: Task) -> ApiResult<Self> {
        let waits = Waiting::of(api, &task).await?;
        Ok(Self { task, waits })
    }
}
