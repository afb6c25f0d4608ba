//! What can be asked of a provider, what of it that provider is shown, and what its answer is made of.

use crate::fault::Fault;
use crate::measure;
use crate::provider::Heard;
use crate::redact::{Redacted, Redactor};
use crate::span::Known;
use crate::structured;
use crate::wire::{Answer, Vectors};
use crate::{ModelClass, Price, Provider, Request, Thoughts};
use mandate_types::MicroUsd;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// In English text; others have fewer.
const BYTES_OF_A_TOKEN: u64 = 4;
/// Longer names of answers are no names.
const LONGEST_ID: usize = 200;

/// Who is shown a question, and how.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// Who.
    pub provider: &'a dyn Provider,
    /// Whether secrets and personal data are taken out for him.
    pub redacts: bool,
    /// Takes them out; none where it is only asked what it would cost.
    pub redactor: Option<&'a Redactor>,
    /// What he refused.
    pub without: Without,
}

/// What somebody is asked without, because he refused the request with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// A schema that he is held to: it is said in words.
    pub schema: bool,
    /// What he thought.
    pub thoughts: bool,
}

impl Without {
    /// Leaves out one more of what is `spare`, and says which; none if all of it is out already.
    pub fn leave(&mut self, spare: Self) -> Self {
        let schema = spare.schema && !self.schema;
        let one = Self {
            schema,
            thoughts: spare.thoughts && !self.thoughts && !schema,
        };
        self.schema |= one.schema;
        self.thoughts |= one.thoughts;
        one
    }
}

/// A question to a provider.
pub trait Question: Sync {
    /// What comes of it.
    type Answer: Send;
    /// What somebody is shown in its place.
    type Shown: Send + Sync;

    /// For which kind of model.
    fn class(&self) -> ModelClass;

    /// What `viewer` is shown.
    fn shown(&self, viewer: Viewer<'_>) -> Self::Shown;

    /// The most that one attempt can cost.
    fn worst(&self, shown: &Self::Shown, price: &Price) -> MicroUsd;

    /// The most that one attempt can cost with anybody, about.
    fn roughly(&self, price: &Price) -> MicroUsd;

    /// About how many tokens are read and written for it; as [`crate::gate::Limits`] says.
    fn about(&self, shown: &Self::Shown) -> u64;

    /// What is asked, if it is not about vectors.
    fn request<'a>(&'a self, shown: &'a Self::Shown) -> Option<&'a Request>;

    /// The schema of its answer, if it has one.
    fn schema(&self) -> Option<&Value> {
        None
    }

    /// What `viewer` is shown that can be left out.
    fn spare(&self, _shown: &Self::Shown, _viewer: Viewer<'_>) -> Without {
        Without::default()
    }

    /// Makes one attempt.
    fn ask(
        &self,
        shown: &Self::Shown,
        viewer: Viewer<'_>,
    ) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;

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

/// What is other in a request as somebody sees it.
pub struct Seen {
    request: Option<Request>,
    redacted: Option<Redacted>,
}

impl Seen {
    /// All of it.
    fn of<'a>(&'a self, asked: &'a Request) -> &'a Request {
        self.request.as_ref().unwrap_or(asked)
    }

    /// Brings an answer back into the words of who asked.
    fn restore(&self, answer: &mut Answer, viewer: Viewer<'_>) {
        let redacted = self.redacted.as_ref();
        if let Some(redacted) = redacted {
            redacted.restore(&mut answer.message);
        }
        if viewer.redacts && Thoughts::are_in(&answer.extra) {
            let stood_for = redacted.map(|redacted| redacted.within(&answer.extra));
            answer.stood_for = Some(stood_for.unwrap_or_default());
        }
    }
}

impl Question for Request {
    type Answer = Answer;
    type Shown = Seen;

    fn class(&self) -> ModelClass {
        self.class
    }

    fn shown(&self, viewer: Viewer<'_>) -> Seen {
        let (mut request, redacted) = match viewer.redactor.and_then(|it| it.request(self)) {
            Some((request, redacted)) => {
                measure::redacted(redacted.counts());
                (Some(request), Some(redacted))
            }
            None => (None, None),
        };
        let provider = viewer.provider;
        let hears = !viewer.without.thoughts && provider.hears_thoughts(self.class);
        let model = provider.model(self.class).unwrap_or_default();
        let is_kept = |message: &crate::Message| match &message.thoughts {
            None => true,
            Some(thoughts) => {
                let is_own = thoughts.provider == provider.id() && thoughts.model == model;
                // Where it is only asked what it costs, nobody looked.
                let looked = !viewer.redacts || viewer.redactor.is_some();
                hears && is_own && (!looked || thoughts.fit(viewer.redacts, redacted.as_ref()))
            }
        };
        if !self.messages.iter().all(is_kept) {
            for message in &mut request.get_or_insert_with(|| self.clone()).messages {
                if !is_kept(message) {
                    message.thoughts = None;
                }
            }
        }
        if viewer.without.schema && provider.is_held_to_schema(self) {
            structured::say(request.get_or_insert_with(|| self.clone()));
        }
        Seen { request, redacted }
    }

    fn worst(&self, shown: &Seen, price: &Price) -> MicroUsd {
        price.worst_case(shown.of(self))
    }

    fn roughly(&self, price: &Price) -> MicroUsd {
        price.worst_case(self)
    }

    fn about(&self, shown: &Seen) -> u64 {
        let request = shown.of(self);
        request.input_bytes() / BYTES_OF_A_TOKEN + u64::from(request.max_output_tokens)
    }

    fn request<'a>(&'a self, shown: &'a Seen) -> Option<&'a Request> {
        Some(shown.of(self))
    }

    fn schema(&self) -> Option<&Value> {
        self.output_schema.as_ref()
    }

    fn spare(&self, shown: &Seen, viewer: Viewer<'_>) -> Without {
        let request = shown.of(self);
        Without {
            schema: viewer.provider.is_held_to_schema(request),
            thoughts: request.has_thoughts(),
        }
    }

    async fn ask(&self, shown: &Seen, viewer: Viewer<'_>) -> Result<Answer, Fault> {
        let mut answer = viewer.provider.complete(shown.of(self)).await?;
        shown.restore(&mut answer, viewer);
        Ok(answer)
    }

    fn known(answer: &Answer) -> Known<'_> {
        known(answer)
    }

    fn conform(&self, answer: &mut Answer) -> Result<(), (Self, String)> {
        structured::conform(answer, self)
            .map_err(|wrong| (structured::again(self, answer, &wrong), wrong))
    }
}

fn known(answer: &Answer) -> Known<'_> {
    let id = answer.extra.get("id").and_then(Value::as_str);
    Known {
        usage: answer.usage,
        finish: Some(answer.finish),
        id: id.filter(|id| id.len() <= LONGEST_ID),
    }
}

