//! What a provider said beside its answers goes back to it alone, as long as it means the same, and
//! away again where it is refused.

use super::*;
use crate::Thoughts;
use crate::redact::Placeholders;

/// What `provider` thought of what stood for `stood_for`.
fn thoughts(provider: &str, thought: &str, stood_for: Option<Placeholders>) -> Arc<Thoughts> {
    let said = json!({"message": {"reasoning_content": thought}});
    Arc::new(Thoughts {
        provider: provider.into(),
        model: "m".into(),
        said: said.as_object().unwrap().clone(),
        stood_for,
    })
}

/// A conversation with what `provider` thought in it.
pub fn thought_of(provider: &str) -> Request {
    let mut request = request();
    let mut answered = Message::text(Role::Assistant, "yes");
    answered.thoughts = Some(thoughts(provider, "because", None));
    request.messages.push(answered);
    request.messages.push(Message::text(Role::User, "so?"));
    request
}

fn wrong(kind: Kind) -> Result<&'static str, Fault> {
    Err(Fault::new(kind, "thinking blocks cannot be modified"))
}

/// Which of the requests to `provider` had thoughts in them.
pub fn heard(provider: &Scripted) -> Vec<bool> {
    let asked = provider.asked.lock().unwrap();
    asked.iter().map(Request::has_thoughts).collect()
}

#[tokio::test]
async fn who_refuses_its_own_thoughts_is_asked_without_them_from_then_on() {
    for kind in [Kind::Request, Kind::TooLong] {
        let a = Scripted::new("a", vec![wrong(kind)]);
        let chain = chain(&[&a]);
        let answer = chain.complete(&thought_of("a")).await.unwrap();
        assert_eq!(heard(&a), [true, false]);
        let told = [("a", kind.as_str()), ("a", "answered")];
        assert_eq!(outcomes(&answer.attempts), told);
        chain.complete(&thought_of("a")).await.unwrap();
        let other = chain.0.complete(&thought_of("a"), &another(&chain.1)).await;
        assert!(other.is_ok());
        assert_eq!(
            heard(&a)[2..],
            [false, true],
            "another execution begins anew"
        );
    }
    let a = Scripted::new("a", vec![wrong(Kind::Request), wrong(Kind::Request)]);
    let chain = chain(&[&a, &Scripted::new("b", vec![])]);
    let error = chain.complete(&thought_of("a")).await.unwrap_err();
    assert!(matches!(error, LlmError::Invalid { .. }), "{error}");
    assert_eq!(a.asked(), 2);
    chain.complete(&thought_of("a")).await.unwrap();
    assert_eq!(heard(&a), [true, false, true], "it was not because of them");
}

#[tokio::test(start_paused = true)]
async fn that_is_no_try_of_its_own() {
    let a = Scripted::new("a", vec![Err(busy()), wrong(Kind::Request)]);
    let answer = chain(&[&a]).complete(&thought_of("a")).await.unwrap();
    assert_eq!(heard(&a), [true, true, false]);
    assert_eq!(answer.attempts.len(), 3);
}

#[tokio::test]
async fn a_mistake_stays_one_where_no_thoughts_are_told() {
    for (provider, thought_by) in [("a", "b"), ("deaf", "deaf")] {
        let provider = Scripted::new(provider, vec![wrong(Kind::Request)]);
        let error = chain(&[&provider]).complete(&thought_of(thought_by)).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LlmError::Invalid { .. }), "{error}");
        assert_eq!(heard(&provider), [false]);
    }
}

#[tokio::test]
async fn what_is_sent_back_is_part_of_the_worst_case_and_nothing_else_is() {
    let beside = r#"{"reasoning_content":"because"}"#.len() as i64;
    let most = |provider| {
        let chain = chain(&[&Scripted::new(provider, vec![])]);
        chain.0.first_cost(&thought_of("a"), &chain.1.caller()).most
    };
    assert_eq!(most("a").0, most("b").0 + beside);
    assert_eq!(most("deaf"), most("b"));
}

#[tokio::test]
async fn an_answer_that_thoughts_led_to_is_given_to_nobody_else() {
    let a = Scripted::new("a", vec![]);
    let chain = chain(&[&a]);
    for thoughtful in [true, false] {
        let mut asked = thought_of("a");
        asked.temperature = Some(0.0);
        if !thoughtful {
            asked.messages[1].thoughts = None;
        }
        assert!(!chain.complete(&asked).await.unwrap().cached);
    }
}

