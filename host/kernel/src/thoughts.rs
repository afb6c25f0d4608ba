//! What models said beside their answers, for as long as the guest that heard the answers goes on:
//! a provider wants to hear it again with them. Guests see nothing of it, and cannot make it up.

use mandate_llm::{Message, Response, Role, Thoughts};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The most bytes that one guest's conversations keep; the oldest go first.
const MOST_BYTES: usize = 4 << 20;

type Key = [u8; 32];

/// By the conversation that they ended: a message that reads the same elsewhere had other thoughts,
/// or none. It follows from what the guest was answered, so a replay has the same.
#[derive(Default)]
pub struct Beside {
    by_end: HashMap<Key, Arc<Thoughts>>,
    oldest: VecDeque<Key>,
    bytes: usize,
}

/// A conversation up to a message, and all before it.
#[derive(Clone, Copy, Default)]
pub struct End(Key);

impl End {
    /// One message further: all that the guest sees of it counts.
    fn then(self, message: &Message) -> Option<Self> {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(serde_json::to_vec(message).ok()?);
        Some(Self(hash.finalize().into()))
    }
}

impl Beside {
    /// Keeps what stood beside the answer to a conversation.
    pub fn keep(&mut self, asked: End, answer: &Response) {
        let Some((End(key), thoughts)) = asked.then(&answer.message).zip(Thoughts::of(answer))
        else {
            return;
        };
        let bytes = thoughts.bytes();
        if bytes > MOST_BYTES {
            return;
        }
        self.bytes += bytes;
        if let Some(old) = self.by_end.insert(key, Arc::new(thoughts)) {
            self.bytes -= old.bytes();
            self.oldest.retain(|other| *other != key);
        }
        self.oldest.push_back(key);
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.oldest.pop_front()
        {
            let gone = self.by_end.remove(&oldest);
            self.bytes -= gone.map_or(0, |gone| gone.bytes());
        }
    }

    /// Puts it beside those messages that are as they were answered, after the same; and says
    /// what conversation that is.
    pub fn put_back(&self, messages: &mut [Message]) -> End {
        let mut end = End::default();
        for message in messages {
            let Some(next) = end.then(message) else {
                return end;
            };
            end = next;
            if message.role == Role::Assistant {
                message.thoughts = self.by_end.get(&end.0).cloned();
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_llm::{Finish, Usage};
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
            stood_for: None,
            attempts: Vec::new(),
        }
    }

    /// The conversation before the answer.
    fn asked(beside: &Beside, question: &str) -> End {
        beside.put_back(&mut [Message::text(Role::User, question)])
    }

    fn again(beside: &Beside, question: &str, text: &str) -> Option<serde_json::Value> {
        let said = Message::text(Role::Assistant, text);
        let mut all = [Message::text(Role::User, question), said];
        beside.put_back(&mut all);
        let thoughts = all[1].thoughts_of("p", "m")?;
        Some(thoughts["message"]["reasoning_content"].clone())
    }

    #[test]
    fn what_was_said_beside_a_message_comes_back_with_it_alone() {
        let mut beside = Beside::default();
        let asked = asked(&beside, "why?");
        beside.keep(asked, &answer("one", "because"));
        assert_eq!(again(&beside, "why?", "one"), Some(json!("because")));
        assert_eq!(again(&beside, "why?", "one, but changed"), None);
        assert_eq!(
            again(&beside, "how?", "one"),
            None,
            "elsewhere it is another's"
        );
        let mut users = [
            Message::text(Role::User, "why?"),
            Message::text(Role::User, "one"),
        ];
        beside.put_back(&mut users);
        assert_eq!(users[1].thoughts, None);
        beside.keep(asked, &answer("one", "on second thought"));
        let second = Some(json!("on second thought"));
        assert_eq!(again(&beside, "why?", "one"), second);
        let bare = Response {
            extra: serde_json::Map::new(),
            ..answer("two", "")
        };
        beside.keep(asked, &bare);
        assert_eq!(again(&beside, "why?", "two"), None);
    }

    #[test]
    fn the_oldest_go_when_it_is_too_much() {
        let mut beside = Beside::default();
        let long = |part: usize| "x".repeat(MOST_BYTES / part - 99);
        let asked = asked(&beside, "why?");
        for text in ["one", "two", "one", "three"] {
            beside.keep(asked, &answer(text, &long(2)));
        }
        assert_eq!(
            again(&beside, "why?", "two"),
            None,
            "the other was said again"
        );
        for kept in ["one", "three"] {
            assert_eq!(again(&beside, "why?", kept), Some(json!(long(2))));
        }
        assert!(beside.bytes <= MOST_BYTES && beside.oldest.len() == 2);
        beside.keep(asked, &answer("more", &"x".repeat(MOST_BYTES)));
        assert_eq!(again(&beside, "why?", "more"), None);
        assert!(
            again(&beside, "why?", "one").is_some(),
            "nobody goes for it"
        );
    }
}
