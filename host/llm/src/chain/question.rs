//! What can be asked of a provider, and what its answer is made of.

use crate::fault::Fault;
use crate::provider::Heard;
use crate::structured;
use crate::wire::{Answer, Vectors};
use crate::{ModelClass, Price, Provider, Request, Usage};
use mandate_types::MicroUsd;
use std::sync::{Mutex, PoisonError};

/// A question to a provider.
pub trait Question: Sync {
    /// What comes of it.
    type Answer: Send;

    /// For which kind of model.
    fn class(&self) -> ModelClass;

    /// The most that one attempt can cost.
    fn worst(&self, price: &Price) -> MicroUsd;

    /// Makes one attempt.
    fn ask(
        &self,
        provider: &dyn Provider,
    ) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;

    /// Tokens, if the provider says.
    fn usage(answer: &Self::Answer) -> Option<Usage>;

    /// Whether somebody heard a part of an answer already: then nobody else may answer.
    fn is_heard(&self) -> bool {
        false
    }

    /// Whether two may answer at the same time, and one of them in vain.
    fn may_be_asked_twice(&self) -> bool {
        true
    }

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
pub struct Texts<'a>(pub &'a [String]);

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

/// A request whose answer is heard as it comes. Nobody may repair what was heard: what must have
/// a form is heard as a whole, through [`Request`].
pub struct Streamed<'a> {
    request: &'a Request,
    heard: Mutex<(Heard<'a>, bool)>,
}

impl<'a> Streamed<'a> {
    /// `heard` gets the text of the answer to `request`.
    pub fn new(request: &'a Request, heard: Heard<'a>) -> Self {
        Self {
            request,
            heard: Mutex::new((heard, false)),
        }
    }
}

impl Question for Streamed<'_> {
    type Answer = Answer;

    fn class(&self) -> ModelClass {
        self.request.class
    }

    fn worst(&self, price: &Price) -> MicroUsd {
        price.worst_case(self.request)
    }

    async fn ask(&self, provider: &dyn Provider) -> Result<Answer, Fault> {
        let mut hear = |piece: &str| {
            if !piece.is_empty() {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.1 = true;
                (heard.0)(piece);
            }
        };
        provider.stream(self.request, &mut hear).await
    }

    fn usage(answer: &Answer) -> Option<Usage> {
        answer.usage
    }

    fn may_be_asked_twice(&self) -> bool {
        false
    }

    fn is_heard(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn conform(&self, _: &mut Answer) -> Result<(), (Self, String)> {
        Ok(())
    }
}
