//! Text into words, sentences, clauses and phrases; as much grammar as the simulation needs.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

/// Words of grammar, not of any subject: they say nothing of what a text is about.
static GRAMMAR: LazyLock<HashSet<&str>> =
    LazyLock::new(|| GRAMMAR_TEXT.split_whitespace().collect());

const GRAMMAR_TEXT: &str = "a about after all also an and any are as at be because been before both but by can could did \
    do does each every for from give given had has have he her his how i if in into is it its just let many may me \
    more most much must my no not of on one only or other our out over please shall she should so some such than \
    that the their them then there these they this those through to under up us use used using was we were what \
    when where which while who whom whose why will with without would you your";

/// The content words of `text`: lower case, without grammar and endings. Identifiers in
/// camel, kebab or snake case fall apart into their words.
pub(super) fn stems(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.chars().chain([' ']) {
        let ends = !c.is_alphanumeric() || (after_lower && c.is_uppercase());
        if ends && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|w| !GRAMMAR.contains(w.as_str()));
    words.into_iter().map(|w| stem(&w)).collect()
}

/// The same, as a set.
pub(super) fn stem_set(text: &str) -> BTreeSet<String> {
    stems(text).into_iter().collect()
}

/// How many words of `text` are among `wanted`, each counted once.
pub(super) fn overlap(text: &str, wanted: &BTreeSet<String>) -> usize {
    stem_set(text).intersection(wanted).count()
}

/// Cuts the commonest English endings, so that “searches”, “searching” and “search” agree.
fn stem(word: &str) -> String {
    const ENDINGS: [(&str, &str); 12] = [
        ("ations", "ate"),
        ("ation", "ate"),
        ("ings", ""),
        ("ing", ""),
        ("ies", "y"),
        ("ied", "y"),
        ("sses", "ss"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("ed", ""),
        ("es", "e"),
        ("s", ""),
    ];
    let mut base = word.to_owned();
    for (ending, instead) in ENDINGS {
        let Some(start) = word.strip_suffix(ending) else {
            continue;
        };
        let keeps =
            start.chars().count() >= 3 && !(ending == "s" && start.ends_with(['s', 'u', 'i']));
        if keeps {
            base = format!("{start}{instead}");
            break;
        }
    }
    // “rotate” and “rotat(ed)”, “plan” and “plann(ing)” meet.
    if base.len() > 4
        && let Some(shorter) = base.strip_suffix('e')
    {
        base = shorter.to_owned();
    }
    let mut ends = base.chars().rev();
    if let (Some(a), Some(b)) = (ends.next(), ends.next())
        && a == b
        && !"aeioulsz0123456789".contains(a)
        && base.len() > 3
    {
        base.pop();
    }
    base
}

/// The sentences of `text`, trimmed; line ends end sentences too.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut now = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            push_trimmed(&mut all, &mut now);
            continue;
        }
        now.push(c);
        if matches!(c, '.' | '!' | '?') && chars.peek().is_none_or(|next| next.is_whitespace()) {
            push_trimmed(&mut all, &mut now);
        }
    }
    push_trimmed(&mut all, &mut now);
    all
}

fn push_trimmed(all: &mut Vec<String>, text: &mut String) {
    let trimmed = text
        .trim()
        .trim_start_matches(['-', '*', '#', '•', '>'])
        .trim();
    if trimmed.chars().any(char::is_alphanumeric) {
        all.push(trimmed.to_owned());
    }
    text.clear();
}

/// The parts of a wish that could be worked on apart: sentences, and their clauses where each
/// has content of its own.
pub(super) fn clauses(text: &str) -> Vec<String> {
    sentences(text)
        .iter()
        .flat_map(|sentence| split_sentence(sentence))
        .collect()
}

fn split_sentence(sentence: &str) -> Vec<String> {
    let mut parts = vec![sentence.to_owned()];
    for separator in ["; ", ", and ", " and ", ", "] {
        parts = parts
            .iter()
            .flat_map(|part| {
                let pieces: Vec<&str> = part.split(separator).map(str::trim).collect();
                // “salt and pepper” is one thing; “how … and why …” are two.
                if pieces.len() > 1 && pieces.iter().all(|p| stems(p).len() >= 2) {
                    pieces.into_iter().map(str::to_owned).collect()
                } else {
                    vec![part.clone()]
                }
            })
            .collect();
    }
    parts
}

