//! Whose answers are given again, and to whom.

use super::choice::Slow;
use super::*;

#[tokio::test(start_paused = true)]
async fn the_same_question_is_asked_once_and_only_of_the_same_tenant() {
    let slow = Slow::new("slow", Duration::from_secs(1));
    slow.asked.store(3, Ordering::Relaxed);
    let chain = paid(Chain::new(vec![slow.clone()], Settings::default()));
    let same = Request {
        temperature: Some(0.0),
        ..request()
    };
    let caller = chain.1.caller();
    let (first, second) = futures_util::join!(
        chain.0.complete(&same, &caller),
        chain.0.complete(&same, &caller)
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(slow.asked.load(Ordering::Relaxed), 3 + 1);
    assert_eq!((first.cached, second.cached), (false, true));
    assert_eq!((first.cost, second.cost), (MicroUsd(11), MicroUsd::ZERO));
    assert!(chain.0.complete(&same, &caller).await.unwrap().cached);
    let other = Caller {
        tenant: "other",
        ..caller
    };
    assert!(!chain.0.complete(&same, &other).await.unwrap().cached);
    let longer = Request {
        max_output_tokens: 11,
        ..same
    };
    assert!(!chain.0.complete(&longer, &caller).await.unwrap().cached);
    assert!(!chain.complete(&request()).await.unwrap().cached);
    assert!(
        !chain.complete(&request()).await.unwrap().cached,
        "by chance it differs"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_nobody_elses() {
    let slow = Slow::failing("slow", Duration::from_secs(1));
    let chain = paid(Chain::new(vec![slow.clone()], Settings::default()));
    let same = Request {
        temperature: Some(0.0),
        ..request()
    };
    let caller = chain.1.caller();
    let asked = futures_util::join!(
        chain.0.complete(&same, &caller),
        chain.0.complete(&same, &caller)
    );
    assert!(asked.0.is_err() && asked.1.is_err());
    assert_eq!(slow.asked.load(Ordering::Relaxed), 2, "each for itself");
    assert!(chain.complete(&same).await.is_ok());
}

#[tokio::test]
async fn what_is_given_again_costs_nothing_and_was_tried_nowhere() {
    let cut = Fault::arrived(Kind::Interrupted, "cut");
    let a = Scripted::new("a", vec![Err(cut)]);
    let chain = chain(&[&a, &Scripted::new("b", vec![])]);
    let same = Request {
        temperature: Some(0.0),
        ..request()
    };
    let first = chain.complete(&same).await.unwrap();
    assert_eq!(first.attempts.len(), 2);
    assert_eq!(first.cost, MicroUsd(WORST + 11));
    let again = chain.complete(&same).await.unwrap();
    assert!(again.cached && again.attempts.is_empty());
    assert_eq!(
        (again.cost, again.provider),
        (MicroUsd::ZERO, first.provider)
    );
    // Heard as a whole, and from nobody.
    let mut heard = String::new();
    let mut hear = |piece: &str| heard.push_str(piece);
    let caller = chain.1.caller();
    let again = chain.0.stream(&same, &caller, &mut hear).await.unwrap();
    assert!(again.cached);
    assert_eq!(heard, "yes");
}

#[tokio::test]
async fn a_simulated_answer_is_not_kept() {
    let simulated = Arc::new(Simulated::priced(price())) as Arc<dyn Provider>;
    let chain = paid(Chain::new(vec![simulated], Settings::default()));
    let same = Request {
        temperature: Some(0.0),
        ..request()
    };
    for _ in 0..2 {
        let answer = chain.complete(&same).await.unwrap();
        assert!(answer.simulated && !answer.cached && answer.cost > MicroUsd::ZERO);
    }
    let texts = ["a".to_owned()];
    for _ in 0..2 {
        let answer = chain.0.embed(&texts, &chain.1.caller()).await.unwrap();
        assert!(answer.simulated && !answer.cached);
    }
}
