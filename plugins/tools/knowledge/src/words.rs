//! Words by which texts are compared.

use std::collections::BTreeSet;

/// Words that say nothing about what happened.
const EMPTY: &[&str] = &[
    "about", "after", "alert", "alerts", "been", "from", "have", "high", "incident", "into",
    "issue", "more", "over", "problem", "service", "services", "since", "than", "that", "their",
    "there", "they", "this", "when", "which", "with",
];

/// Characters of a text that are looked at.
const MOST: usize = 30_000;

/// The words of four letters and more of a text, in lower case, without those that say nothing.
pub fn words(text: &str) -> BTreeSet<String> {
    let end = text
        .char_indices()
        .nth(MOST)
        .map_or(text.len(), |(end, _)| end);
    text.get(..end)
        .unwrap_or_default()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= 4)
        .filter(|word| !word.chars().all(|c| c.is_ascii_digit()))
        .map(str::to_lowercase)
        .filter(|word| !EMPTY.contains(&word.as_str()))
        .collect()
}

/// How much of `wanted` is in `there`, 0–1.
pub fn share(wanted: &BTreeSet<String>, there: &BTreeSet<String>) -> f64 {
    if wanted.is_empty() {
        return 0.0;
    }
    wanted.intersection(there).count() as f64 / wanted.len() as f64
}
