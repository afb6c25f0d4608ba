//! What models said beside their answers, for as long as the guest that heard the answers goes on:
//! a provider wants to hear it again with them. Guests see nothing of it, and cannot make it up.

use mandate_llm::{Message, Response, Thoughts};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The most bytes that one guest's conversations keep; the oldest go first.
const MOST_BYTES: usize = 4 << 20;

type Key = [u8; 32];

/// By the message that they stood beside. It follows from what the guest was answered, so a
/// replay has the same.
#[derive(Default)]
pub struct Beside {
    by_message: HashMap<Key, Arc<Thoughts>>,
    oldest: VecDeque<Key>,
    bytes: usize,
}

/// What tells a message from others: all that the guest sees of it.
fn key(message: &Message) -> Option<Key> {
    Some(Sha256::digest(serde_json::to_vec(message).ok()?).into())
}

impl Beside {
    /// Keeps what stood beside an answer.
    pub fn keep(&mut self, answer: &Response) {
        let Some((key, thoughts)) = key(&answer.message).zip(Thoughts::of(answer)) else {
            return;
        };
        self.bytes += thoughts.bytes();
        match self.by_message.insert(key, Arc::new(thoughts)) {
            Some(old) => self.bytes -= old.bytes(),
            None => self.oldest.push_back(key),
        }
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.oldest.pop_front()
        {
            let gone = self.by_message.remove(&oldest);
            self.bytes -= gone.map_or(0, |gone| gone.bytes());
        }
    }

    /// Puts it beside those messages that are as they were answered.
    pub fn put_back(&self, messages: &mut [Message]) {
        if self.by_message.is_empty() {
            return;
        }
        for message in messages {
            if message.role == mandate_llm::Role::Assistant {
                message.thoughts = key(message).and_then(|key| self.by_message.get(&key).cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_llm::{Finish, Role, Usage};
    use mandate_types::MicroUsd;
    use serde_json::json;

    fn answer(text: &str, thought: &str) -> Response {
        let extra = json!({"id": "x", "message": {"reasoning_content": thought}});
        Response {
            message: Message::text(Role::Assistant, text),
            finish: Finish::Stop,
            usage: Usage::default(),
            cost: MicroUsd::ZERO,
            provider: "p".into(),
            model: "m".into(),
            simulated: false,
            cached: false,
            extra: extra.as_object().unwrap().clone(),
            attempts: Vec::new(),
        }
    }

    fn again(beside: &Beside, text: &str) -> Option<serde_json::Value> {
        let mut said = [Message::text(Role::Assistant, text)];
        beside.put_back(&mut said);
        let thoughts = said[0].thoughts_of("p", "m")?;
        Some(thoughts["message"]["reasoning_content"].clone())
    }

    #[test]
    fn what_was_said_beside_a_message_comes_back_with_it_alone() {
        let mut beside = Beside::default();
        beside.keep(&answer("one", "because"));
        assert_eq!(again(&beside, "one"), Some(json!("because")));
        assert_eq!(again(&beside, "one, but changed"), None);
        let mut users = [Message::text(Role::User, "one")];
        beside.put_back(&mut users);
        assert_eq!(users[0].thoughts, None);
        beside.keep(&answer("one", "on second thought"));
        assert_eq!(again(&beside, "one"), Some(json!("on second thought")));
    }

    #[test]
    fn the_oldest_go_when_it_is_too_much() {
        let mut beside = Beside::default();
        let long = "x".repeat(MOST_BYTES / 2);
        for text in ["one", "two", "three"] {
            beside.keep(&answer(text, &long));
        }
        assert_eq!(again(&beside, "one"), None);
        assert_eq!(again(&beside, "two"), None);
        assert_eq!(again(&beside, "three"), Some(json!(long)));
        assert!(beside.bytes <= MOST_BYTES && beside.oldest.len() == 1);
        beside.keep(&answer("more", &"x".repeat(MOST_BYTES)));
        assert_eq!(beside.bytes, 0, "nothing that is too long by itself");
    }
}
