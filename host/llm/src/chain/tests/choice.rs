//! How providers are chosen, who gets company, and what they are told.

use super::*;

fn route(route: Route) -> Settings {
    Settings {
        routes: BTreeMap::from([(ModelClass::Fast, route)]),
        ..Settings::default()
    }
}

fn dear(id: &'static str) -> Arc<Scripted> {
    let mut price = price();
    price.rates.output *= 10;
    Arc::new(Scripted {
        price: Some(price),
        ..Arc::into_inner(Scripted::new(id, vec![])).unwrap()
    })
}

async fn answers(chain: &Paid) -> String {
    chain.complete(&request()).await.unwrap().provider
}

#[tokio::test]
async fn the_cheapest_goes_first_and_an_order_leaves_others_out() {
    let (a, b, c) = (
        dear("a"),
        Scripted::new("b", vec![]),
        Scripted::new("c", vec![]),
    );
    let cheapest = route(Route {
        strategy: Strategy::Cheapest,
        ..Route::default()
    });
    assert_eq!(answers(&chain_of(&[&a, &b], cheapest)).await, "b");
    let only = route(Route {
        order: vec!["c".into(), "a".into()],
        ..Route::default()
    });
    assert_eq!(answers(&chain_of(&[&a, &b, &c], only)).await, "c");
}

#[tokio::test]
async fn lots_fall_by_weight_and_an_execution_stays_where_it_was() {
    let (a, b) = (Scripted::new("a", vec![]), Scripted::new("b", vec![]));
    let weights = BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 1)]);
    let chain = chain_of(
        &[&a, &b],
        route(Route {
            strategy: Strategy::Weighted,
            weights,
            ..Route::default()
        }),
    );
    let first = answers(&chain).await;
    for _ in 0..20 {
        assert_eq!(answers(&chain).await, first, "its prompts are cached there");
    }
    let mut of_a = 0;
    for number in 0..400 {
        let execution = number.to_string();
        let caller = Caller {
            execution: &execution,
            ..chain.1.caller()
        };
        let answer = chain.0.complete(&request(), &caller).await.unwrap();
        of_a += i32::from(answer.provider == "a");
    }
    // 300 are expected; twelve standard deviations away is no chance.
    assert!((200..=390).contains(&of_a), "{of_a}");
}

#[tokio::test]
async fn who_left_comes_back_only_when_his_provider_fails() {
    let a = Scripted::new("a", vec![Err(Fault::arrived(Kind::Interrupted, "cut"))]);
    let b = Scripted::new("b", vec![]);
    let chain = chain(&[&a, &b]);
    assert_eq!(answers(&chain).await, "b");
    assert_eq!(
        answers(&chain).await,
        "b",
        "its prompts are cached there now"
    );
    let answer = chain.0.complete(&request(), &another(&chain.1)).await;
    assert_eq!(answer.unwrap().provider, "a");
}

#[tokio::test]
async fn no_simulated_answer_where_that_is_forbidden() {
    let simulated = || Arc::new(Simulated::priced(Price::FREE)) as Arc<dyn Provider>;
    let of_class = route(Route {
        simulated: false,
        ..Route::default()
    });
    let of_plugin = Settings {
        never_simulated: BTreeSet::from(["asks".to_owned()]),
        ..Settings::default()
    };
    for settings in [of_class, of_plugin] {
        let chain = paid(Chain::new(vec![simulated()], settings));
        let error = chain.complete(&request()).await.unwrap_err();
        assert!(matches!(error, LlmError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_price_counts_as_the_operator_says_and_is_never_sure() {
    let a = Arc::new(Scripted {
        price: None,
        ..Arc::into_inner(Scripted::new("a", vec![])).unwrap()
    });
    let allowed = Settings {
        unknown: Some(price()),
        ..Settings::default()
    };
    let chain = chain_of(&[&a], allowed);
    let answer = chain.complete(&request()).await.unwrap();
    assert_eq!(answer.cost, MicroUsd(11));
    assert!(answer.is_uncertain());
    assert_eq!(chain.1.closed(), [("a".to_owned(), 11, true)]);
}

/// Answers after a while, and counts who waits.
pub(super) struct Slow {
    id: &'static str,
    takes: Duration,
    /// So many of the first fail.
    fails: usize,
    pub(super) asked: AtomicUsize,
}

impl Slow {
    pub(super) fn new(id: &'static str, takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            id,
            takes,
            fails: 0,
            asked: AtomicUsize::new(0),
        })
    }

    /// The first two fail, and take as long.
    pub(super) fn failing(id: &'static str, takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            fails: 2,
            ..Arc::into_inner(Self::new(id, takes)).unwrap()
        })
    }
}

