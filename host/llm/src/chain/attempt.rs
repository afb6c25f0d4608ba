//! One provider's turn in a call: reserved, asked, settled, and asked again where that helps.

use super::question::{Question, Viewer, Without};
use super::route::{Sticky, Whom};
use crate::breaker::Pass;
use crate::fault::{Billed, Fault, Kind};
use crate::gate::Permit;
use crate::meter::{Caller, Planned, Unpaid};
use crate::redact::Redactor;
use crate::seat::Seat;
use crate::trace::Attempt;
use crate::{LlmError, ModelClass, Price, Usage, measure, span};
use mandate_types::MicroUsd;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{Instrument as _, Span};

/// How often one provider is asked for one call.
const TRIES: u32 = 2;
/// Before the second try at most so long; whoever wants more is followed by the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Before the second try about so long.
const PAUSE: Duration = Duration::from_millis(250);
/// So long is waited for a turn at a provider; then the next one is asked.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// What one call has come to so far.
#[derive(Default)]
pub struct Round(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    attempts: Vec<Attempt>,
    /// When the first of those may answer that did not.
    soonest: Option<Duration>,
}

impl Round {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an attempt, or why there was none.
    pub fn push(&self, attempt: Attempt) {
        self.kept().attempts.push(attempt);
    }

    fn wait(&self, wait: Option<Duration>) {
        let mut kept = self.kept();
        kept.soonest = match (kept.soonest, wait) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// The last answer of `provider` is not in the form that was asked for.
    fn unfit(&self, provider: &str, wrong: String) {
        let mut kept = self.kept();
        let own = kept.attempts.iter_mut().rev();
        if let Some(last) = own.into_iter().find(|it| it.provider == provider) {
            last.unfit(wrong);
        }
    }

    /// What all of it cost.
    pub fn cost(&self) -> MicroUsd {
        total(&self.kept().attempts)
    }

    /// The attempts, and when the first of those may answer that did not.
    pub fn take(&self) -> (Vec<Attempt>, Option<Duration>) {
        let mut kept = self.kept();
        (mem::take(&mut kept.attempts), kept.soonest)
    }
}

/// What `attempts` cost.
pub fn total(attempts: &[Attempt]) -> MicroUsd {
    let costs = attempts.iter().map(|attempt| attempt.cost);
    costs.fold(MicroUsd::ZERO, MicroUsd::plus)
}

/// A provider whose turn it is.
pub struct Asked<'a> {
    /// Who.
    pub seat: &'a Seat,
    /// With which model.
    pub model: &'a str,
    /// What that costs.
    pub price: Price,
    /// Nobody knows what it costs: `price` is what it counts as.
    pub is_guess: bool,
    /// It is asked also while it is out.
    pub insists: bool,
    /// Takes out of the question what it shall not see; none if it may see everything.
    pub redactor: Option<&'a Redactor>,
    /// For whom.
    pub caller: &'a Caller<'a>,
    /// What is remembered of his execution.
    pub sticky: &'a Sticky,
    /// What came of it so far.
    pub round: &'a Round,
}

/// What came of one attempt.
enum Outcome<T> {
    /// An answer, what was used for it, and its span.
    Answered(T, Usage, Span),
    /// Nobody was asked.
    PassedOver,
    /// None.
    Failed(Fault),
    /// None, perhaps because of what it can be asked without.
    Refused(Fault, Without),
}

/// An attempt whose money is reserved. Dropped while it runs, it is paid in full.
struct Running<'a> {
    asked: &'a Asked<'a>,
    number: u32,
    most: MicroUsd,
    begun: Instant,
    span: Span,
    is_over: bool,
}

impl Running<'_> {
    fn end(&mut self, mut attempt: Attempt, cost: MicroUsd, uncertain: bool) {
        self.is_over = true;
        attempt.cost = cost;
        attempt.uncertain = (uncertain || self.asked.is_guess) && cost > MicroUsd::ZERO;
        attempt.took_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let meter = self.asked.caller.meter;
        meter.close(self.number, cost, attempt.uncertain);
        self.asked.seat.cost(cost);
        measure::attempt(&attempt, self.begun.elapsed());
        span::ended(&self.span, &attempt);
        self.asked.round.push(attempt);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let id = self.asked.seat.provider.id();
            let attempt = Attempt::cancelled(id, self.asked.model);
            self.end(attempt, self.most, true);
        }
    }
}