/// A conversation about `whom` with what was thought of Ann in it.
fn of_ann(whom: &str, thought: &str, stood_for: Option<Placeholders>) -> Request {
    let mut request = thought_of("a");
    request.messages[0].text = format!("mail {whom}");
    request.messages[1].thoughts = Some(thoughts("a", thought, stood_for));
    request
}

#[tokio::test]
async fn placeholders_in_them_must_stand_for_the_same() {
    let ann = |name: &str| Placeholders::from([(name.to_owned(), "ann@example.com".to_owned())]);
    let (first, none) = ("[EMAIL_1]", || Some(Placeholders::new()));
    let both = "bob@example.com and ann@example.com";
    for (whom, thought, stood_for, redacts, is_told) in [
        ("ann@example.com", first, Some(ann(first)), true, true),
        // Bob comes first now: what was Ann's is his.
        (both, first, Some(ann(first)), true, false),
        (both, "[EMAIL_2]", Some(ann("[EMAIL_2]")), true, true),
        // Nobody stands for anything any more.
        ("nobody", first, Some(ann(first)), true, false),
        ("ann@example.com", first, Some(ann(first)), false, false),
        // Something that nobody put there came to mean somebody.
        ("ann@example.com", first, none(), true, false),
        ("ann@example.com", "because", none(), true, true),
        ("nobody", "because", none(), false, true),
        // Who saw everything, and does not any more.
        ("ann@example.com", "ann@example.com", None, true, false),
        ("nobody", "because", None, true, false),
        ("ann@example.com", "ann@example.com", None, false, true),
    ] {
        let a = Scripted::new("a", vec![]);
        let settings = Settings {
            redaction: redacts.then(redact::Settings::default),
            ..Settings::default()
        };
        let asked = of_ann(whom, thought, stood_for);
        chain_of(&[&a], settings).complete(&asked).await.unwrap();
        assert_eq!(heard(&a), [is_told], "{whom}, {thought}, {redacts}");
    }
}

/// Says something beside its answer.
struct Thinker;

#[async_trait::async_trait]
impl Provider for Thinker {
    fn id(&self) -> &str {
        "thinker"
    }
    fn model(&self, _: ModelClass) -> Option<&str> {
        Some("m")
    }
    fn price(&self, _: ModelClass) -> Option<Price> {
        Some(price())
    }
    async fn complete(&self, _: &Request) -> Result<Answer, Fault> {
        let extra = json!({"id": "x", "message": {"reasoning_content": "to [EMAIL_1], [EMAIL_9]", "annotations": []}});
        Ok(Answer {
            message: Message::text(Role::Assistant, "yes"),
            finish: Finish::Stop,
            usage: None,
            extra: extra.as_object().unwrap().clone(),
            stood_for: None,
        })
    }
    async fn embed(&self, _: &[String]) -> Result<Vectors, Fault> {
        Err(Fault::new(Kind::Model, "none"))
    }
}

#[tokio::test]
async fn for_what_they_stood_is_kept_with_them() {
    let thought = async |text: &str, redacts: bool| {
        let settings = Settings {
            redaction: redacts.then(redact::Settings::default),
            ..Settings::default()
        };
        let chain = paid(Chain::new(vec![Arc::new(Thinker)], settings));
        let asked = Request::new(ModelClass::Fast, vec![Message::text(Role::User, text)], 10);
        let mut heard = String::new();
        let mut hear = |piece: &str| heard.push_str(piece);
        let caller = chain.1.caller();
        let whole = chain.0.complete(&asked, &caller).await.unwrap();
        let streamed = chain.0.stream(&asked, &caller, &mut hear).await.unwrap();
        assert_eq!(whole.stood_for, streamed.stood_for);
        Thoughts::of(&whole).unwrap()
    };
    let to_ann = thought("mail ann@example.com", true).await;
    let ann = Placeholders::from([("[EMAIL_1]".to_owned(), "ann@example.com".to_owned())]);
    assert_eq!(to_ann.stood_for, Some(ann));
    let beside = json!({"reasoning_content": "to [EMAIL_1], [EMAIL_9]"});
    assert_eq!(
        to_ann.said["message"], beside,
        "and nothing else that stood there"
    );
    let nobody = thought("mail nobody", true).await;
    assert_eq!(nobody.stood_for, Some(Placeholders::new()));
    assert_eq!(thought("mail ann@example.com", false).await.stood_for, None);
}
