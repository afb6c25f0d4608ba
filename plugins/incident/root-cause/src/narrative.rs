//! The report: what was found, or that nothing was, in words that say no more than was measured.

use crate::chooser::Chooser;
use crate::footprint;
use crate::notebook::Notebook;
use incident_asking::model::{self, DATA_RULE, Thought, author, unknown_name};
use incident_asking::text::{data, line};
use incident_contract::FaultKind;
use incident_contract::incident::{Cause, Investigation};
use incident_contract::ranking::Suspect;
use mandate_sdk::prelude::*;

/// Who the author is where no model was.
const RULES: &str = "rules";
const LONGEST_SUMMARY: usize = 600;
const LONGEST_EVIDENCE: usize = 200;

/// What the model is asked for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Words {
    /// One or two sentences.
    summary: String,
}

/// The report on an incident that names no component.
pub fn nothing_to_look_at() -> Cause {
    Cause {
        found: false,
        ranking: Vec::new(),
        kind: None,
        summary: "The incident names no component, so there is nothing to look at.".to_owned(),
        steps: Vec::new(),
        author: RULES.to_owned(),
    }
}

/// The report on what the search knows.
pub fn report(
    host: &Host,
    notebook: &Notebook,
    mut steps: Vec<Investigation>,
    chooser: &Chooser,
) -> Cause {
    let suspects = notebook.suspects();
    let found = notebook.found();
    let kind = suspects.first().filter(|_| found).and_then(|first| {
        footprint::kind(
            first,
            &notebook.footprint(&first.component),
            notebook.seen(),
        )
    });
    let by_rules = by_rules(notebook, &suspects, kind);
    let mut summary = by_rules.clone();
    let mut wrote = if chooser.by_model {
        author(ModelClass::Smart)
    } else {
        RULES
    };
    if found && chooser.by_model {
        match worded(host, &by_rules, &suspects) {
            Ok(words) => summary = words,
            Err(why) => steps.push(Investigation {
                reason: "A model was to word the summary.".to_owned(),
                action: "conclude".to_owned(),
                observation: format!("{why} The summary is by rules."),
            }),
        }
    } else {
        wrote = if chooser.by_model { wrote } else { RULES };
    }
    if let Some(why) = &chooser.without {
        steps.push(Investigation {
            reason: "A model was to choose what to look at.".to_owned(),
            action: "conclude".to_owned(),
            observation: format!(
                "No model answered ({}): rules chose.",
                line(why, LONGEST_EVIDENCE)
            ),
        });
    }
    Cause {
        found,
        ranking: suspects,
        kind,
        summary,
        steps,
        author: wrote.to_owned(),
    }
}

fn by_rules(notebook: &Notebook, suspects: &[Suspect], kind: Option<FaultKind>) -> String {
    let symptom = &notebook.symptom.service;
    let Some(ranking) = &notebook.ranking else {
        let why = notebook
            .failure
            .as_deref()
            .unwrap_or("It was not looked for.");
        return format!("The cause of the symptom at `{symptom}` is not known. {why}");
    };
    let Some(first) = suspects.first().filter(|_| ranking.found) else {
        return format!(
            "The cause of the symptom at `{symptom}` was not found: {}",
            ranking.reason
        );
    };
    let what = match kind {
        None => "is the most likely cause",
        Some(FaultKind::Latency) => "is slow",
        Some(FaultKind::Errors) => "answers with errors",
        Some(FaultKind::Leak) => "leaks memory",
        Some(FaultKind::Cpu) => "has a busy processor",
        Some(FaultKind::Saturation) => "is saturated",
        Some(FaultKind::BadDeployment) => "suffers from its last deployment",
        Some(FaultKind::DependencyLoss) => "has lost something that it depends on",
        Some(FaultKind::Configuration) => "suffers from a change of its configuration",
    };
    let why = footprint::confirmation(first)
        .or(first.evidence.first())
        .map(|evidence| {
            format!(
                ": {}",
                line(evidence.text.trim_end_matches('.'), LONGEST_EVIDENCE)
            )
        })
        .unwrap_or_default();
    let way = if first.component == *symptom {
        "It shows the symptom itself".to_owned()
    } else if first.path.len() > 1 {
        format!(
            "The symptom leads to it over {}",
            line(&first.path.join(" → "), LONGEST_EVIDENCE)
        )
    } else {
        format!("No way in the topology leads to it from `{symptom}`")
    };
    format!(
        "`{}` {what}{why}. {way}; confidence {:.2}.",
        first.component, first.confidence
    )
}

/// The summary in a model's words, if they name nothing but what is known, and name the first suspect.
fn worded(host: &Host, by_rules: &str, suspects: &[Suspect]) -> Result<String, String> {
    let mut known = by_rules.to_owned();
    for suspect in suspects.iter().take(3) {
        for evidence in &suspect.evidence {
            known.push_str(&format!(
                "\n{}: {}",
                suspect.component,
                line(&evidence.text, LONGEST_EVIDENCE)
            ));
        }
    }
    let request = Request::new(ModelClass::Smart)
        .system(format!(
            "Say in at most two sentences, for the engineer on call, what the cause of the incident is and what shows \
             it. Use only what the findings say, and name components exactly as they do. {DATA_RULE}"
        ))
        .user(format!("Findings: {}", data(&known, 4_000)))
        .max_output_tokens(250)
        .temperature(0.0);
    let words = match model::ask::<Words>(host, request) {
        Thought::Real(words) => line(&words.summary, LONGEST_SUMMARY),
        Thought::Simulated => return Err("There is no real model any more.".to_owned()),
        Thought::None(why) => {
            return Err(format!("It did not ({}).", line(&why, LONGEST_EVIDENCE)));
        }
    };
    if let Some(name) = unknown_name(&words, &known) {
        return Err(format!(
            "It named `{}`, which is not in the findings.",
            line(name, 60)
        ));
    }
    match suspects.first() {
        Some(first) if words.contains(&first.component) => Ok(words),
        _ => Err("It did not name the first suspect.".to_owned()),
    }
}
