//! Who refuses to be held to a schema is told it in words.

use super::*;
use serde_json::Value;

const GOOD: &str = "{\"n\":1}";

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
}

fn asked() -> Request {
    Request {
        output_schema: Some(schema()),
        ..request()
    }
}

fn wrong(kind: Kind) -> Result<&'static str, Fault> {
    Err(Fault::new(kind, "Schema is too complex"))
}

/// Which of the requests to `provider` had a schema, and which had it in words.
fn told(provider: &Scripted) -> Vec<(bool, bool)> {
    let asked = provider.asked.lock().unwrap();
    let in_words = |request: &Request| {
        let first = &request.messages[0];
        first.role == Role::System && first.text.contains(&schema().to_string())
    };
    asked
        .iter()
        .map(|request| (request.output_schema.is_some(), in_words(request)))
        .collect()
}

const HELD: (bool, bool) = (true, false);
const WORDS: (bool, bool) = (false, true);

#[tokio::test]
async fn who_refuses_a_schema_hears_it_in_words_from_then_on() {
    let a = Scripted::new(
        "a",
        vec![
            wrong(Kind::Request),
            Ok("no"),
            Ok(GOOD),
            Ok(GOOD),
            Ok(GOOD),
            Ok(GOOD),
        ],
    );
    let chain = chain(&[&a]);
    let answer = chain.complete(&asked()).await.unwrap();
    assert_eq!(answer.message.text, GOOD);
    // An answer is looked at also then, and asked for again.
    assert_eq!(told(&a), [HELD, WORDS, WORDS]);
    let paid = ("a".to_owned(), 11, false);
    let refused = ("a".to_owned(), 0, false);
    assert_eq!(chain.1.closed(), [refused, paid.clone(), paid]);
    let other = chain.0.complete(&asked(), &another(&chain.1)).await;
    assert!(other.is_ok());
    assert_eq!(told(&a)[3..], [WORDS]);
    let of_others = Caller {
        tenant: "others",
        ..chain.1.caller()
    };
    assert!(chain.0.complete(&asked(), &of_others).await.is_ok());
    assert_eq!(told(&a)[4..], [HELD], "tenants have nothing in common");
    let mut different = asked();
    different.output_schema = Some(json!({"type": "object"}));
    chain.complete(&different).await.unwrap();
    assert_eq!(told(&a)[5..], [HELD], "another schema is another matter");
}

#[tokio::test]
async fn who_does_not_heed_it_is_told_in_words_for_once() {
    let a = Scripted::new("a", vec![Ok("sure!"), Ok(GOOD), Ok(GOOD)]);
    let chain = chain(&[&a]);
    assert!(chain.complete(&asked()).await.is_ok());
    assert_eq!(told(&a), [HELD, WORDS]);
    assert!(chain.complete(&asked()).await.is_ok());
    assert_eq!(told(&a)[2..], [HELD], "nobody refused it");
}

#[tokio::test]
async fn what_is_wrong_otherwise_stays_wrong() {
    for (id, kinds) in [
        ("a", vec![Kind::Request, Kind::Request]),
        ("a", vec![Kind::TooLong]),
        ("deaf", vec![Kind::Request]),
    ] {
        let script = kinds.iter().map(|kind| wrong(*kind)).collect();
        let provider = Scripted::new(id, script);
        assert!(chain(&[&provider]).complete(&asked()).await.is_err());
        assert_eq!(provider.asked(), kinds.len());
    }
}

#[tokio::test]
async fn the_schema_goes_before_the_thoughts() {
    let a = Scripted::new(
        "a",
        vec![
            wrong(Kind::Request),
            wrong(Kind::Request),
            Ok(GOOD),
            Ok(GOOD),
        ],
    );
    let mut asked = thoughts::thought_of("a");
    asked.output_schema = Some(schema());
    let chain = chain(&[&a]);
    chain.complete(&asked).await.unwrap();
    assert_eq!(told(&a), [HELD, WORDS, WORDS]);
    assert_eq!(thoughts::heard(&a), [true, true, false]);
    // It was them: that is remembered, and nothing of the schema.
    chain.complete(&asked).await.unwrap();
    assert_eq!(told(&a)[3..], [HELD]);
    assert_eq!(thoughts::heard(&a)[3..], [false]);
}

#[tokio::test]
async fn a_schema_costs_what_stands_for_it_and_what_is_told_of_it() {
    let chain = chain(&[&Scripted::new("a", vec![])]);
    let most = |request: &Request| chain.0.first_cost(request, &chain.1.caller()).most.0;
    let length = i64::try_from(schema().to_string().len()).unwrap();
    assert_eq!(most(&asked()), most(&request()) + 2 * length + 640 + 256);
}
