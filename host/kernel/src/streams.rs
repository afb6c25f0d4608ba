//! Answers of models that a guest hears piece by piece. The call goes on by itself, and is settled
//! when it ends, whether the guest pulls or not; a guest that is gone ends it.

use crate::capability::Scope;
use crate::capability::llm::{Complete, told};
use crate::money::CallMeter;
use crate::tree::Halted;
use mandate_llm::Response;
use mandate_runtime::bindings::types::types::Error;
use mandate_store::CommitError;
use mandate_types::{DecisionStatus, MicroUsd};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Mutex, oneshot};
use tokio::task::{JoinError, JoinHandle};

/// So many answers a guest may have open at a time.
const MOST: usize = 16;

/// The answers that a guest has open, by their numbers. They follow from what it asked and was
/// answered, so a replay has the same.
#[derive(Default)]
pub struct Streams {
    open: BTreeMap<u64, OpenStream>,
    last: u64,
}

/// An answer that is open.
#[derive(Clone)]
pub struct OpenStream {
    /// What is asked.
    pub asked: Arc<Complete>,
    /// Whether the guest heard a piece of it: then nobody is asked again.
    pub heard: bool,
    /// The call, if it was made here.
    pub live: Arc<Mutex<Option<Live>>>,
}

impl Streams {
    /// Opens an answer, and numbers it.
    ///
    /// # Errors
    /// `conflict` when too many are open.
    pub fn open(&mut self, asked: Complete) -> Result<u64, Error> {
        if self.open.len() >= MOST {
            return Err(Error::Conflict(format!(
                "{MOST} answers are open already: pull one to its end, or close it"
            )));
        }
        self.last += 1;
        let stream = OpenStream {
            asked: Arc::new(asked),
            heard: false,
            live: Arc::default(),
        };
        self.open.insert(self.last, stream);
        Ok(self.last)
    }

    /// The answer of this number, if it is open.
    pub fn get(&self, number: u64) -> Option<OpenStream> {
        self.open.get(&number).cloned()
    }

    /// Remembers that the guest heard a piece.
    pub fn heard(&mut self, number: u64) {
        if let Some(stream) = self.open.get_mut(&number) {
            stream.heard = true;
        }
    }

    /// Takes the answer of this number out.
    pub fn remove(&mut self, number: u64) -> Option<OpenStream> {
        self.open.remove(&number)
    }

    /// The numbers of those that are open.
    pub fn numbers(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }
}

impl OpenStream {
    /// Ends the call if it runs, and says what it cost if nobody was told.
    pub async fn end(self) -> MicroUsd {
        let Some(live) = self.live.lock().await.take() else {
            return MicroUsd::ZERO;
        };
        drop(live.held);
        // What cannot be written here, the end of the execution cannot write either.
        match live.call.await {
            Ok(Ok(over)) => over.cost,
            Ok(Err(_)) | Err(_) => MicroUsd::ZERO,
        }
    }
}

/// A call that was made.
pub struct Live {
    texts: UnboundedReceiver<String>,
    call: JoinHandle<Result<Over, Halted>>,
    /// Once this is dropped, the call ends where it is.
    held: oneshot::Sender<Infallible>,
}

/// What came of a call, with its money settled.
pub struct Over {
    /// What the guest is told.
    pub answer: Result<Box<Response>, Error>,
    /// What its attempts cost.
    pub cost: MicroUsd,
}

/// What is heard next.
pub enum Heard {
    /// All text that is there.
    Text(String),
    /// There is no more.
    Over(Result<Over, Halted>),
}

impl Live {
    /// Makes the call.
    pub fn start(scope: Arc<Scope>, asked: Arc<Complete>, meter: Arc<CallMeter>) -> Self {
        let (said, texts) = unbounded_channel();
        let (held, dropped) = oneshot::channel::<Infallible>();
        let call = tokio::spawn(async move {
            let mut hear = |piece: &str| {
                if !piece.is_empty() {
                    // Nobody listens any more when the guest is gone.
                    let _ = said.send(piece.to_owned());
                }
            };
            let answer = tokio::select! {
                biased;
                answer = ask(&scope, &asked, &meter, &mut hear) => answer,
                // Dropped where it is, an attempt under way is paid in full.
                _ = dropped => Err(Error::Interrupted("the answer was closed".to_owned())),
            };
            settle(&scope, &meter, answer).await
        });
        Self { texts, call, held }
    }

    /// Waits for what comes next. After [`Heard::Over`] there is nothing. Nothing is lost when it
    /// is dropped meanwhile.
    pub async fn hear(&mut self) -> Heard {
        if let Some(mut text) = self.texts.recv().await {
            while let Ok(more) = self.texts.try_recv() {
                text.push_str(&more);
            }
            return Heard::Text(text);
        }
        let over = (&mut self.call).await;
        Heard::Over(over.unwrap_or_else(|lost| Ok(broke_off(&lost))))
    }
}

async fn ask(
    scope: &Scope,
    asked: &Complete,
    meter: &CallMeter,
    hear: &mut (dyn for<'piece> FnMut(&'piece str) + Send),
) -> Result<Response, Error> {
    let request = asked.read.as_ref().map_err(Error::clone)?;
    let models = scope.kernel.models();
    let answer = models.stream(request, &meter.caller(), hear).await;
    answer.map_err(told)
}

async fn settle(
    scope: &Scope,
    meter: &CallMeter,
    mut answer: Result<Response, Error>,
) -> Result<Over, Halted> {
    let status = match answer {
        Ok(_) => DecisionStatus::Done,
        Err(_) => DecisionStatus::Failed,
    };
    let (cost, writes) = meter.finish(status)?;
    if !writes.is_empty() {
        match scope.tree.settle(writes).await {
            Ok(_) => {}
            Err(
                error
                @ (CommitError::Store(_) | CommitError::LeaseLost(_) | CommitError::Halted(_)),
            ) => return Err(error.into()),
            // As wherever an answer cannot be kept: what was reserved is booked with the end.
            Err(error) => answer = Err(Error::Conflict(error.to_string())),
        }
    }
    Ok(Over {
        answer: answer.map(Box::new),
        cost,
    })
}

/// The host is going down, or made a mistake. What was reserved is booked with the end.
fn broke_off(lost: &JoinError) -> Over {
    Over {
        answer: Err(Error::Interrupted(format!("the call broke off: {lost}"))),
        cost: MicroUsd::ZERO,
    }
}
