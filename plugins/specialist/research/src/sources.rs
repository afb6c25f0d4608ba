//! Searching the library and reading what was found, as parallel as it can be.

use crate::Source;
use mandate_sdk::prelude::*;

/// Hits that are considered for each question.
const HITS: u32 = 3;
/// Sentences that are kept of each article for each question.
const SENTENCES: u32 = 2;

/// What an article says to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The question.
    pub question: String,
    /// What the article says to it, in its own sentences.
    pub text: String,
    /// The id of the article.
    pub source: String,
    /// The title of the article.
    pub title: String,
}

#[derive(Serialize)]
struct Search<'a> {
    query: &'a str,
    limit: u32,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: String,
    title: String,
    score: f64,
}

#[derive(Serialize)]
struct Read<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Article {
    id: String,
    text: String,
}

#[derive(Serialize)]
struct Summarize<'a> {
    text: &'a str,
    sentences: u32,
    focus: &'a str,
}

#[derive(Deserialize)]
struct Summary {
    summary: String,
}

/// A question and an article that may answer it.
struct Lead<'a> {
    question: &'a str,
    source: Source,
    score: f64,
}

/// What the library says to the questions, from at most `most` articles, and these articles.
///
/// # Errors
/// When not a single search could be made: then there is nothing to report.
pub fn gather(
    host: &Host,
    questions: &[String],
    most: usize,
    caveats: &mut Vec<String>,
) -> Result<(Vec<Finding>, Vec<Source>), Error> {
    let leads = search(host, questions, caveats)?;
    let sources = best_sources(&leads, most);
    let articles = read(host, &sources, caveats)?;

    let mut wanted: Vec<(&Lead<'_>, Summarize<'_>)> = Vec::new();
    for lead in &leads {
        if let Some(article) = articles.iter().find(|article| article.id == lead.source.id) {
            let summarize = Summarize {
                text: &article.text,
                sentences: SENTENCES,
                focus: lead.question,
            };
            wanted.push((lead, summarize));
        }
    }
    let (leads, arguments): (Vec<&Lead<'_>>, Vec<Summarize<'_>>) = wanted.into_iter().unzip();
    let summaries = host.call_tool_many::<_, Summary>("text.summarize", &arguments)?;

    let mut findings: Vec<Finding> = Vec::new();
    for (lead, summary) in leads.into_iter().zip(summaries) {
        match summary {
            Ok(Summary { summary }) => findings.push(Finding {
                question: lead.question.to_owned(),
                text: summary,
                source: lead.source.id.clone(),
                title: lead.source.title.clone(),
            }),
            Err(error) => {
                caveats.push(format!("`{}` was not summarized: {error}.", lead.source.id))
            }
        }
    }
    let used = |source: &Source| findings.iter().any(|finding| finding.source == source.id);
    let sources = sources.into_iter().filter(used).collect();
    Ok((findings, sources))
}

fn search<'a>(
    host: &Host,
    questions: &'a [String],
    caveats: &mut Vec<String>,
) -> Result<Vec<Lead<'a>>, Error> {
    let arguments: Vec<Search<'_>> = questions
        .iter()
        .map(|question| Search {
            query: question,
            limit: HITS,
        })
        .collect();
    let answers = host.call_tool_many::<_, Hits>("text.search", &arguments)?;
    let mut leads = Vec::new();
    let mut failures = Vec::new();
    for (question, answer) in questions.iter().zip(answers) {
        match answer {
            Ok(Hits { hits }) => {
                leads.extend(hits.into_iter().map(|Hit { id, title, score }| Lead {
                    question,
                    source: Source { id, title },
                    score,
                }))
            }
            Err(error) => failures.push((question, error)),
        }
    }
    if failures.len() == questions.len()
        && let Some((_, error)) = failures.pop()
    {
        return Err(error);
    }
    caveats.extend(
        failures
            .iter()
            .map(|(question, error)| format!("Not searched for “{question}”: {error}.")),
    );
    Ok(leads)
}

/// The articles with the highest scores over all questions.
fn best_sources(leads: &[Lead<'_>], most: usize) -> Vec<Source> {
    let mut totals: Vec<(Source, f64)> = Vec::new();
    for lead in leads {
        match totals
            .iter_mut()
            .find(|(source, _)| source.id == lead.source.id)
        {
            Some((_, total)) => *total += lead.score,
            None => totals.push((lead.source.clone(), lead.score)),
        }
    }
    totals.sort_by(|a, b| b.1.total_cmp(&a.1));
    totals
        .into_iter()
        .take(most)
        .map(|(source, _)| source)
        .collect()
}

fn read(host: &Host, sources: &[Source], caveats: &mut Vec<String>) -> Result<Vec<Article>, Error> {
    let arguments: Vec<Read<'_>> = sources
        .iter()
        .map(|source| Read { id: &source.id })
        .collect();
    let answers = host.call_tool_many::<_, Article>("text.read", &arguments)?;
    let mut articles = Vec::new();
    for (source, answer) in sources.iter().zip(answers) {
        match answer {
            Ok(article) => articles.push(article),
            Err(error) => caveats.push(format!("`{}` was not read: {error}.", source.id)),
        }
    }
    Ok(articles)
}