#[async_trait::async_trait]
impl Provider for Slow {
    fn id(&self) -> &str {
        self.id
    }
    fn model(&self, _: ModelClass) -> Option<&str> {
        Some("m")
    }
    fn price(&self, _: ModelClass) -> Option<Price> {
        Some(price())
    }
    async fn complete(&self, _: &Request) -> Result<Answer, Fault> {
        // The first answers are quick: they say what is usual.
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked >= 3 || asked < self.fails {
            tokio::time::sleep(self.takes).await;
        }
        if asked < self.fails {
            return Err(Fault::arrived(Kind::Interrupted, "cut"));
        }
        Ok(Answer {
            message: Message::text(Role::Assistant, "yes"),
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

/// A chain in which who is late gets company; it is known how long the first usually takes.
async fn with_company(providers: Vec<Arc<Slow>>) -> Paid {
    let hedged = route(Route {
        hedge: true,
        ..Route::default()
    });
    let providers = providers.into_iter().map(|it| it as Arc<dyn Provider>);
    let chain = paid(Chain::new(providers.collect(), hedged));
    for _ in 0..3 {
        assert_eq!(answers(&chain).await, "slow");
    }
    chain
}

#[tokio::test(start_paused = true)]
async fn who_is_late_gets_company_and_both_are_paid() {
    let slow = Slow::new("slow", Duration::from_secs(60));
    let quick = Slow::new("quick", Duration::ZERO);
    let chain = with_company(vec![slow, quick]).await;
    let answer = chain.complete(&request()).await.unwrap();
    assert_eq!(answer.provider, "quick");
    let mut told = outcomes(&answer.attempts);
    told.sort_unstable();
    assert_eq!(told, [("quick", "answered"), ("slow", "cancelled")]);
    assert_eq!(
        answer.cost,
        MicroUsd(WORST + 11),
        "who is cancelled may have been paid"
    );
    let closed = chain.1.closed();
    assert_eq!(
        closed[3..],
        [("slow".into(), WORST, true), ("quick".into(), 11, false)]
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_heard_gets_no_company() {
    let slow = Slow::new("slow", Duration::from_secs(60));
    let quick = Slow::new("quick", Duration::ZERO);
    let chain = with_company(vec![slow, quick.clone()]).await;
    let caller = chain.1.caller();
    let mut hear = |_: &str| {};
    let answer = chain.0.stream(&request(), &caller, &mut hear).await;
    assert_eq!(answer.unwrap().provider, "slow");
    assert_eq!(quick.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_was_heard_is_nobody_elses_to_finish() {
    let a = Scripted::new("a", vec![Ok("yes")]);
    let b = Scripted::new("b", vec![]);
    let chain = chain(&[&a, &b]);
    let mut heard = String::new();
    let mut hear = |piece: &str| heard.push_str(piece);
    let caller = chain.1.caller();
    let answer = chain
        .0
        .stream(&request(), &caller, &mut hear)
        .await
        .unwrap();
    assert_eq!(
        (heard.as_str(), answer.message.text.as_str()),
        ("yes", "yes")
    );
}

#[tokio::test]
async fn secrets_leave_only_for_who_is_at_home_and_come_back_in_answers() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let a = Scripted::new("a", vec![Ok("send it to [EMAIL_1]")]);
    let settings = Settings {
        redaction: Some(redact::Settings::default()),
        ..Settings::default()
    };
    let chain = chain_of(&[&a], settings);
    let text = format!("mail ann@example.com the key {key}");
    let asked = Request::new(ModelClass::Fast, vec![Message::text(Role::User, text)], 10);
    let mut heard = String::new();
    let mut hear = |piece: &str| heard.push_str(piece);
    let caller = chain.1.caller();
    let answer = chain.0.stream(&asked, &caller, &mut hear).await.unwrap();
    assert_eq!(answer.message.text, "send it to ann@example.com");
    assert_eq!(heard, answer.message.text);
    let sent = a.asked.lock().unwrap()[0].messages[0].text.clone();
    assert!(!sent.contains("ann@") && !sent.contains(&key), "{sent}");
    assert!(sent.contains("[EMAIL_1]"), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_mistake_that_company_finds_does_not_lose_the_first_answer() {
    let slow = Slow::new("slow", Duration::from_secs(60));
    let wrong = || Err(Fault::new(Kind::Request, "no"));
    let strict = Scripted::new("strict", vec![wrong(), wrong()]);
    let hedged = route(Route {
        hedge: true,
        ..Route::default()
    });
    let providers: Vec<Arc<dyn Provider>> = vec![slow, strict];
    let chain = paid(Chain::new(providers, hedged));
    for _ in 0..4 {
        assert_eq!(answers(&chain).await, "slow");
    }
}

#[tokio::test]
async fn company_is_for_those_who_want_it_and_never_the_simulated_model() {
    let simulated = || Arc::new(Simulated::priced(Price::FREE)) as Arc<dyn Provider>;
    let hedged = || {
        route(Route {
            hedge: true,
            ..Route::default()
        })
    };
    let alone = Slow::new("alone", Duration::from_millis(30));
    for (settings, second) in [
        (hedged(), simulated()),
        (
            Settings::default(),
            Slow::new("second", Duration::ZERO) as _,
        ),
    ] {
        alone.asked.store(0, Ordering::Relaxed);
        let chain = paid(Chain::new(vec![alone.clone(), second], settings));
        for _ in 0..4 {
            let answer = chain.complete(&request()).await.unwrap();
            assert_eq!(answer.provider, "alone");
            assert!(answer.attempts.is_empty(), "{:?}", answer.attempts);
        }
    }
}

#[tokio::test]
async fn one_that_is_asked_alone_is_asked_whatever_the_routes_say() {
    let (a, b) = (Scripted::new("a", vec![]), Scripted::new("b", vec![]));
    let only_a = route(Route {
        order: vec!["a".into()],
        ..Route::default()
    });
    let chain = chain_of(&[&a, &b], only_a);
    let asked = Request {
        temperature: Some(0.0),
        ..request()
    };
    let only = chain.0.only("b").unwrap();
    for _ in 0..2 {
        let answer = only.complete(&asked, &chain.1.caller()).await.unwrap();
        assert_eq!((answer.provider.as_str(), answer.cached), ("b", false));
    }
    assert!(chain.0.only("c").is_none());
    let standings: Vec<(&str, u64)> = chain
        .0
        .standings()
        .map(|(provider, standing)| (provider.id(), standing.answered))
        .collect();
    assert_eq!(standings, [("a", 0), ("b", 2)]);
}
