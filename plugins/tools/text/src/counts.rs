//! Counting words and terms.

use crate::within;
use crate::words::{Tally, best, sentences, words};
use mandate_sdk::prelude::*;

/// So many words are read in a minute.
const WORDS_PER_MINUTE: usize = 230;

/// The arguments of `word-count`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordCountArguments {
    /// The text to count in.
    pub text: String,
}

/// The result of `word-count`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Counts {
    /// Words.
    pub words: usize,
    /// Different words.
    pub different_words: usize,
    /// Sentences.
    pub sentences: usize,
    /// Characters, spaces included.
    pub characters: usize,
    /// How long reading it takes, in seconds.
    pub reading_seconds: usize,
}

/// Counts words, sentences and characters.
pub struct WordCount;

impl Tool for WordCount {
    const NAME: &'static str = "word-count";
    const SUMMARY: &'static str = "Counts the words, sentences and characters of a text.";
    type Arguments = WordCountArguments;
    type Result = Counts;

    fn call(arguments: WordCountArguments, _: &Context, _: &Host) -> Result<Counts, Error> {
        let text = arguments.text;
        let all: Vec<(String, f64)> = words(&text).map(|word| (word, 1.0)).collect();
        let count = all.len();
        Ok(Counts {
            words: count,
            different_words: Tally::weighted(all).len(),
            sentences: sentences(&text).len(),
            characters: text.chars().count(),
            reading_seconds: (count * 60).div_ceil(WORDS_PER_MINUTE),
        })
    }
}

/// The arguments of `extract-terms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractTermsArguments {
    /// The text to look into.
    pub text: String,
    /// At most so many terms; 10 otherwise.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
}

/// The result of `extract-terms`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Terms {
    /// The most frequent first.
    pub terms: Vec<Term>,
}

/// A term of a text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Term {
    /// In lower case, in the singular.
    pub term: String,
    /// How often it is there.
    pub count: u32,
}

/// Finds what a text is about.
pub struct ExtractTerms;

impl Tool for ExtractTerms {
    const NAME: &'static str = "extract-terms";
    const SUMMARY: &'static str = "Lists the most frequent terms of a text, without common words.";
    type Arguments = ExtractTermsArguments;
    type Result = Terms;

    fn call(arguments: ExtractTermsArguments, _: &Context, _: &Host) -> Result<Terms, Error> {
        let limit = within("limit", arguments.limit, 10, 100)?;
        let tally = Tally::of(&arguments.text);
        let most_frequent = best(tally.iter().map(|(_, count)| count), limit);
        let term = |(place, count): (usize, f64)| {
            let (term, _) = tally.iter().nth(place)?;
            Some(Term {
                term: term.to_owned(),
                count: count as u32,
            })
        };
        let terms = most_frequent.into_iter().filter_map(term).collect();
        Ok(Terms { terms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_sdk::serde_json::json;

    #[test]
    fn words_are_counted_and_nothing_is_asked_of_the_host() {
        let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
        let counts = fake
            .call_json::<WordCount>(&json!({ "text": "One disk. One more disk!" }))
            .unwrap();
        assert_eq!(
            counts,
            json!({ "words": 5, "different_words": 3, "sentences": 2, "characters": 24, "reading_seconds": 2 })
        );
        assert!(fake.calls().is_empty());
        assert_eq!(
            fake.call_json::<WordCount>(&json!({ "text": "" })).unwrap()["words"],
            0
        );
    }

    #[test]
    fn terms_come_by_frequency_then_name() {
        let fake = FakeHost::denying();
        let text = "The queues and a queue: disk, backup, disk, queue.";
        let terms = fake
            .call_json::<ExtractTerms>(&json!({ "text": text, "limit": 2 }))
            .unwrap();
        assert_eq!(
            terms["terms"],
            json!([{ "term": "queue", "count": 3 }, { "term": "disk", "count": 2 }])
        );
    }

    #[test]
    fn wrong_arguments_are_named() {
        let fake = FakeHost::denying();
        let refused = |arguments| {
            fake.call_json::<ExtractTerms>(&arguments)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(json!({ "text": "a", "limit": 0 })).contains("limit: expected 1 to 100"));
        assert!(refused(json!({ "limit": 1 })).contains("text"));
        assert!(refused(json!({ "text": "a", "size": 1 })).contains("size"));
    }
}
