//! The ordered providers: the first that answers, answers. Who fails in a way that another may
//! cure is followed by the next; who fails often is left alone for a while.

use crate::breaker::BreakerSettings;
use crate::fault::{Billed, Fault};
use crate::providers::Simulated;
use crate::seat::{Seat, Standing};
use crate::structured;
use crate::trace::Attempt;
use crate::wire::{Answer, Vectors};
use crate::{Embeddings, LlmError, ModelClass, Price, Provider, Request, Response, Usage};
use mandate_types::MicroUsd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often one provider is asked for one call.
const TRIES: u32 = 2;
/// Before the second try at most so long; whoever wants more is followed by the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Before the second try about so long.
const PAUSE: Duration = Duration::from_millis(250);
/// Tokens of what is said around an answer that is asked for again; more than there are.
const AGAIN: u64 = 4_096;
/// So many attempts of one call may be billed in full.
const BILLED: i64 = 2;

/// Providers in the order in which they are asked. The empty chain answers nobody.
#[derive(Clone, Default)]
pub struct Chain {
    seats: Arc<[Arc<Seat>]>,
}

/// Who answered a call, and what was tried before.
struct Told<'a, T> {
    seat: &'a Seat,
    model: &'a str,
    answer: T,
    usage: Usage,
    attempts: Vec<Attempt>,
}

/// A question to a provider, and what its answer is made of.
trait Question {
    type Answer;

    fn class(&self) -> ModelClass;

    /// The most that one attempt can cost.
    fn worst(&self, price: &Price) -> MicroUsd;

    async fn ask(&self, provider: &dyn Provider) -> Result<Self::Answer, Fault>;

    fn usage(answer: &Self::Answer) -> Option<Usage>;

    /// Brings the answer into the form that was asked for, or says what to ask instead, and why.
    fn conform(&self, answer: &mut Self::Answer) -> Result<(), (Self, String)>
    where
        Self: Sized;
}

impl Question for Request {
    type Answer = Answer;

    fn class(&self) -> ModelClass {
        self.class
    }

    fn worst(&self, price: &Price) -> MicroUsd {
        price.worst_case(self)
    }

    async fn ask(&self, provider: &dyn Provider) -> Result<Answer, Fault> {
        provider.complete(self).await
    }

    fn usage(answer: &Answer) -> Option<Usage> {
        answer.usage
    }

    fn conform(&self, answer: &mut Answer) -> Result<(), (Self, String)> {
        structured::conform(answer, self)
            .map_err(|wrong| (structured::again(self, answer, &wrong), wrong))
    }
}

/// Texts whose vectors are wanted.
struct Texts<'a>(&'a [String]);

impl Question for Texts<'_> {
    type Answer = Vectors;

    fn class(&self) -> ModelClass {
        ModelClass::Embed
    }

    fn worst(&self, price: &Price) -> MicroUsd {
        price.worst_case_embed(self.0)
    }

    async fn ask(&self, provider: &dyn Provider) -> Result<Vectors, Fault> {
        provider.embed(self.0).await
    }

    fn usage(answer: &Vectors) -> Option<Usage> {
        answer.usage
    }

    fn conform(&self, _: &mut Vectors) -> Result<(), (Self, String)> {
        Ok(())
    }
}

impl Chain {
    /// Asks `providers` in this order.
    pub fn new(providers: Vec<Arc<dyn Provider>>, settings: BreakerSettings) -> Self {
        let seat = |provider| Arc::new(Seat::new(provider, settings));
        Self {
            seats: providers.into_iter().map(seat).collect(),
        }
    }

    /// Only the simulated provider, as though it had these prices.
    pub fn simulated(price: Price) -> Self {
        let simulated = Arc::new(Simulated::priced(price));
        Self::new(vec![simulated], BreakerSettings::default())
    }

    /// The providers, and how each stands.
    pub fn standings(&self) -> impl Iterator<Item = (&Arc<dyn Provider>, Standing)> {
        self.seats
            .iter()
            .map(|seat| (&seat.provider, seat.standing()))
    }

    /// The most that this request costs: the dearest attempt, twice where another may follow it.
    /// Providers whose price nobody knows are not asked, and nobody whom the rest of this would
    /// not pay.
    pub fn worst_case(&self, request: &Request) -> MicroUsd {
        let output = u64::from(request.max_output_tokens);
        let again = structured::is_needed(request);
        let extra = if again { output + AGAIN } else { 0 };
        let input = request.input_bytes() + extra;
        self.worst(request.class, again, |price| price.most(input, output))
    }

