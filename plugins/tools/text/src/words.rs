//! What counts as a word, a term and a sentence, and how terms are counted.

/// Words that say nothing about what a text is about.
const STOP_WORDS: &[&str] = &[
    "about", "after", "again", "all", "also", "among", "and", "any", "are", "because", "been",
    "before", "being", "best", "better", "between", "both", "but", "can", "cannot", "could", "did",
    "does", "doing", "done", "each", "every", "few", "for", "from", "had", "has", "have", "her",
    "here", "him", "his", "how", "into", "its", "just", "like", "made", "make", "many", "may",
    "might", "more", "most", "much", "must", "need", "never", "nobody", "nor", "not", "nothing",
    "now", "off", "one", "only", "other", "our", "out", "over", "own", "same", "she", "should",
    "since", "some", "still", "such", "take", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "three", "through", "too", "two", "under", "until",
    "use", "very", "was", "way", "were", "what", "when", "where", "whether", "which", "while",
    "who", "whom", "whose", "why", "will", "with", "within", "without", "would", "you", "your",
];

/// The words of a text, in order, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// The words that say what a text is about, in one form for singular and plural.
pub fn terms(text: &str) -> impl Iterator<Item = String> + '_ {
    words(text)
        .filter(|word| {
            word.chars().count() > 2 && STOP_WORDS.binary_search(&word.as_str()).is_err()
        })
        .map(singular)
}

fn singular(mut word: String) -> String {
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3
        && word.ends_with('s')
        && !word.ends_with("ss")
        && !word.ends_with("us")
    {
        word.pop();
    }
    word
}

/// How much each term weighs, in the order of the terms. One shape serves every tool of this plugin: maps and
/// sets of the standard library would make the component a sixth larger.
pub struct Tally(Vec<(String, f64)>);

impl Tally {
    /// The terms of a text, each with how often it is there.
    pub fn of(text: &str) -> Self {
        Self::weighted(terms(text).map(|term| (term, 1.0)).collect())
    }

    /// The sum of the weights of each term.
    pub fn weighted(mut terms: Vec<(String, f64)>) -> Self {
        terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        terms.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        Self(terms)
    }

    /// The weight of a term; 0 if it is not there.
    pub fn weight(&self, term: &str) -> f64 {
        let place = self
            .0
            .binary_search_by(|(known, _)| known.as_str().cmp(term));
        place
            .ok()
            .and_then(|place| self.0.get(place))
            .map_or(0.0, |(_, weight)| *weight)
    }

    /// The terms with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(term, weight)| (term.as_str(), *weight))
    }

    /// How many different terms there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The places of the `limit` highest scores, the highest first; equal ones in their order.
pub fn best(scores: impl Iterator<Item = f64>, limit: usize) -> Vec<(usize, f64)> {
    let mut scores: Vec<(usize, f64)> = scores.enumerate().collect();
    scores.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.truncate(limit);
    scores
}

/// The sentences of a text, in order; headings are left out.
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for paragraph in text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim_start().starts_with('#'))
    {
        let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rest = paragraph.as_str();
        while !rest.is_empty() {
            let mut end = rest
                .match_indices(['.', '!', '?'])
                .map(|(at, mark)| at + mark.len());
            let end = end
                .find(|end| {
                    rest.get(*end..)
                        .is_none_or(|after| after.is_empty() || after.starts_with(' '))
                })
                .unwrap_or(rest.len());
            let (sentence, after) = rest.split_at(end);
            sentences.push(sentence.to_owned());
            rest = after.trim_start();
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_can_be_searched() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn terms_have_one_form_and_no_stop_words() {
        let found: Vec<String> =
            terms("The Retries, and policies of status: don't retry the class").collect();
        assert_eq!(
            found,
            ["retry", "policy", "status", "don't", "retry", "class"]
        );
    }

    #[test]
    fn a_tally_adds_up_and_the_best_keep_their_order() {
        let tally = Tally::of("queue disk queues");
        assert_eq!(
            tally.iter().collect::<Vec<_>>(),
            [("disk", 1.0), ("queue", 2.0)]
        );
        assert_eq!(
            (tally.weight("queue"), tally.weight("none"), tally.len()),
            (2.0, 0.0, 2)
        );
        assert_eq!(
            best([1.0, 3.0, 1.0, 3.0].into_iter(), 3),
            [(1, 3.0), (3, 3.0), (0, 1.0)]
        );
    }

    #[test]
    fn sentences_end_at_marks_before_a_space() {
        let text = "# Title\n\nOne is 1.5 or so.\nTwo? Three!\n\nFour";
        assert_eq!(
            sentences(text),
            ["One is 1.5 or so.", "Two?", "Three!", "Four"]
        );
        assert!(sentences("").is_empty());
    }
}
