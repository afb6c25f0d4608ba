//! Who is asked, in which order, how often, and what it costs.

use super::*;
use crate::fault::{Billed, Fault, Kind};
use crate::wire::{Answer, Vectors};
use crate::{Finish, Message, Meter, Role, Unpaid};
use mandate_types::MicroUsd;
use serde_json::{Map, json};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Answers as it is told to, in order, and with "yes" after that.
struct Scripted {
    id: &'static str,
    price: Option<Price>,
    script: Mutex<VecDeque<Result<&'static str, Fault>>>,
    asked: Mutex<Vec<Request>>,
}

impl Scripted {
    fn new(id: &'static str, script: Vec<Result<&'static str, Fault>>) -> Arc<Self> {
        Arc::new(Self {
            id,
            price: Some(price()),
            script: Mutex::new(script.into()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// A dollar for a million tokens, two for those written: a micro-dollar and two.
fn price() -> Price {
    Price {
        rates: crate::price::Rates {
            input: 1_000_000,
            cached: 1_000_000,
            cache_write: 1_000_000,
            output: 2_000_000,
        },
        long: None,
    }
}

#[async_trait::async_trait]
impl Provider for Scripted {
    fn id(&self) -> &str {
        self.id
    }
    fn model(&self, class: ModelClass) -> Option<&str> {
        (class != ModelClass::Embed).then_some("m")
    }
    fn price(&self, _: ModelClass) -> Option<Price> {
        self.price
    }
    fn hears_thoughts(&self, _: ModelClass) -> bool {
        self.id != "deaf"
    }
    fn is_held_to_schema(&self, request: &Request) -> bool {
        self.id != "deaf" && request.output_schema.is_some()
    }
    async fn complete(&self, request: &Request) -> Result<Answer, Fault> {
        self.asked.lock().unwrap().push(request.clone());
        let next = self.script.lock().unwrap().pop_front().unwrap_or(Ok("yes"));
        next.map(|text| Answer {
            message: Message::text(Role::Assistant, text),
            finish: Finish::Stop,
            usage: Some(Usage {
                input_tokens: 5,
                output_tokens: 3,
                ..Usage::default()
            }),
            extra: Map::new(),
            stood_for: None,
        })
    }
    async fn embed(&self, _: &[String]) -> Result<Vectors, Fault> {
        Err(Fault::new(Kind::Model, "none"))
    }
}

fn chain_of(providers: &[&Arc<Scripted>], settings: Settings) -> Paid {
    let providers = providers.iter().map(|p| Arc::clone(p) as Arc<dyn Provider>);
    paid(Chain::new(providers.collect(), settings))
}

fn chain(providers: &[&Arc<Scripted>]) -> Paid {
    chain_of(providers, Settings::default())
}

fn busy() -> Fault {
    Fault::new(Kind::Busy, "busy")
}

fn request() -> Request {
    Request::new(
        ModelClass::Fast,
        vec![Message::text(Role::User, "hello")],
        10,
    )
}

/// What was opened, and what it was closed with.
type Entry = (Planned, Option<(MicroUsd, bool)>);

/// What that costs at most: five bytes and what is around them, ten tokens of output.
const WORST: i64 = 5 + 2 * 16 + 2 * 10;

/// Keeps a book of what was opened and closed, and pays no more than it has.
pub(crate) struct Purse {
    holds: MicroUsd,
    book: Mutex<Vec<Entry>>,
}

impl Purse {
    pub(crate) fn with(holds: i64) -> Self {
        Self {
            holds: MicroUsd(holds),
            book: Mutex::default(),
        }
    }

    /// What was closed, in the order of opening: by whom, for how much, and whether that is sure.
    fn closed(&self) -> Vec<(String, i64, bool)> {
        let book = self.book.lock().unwrap();
        let all = book.iter().map(|(planned, end)| {
            let (cost, uncertain) = end.expect("every attempt ends");
            (planned.provider.clone(), cost.0, uncertain)
        });
        all.collect()
    }

    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller {
            tenant: "acme",
            plugin: "asks",
            execution: "one",
            meter: self,
        }
    }
}

#[async_trait::async_trait]
impl Meter for Purse {
    async fn open(&self, planned: Planned) -> Result<u32, Unpaid> {
        let mut book = self.book.lock().unwrap();
        let spent = book.iter().fold(MicroUsd::ZERO, |sum, (planned, end)| {
            sum.plus(end.map_or(planned.most, |(cost, _)| cost))
        });
        if spent.plus(planned.most) > self.holds {
            return Err(Unpaid::NoRoom("the purse is empty".to_owned()));
        }
        book.push((planned, None));
        Ok(book.len() as u32)
    }

    fn close(&self, number: u32, cost: MicroUsd, uncertain: bool) {
        let mut book = self.book.lock().unwrap();
        let end = &mut book[number as usize - 1].1;
        assert_eq!(*end, None, "it ended twice");
        *end = Some((cost, uncertain));
    }
}

/// An execution of its own: nobody has its prompts.
fn another(purse: &Purse) -> Caller<'_> {
    Caller {
        execution: "another",
        ..purse.caller()
    }
}

/// A chain whose calls are paid without end.
struct Paid(Chain, Purse);

impl Paid {
    async fn complete(&self, request: &Request) -> Result<Response, LlmError> {
        self.0.complete(request, &self.1.caller()).await
    }
}

fn paid(chain: Chain) -> Paid {
    Paid(chain, Purse::with(i64::MAX))
}

fn outcomes(attempts: &[Attempt]) -> Vec<(&str, &str)> {
    attempts
        .iter()
        .map(|a| (a.provider.as_str(), a.outcome.as_str()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_is_asked_twice_and_then_the_next() {
    let a = Scripted::new("a", vec![Err(busy()), Err(busy())]);
    let b = Scripted::new("b", vec![]);
    let answer = chain(&[&a, &b]).complete(&request()).await.unwrap();
    assert_eq!(
        (answer.provider.as_str(), answer.model.as_str()),
        ("b", "m")
    );
    assert_eq!(
        outcomes(&answer.attempts),
        [("a", "busy"), ("a", "busy"), ("b", "answered")]
    );
    assert_eq!(answer.cost, MicroUsd(5 + 6), "who refuses is not paid");
}

#[tokio::test]
async fn the_callers_mistake_goes_no_further() {
    let wrong = Fault::new(Kind::Request, "no");
    let a = Scripted::new("a", vec![Err(wrong)]);
    let b = Scripted::new("b", vec![]);
    let chain = chain(&[&a, &b]);
    let error = chain.complete(&request()).await.unwrap_err();
    assert_eq!(error, LlmError::invalid("a: no"));
    assert_eq!(b.asked(), 0);
    let none = Request {
        messages: vec![],
        ..request()
    };
    assert!(chain.complete(&none).await.is_err());
    assert_eq!(a.asked(), 1, "what is no request reached a provider");
}

#[tokio::test]
async fn each_attempt_is_reserved_and_settled_by_itself() {
    let cut = Fault::arrived(Kind::Interrupted, "cut");
    let garbled = Fault {
        billed: Billed::Used(Usage {
            input_tokens: 2,
            ..Usage::default()
        }),
        ..Fault::new(Kind::Garbled, "garbled")
    };
    let a = Scripted::new("a", vec![Err(cut)]);
    let b = Scripted::new("b", vec![Err(garbled)]);
    let c = Scripted::new("c", vec![]);
    let chain = chain(&[&a, &b, &c]);
    let answer = chain.complete(&request()).await.unwrap();
    assert_eq!(answer.cost, MicroUsd(WORST + 2 + (5 + 6)));
    let book = [("a", WORST, true), ("b", 2, false), ("c", 11, false)];
    let book = book.map(|(who, cost, uncertain)| (who.to_owned(), cost, uncertain));
    assert_eq!(chain.1.closed(), book);
    let first = chain.0.first_cost(&request(), &another(&chain.1));
    assert_eq!(
        (first.provider.as_str(), first.most),
        ("a", MicroUsd(WORST))
    );
}

#[tokio::test]
async fn the_callers_mistake_ends_the_call_also_after_what_was_billed() {
    let cut = Fault::arrived(Kind::Interrupted, "cut");
    let a = Scripted::new("a", vec![Err(cut)]);
    let b = Scripted::new("b", vec![Err(Fault::new(Kind::Request, "no"))]);
    let c = Scripted::new("c", vec![]);
    let error = chain(&[&a, &b, &c]).complete(&request()).await.unwrap_err();
    let reason = "b: no".to_owned();
    let cost = MicroUsd(WORST);
    assert_eq!(error, LlmError::Invalid { reason, cost });
    assert_eq!(c.asked(), 0);
}

#[tokio::test]
async fn nobody_is_asked_whom_the_money_would_not_pay() {
    let cut = || Err(Fault::arrived(Kind::Interrupted, "cut"));
    let a = Scripted::new("a", vec![cut()]);
    let b = Scripted::new("b", vec![cut()]);
    let c = Scripted::new("c", vec![]);
    let chain = Paid(chain(&[&a, &b, &c]).0, Purse::with(2 * WORST));
    let LlmError::Unavailable { cost, reason, .. } = chain.complete(&request()).await.unwrap_err()
    else {
        panic!("it was answered");
    };
    assert_eq!((cost, c.asked()), (MicroUsd(2 * WORST), 0));
    assert!(reason.contains("c: the purse is empty"), "{reason}");
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again_and_a_spent_one_not_soon() {
    let key = Fault::new(Kind::Key, "status 401");
    let spent = Fault::new(Kind::Spent, "status 402");
    let a = Scripted::new("a", vec![Err(key)]);
    let b = Scripted::new("b", vec![Err(spent)]);
    let c = Scripted::new("c", vec![]);
    let chain = chain(&[&a, &b, &c]);
    for _ in 0..3 {
        assert_eq!(chain.complete(&request()).await.unwrap().provider, "c");
    }
    assert_eq!((a.asked(), b.asked(), c.asked()), (1, 1, 3));
    let answer = chain.0.complete(&request(), &another(&chain.1)).await;
    let answer = answer.unwrap();
    assert_eq!(
        outcomes(&answer.attempts),
        [
            ("a", "passed_over"),
            ("b", "passed_over"),
            ("c", "answered")
        ]
    );
    // A test of it asks all the same, and whoever answers is back.
    let only = chain.0.only("a").unwrap();
    assert!(only.complete(&request(), &chain.1.caller()).await.is_ok());
    let third = Caller {
        execution: "third",
        ..chain.1.caller()
    };
    let answer = chain.0.complete(&request(), &third).await;
    assert_eq!(answer.unwrap().provider, "a");
}

#[tokio::test]
async fn whose_price_nobody_knows_is_not_asked() {
    let a = Arc::new(Scripted {
        price: None,
        ..Arc::into_inner(Scripted::new("a", vec![])).unwrap()
    });
    let b = Scripted::new("b", vec![]);
    let answer = chain(&[&a, &b]).complete(&request()).await.unwrap();
    assert_eq!((answer.provider.as_str(), a.asked()), ("b", 0));
    let why = answer.attempts[0].reason.as_ref().unwrap();
    assert!(why.contains("[models.providers.a]"), "{why}");
}

#[tokio::test]
async fn another_form_is_repaired_once() {
    let schema = Request {
        output_schema: Some(json!({"type": "object", "required": ["n"]})),
        ..request()
    };
    let a = Scripted::new("a", vec![Ok("sure!"), Ok("{\"n\": 1}")]);
    let answer = chain(&[&a]).complete(&schema).await.unwrap();
    assert_eq!(answer.message.text, "{\"n\": 1}");
    assert_eq!(
        outcomes(&answer.attempts),
        [("a", "unfit"), ("a", "answered")]
    );
    assert_eq!(answer.cost, MicroUsd(2 * (5 + 6)), "both are paid");
    let again = a.asked.lock().unwrap()[1].messages.clone();
    let roles: Vec<Role> = again.iter().map(|message| message.role).collect();
    let said = [Role::System, Role::User, Role::Assistant, Role::User];
    assert_eq!(roles, said, "its schema, in words now, and what is wrong");
    let a = Scripted::new("a", vec![Ok("sure!"), Ok("really!")]);
    let b = Scripted::new("b", vec![Ok("{\"n\": 2}")]);
    let answer = chain(&[&a, &b]).complete(&schema).await.unwrap();
    assert_eq!(answer.provider, "b");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_was_a_try() {
    let schema = Request {
        output_schema: Some(json!({"type": "object"})),
        ..request()
    };
    let a = Scripted::new("a", vec![Ok("sure!"), Err(busy()), Ok("{}")]);
    let b = Scripted::new("b", vec![Ok("{}")]);
    let answer = chain(&[&a, &b]).complete(&schema).await.unwrap();
    assert_eq!((answer.provider.as_str(), a.asked()), ("b", 2));
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_is_given_a_moment() {
    let begun = tokio::time::Instant::now();
    let a = Scripted::new("a", vec![Err(busy())]);
    assert!(chain(&[&a]).complete(&request()).await.is_ok());
    let pause = begun.elapsed();
    let about = Duration::from_millis(125)..Duration::from_millis(380);
    assert!(about.contains(&pause), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn when_none_answers_every_reason_and_the_soonest_retry_are_told() {
    let later = |seconds| Fault {
        retry_after: Some(Duration::from_secs(seconds)),
        ..busy()
    };
    let a = Scripted::new("a", vec![Err(later(9))]);
    let b = Scripted::new("b", vec![Err(later(3))]);
    let error = chain(&[&a, &b]).complete(&request()).await.unwrap_err();
    assert_eq!(
        error,
        LlmError::Unavailable {
            reason: "a: busy; b: busy".to_owned(),
            retry_after: Some(Duration::from_secs(3)),
            cost: MicroUsd::ZERO,
        }
    );
    let purse = Purse::with(0);
    let none = Chain::default()
        .embed(&["a".into()], &purse.caller())
        .await
        .unwrap_err();
    assert!(none.to_string().contains("`embed`"), "{none}");
}

#[tokio::test]
async fn the_simulated_model_is_free_and_says_what_it_is() {
    let chain = Paid(Chain::simulated(Price::FREE), Purse::with(0));
    let answer = chain.complete(&request()).await.unwrap();
    assert!(answer.simulated && answer.cost == MicroUsd::ZERO);
    let caller = chain.1.caller();
    assert_eq!(chain.0.first_cost(&request(), &caller).most, MicroUsd::ZERO);
    let vectors = chain.0.embed(&["a".into()], &caller).await.unwrap();
    assert_eq!(vectors.vectors.len(), 1);
    assert!(chain.0.embed(&[], &caller).await.is_err());
}

#[tokio::test]
async fn who_counts_more_than_can_have_been_used_is_not_believed() {
    struct Liar;
    #[async_trait::async_trait]
    impl Provider for Liar {
        fn id(&self) -> &str {
            "liar"
        }
        fn model(&self, _: ModelClass) -> Option<&str> {
            Some("m")
        }
        fn price(&self, _: ModelClass) -> Option<Price> {
            Some(price())
        }
        async fn complete(&self, _: &Request) -> Result<Answer, Fault> {
            Ok(Answer {
                message: Message::text(Role::Assistant, "yes"),
                finish: Finish::Stop,
                usage: Some(Usage {
                    input_tokens: u64::MAX,
                    output_tokens: u64::MAX,
                    ..Usage::default()
                }),
                extra: Map::new(),
                stood_for: None,
            })
        }
        async fn embed(&self, _: &[String]) -> Result<Vectors, Fault> {
            Err(Fault::new(Kind::Model, "none"))
        }
    }
    let chain = paid(Chain::new(vec![Arc::new(Liar)], Settings::default()));
    let answer = chain.complete(&request()).await.unwrap();
    assert_eq!(answer.cost, MicroUsd(WORST));
    assert_eq!(chain.1.closed(), [("liar".to_owned(), WORST, true)]);
}

mod choice;
mod kept;
mod schemas;
mod thoughts;
mod vectors;
