//! The articles that come with this plugin: searching and reading them.

use crate::within;
use crate::words::{Tally, best, terms};
use mandate_sdk::prelude::*;

/// The usual constants of BM25: how quickly repetition stops counting, and how much length counts.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;
/// A term in the title counts like so many in the text.
const TITLE: f64 = 3.0;
/// Characters of an excerpt.
const EXCERPT: usize = 320;

macro_rules! articles {
    ($($id:literal),+ $(,)?) => {
        /// Id and text; the first line is the title.
        const ARTICLES: &[(&str, &str)] = &[$(($id, include_str!(concat!("../corpus/", $id, ".md")))),+];
    };
}

articles!(
    "alert-fatigue",
    "backups",
    "capacity-planning",
    "cost-anomalies",
    "dependency-failure",
    "incident-roles",
    "observability",
    "on-call",
    "patching",
    "postmortem",
    "rollout",
    "timeouts-retries",
);

/// Title and body of an article.
fn split(article: &'static str) -> (&'static str, &'static str) {
    let (title, body) = article.split_once('\n').unwrap_or((article, ""));
    (title.trim_start_matches('#').trim(), body.trim())
}

/// The arguments of `search`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArguments {
    /// Words or a question.
    pub query: String,
    /// At most so many articles; 5 otherwise.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    pub limit: Option<u32>,
}

/// The result of `search`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Hits {
    /// The best first; empty when no article has any word of the query.
    pub hits: Vec<Hit>,
}

/// An article that was found.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Hit {
    /// For `read`.
    pub id: String,
    /// The article's title.
    pub title: String,
    /// The paragraph that fits best, cut.
    pub excerpt: String,
    /// How well it fits; only to compare hits of one search.
    pub score: f64,
}

/// Finds articles.
pub struct Search;

impl Tool for Search {
    const NAME: &'static str = "search";
    const SUMMARY: &'static str = "Searches a small library of articles about running operations.";
    type Arguments = SearchArguments;
    type Result = Hits;

    fn call(arguments: SearchArguments, _: &Context, _: &Host) -> Result<Hits, Error> {
        let limit = within("limit", arguments.limit, 5, 20)?;
        Ok(Hits {
            hits: search(&Tally::of(&arguments.query), limit),
        })
    }
}

struct Counted {
    id: &'static str,
    title: &'static str,
    body: &'static str,
    length: f64,
    /// Of the wanted terms only.
    counts: Tally,
}

fn count(wanted: &Tally) -> Vec<Counted> {
    let counted = ARTICLES.iter().map(|(id, article)| {
        let (title, body) = split(article);
        let mut length = 0.0;
        let mut found = Vec::new();
        for (text, weight) in [(title, TITLE), (body, 1.0)] {
            for term in terms(text) {
                length += 1.0;
                if wanted.weight(&term) > 0.0 {
                    found.push((term, weight));
                }
            }
        }
        Counted {
            id,
            title,
            body,
            length,
            counts: Tally::weighted(found),
        }
    });
    counted.collect()
}

fn search(wanted: &Tally, limit: usize) -> Vec<Hit> {
    let articles = count(wanted);
    let all = articles.len() as f64;
    let average = articles.iter().map(|article| article.length).sum::<f64>() / all;
    let rarity = |(term, _): (&str, f64)| {
        let with = articles
            .iter()
            .filter(|article| article.counts.weight(term) > 0.0)
            .count() as f64;
        (
            term.to_owned(),
            (1.0 + (all - with + 0.5) / (with + 0.5)).ln(),
        )
    };
    let rarities = Tally::weighted(wanted.iter().map(rarity).collect());
    let score = |article: &Counted| -> f64 {
        let norm = SATURATION * (1.0 - LENGTH + LENGTH * article.length / average);
        let part = |(term, count): (&str, f64)| {
            rarities.weight(term) * count * (SATURATION + 1.0) / (count + norm)
        };
        article.counts.iter().map(part).sum()
    };
    let hit = |(place, score): (usize, f64)| {
        let article = articles.get(place).filter(|_| score > 0.0)?;
        Some(Hit {
            id: article.id.to_owned(),
            title: article.title.to_owned(),
            excerpt: excerpt(article.body, &rarities),
            score: (score * 1000.0).round() / 1000.0,
        })
    };
    best(articles.iter().map(score), limit)
        .into_iter()
        .filter_map(hit)
        .collect()
}

