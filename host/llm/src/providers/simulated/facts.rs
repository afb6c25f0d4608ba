//! What the conversation gives to work with: the goal, the results so far, and the values named
//! in them.

use super::words;
use crate::{Message, Role};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How much of the conversation is looked at: a guest may send megabytes, and an answer must
/// not hold up the host.
const MAX_GOAL_CHARS: usize = 32_768;
const MAX_LINES: usize = 256;
const MAX_NAMED: usize = 2_000;
const MAX_ALIKE: usize = 32;

/// A value that somebody gave a name: a field of a result, or of JSON in a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    /// Stems of the field's own name.
    pub name: Vec<String>,
    /// Stems of the name of what holds it (`articles` in `{"articles": [{"id": 1}]}`).
    pub holder: Vec<String>,
    /// The value; never null, an array or an object.
    pub value: Value,
}

/// The conversation, digested.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The last thing that the user said.
    pub goal: String,
    /// Stems of the goal.
    pub goal_words: BTreeSet<String>,
    /// Stems of the author's frame.
    pub frame_words: BTreeSet<String>,
    /// What tools answered since then, oldest first.
    pub results: Vec<Value>,
    /// Named values from tool results; newest message first, document order within.
    pub from_results: Vec<Named>,
    /// Named values from JSON in what the user said.
    pub from_goal: Vec<Named>,
    /// How often the assistant called tools since the user last spoke.
    pub rounds: usize,
}

impl Facts {
    /// Digests `messages`.
    pub fn of(messages: &[Message]) -> Self {
        let last_user = messages.iter().rposition(|m| m.role == Role::User);
        let goal = match last_user.and_then(|at| messages.get(at)) {
            Some(message) => message.text.chars().take(MAX_GOAL_CHARS).collect(),
            // An agent may put everything into the frame.
            None => texts(messages, Role::System),
        };
        let since = messages
            .get(last_user.map_or(0, |at| at + 1)..)
            .unwrap_or_default();
        let mut facts = Self {
            goal_words: words::stem_set(&goal),
            frame_words: words::stem_set(&texts(messages, Role::System)),
            results: since
                .iter()
                .filter(|m| m.role == Role::Tool)
                .map(|m| read(&m.text))
                .collect(),
            rounds: since.iter().filter(|m| !m.tool_calls.is_empty()).count(),
            ..Self::default()
        };
        for message in messages.iter().rev().filter(|m| m.role == Role::Tool) {
            collect(&read(&message.text), &[], &[], &mut facts.from_results);
        }
        if let Some(json) = json_within(&goal) {
            collect(&json, &[], &[], &mut facts.from_goal);
        }
        facts.goal = goal;
        facts
    }

    /// What the goal is about, without the instruction around it where that can be told apart:
    /// the texts of JSON in it, else what follows its first colon, else all of it.
    pub fn subject(&self) -> String {
        let texts: Vec<&str> = self
            .from_goal
            .iter()
            .filter_map(|named| named.value.as_str())
            .filter(|text| words::stems(text).len() >= 2)
            .collect();
        if !texts.is_empty() {
            return texts.join("\n");
        }
        let rest = self
            .goal
            .split_once(": ")
            .or_else(|| self.goal.split_once(":\n"));
        match rest {
            Some((_, rest)) if words::stems(rest).len() >= 2 => rest.to_owned(),
            _ => self.goal.clone(),
        }
    }

    /// What could be quoted in an answer: the results if there are any, else what was asked.
    /// Sentences near the goal come first, otherwise in the order in which they were said.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .results
            .iter()
            .flat_map(super::answer::lines_of)
            .take(MAX_LINES)
            .collect();
        let mut seen = BTreeSet::new();
        // Results often echo what was asked: that is no answer.
        lines.retain(|line| !self.goal.contains(line.as_str()) && seen.insert(line.clone()));
        if lines.is_empty() {
            lines = words::clauses(&self.subject());
            lines.truncate(MAX_LINES);
            return lines;
        }
        lines.sort_by_cached_key(|line| Reverse(words::overlap(line, &self.goal_words)));
        lines
    }
}