    /// The most that embedding `texts` costs, as [`Chain::worst_case`].
    pub fn worst_case_embed(&self, texts: &[String]) -> MicroUsd {
        let worst = |price: &Price| price.worst_case_embed(texts);
        self.worst(ModelClass::Embed, false, worst)
    }

    /// `again`: one provider may be asked twice and paid for both.
    fn worst(&self, class: ModelClass, again: bool, of: impl Fn(&Price) -> MicroUsd) -> MicroUsd {
        let priced = self.serving(class);
        let (mut dearest, mut providers) = (MicroUsd::ZERO, 0);
        for price in priced.filter_map(|(seat, _)| seat.provider.price(class)) {
            dearest = dearest.max(of(&price));
            providers += 1;
        }
        let billed = if again || providers > 1 { BILLED } else { 1 };
        MicroUsd(dearest.0.saturating_mul(billed))
    }

    /// The first answer.
    ///
    /// # Errors
    /// [`LlmError::Invalid`] when the request is wrong, [`LlmError::Unavailable`] when every
    /// provider was asked and none answered.
    pub async fn complete(&self, request: &Request) -> Result<Response, LlmError> {
        request.check()?;
        let told = self.first(request, self.worst_case(request)).await?;
        Ok(Response {
            message: told.answer.message,
            finish: told.answer.finish,
            usage: told.usage,
            cost: cost(&told.attempts),
            provider: told.seat.provider.id().to_owned(),
            model: told.model.to_owned(),
            simulated: told.seat.provider.is_simulated(),
            extra: told.answer.extra,
            attempts: worth_telling(told.attempts),
        })
    }

    /// One vector per text, in order, from the first provider that answers.
    ///
    /// # Errors
    /// As of [`Chain::complete`].
    pub async fn embed(&self, texts: &[String]) -> Result<Embeddings, LlmError> {
        if texts.is_empty() {
            return Err(LlmError::Invalid("texts: expected at least one".to_owned()));
        }
        let told = self
            .first(&Texts(texts), self.worst_case_embed(texts))
            .await?;
        Ok(Embeddings {
            vectors: told.answer.vectors.into_iter().map(unit).collect(),
            usage: told.usage,
            cost: cost(&told.attempts),
            provider: told.seat.provider.id().to_owned(),
            model: told.model.to_owned(),
            simulated: told.seat.provider.is_simulated(),
            attempts: worth_telling(told.attempts),
        })
    }

    fn serving(&self, class: ModelClass) -> impl Iterator<Item = (&Arc<Seat>, &str)> {
        self.seats
            .iter()
            .filter_map(move |seat| Some((seat, seat.provider.model(class)?)))
    }

    /// Asks one after the other, for at most `limit`.
    async fn first<Q: Question>(
        &self,
        question: &Q,
        limit: MicroUsd,
    ) -> Result<Told<'_, Q::Answer>, LlmError> {
        let class = question.class();
        let mut round = Round {
            limit,
            attempts: Vec::new(),
            soonest: None,
        };
        for (seat, model) in self.serving(class) {
            let id = seat.provider.id();
            let Some(price) = seat.provider.price(class) else {
                let why = format!(
                    "nobody knows what it costs; an operator can say it in [llm.providers.{id}]"
                );
                round.attempts.push(Attempt::passed_over(id, model, why));
                continue;
            };
            let asked = Asked { seat, model, price };
            if let Some((answer, usage)) = asked.ask(question, &mut round).await? {
                return Ok(Told {
                    seat,
                    model,
                    answer,
                    usage,
                    attempts: round.attempts,
                });
            }
        }
        Err(LlmError::Unavailable {
            reason: reasons(&round.attempts, class),
            retry_after: round.soonest,
            cost: cost(&round.attempts),
        })
    }
}

/// What one call has come to so far.
struct Round {
    /// The most that it may.
    limit: MicroUsd,
    attempts: Vec<Attempt>,
    /// When the first of those may answer that did not.
    soonest: Option<Duration>,
}