/// Texts whose vectors are wanted.
pub struct Texts<'a>(pub &'a [String]);

impl<'a> Texts<'a> {
    fn of(&self, shown: &'a Option<Vec<String>>) -> &'a [String] {
        shown.as_deref().unwrap_or(self.0)
    }
}

impl Question for Texts<'_> {
    type Answer = Vectors;
    type Shown = Option<Vec<String>>;

    fn class(&self) -> ModelClass {
        ModelClass::Embed
    }

    fn shown(&self, viewer: Viewer<'_>) -> Option<Vec<String>> {
        let (texts, hidden) = viewer.redactor?.texts(self.0)?;
        measure::redacted(hidden.counts());
        Some(texts)
    }

    fn worst(&self, shown: &Option<Vec<String>>, price: &Price) -> MicroUsd {
        price.worst_case_embed(self.of(shown))
    }

    fn roughly(&self, price: &Price) -> MicroUsd {
        price.worst_case_embed(self.0)
    }

    fn about(&self, shown: &Option<Vec<String>>) -> u64 {
        let bytes: usize = self.of(shown).iter().map(String::len).sum();
        bytes as u64 / BYTES_OF_A_TOKEN
    }

    fn request<'a>(&'a self, _: &'a Option<Vec<String>>) -> Option<&'a Request> {
        None
    }

    async fn ask(&self, shown: &Option<Vec<String>>, viewer: Viewer<'_>) -> Result<Vectors, Fault> {
        viewer.provider.embed(self.of(shown)).await
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
    type Shown = Seen;

    fn class(&self) -> ModelClass {
        self.request.class
    }

    fn shown(&self, viewer: Viewer<'_>) -> Seen {
        self.request.shown(viewer)
    }

    fn worst(&self, shown: &Seen, price: &Price) -> MicroUsd {
        self.request.worst(shown, price)
    }

    fn roughly(&self, price: &Price) -> MicroUsd {
        self.request.roughly(price)
    }

    fn about(&self, shown: &Seen) -> u64 {
        self.request.about(shown)
    }

    fn request<'a>(&'a self, shown: &'a Seen) -> Option<&'a Request> {
        self.request.request(shown)
    }

    fn schema(&self) -> Option<&Value> {
        self.request.schema()
    }

    fn spare(&self, shown: &Seen, viewer: Viewer<'_>) -> Without {
        self.request.spare(shown, viewer)
    }

    async fn ask(&self, shown: &Seen, viewer: Viewer<'_>) -> Result<Answer, Fault> {
        let mut restorer = shown.redacted.as_ref().map(Redacted::restorer);
        let mut hear = |piece: &str| match &mut restorer {
            Some(restorer) => self.hear(&restorer.push(piece)),
            None => self.hear(piece),
        };
        let asked = viewer
            .provider
            .stream(shown.of(self.request), &mut hear)
            .await;
        let mut answer = asked?;
        if let Some(restorer) = restorer {
            self.hear(&restorer.finish());
        }
        shown.restore(&mut answer, viewer);
        Ok(answer)
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
