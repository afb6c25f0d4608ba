//! Answers in words, put together from what the tools or the user said: nothing is made up.

use super::facts::Facts;
use super::words;
use serde_json::Value;

/// More would be a copy, not an answer.
const MAX_LINES: usize = 6;
const MAX_LINE_CHARS: usize = 400;

/// The lines nearest to the goal, in the order in which they were said.
pub(super) fn compose(facts: &Facts) -> String {
    let said: Vec<String> = facts.results.iter().flat_map(lines_of).collect();
    if said.is_empty() && !facts.results.is_empty() {
        return format!(
            "The results hold nothing on: {}",
            words::shorten(facts.goal.trim(), MAX_LINE_CHARS)
        );
    }
    let chosen: Vec<String> = facts.lines().into_iter().take(MAX_LINES).collect();
    let mut ordered: Vec<&String> = Vec::new();
    for line in if said.is_empty() { &chosen } else { &said } {
        if chosen.contains(line) && !ordered.contains(&line) {
            ordered.push(line);
        }
    }
    if ordered.is_empty() {
        return "There is nothing to answer from.".to_owned();
    }
    let lines: Vec<String> = ordered
        .iter()
        .map(|line| words::shorten(line, MAX_LINE_CHARS))
        .collect();
    lines.join("\n")
}

/// A result as sentences: long texts fall apart, the short fields of an object make one line.
pub(super) fn lines_of(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    add_lines(value, None, &mut lines);
    lines
}

fn add_lines(value: &Value, name: Option<&str>, lines: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => lines.extend(words::sentences(text)),
        Value::Bool(_) | Value::Number(_) => match name {
            Some(name) => lines.push(format!("{name}: {value}")),
            None => lines.push(value.to_string()),
        },
        Value::Array(items) => items.iter().for_each(|item| add_lines(item, name, lines)),
        Value::Object(fields) => {
            let (short, long): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, v)| is_short(v));
            let line: Vec<String> = short
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(key, v)| {
                    format!(
                        "{key}: {}",
                        v.as_str().map_or_else(|| v.to_string(), str::to_owned)
                    )
                })
                .collect();
            if !line.is_empty() {
                lines.push(line.join(", "));
            }
            for (key, field) in long {
                add_lines(field, Some(key), lines);
            }
        }
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.chars().count() <= 60 && !text.contains('\n') && !text.ends_with(['.', '!', '?'])
        }
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    #[test]
    fn the_nearest_sentences_are_quoted() {
        let facts = Facts::of(&[
            Message::text(Role::User, "How often are lamps cleaned?"),
            Message::tool_result(
                "1",
                r#"{"title": "Lamps", "text": "Doors are painted blue. Lamps are cleaned weekly. Nobody knows why the sky is above the roof of it."}"#,
            ),
            Message::tool_result("2", r#"{"count": 4, "unit": "pieces"}"#),
        ]);
        let answer = compose(&facts);
        assert!(answer.contains("Lamps are cleaned weekly."), "{answer}");
        assert!(answer.contains("count: 4, unit: pieces"), "{answer}");
    }

    #[test]
    fn without_results_the_users_own_text_is_quoted() {
        let facts = Facts::of(&[Message::text(Role::User, "Say something.")]);
        assert_eq!(compose(&facts), "Say something.");
        assert!(!compose(&Facts::of(&[])).is_empty());
    }
}
