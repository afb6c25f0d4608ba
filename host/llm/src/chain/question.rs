//! What can be asked of a provider, and what its answer is made of.

use crate::fault::Fault;
use crate::measure;
use crate::provider::Heard;
use crate::redact::{Redacted, Redactor};
use crate::span::Known;
use crate::structured;
use crate::wire::{Answer, Vectors};
use crate::{ModelClass, Price, Provider, Request};
use mandate_types::MicroUsd;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

/// In English text; others have fewer.
const BYTES_OF_A_TOKEN: u64 = 4;

/// A question to a provider.
pub trait Question: Sync {
    /// What comes of it.
    type Answer: Send;
    /// What is asked in its place of those who shall not see everything.
    type Hidden: Send + Sync;

    /// For which kind of model.
    fn class(&self) -> ModelClass;

    /// The question without secrets and personal data; none if it has none.
    fn hide(&self, redactor: &Redactor) -> Option<Self::Hidden>;

    /// The most that one attempt can cost.
    fn worst(&self, hidden: Option<&Self::Hidden>, price: &Price) -> MicroUsd;

    /// Whether there is something in it that only `model` of `provider` hears, and that can be
    /// left out.
    fn has_thoughts_of(&self, _provider: &str, _model: &str) -> bool {
        false
    }

    /// Makes one attempt; `bare` without what [`Question::has_thoughts_of`] tells.
    fn ask(
        &self,
        hidden: Option<&Self::Hidden>,
        provider: &dyn Provider,
        bare: bool,
    ) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;

    /// About how many tokens are read and written for it; as [`crate::gate::Limits`] says.
    fn about(&self) -> u64;

    /// What is asked, if it is not about vectors.
    fn request(&self) -> Option<&Request>;

    /// What is known of an answer.
    fn known(answer: &Self::Answer) -> Known<'_>;

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
    type Hidden = (Self, Redacted);

    fn class(&self) -> ModelClass {
        self.class
    }

    fn hide(&self, redactor: &Redactor) -> Option<Self::Hidden> {
        redactor
            .request(self)
            .inspect(|(_, hidden)| measure::redacted(hidden.counts()))
    }

    fn worst(&self, hidden: Option<&Self::Hidden>, price: &Price) -> MicroUsd {
        price.worst_case(hidden.map_or(self, |(request, _)| request))
    }

    fn has_thoughts_of(&self, provider: &str, model: &str) -> bool {
        let mut messages = self.messages.iter();
        messages.any(|message| message.thoughts_of(provider, model).is_some())
    }

    async fn ask(
        &self,
        hidden: Option<&Self::Hidden>,
        provider: &dyn Provider,
        bare: bool,
    ) -> Result<Answer, Fault> {
        let asked = asked(hidden.map_or(self, |(request, _)| request), bare);
        let mut answer = provider.complete(&asked).await?;
        if let Some((_, redacted)) = hidden {
            redacted.restore(&mut answer.message);
        }
        Ok(answer)
    }

    fn about(&self) -> u64 {
        self.input_bytes() / BYTES_OF_A_TOKEN + u64::from(self.max_output_tokens)
    }

    fn request(&self) -> Option<&Request> {
        Some(self)
    }

    fn known(answer: &Answer) -> Known<'_> {
        known(answer)
    }

    fn conform(&self, answer: &mut Answer) -> Result<(), (Self, String)> {
        structured::conform(answer, self)
            .map_err(|wrong| (structured::again(self, answer, &wrong), wrong))
    }
}

/// What is asked; `bare` without anybody's thoughts.
fn asked(request: &Request, bare: bool) -> Cow<'_, Request> {
    match bare {
        true => Cow::Owned(request.without_thoughts()),
        false => Cow::Borrowed(request),
    }
}

fn known(answer: &Answer) -> Known<'_> {
    Known {
        usage: answer.usage,
        finish: Some(answer.finish),
        id: answer.extra.get("id").and_then(Value::as_str),
    }
}

/// Texts whose vectors are wanted.
pub struct Texts<'a>(pub &'a [String]);

impl Question for Texts<'_> {
    type Answer = Vectors;
    type Hidden = Vec<String>;

    fn class(&self) -> ModelClass {
        ModelClass::Embed
    }

    fn hide(&self, redactor: &Redactor) -> Option<Self::Hidden> {
        let (texts, hidden) = redactor.texts(self.0)?;
        measure::redacted(hidden.counts());
        Some(texts)
    }

    fn worst(&self, hidden: Option<&Self::Hidden>, price: &Price) -> MicroUsd {
        price.worst_case_embed(hidden.map_or(self.0, Vec::as_slice))
    }

    async fn ask(
        &self,
        hidden: Option<&Self::Hidden>,
        provider: &dyn Provider,
        _bare: bool,
    ) -> Result<Vectors, Fault> {
        provider.embed(hidden.map_or(self.0, Vec::as_slice)).await
    }

    fn about(&self) -> u64 {
        let bytes: usize = self.0.iter().map(String::len).sum();
        bytes as u64 / BYTES_OF_A_TOKEN
    }

    fn request(&self) -> Option<&Request> {
        None
    }

    fn known(answer: &Vectors) -> Known<'_> {
        Known {
            usage: answer.usage,
            ..Known::default()
        }
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

impl Streamed<'_> {
    fn hear(&self, piece: &str) {
        if !piece.is_empty() {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.1 = true;
            (heard.0)(piece);
        }
    }
}

impl Question for Streamed<'_> {
    type Answer = Answer;
    type Hidden = (Request, Redacted);

    fn class(&self) -> ModelClass {
        self.request.class
    }

    fn hide(&self, redactor: &Redactor) -> Option<Self::Hidden> {
        self.request.hide(redactor)
    }

    fn worst(&self, hidden: Option<&Self::Hidden>, price: &Price) -> MicroUsd {
        self.request.worst(hidden, price)
    }

    fn has_thoughts_of(&self, provider: &str, model: &str) -> bool {
        self.request.has_thoughts_of(provider, model)
    }

    async fn ask(
        &self,
        hidden: Option<&Self::Hidden>,
        provider: &dyn Provider,
        bare: bool,
    ) -> Result<Answer, Fault> {
        let Some((request, redacted)) = hidden else {
            let mut hear = |piece: &str| self.hear(piece);
            return provider.stream(&asked(self.request, bare), &mut hear).await;
        };
        let mut restorer = redacted.restorer();
        let mut hear = |piece: &str| self.hear(&restorer.push(piece));
        let mut answer = provider.stream(&asked(request, bare), &mut hear).await?;
        self.hear(&restorer.finish());
        redacted.restore(&mut answer.message);
        Ok(answer)
    }

    fn about(&self) -> u64 {
        self.request.about()
    }

    fn request(&self) -> Option<&Request> {
        Some(self.request)
    }

    fn known(answer: &Answer) -> Known<'_> {
        known(answer)
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