/// The paragraph with the rarest wanted terms.
fn excerpt(body: &str, rarities: &Tally) -> String {
    let mut best = (f64::MIN, "");
    for paragraph in body.split("\n\n") {
        let score = Tally::of(paragraph)
            .iter()
            .map(|(term, _)| rarities.weight(term))
            .sum();
        if score > best.0 {
            best = (score, paragraph);
        }
    }
    let text = best.1.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(EXCERPT) {
        None => text,
        Some((end, _)) => {
            let cut = text.get(..end).unwrap_or(&text);
            format!(
                "{} …",
                cut.rsplit_once(' ')
                    .map_or(cut, |(whole_words, _)| whole_words)
            )
        }
    }
}

/// The arguments of `read`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadArguments {
    /// As `search` gave it.
    pub id: String,
}

/// The result of `read`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Article {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text, paragraphs parted by empty lines.
    pub text: String,
}

/// Gives a whole article.
pub struct Read;

impl Tool for Read {
    const NAME: &'static str = "read";
    const SUMMARY: &'static str = "Reads an article of the library by the id that search gave.";
    type Arguments = ReadArguments;
    type Result = Article;

    fn call(arguments: ReadArguments, _: &Context, _: &Host) -> Result<Article, Error> {
        let found = ARTICLES.iter().find(|(id, _)| *id == arguments.id);
        let (id, article) = found.ok_or_else(|| {
            let ids: Vec<&str> = ARTICLES.iter().map(|(id, _)| *id).collect();
            Error::NotFound(format!(
                "there is no article `{}`; there are {}",
                arguments.id,
                ids.join(", ")
            ))
        })?;
        let (title, text) = split(article);
        Ok(Article {
            id: (*id).to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_sdk::serde_json::{Value, json};

    fn found(query: &str) -> Vec<String> {
        let hits = FakeHost::denying()
            .call_json::<Search>(&json!({ "query": query }))
            .unwrap();
        let ids = hits["hits"].as_array().unwrap().iter();
        ids.map(|hit| hit["id"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_fitting_article_comes_first() {
        assert_eq!(found("How often should a restore be tested?")[0], "backups");
        assert_eq!(found("retry storm idempotent")[0], "timeouts-retries");
        assert_eq!(found("who leads an incident")[0], "incident-roles");
        assert_eq!(found("canary deployment")[0], "rollout");
    }

    #[test]
    fn nothing_fits_nonsense() {
        assert!(found("xylophone zeppelin").is_empty());
        assert!(found("the and of").is_empty());
    }

    #[test]
    fn hits_are_sorted_limited_and_have_the_paragraph_that_fits() {
        let arguments = json!({ "query": "circuit breaker and load shedding", "limit": 3 });
        let hits = FakeHost::denying().call_json::<Search>(&arguments).unwrap();
        let hits = hits["hits"].as_array().unwrap();
        assert!(hits.len() <= 3);
        assert!(
            hits.windows(2)
                .all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64())
        );
        let excerpt = hits[0]["excerpt"].as_str().unwrap();
        assert!(excerpt.starts_with("A circuit breaker"), "{excerpt}");
        assert!(excerpt.chars().count() <= EXCERPT + 2);
    }

    #[test]
    fn every_article_can_be_read_and_has_a_title() {
        for (id, _) in ARTICLES {
            let article: Value = FakeHost::denying()
                .call_json::<Read>(&json!({ "id": id }))
                .unwrap();
            assert!(!article["title"].as_str().unwrap().is_empty());
            assert!(article["text"].as_str().unwrap().len() > 500, "{id}");
        }
        let missing = FakeHost::denying()
            .call_json::<Read>(&json!({ "id": "../secret" }))
            .unwrap_err();
        assert!(missing.is_not_found() && missing.to_string().contains("backups"));
    }
}
