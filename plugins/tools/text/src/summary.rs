//! Summaries made of a text's own sentences.

use crate::within;
use crate::words::{Tally, best, sentences};
use mandate_sdk::prelude::*;

/// A term of the focus counts this much more than the most frequent one.
const FOCUS_WEIGHT: f64 = 2.0;
/// A text's first sentence often says what it is about.
const FIRST_WEIGHT: f64 = 1.2;

/// The arguments of `summarize`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummarizeArguments {
    /// The text to summarize.
    pub text: String,
    /// At most so many sentences; 3 otherwise.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub sentences: Option<u32>,
    /// What the reader wants to know; sentences about it are preferred.
    #[serde(default)]
    pub focus: Option<String>,
}

/// The result of `summarize`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// The chosen sentences as one text.
    pub summary: String,
    /// The chosen sentences, in the order of the text.
    pub sentences: Vec<String>,
}

/// Chooses the sentences that say most.
pub struct Summarize;

impl Tool for Summarize {
    const NAME: &'static str = "summarize";
    const SUMMARY: &'static str = "Summarizes a text with its own most telling sentences.";
    type Arguments = SummarizeArguments;
    type Result = Summary;

    fn call(arguments: SummarizeArguments, _: &Context, _: &Host) -> Result<Summary, Error> {
        let limit = within("sentences", arguments.sentences, 3, 20)?;
        let focus = Tally::of(arguments.focus.as_deref().unwrap_or_default());
        let frequency = Tally::of(&arguments.text);
        let most = frequency.iter().map(|(_, count)| count).fold(0.0, f64::max);
        let mut sentences = sentences(&arguments.text);
        let scores = sentences.iter().enumerate().map(|(place, sentence)| {
            // Each term once: a sentence that repeats itself does not say more.
            let own = Tally::of(sentence);
            let weight = |(term, _): (&str, f64)| {
                let bonus = if focus.weight(term) > 0.0 {
                    most * FOCUS_WEIGHT
                } else {
                    0.0
                };
                frequency.weight(term) + bonus
            };
            let sum: f64 = own.iter().map(weight).sum();
            // The root keeps long sentences from winning by length alone, and short ones by brevity.
            let score = sum / (own.len().max(1) as f64).sqrt();
            if place == 0 {
                score * FIRST_WEIGHT
            } else {
                score
            }
        });
        let chosen = best(scores, limit);
        let mut place = 0;
        sentences.retain(|_| {
            place += 1;
            chosen.iter().any(|(chosen, _)| chosen + 1 == place)
        });
        Ok(Summary {
            summary: sentences.join(" "),
            sentences,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_sdk::serde_json::json;

    const TEXT: &str = "A backup is tested by a restore. The sun shines. A restore of the backup takes an hour. \
                        Keys are kept apart.";

    #[test]
    fn the_telling_sentences_stay_in_their_order() {
        let summary = FakeHost::denying()
            .call_json::<Summarize>(&json!({ "text": TEXT, "sentences": 2 }))
            .unwrap();
        let expected = json!([
            "A backup is tested by a restore.",
            "A restore of the backup takes an hour."
        ]);
        assert_eq!(summary["sentences"], expected);
    }

    #[test]
    fn the_focus_counts() {
        let arguments = json!({ "text": TEXT, "sentences": 1, "focus": "Where do the keys go?" });
        let summary = FakeHost::denying()
            .call_json::<Summarize>(&arguments)
            .unwrap();
        assert_eq!(summary["summary"], "Keys are kept apart.");
    }

    #[test]
    fn an_empty_text_has_an_empty_summary() {
        let summary = FakeHost::denying()
            .call_json::<Summarize>(&json!({ "text": " " }))
            .unwrap();
        assert_eq!(summary, json!({ "summary": "", "sentences": [] }));
        assert!(
            FakeHost::denying()
                .call_json::<Summarize>(&json!({ "text": "a", "sentences": 21 }))
                .is_err()
        );
    }
}
