//! Capability `llm`, heard piece by piece. Only pulls are steps: what was heard is on record, and
//! is heard again in a replay without anybody being asked.

use super::llm::{self, Complete};
use super::{At, Capability, Fail, Intent, Performed, Scope};
use crate::guest::{Guest, Told};
use crate::money::Spending;
use crate::streams::{Heard, Live, OpenStream, Over};
use mandate_llm::Response;
use mandate_policy::Refusal;
use mandate_runtime::End;
use mandate_runtime::bindings::llm::llm::Request;
use mandate_runtime::bindings::llm_stream::llm_stream as wit;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::{NewEvent, Write};
use mandate_types::{EventKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// When a model is silent for so long, what it said before reaches the disk.
const PATIENCE: Duration = Duration::from_millis(200);

/// The request is journalled with the first pull, which makes the call.
#[derive(Serialize)]
struct Pull {
    answer: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Value>,
    #[serde(skip)]
    stream: OpenStream,
}

impl Pull {
    fn new(answer: u64, stream: OpenStream) -> Self {
        Self {
            answer,
            request: (!stream.heard).then(|| stream.asked.request.clone()),
            stream,
        }
    }
}

/// A piece as the journal holds it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Text(String),
    End(Box<Response>),
}

impl Capability for Pull {
    const INTERFACE: &'static str = "mandate:llm-stream/llm-stream";
    const FUNCTION: &'static str = "pull";
    type Answer = Piece;

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        self.stream.asked.granted(scope)
    }

    fn spending(&self, scope: &Scope) -> Result<Option<Spending>, Error> {
        if self.stream.heard {
            return Ok(None);
        }
        self.stream.asked.spending(scope)
    }

    fn intent(&self) -> Intent {
        match self.stream.heard {
            true => Intent::None,
            false => Complete::INTENT,
        }
    }

    async fn perform(self, at: At) -> Result<Performed<Piece>, Fail> {
        let OpenStream { asked, heard, live } = self.stream;
        let mut live = live.lock().await;
        if live.is_none() && !heard {
            let meter = llm::meter(&at, asked.class)?;
            *live = Some(Live::start(at.scope.clone(), asked, meter));
        }
        let Some(call) = live.as_mut() else {
            let reason = "the host stopped in the middle of the answer";
            return Err(Error::Interrupted(reason.to_owned()).into());
        };
        let heard = match timeout(PATIENCE, call.hear()).await {
            Ok(heard) => heard,
            Err(_) => {
                // Who follows the task wants to see what was said so far.
                at.scope.tree.flush().await?;
                call.hear().await
            }
        };
        let over = match heard {
            Heard::Text(text) => return Ok(Performed::read(Piece::Text(text))),
            Heard::Over(over) => over,
        };
        *live = None;
        let Over { answer, cost } = over?;
        match answer {
            // The money is settled already.
            Ok(response) => {
                if response.simulated {
                    at.scope.tree.note_simulated().await?;
                }
                Ok(Performed {
                    answer: Piece::End(response),
                    writes: Vec::new(),
                    cost,
                })
            }
            Err(error) => Err(Fail::Ended(error, Vec::new(), cost)),
        }
    }
}

impl Guest {
    /// Ends the call behind an answer, if it runs. What it cost is in no step.
    async fn close_stream(&mut self, answer: u64) {
        if let Some(stream) = self.streams.remove(answer) {
            let cost = stream.end().await;
            self.scope.tree.add_cost(cost.0);
            self.cost = self.cost.plus(cost);
        }
    }

    /// Ends the calls behind all answers that are open.
    pub async fn close_streams(&mut self) {
        for answer in self.streams.numbers() {
            self.close_stream(answer).await;
        }
    }

    /// Tells those who follow the task what was heard. It comes after the step: nobody is told
    /// what the guest may never have heard.
    async fn publish_text(&mut self, answer: u64, text: &str) -> Told<()> {
        let scope = self.scope.clone();
        let Some(task) = scope.tree.task.clone() else {
            return Ok(());
        };
        let event = NewEvent {
            time: Timestamp::now(),
            kind: EventKind::TASK_TEXT.to_owned(),
            subject: scope.tree.subject.clone(),
            task: Some(task),
            tenant: scope.tree.tenant.clone(),
            data: json!({
                "plugin": scope.plugin.name(),
                "invocation": scope.id,
                "answer": answer,
                "text": text,
            }),
        };
        let pushed = scope.tree.push([Write::Event(Box::new(event))]).await;
        pushed.map_err(|halted| self.halt(halted))
    }
}

impl wit::Host for Guest {
    async fn open(&mut self, request: Request) -> Told<Result<u64, Error>> {
        let asked = Complete::new(request, &self.beside).map_err(|error| self.broken(&error))?;
        // Counted like a step: it is kept until it is closed.
        let size = mandate_types::json::length(&asked.request);
        if let Err(hit) = self.journal.count_step(&self.scope.limits, size) {
            return Err(self.end(End::Limit(hit)));
        }
        Ok(asked.check().and_then(|()| self.streams.open(asked)))
    }

    async fn pull(&mut self, answer: u64) -> Told<Result<wit::Piece, Error>> {
        let Some(stream) = self.streams.get(answer) else {
            return Ok(Err(Error::NotFound(format!("open answer {answer}"))));
        };
        let live = stream.live.clone();
        let asked = stream.asked.end;
        match self.step(Pull::new(answer, stream)).await? {
            Ok(Piece::Text(text)) => {
                self.streams.heard(answer);
                // A replay has no call.
                if live.lock().await.is_some() {
                    self.publish_text(answer, &text).await?;
                }
                Ok(Ok(wit::Piece::Text(text)))
            }
            Ok(Piece::End(response)) => {
                self.close_stream(answer).await;
                self.beside.keep(asked, &response);
                Ok(Ok(wit::Piece::End(llm::answer(*response))))
            }
            Err(error) => {
                self.close_stream(answer).await;
                Ok(Err(error))
            }
        }
    }

    async fn close(&mut self, answer: u64) -> Told<()> {
        self.close_stream(answer).await;
        Ok(())
    }
}
