//! A call's way through the providers: one after the other, and two at a time where that is wanted.

use super::attempt::{Asked, Round, total};
use super::question::Question;
use super::{Chain, Told};
use crate::seat::Seat;
use crate::trace::Attempt;
use crate::{Caller, LlmError, ModelClass, Usage, span};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

impl Chain {
    /// The first answer.
    pub(super) async fn first<Q: Question>(
        &self,
        question: &Q,
        caller: &Caller<'_>,
    ) -> Result<Told<Q::Answer>, LlmError> {
        let asked = async {
            let told = self.one_by_one(question, caller).await;
            told.inspect_err(|_| span::unanswered())
        };
        let span = span::call(question.class(), caller);
        asked.instrument(span).await
    }

    async fn one_by_one<Q: Question>(
        &self,
        question: &Q,
        caller: &Caller<'_>,
    ) -> Result<Told<Q::Answer>, LlmError> {
        let class = question.class();
        let round = Round::default();
        let order = self.order(question, caller);
        let mut asked: Vec<(&Arc<Seat>, Asked<'_>)> = Vec::with_capacity(order.len());
        for seat in &order {
            let id = seat.provider.id();
            let model = seat.provider.model(class).unwrap_or_default();
            let Some((price, is_guess)) = self.price(seat, class) else {
                let why = format!(
                    "nobody knows what it costs; an operator can say it in [models.providers.{id}]"
                );
                round.push(Attempt::passed_over(id, model, why));
                continue;
            };
            let one = Asked {
                seat,
                model,
                price,
                is_guess,
                insists: self.insists,
                redactor: self
                    .redactor
                    .as_deref()
                    .filter(|_| !seat.provider.is_local()),
                caller,
                sticky: &self.sticky,
                round: &round,
            };
            asked.push((seat, one));
        }
        let route = self.settings.routes.get(&class);
        let hedges = route.is_some_and(|route| route.hedge) && question.may_be_asked_twice();
        let mut turns = asked.iter();
        while let Some((seat, turn)) = turns.next() {
            // The simulated model is the last, and nobody's company.
            let next = turns.clone().next();
            let next = next.filter(|(next, _)| hedges && !next.provider.is_simulated());
            let company = next.zip(seat.latency(95));
            let (winner, answered) = match company {
                None => (*seat, turn.ask(question).await?),
                Some(((second, other), after)) => {
                    let (is_second, answered) = together(question, turn, other, after).await?;
                    if is_second.is_some() {
                        turns.next();
                    }
                    (
                        if is_second == Some(true) {
                            second
                        } else {
                            *seat
                        },
                        answered,
                    )
                }
            };
            if let Some((answer, usage)) = answered {
                self.sticky.answered(caller.execution, class, winner);
                return Ok(Told {
                    seat: winner.clone(),
                    answer,
                    usage,
                    attempts: round.take().0,
                });
            }
        }
        let (attempts, retry_after) = round.take();
        Err(LlmError::Unavailable {
            reason: reasons(&attempts, class),
            retry_after,
            cost: total(&attempts),
        })
    }
}

type Heeded<T> = Option<(T, Usage)>;

/// Asks `first`, and `second` too when that takes longer than `after`. The first answer counts;
/// who is not needed any more is cancelled. Says whether `second` was asked, and whether it won.
async fn together<Q: Question>(
    question: &Q,
    first: &Asked<'_>,
    second: &Asked<'_>,
    after: Duration,
) -> Result<(Option<bool>, Heeded<Q::Answer>), LlmError> {
    let mut asked = pin!(first.ask(question));
    let patience = pin!(tokio::time::sleep(after));
    if let Either::Left((answered, _)) = select(&mut asked, patience).await {
        return Ok((None, answered?));
    }
    let company = pin!(second.ask(question));
    // A mistake that one finds is no reason to lose the other's answer.
    match select(asked, company).await {
        Either::Left((Ok(None) | Err(_), company)) => Ok((Some(true), company.await?)),
        Either::Right((Ok(None) | Err(_), asked)) => Ok((Some(false), asked.await?)),
        Either::Left((answered, _)) => Ok((Some(false), answered?)),
        Either::Right((answered, _)) => Ok((Some(true), answered?)),
    }
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
