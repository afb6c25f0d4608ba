//! The notes that this agent keeps: one per question and article.

use crate::Finding;
use mandate_sdk::prelude::*;

/// Declared in `plugin.toml`.
pub const COLLECTION: &str = "notes";

/// What an article says to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What the research was about: the question of its task.
    pub topic: String,
    /// The sub-question that this answers.
    pub question: String,
    /// What was found.
    pub text: String,
    /// The id of the article that it is from.
    pub source: String,
    /// The title of that article.
    pub title: String,
    /// The id of the task that wrote it last.
    pub task: String,
}

/// Writes a note per finding and returns their ids. A second research of the same question renews its notes
/// and does not pile up copies.
///
/// # Errors
/// What the host says.
pub fn keep(
    host: &Host,
    task: &str,
    topic: &str,
    findings: &[Finding],
) -> Result<Vec<String>, Error> {
    let notes = host.records::<Note>(COLLECTION);
    let earlier = notes.find().equal("topic", topic).all(100)?;
    let mut kept = Vec::new();
    for finding in findings {
        let note = Note {
            topic: topic.to_owned(),
            question: finding.question.clone(),
            text: finding.text.clone(),
            source: finding.source.clone(),
            title: finding.title.clone(),
            task: task.to_owned(),
        };
        let same = earlier
            .iter()
            .find(|old| old.body.source == note.source && old.body.question == note.question);
        let record = match same {
            Some(old) => notes.change(&old.id, |body| body.clone_from(&note))?,
            None => notes.create(&note)?,
        };
        kept.push(record.id);
    }
    Ok(kept)
}