/// What stands between quotation marks or backticks, in order.
pub(super) fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(char, String)> = None;
    let mut before = ' ';
    for c in text.chars() {
        match &mut open {
            Some((close, phrase)) if c == *close => {
                if !phrase.trim().is_empty() {
                    found.push(phrase.trim().to_owned());
                }
                open = None;
            }
            Some((_, phrase)) => phrase.push(c),
            // An apostrophe inside a word opens nothing.
            None if !before.is_alphanumeric() => {
                open = match c {
                    '"' | '\'' | '`' => Some((c, String::new())),
                    '“' => Some(('”', String::new())),
                    '‘' => Some(('’', String::new())),
                    '«' => Some(('»', String::new())),
                    _ => None,
                };
            }
            None => {}
        }
        before = c;
    }
    found
}

/// What follows a colon to the end of its line, if anything does.
pub(super) fn after_colon(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(": ")?;
    let rest = rest.lines().next()?.trim();
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// The words of `text` as they stand, without the punctuation around them.
pub(super) fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty())
}

/// The numbers in `text`, in order; digits inside identifiers do not count.
pub(super) fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '-'))
        .filter(|w| w.chars().any(|c| c.is_ascii_digit()))
        .filter_map(|w| w.replace(',', "").parse::<f64>().ok())
        .filter(|n| n.is_finite())
        .collect()
}

/// What the text gives the name `name`: the one word after `name:`, `name =`, `name is` or
/// `name of`; or a number right after or before the name.
pub(super) fn labelled(text: &str, name: &str) -> Option<String> {
    let wanted = stems(name);
    if wanted.is_empty() {
        return None;
    }
    let tokens: Vec<&str> = text.split_whitespace().collect();
    for (at, window) in tokens.windows(wanted.len()).enumerate() {
        if stems(&window.join(" ")) != wanted {
            continue;
        }
        let mut after = tokens.get(at + wanted.len()..).unwrap_or_default().iter();
        let mut bound = window.last().is_some_and(|w| w.ends_with([':', '=']));
        let mut next = after.next();
        if next.is_some_and(|w| matches!(*w, "is" | "of" | "=" | ":")) {
            bound = true;
            next = after.next();
        }
        // One word that ends there: the first word of a longer text is not the value.
        let alone = after.next().is_none()
            || next.is_some_and(|w| w.ends_with(|c: char| !c.is_alphanumeric()));
        let value = next
            .map(|w| bare(w))
            .filter(|value| (bound && alone) || is_number(value));
        let before = at
            .checked_sub(1)
            .and_then(|before| tokens.get(before))
            .map(|w| bare(w));
        if let Some(found) = value.or(before.filter(|w| is_number(w))) {
            return Some(found.to_owned());
        }
    }
    None
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-')
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || c == '-') && word.parse::<f64>().is_ok()
}

/// At most `max` characters of `text`, cut between words where that is possible.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let cut: String = text.chars().take(max).collect();
    match cut.rsplit_once(' ') {
        Some((words, _)) if !words.trim().is_empty() => words.trim_end().to_owned(),
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_agree() {
        for (a, b) in [
            ("searches", "searching"),
            ("rotation", "rotated"),
            ("planning", "plans"),
            ("queries", "query"),
            ("wordCount", "word-counts"),
            ("article_id", "articleID"),
        ] {
            assert_eq!(stems(a), stems(b), "{a} / {b}");
        }
        assert_ne!(stems("status"), stems("state"));
        assert!(stems("what is the").is_empty());
    }

    #[test]
    fn clauses_have_content_of_their_own() {
        assert_eq!(
            clauses(
                "How do we rotate keys and how often should we test backups? Use salt and pepper."
            ),
            [
                "How do we rotate keys",
                "how often should we test backups?",
                "Use salt and pepper."
            ]
        );
        assert_eq!(
            sentences("Version 1.2 works. See a.b\n- next"),
            ["Version 1.2 works.", "See a.b", "next"]
        );
    }

    #[test]
    fn phrases_and_numbers() {
        assert_eq!(
            quoted("it's the 'big one', \"and\" `this`"),
            ["big one", "and", "this"]
        );
        assert_eq!(
            numbers("take 3 of 1,200 (or -2.5), not ab12"),
            [3.0, 1200.0, -2.5]
        );
        assert_eq!(labelled("with depth 2 now", "depth").as_deref(), Some("2"));
        assert_eq!(
            labelled("the unit is `metre`.", "unit").as_deref(),
            Some("metre")
        );
        assert_eq!(labelled("depth matters", "depth"), None);
        assert_eq!(labelled("give 3 results", "results").as_deref(), Some("3"));
        assert_eq!(labelled("Question: how is it", "question"), None);
        assert_eq!(
            after_colon("Count: one two\nthree").as_deref(),
            Some("one two")
        );
        assert_eq!(shorten("one two three", 9), "one two");
        assert_eq!(shorten("ééééé", 2), "éé");
    }
}
