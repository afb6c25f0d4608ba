//! An agent that answers a question from sources: it plans, searches in parallel, keeps notes as records, and
//! reports what the answer is based on. It also shows an author every capability in use.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod answer;
mod notes;
mod plan;
mod sources;

use answer::Answered;
use mandate_sdk::prelude::*;
use notes::Note;
use sources::Finding;

/// Sub-questions, unless the task says otherwise.
const DEPTH: u32 = 3;
const MOST_DEPTH: u32 = 6;
/// Articles that are read, unless the settings say otherwise.
const SOURCES: usize = 4;
const LONGEST_QUESTION: usize = 2_000;

/// What is to be found out.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Input {
    /// The question. May be left out in a task about a note: then more is found out about that note's question.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2000))]
    pub question: Option<String>,
    /// Into how many sub-questions it is split, 1 to 6; 3 otherwise.
    #[serde(default)]
    #[schemars(range(min = 1, max = 6))]
    pub depth: Option<u32>,
}

/// What the operator may fill in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    max_sources: Option<usize>,
}

/// What was found out.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The question that was answered.
    pub question: String,
    /// The answer; only from the sources.
    pub answer: String,
    /// Who wrote the answer.
    pub author: Author,
    /// What each sub-question gave.
    pub findings: Vec<Finding>,
    /// The articles that were used, the best first.
    pub sources: Vec<Source>,
    /// The ids of the notes that were kept, in `notes`.
    pub notes: Vec<String>,
    /// What a reader should know before relying on the answer.
    pub caveats: Vec<String>,
}

/// Who wrote an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A language model, from the findings.
    Model,
    /// Nobody: it consists of sentences of the sources.
    Sources,
}

/// An article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Its id in the library.
    pub id: String,
    /// Its title.
    pub title: String,
}

/// The agent.
pub struct Research;

impl Agent for Research {
    type Input = Input;
    type Output = Output;
    const SUMMARY: &'static str = "Answers a question from the library: splits it, searches in parallel, keeps notes, names its sources.";

    fn run(task: Task<Input>, host: &Host) -> Result<Report<Output>, Error> {
        let settings: Settings = task.settings()?;
        let depth = depth(task.input.depth)?;
        let question = question(&task, host)?;
        let mut caveats = Vec::new();

        host.progress(0.05, "planning");
        let plan = plan::plan(host, &question, depth, &mut caveats);

        host.progress(0.2, format!("searching for {} questions", plan.len()));
        let most = settings.max_sources.unwrap_or(SOURCES);
        let (findings, sources) = sources::gather(host, &plan, most, &mut caveats)?;

        host.progress(0.6, format!("noting {} findings", findings.len()));
        let kept = keep(host, &task.id, &question, &findings, &mut caveats)?;

        host.progress(0.75, "answering");
        let Answered { answer, author } = answer::answer(host, &question, &findings, &mut caveats);

        let quality = quality(&plan, &findings, author);
        let output = Output {
            question,
            answer,
            author,
            findings,
            sources,
            notes: kept,
            caveats,
        };
        announce(host, &task, &output, quality)?;
        host.progress(1.0, "done");
        let summary = summary(&output);
        Ok(Report::new(output, summary).with_quality(quality))
    }
}

mandate_sdk::agent!(Research);

fn depth(wanted: Option<u32>) -> Result<usize, Error> {
    let depth = wanted.unwrap_or(DEPTH);
    if (1..=MOST_DEPTH).contains(&depth) {
        return Ok(depth as usize);
    }
    Err(Error::invalid(format!(
        "depth: expected 1 to {MOST_DEPTH}, not {depth}"
    )))
}

/// The question of the input, or that of the note which the task is about.
fn question(task: &Task<Input>, host: &Host) -> Result<String, Error> {
    let question = match (
        task.input.question.as_deref(),
        task.subject_in(notes::COLLECTION),
    ) {
        (Some(question), _) => question.trim().to_owned(),
        (None, Some(id)) => {
            let note = host.records::<Note>(notes::COLLECTION).get(id)?.body;
            format!("{} (more than: {})", note.question, note.text)
        }
        (None, None) => String::new(),
    };
    if question.is_empty() {
        return Err(Error::invalid(
            "question: expected a text, or a task about a note",
        ));
    }
    Ok(question.chars().take(LONGEST_QUESTION).collect())
}

/// An answer is worth having without its notes; so a missing grant is a caveat and no end.
fn keep(
    host: &Host,
    task: &str,
    question: &str,
    findings: &[Finding],
    caveats: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    match notes::keep(host, task, question, findings) {
        Err(error @ Error::Denied { .. }) => {
            caveats.push(format!("No notes were kept: {error}."));
            Ok(Vec::new())
        }
        kept => kept,
    }
}

/// How much of the plan was found, and less if no model read it. It does not say that the answer is true.
fn quality(plan: &[String], findings: &[Finding], author: Author) -> f64 {
    let answered = plan.iter().filter(|question| {
        findings
            .iter()
            .any(|finding| finding.question == **question)
    });
    let share = answered.count() as f64 / plan.len().max(1) as f64;
    let trust = match author {
        Author::Model => 0.9,
        Author::Sources => 0.6,
    };
    (share * trust * 100.0).round() / 100.0
}

/// What subscribers are told.
#[derive(Serialize)]
struct Answering<'a> {
    task: &'a str,
    question: &'a str,
    sources: Vec<&'a str>,
    quality: f64,
}

fn announce(host: &Host, task: &Task<Input>, output: &Output, quality: f64) -> Result<(), Error> {
    let first_note = output
        .notes
        .first()
        .map(|id| format!("{}/{id}", notes::COLLECTION));
    let data = Answering {
        task: &task.id,
        question: &output.question,
        sources: output
            .sources
            .iter()
            .map(|source| source.id.as_str())
            .collect(),
        quality,
    };
    match host.publish(
        "answered",
        task.subject.as_deref().or(first_note.as_deref()),
        &data,
    ) {
        Err(error @ Error::Denied { .. }) => {
            host.warn(format!("nobody was told: {error}"));
            Ok(())
        }
        told => told,
    }
}

fn summary(output: &Output) -> String {
    let sources = output.sources.len();
    if sources == 0 {
        return "Nothing about this was found in the library.".to_owned();
    }
    let by = match output.author {
        Author::Model => "Answered by a model",
        Author::Sources => "Answered with sentences of the sources",
    };
    let plural = if sources == 1 { "" } else { "s" };
    format!(
        "{by}, from {sources} article{plural}; {} notes kept.",
        output.notes.len()
    )
}

#[cfg(test)]
mod tests;