fn texts(messages: &[Message], role: Role) -> String {
    let texts: Vec<&str> = messages
        .iter()
        .filter(|m| m.role == role)
        .map(|m| m.text.as_str())
        .collect();
    texts.join("\n").chars().take(MAX_GOAL_CHARS).collect()
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The JSON object or array in `text`, when it is one or surrounds one with words.
fn json_within(text: &str) -> Option<Value> {
    let start = text.find(['{', '['])?;
    let end = text.rfind(['}', ']'])?;
    serde_json::from_str(text.get(start..=end)?).ok()
}

fn collect(value: &Value, name: &[String], holder: &[String], into: &mut Vec<Named>) {
    match value {
        _ if into.len() >= MAX_NAMED => {}
        Value::Null => {}
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect(item, name, holder, into)),
        Value::Object(fields) => {
            for (key, field) in fields {
                collect(field, &words::stems(key), name, into);
            }
        }
        scalar if !name.is_empty() => into.push(Named {
            name: name.to_vec(),
            holder: holder.to_vec(),
            value: scalar.clone(),
        }),
        _ => {}
    }
}

/// The values that a field called `wanted` most likely means: those with the same name, or, for
/// `article_id`, the `id` of an `article`; then a bare `id`.
pub(super) fn named<'a>(all: &'a [Named], wanted: &str) -> Vec<&'a Value> {
    let wanted = words::stems(wanted);
    let (Some(last), false) = (wanted.last(), wanted.is_empty()) else {
        return Vec::new();
    };
    let mut best: Vec<&Value> = Vec::new();
    let mut rank = 0;
    for one in all {
        let whole = wanted.strip_prefix(one.holder.as_slice());
        let now = if one.name == wanted || whole == Some(one.name.as_slice()) {
            3
        } else if one.name.len() == 1 && one.name.last() == Some(last) && last == "id" {
            2
        } else {
            0
        };
        if now > rank {
            best.clear();
            rank = now;
        }
        if now == rank && now > 0 && best.len() < MAX_ALIKE && !best.contains(&&one.value) {
            best.push(&one.value);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_is_found_by_its_own_name_or_its_holders() {
        let facts = Facts::of(&[
            Message::text(Role::User, "x"),
            Message::tool_result(
                "1",
                r#"{"id": "outer", "articles": [{"id": "a1"}, {"id": "a2"}]}"#,
            ),
        ]);
        let article = named(&facts.from_results, "articleId");
        assert_eq!(article, [&json!("a1"), &json!("a2")]);
        assert_eq!(named(&facts.from_results, "id").len(), 3);
        assert_eq!(named(&facts.from_results, "other_id").len(), 3);
        assert!(named(&facts.from_results, "title").is_empty());
    }

    #[test]
    fn the_instruction_is_not_the_subject() {
        let subject = |text: &str| Facts::of(&[Message::text(Role::User, text)]).subject();
        assert_eq!(
            subject("Split this. Question: how do lamps work?"),
            "how do lamps work?"
        );
        assert_eq!(
            subject(r#"{"question": "how do lamps work?", "depth": 2}"#),
            "how do lamps work?"
        );
        assert_eq!(subject("How do lamps work?"), "How do lamps work?");
    }

    #[test]
    fn a_new_wish_starts_new_rounds_but_keeps_the_values() {
        let facts = Facts::of(&[
            Message::text(Role::User, "first"),
            Message::tool_result("1", r#"{"code": 7}"#),
            Message::text(Role::User, "then {\"limit\": 3}"),
        ]);
        assert_eq!((facts.rounds, facts.results.len()), (0, 0));
        assert_eq!(named(&facts.from_results, "code"), [&json!(7)]);
        assert_eq!(named(&facts.from_goal, "limit"), [&json!(3)]);
    }
}
