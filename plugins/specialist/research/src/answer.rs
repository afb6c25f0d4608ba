//! Making one answer out of the findings: by a model that may look up more, or else by the findings themselves.

use crate::{Author, Finding};
use mandate_sdk::prelude::*;
use mandate_sdk::react::End;

const TURNS: u32 = 5;

/// An answer and who wrote it.
pub struct Answered {
    pub answer: String,
    pub author: Author,
}

/// The answer. A model's words are used if they are a model's; otherwise the sentences of the sources are.
pub fn answer(
    host: &Host,
    question: &str,
    findings: &[Finding],
    caveats: &mut Vec<String>,
) -> Answered {
    let by_sources = || Answered {
        answer: of_sources(findings),
        author: Author::Sources,
    };
    if findings.is_empty() {
        caveats.push("The library has nothing about this.".to_owned());
        return by_sources();
    }
    let outcome = host
        .react(ModelClass::Smart)
        .system(
            "Answer the question from the findings, in at most six sentences, and name the id of the article \
             behind each statement in brackets. Look up more with the tools where the findings leave a gap. \
             What neither they nor the findings say, you do not know.",
        )
        .user(format!("Question: {question}\n\nFindings:\n{}", listed(findings)))
        .max_turns(TURNS)
        .max_output_tokens(800)
        .on_turn(|turn| {
            let names: Vec<&str> = turn.calls.iter().map(|call| call.name.as_str()).collect();
            host.working_on(format!("looking up more: {}", names.join(", ")));
        })
        .run();
    match outcome {
        Ok(outcome) if outcome.simulated => by_sources(),
        Ok(outcome) if outcome.text.trim().is_empty() => {
            caveats.push("The model gave no answer.".to_owned());
            by_sources()
        }
        Ok(outcome) => {
            match outcome.end {
                End::Stopped => {}
                End::MaxTurns => {
                    caveats.push(format!("The model was stopped after {TURNS} turns."))
                }
                End::Length => caveats.push("The model's answer was cut off.".to_owned()),
                End::Filtered => {
                    caveats.push("The provider withheld part of the answer.".to_owned())
                }
            }
            Answered {
                answer: outcome.text,
                author: Author::Model,
            }
        }
        Err(error) => {
            host.warn(format!("no model answered: {error}"));
            caveats.push(format!(
                "No model wrote the answer ({error}): it consists of sentences of the sources."
            ));
            by_sources()
        }
    }
}

fn listed(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| {
        format!(
            "- [{}] {} — {}",
            finding.source, finding.question, finding.text
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Each article once, with what it says to the first question that led to it.
fn of_sources(findings: &[Finding]) -> String {
    let mut said: Vec<&str> = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    for finding in findings {
        if !said.contains(&finding.source.as_str()) {
            said.push(&finding.source);
            parts.push(format!("{} [{}]", finding.text, finding.source));
        }
    }
    if parts.is_empty() {
        return "The library has nothing about this.".to_owned();
    }
    parts.join("\n\n")
}
