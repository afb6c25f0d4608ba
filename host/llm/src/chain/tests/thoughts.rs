//! What a provider said beside its answers goes back to it, and away again where it is refused.

use super::*;
use crate::Thoughts;

/// A conversation with what `provider` thought in it.
fn thought_of(provider: &str) -> Request {
    let said = json!({"message": {"reasoning_content": "because"}});
    let mut request = request();
    let mut answered = Message::text(Role::Assistant, "yes");
    answered.thoughts = Some(Arc::new(Thoughts {
        provider: provider.into(),
        model: "m".into(),
        said: said.as_object().unwrap().clone(),
    }));
    request.messages.push(answered);
    request.messages.push(Message::text(Role::User, "so?"));
    request
}

fn wrong() -> Fault {
    Fault::new(Kind::Request, "thinking blocks cannot be modified")
}

/// Which of the requests to `provider` had thoughts in them.
fn heard(provider: &Scripted) -> Vec<bool> {
    let asked = provider.asked.lock().unwrap();
    let has = |request: &Request| request.messages.iter().any(|m| m.thoughts.is_some());
    asked.iter().map(has).collect()
}

#[tokio::test]
async fn who_refuses_its_own_thoughts_is_asked_once_more_without_them() {
    let a = Scripted::new("a", vec![Err(wrong())]);
    let answer = chain(&[&a]).complete(&thought_of("a")).await.unwrap();
    assert_eq!(heard(&a), [true, false]);
    let told = [("a", "request"), ("a", "answered")];
    assert_eq!(outcomes(&answer.attempts), told);

    let a = Scripted::new("a", vec![Err(wrong()), Err(wrong())]);
    let chain = chain(&[&a, &Scripted::new("b", vec![])]);
    let error = chain.complete(&thought_of("a")).await.unwrap_err();
    assert!(matches!(error, LlmError::Invalid { .. }), "{error}");
    assert_eq!(a.asked(), 2);
}

#[tokio::test]
async fn a_mistake_stays_one_where_the_thoughts_are_anothers() {
    let a = Scripted::new("a", vec![Err(wrong())]);
    let error = chain(&[&a]).complete(&thought_of("b")).await.unwrap_err();
    assert!(matches!(error, LlmError::Invalid { .. }), "{error}");
    assert_eq!(a.asked(), 1);
}

#[test]
fn what_is_sent_back_is_part_of_the_worst_case() {
    let request = thought_of("a");
    let bare = request.without_thoughts();
    let beside = r#"{"reasoning_content":"because"}"#.len() as u64;
    assert_eq!(request.input_bytes(), bare.input_bytes() + beside);
}
