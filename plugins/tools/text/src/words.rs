//! What counts as a word, a term and a sentence.

/// Words that say nothing about what a text is about.
const STOP_WORDS: &[&str] = &[
    "about", "after", "again", "all", "also", "among", "and", "any", "are", "because", "been", "before",
    "being", "best", "better", "between", "both", "but", "can", "cannot", "could", "did", "does", "doing",
    "done", "each", "every", "few", "for", "from", "had", "has", "have", "her", "here", "him", "his", "how",
    "into", "its", "just", "like", "made", "make", "many", "may", "might", "more", "most", "much", "must",
    "need", "never", "nobody", "nor", "not", "nothing", "now", "off", "one", "only", "other", "our", "out",
    "over", "own", "same", "she", "should", "since", "some", "still", "such", "take", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "three", "through", "too", "two",
    "under", "until", "use", "very", "was", "way", "were", "what", "when", "where", "whether", "which",
    "while", "who", "whom", "whose", "why", "will", "with", "within", "without", "would", "you", "your",
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
        .filter(|word| word.chars().count() > 2 && STOP_WORDS.binary_search(&word.as_str()).is_err())
        .map(singular)
}

fn singular(mut word: String) -> String {
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") {
        word.pop();
    }
    word
}

/// The sentences of a text, in order; headings are left out.
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim_start().starts_with('#')) {
        let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rest = paragraph.as_str();
        while !rest.is_empty() {
            let end = rest.match_indices(['.', '!', '?']).map(|(at, mark)| at + mark.len());
            let end = end
                .filter(|end| rest.get(*end..).is_none_or(|after| after.is_empty() || after.starts_with(' ')))
                .next()
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
        let found: Vec<String> = terms("The Retries, and policies of status: don't retry the class").collect();
        assert_eq!(found, ["retry", "policy", "status", "don't", "retry", "class"]);
    }

    #[test]
    fn sentences_end_at_marks_before_a_space() {
        let text = "# Title\n\nOne is 1.5 or so.\nTwo? Three!\n\nFour";
        assert_eq!(sentences(text), ["One is 1.5 or so.", "Two?", "Three!", "Four"]);
        assert!(sentences("").is_empty());
    }
}