impl Asked<'_> {
    fn id(&self) -> &str {
        self.seat.provider.id()
    }

    fn whom(&self) -> Whom<'_> {
        Whom {
            tenant: self.caller.tenant,
            execution: self.caller.execution,
            provider: self.id(),
            model: self.model,
        }
    }

    fn pass_over(&self, why: String) {
        span::passed_over(self.id(), self.model, &why);
        self.round
            .push(Attempt::passed_over(self.id(), self.model, why));
    }

    /// Asks it, again if that may help; none when it is another's turn.
    pub async fn ask<Q: Question>(
        &self,
        question: &Q,
    ) -> Result<Option<(Q::Answer, Usage)>, LlmError> {
        let mut better: Option<Q> = None;
        let mut without = self.sticky.without(&self.whom(), question.schema());
        // What was left out last, because of a refusal.
        let mut last = Without::default();
        let mut number = 1;
        while number <= TRIES {
            let asked = self
                .once(better.as_ref().unwrap_or(question), without)
                .await?;
            let fault = match asked {
                Outcome::Answered(mut answer, usage, span) => {
                    let schema = question.schema();
                    self.sticky
                        .refused(&self.whom(), schema, mem::take(&mut last));
                    let Err((again, wrong)) = question.conform(&mut answer) else {
                        return Ok(Some((answer, usage)));
                    };
                    span::unfit(&span);
                    self.round.unfit(self.id(), wrong);
                    // Once is a slip.
                    if better.replace(again).is_some() {
                        return Ok(None);
                    }
                    // Who does not heed what he is held to may heed words.
                    without.schema = true;
                    number += 1;
                    continue;
                }
                Outcome::PassedOver => return Ok(None),
                Outcome::Failed(fault) => fault,
                Outcome::Refused(fault, spare) => {
                    // That may be why; to leave it out is no try of its own.
                    if !question.is_heard() {
                        last = without.leave(spare);
                        if last != Without::default() {
                            continue;
                        }
                    }
                    fault
                }
            };
            if question.is_heard() {
                return Err(LlmError::Interrupted {
                    reason: format!("{}: {}", self.id(), fault.reason),
                    cost: self.round.cost(),
                });
            }
            if !fault.kind.is_curable_elsewhere() {
                let reason = if self.seat.provider.is_simulated() {
                    fault.reason
                } else {
                    format!("{}: {}", self.id(), fault.reason)
                };
                let cost = self.round.cost();
                return Err(LlmError::Invalid { reason, cost });
            }
            self.round.wait(fault.retry_after);
            let pause = fault.retry_after.unwrap_or_else(jittered);
            let is_over = number == TRIES || pause > LONGEST_PAUSE;
            if is_over || !fault.kind.is_curable_here() {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            number += 1;
        }
        Ok(None)
    }

    fn pass(&self, class: ModelClass) -> Result<Pass<'_>, (String, Option<Duration>)> {
        self.seat.pass(class, self.insists)
    }

    /// It is left alone: why, and for how long.
    fn leave<T>(&self, (why, wait): (String, Option<Duration>)) -> Outcome<T> {
        self.pass_over(why);
        self.round.wait(wait);
        Outcome::PassedOver
    }

    /// What `usage` costs, and whether that is uncertain. Who counts more than can have been used
    /// is not believed: no budget is exceeded by a number that somebody sends.
    fn billed(&self, usage: Option<&Usage>, most: MicroUsd) -> (MicroUsd, bool) {
        let Some(usage) = usage else {
            return (most, true);
        };
        let cost = self.price.cost(usage);
        if cost > most {
            tracing::warn!(provider = self.id(), model = self.model, ?usage, %cost, %most, "a model provider counts more than can have been used: booked at the most");
            return (most, true);
        }
        (cost, false)
    }

    /// One attempt.
    async fn once<Q: Question>(
        &self,
        question: &Q,
        without: Without,
    ) -> Result<Outcome<Q::Answer>, LlmError> {
        let class = question.class();
        // Nobody waits for who would not be asked; and who waited is looked at again.
        if let Err(left_alone) = self.pass(class) {
            return Ok(self.leave(left_alone));
        }
        let viewer = Viewer {
            provider: self.seat.provider.as_ref(),
            redacts: self.redactor.is_some(),
            redactor: self.redactor,
            without,
        };
        let shown = question.shown(viewer);
        let mut permit = match &self.seat.gate {
            None => None,
            Some(gate) => {
                let about = question.about(&shown);
                let entered = gate.enter(self.caller.plugin, about, LONGEST_QUEUE);
                let Some(permit) = entered.await else {
                    let waited = LONGEST_QUEUE.as_secs();
                    self.pass_over(format!("its limits let nobody else in for {waited} s"));
                    return Ok(Outcome::PassedOver);
                };
                Some(permit)
            }
        };
        let pass = match self.pass(class) {
            Ok(pass) => pass,
            Err(left_alone) => return Ok(self.leave(left_alone)),
        };
        let most = question.worst(&shown, &self.price);
        let planned = Planned {
            provider: self.id().to_owned(),
            model: self.model.to_owned(),
            most,
        };
        let number = match self.caller.meter.open(planned).await {
            Ok(number) => number,
            Err(Unpaid::NoRoom(why)) => {
                self.pass_over(why);
                return Ok(Outcome::PassedOver);
            }
            Err(Unpaid::Stopped) => {
                return Err(LlmError::Unavailable {
                    reason: "nothing can be reserved any more".to_owned(),
                    retry_after: None,
                    cost: self.round.cost(),
                });
            }
        };
        let begun = Instant::now();
        if let Some(permit) = &mut permit {
            permit.asks();
        }
        let span = span::attempt(self.id(), self.model, question.request(&shown));
        let mut running = Running {
            asked: self,
            number,
            most,
            begun,
            span: span.clone(),
            is_over: false,
        };
        let asked = question.ask(&shown, viewer).instrument(span.clone()).await;
        let took = begun.elapsed();
        let fault = match asked {
            Ok(answer) => {
                self.seat.answered(pass, class, took);
                let known = Q::known(&answer);
                // Who says that an answer used nothing says nothing.
                let usage = known
                    .usage
                    .filter(|usage| usage.input_tokens > 0 || usage.output_tokens > 0);
                span::answered(&span, &span::Known { usage, ..known });
                // Who does not say what was used is paid as if all had been.
                let (cost, uncertain) = self.billed(usage.as_ref(), most);
                let answered = Attempt::answered(self.id(), self.model);
                running.end(answered, cost, uncertain);
                if let Some(usage) = &usage {
                    count(permit.as_ref(), usage);
                }
                let usage = usage.unwrap_or_default();
                measure::tokens(self.id(), self.model, &usage);
                return Ok(Outcome::Answered(answer, usage, span));
            }
            Err(fault) => fault,
        };
        self.seat.failed(pass, class, &fault);
        let kind = fault.kind;
        span::failed(&span, self.id(), self.model, &fault);
        let (cost, uncertain) = match &fault.billed {
            Billed::Nothing => {
                count(permit.as_ref(), &Usage::default());
                (MicroUsd::ZERO, false)
            }
            Billed::Used(usage) => {
                count(permit.as_ref(), usage);
                self.billed(Some(usage), most)
            }
            Billed::Unknown => (most, true),
        };
        let failed = Attempt::failed(self.id(), self.model, kind, fault.reason.clone());
        running.end(failed, cost, uncertain);
        let mut spare = match kind {
            Kind::Request | Kind::TooLong => question.spare(&shown, viewer),
            _ => Without::default(),
        };
        // Words are no shorter.
        spare.schema &= kind == Kind::Request;
        Ok(if spare == Without::default() {
            Outcome::Failed(fault)
        } else {
            Outcome::Refused(fault, spare)
        })
    }
}

/// So many tokens were used. Where nobody knows, as many were as were thought.
fn count(permit: Option<&Permit>, usage: &Usage) {
    if let Some(permit) = permit {
        permit.used(usage.input_tokens.saturating_add(usage.output_tokens));
    }
}

/// A pause that others do not take at the same time.
fn jittered() -> Duration {
    PAUSE.mul_f64(0.5 + fastrand::f64())
}