impl Round {
    fn wait(&mut self, wait: Option<Duration>) {
        self.soonest = match (self.soonest, wait) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// A provider whose turn it is.
struct Asked<'a> {
    seat: &'a Seat,
    model: &'a str,
    price: Price,
}

impl Asked<'_> {
    /// Asks it, again if that may help; none when it is another's turn.
    async fn ask<Q: Question>(
        &self,
        question: &Q,
        round: &mut Round,
    ) -> Result<Option<(Q::Answer, Usage)>, LlmError> {
        let mut better: Option<Q> = None;
        for number in 1..=TRIES {
            let asked = self.once(better.as_ref().unwrap_or(question), round).await;
            let (mut answer, usage) = match asked {
                Ok(Some(answered)) => answered,
                Ok(None) => return Ok(None),
                // What was asked before may have to be paid, and that is told with the outage.
                Err(fault)
                    if !fault.kind.is_curable_elsewhere()
                        && cost(&round.attempts) == MicroUsd::ZERO =>
                {
                    let provider = &self.seat.provider;
                    return Err(LlmError::Invalid(if provider.is_simulated() {
                        fault.reason
                    } else {
                        format!("{}: {}", provider.id(), fault.reason)
                    }));
                }
                Err(fault) => {
                    round.wait(fault.retry_after);
                    let pause = fault.retry_after.unwrap_or_else(jittered);
                    let is_over = number == TRIES || pause > LONGEST_PAUSE;
                    if is_over || !fault.kind.is_curable_here() {
                        return Ok(None);
                    }
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            match question.conform(&mut answer) {
                Ok(()) => return Ok(Some((answer, usage))),
                Err((again, wrong)) => {
                    if let Some(last) = round.attempts.last_mut() {
                        last.unfit(wrong);
                    }
                    // Once is a slip.
                    if better.replace(again).is_some() {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    /// One attempt; none when the provider is left alone.
    async fn once<Q: Question>(
        &self,
        question: &Q,
        round: &mut Round,
    ) -> Result<Option<(Q::Answer, Usage)>, Fault> {
        let (class, id) = (question.class(), self.seat.provider.id());
        let pass = match self.seat.pass(class) {
            Ok(pass) => pass,
            Err((why, wait)) => {
                let passed_over = Attempt::passed_over(id, self.model, why);
                round.attempts.push(passed_over);
                round.wait(wait);
                return Ok(None);
            }
        };
        let most = question.worst(&self.price);
        if cost(&round.attempts).plus(most) > round.limit {
            let why = "what was reserved for the call would not pay it".to_owned();
            let passed_over = Attempt::passed_over(id, self.model, why);
            round.attempts.push(passed_over);
            return Ok(None);
        }
        let begun = Instant::now();
        let asked = question.ask(self.seat.provider.as_ref()).await;
        let took = begun.elapsed();
        let fault = match asked {
            Ok(answer) => {
                self.seat.answered(pass, took);
                let usage = Q::usage(&answer);
                // Who does not say what was used is paid as if all had been.
                let cost = usage.map_or(most, |usage| self.price.cost(&usage));
                let mut answered = Attempt::answered(id, self.model, took, cost);
                answered.uncertain = usage.is_none();
                round.attempts.push(answered);
                return Ok(Some((answer, usage.unwrap_or_default())));
            }
            Err(fault) => fault,
        };
        self.seat.failed(pass, class, &fault);
        let kind = fault.kind;
        tracing::warn!(provider = id, model = self.model, kind = kind.as_str(), reason = %fault, "a model provider does not answer");
        let mut failed = Attempt::failed(id, self.model, took, kind, fault.reason.clone());
        failed.cost = match &fault.billed {
            Billed::Nothing => MicroUsd::ZERO,
            Billed::Used(usage) => self.price.cost(usage),
            Billed::Unknown => most,
        };
        failed.uncertain = fault.billed == Billed::Unknown && most != MicroUsd::ZERO;
        round.attempts.push(failed);
        Err(fault)
    }
}

/// A pause that others do not take at the same time.
fn jittered() -> Duration {
    PAUSE.mul_f64(0.5 + fastrand::f64())
}

/// Nothing of a call that was answered at once: the answer says who did, and what it cost.
fn worth_telling(attempts: Vec<Attempt>) -> Vec<Attempt> {
    match attempts.as_slice() {
        [only] if !only.uncertain => Vec::new(),
        _ => attempts,
    }
}

fn cost(attempts: &[Attempt]) -> MicroUsd {
    let costs = attempts.iter().map(|attempt| attempt.cost);
    costs.fold(MicroUsd::ZERO, MicroUsd::plus)
}

fn reasons(attempts: &[Attempt], class: ModelClass) -> String {
    if attempts.is_empty() {
        return format!(
            "no provider is configured for the model class `{}`",
            class.as_str()
        );
    }
    let said = attempts.iter().filter_map(|attempt| {
        let reason = attempt.reason.as_ref()?;
        Some(format!("{}: {reason}", attempt.provider))
    });
    said.collect::<Vec<_>>().join("; ")
}

/// A vector of length 1; one of length 0 stays.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let sum: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = sum.sqrt();
    if length > 0.0 && length.is_finite() {
        for x in &mut vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
    vector
}

#[cfg(test)]
mod tests;
