//! The whole run over a host in memory, with a model and without.

use super::*;
use mandate_sdk::llm::Response;
use mandate_sdk::serde_json::{Value, from_str, json, to_value};
use mandate_sdk::testing::{model_calls, model_text};
use std::time::Duration;
use text::{Read, Search, Summarize};

const QUESTION: &str = "How do we know that our backups work?";

/// A host with the real tools of the plugin `text`, and the grants of this plugin's manifest.
fn fake() -> FakeHost {
    let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
    fake.tool_of::<Search>("text");
    fake.tool_of::<Read>("text");
    fake.tool_of::<Summarize>("text");
    fake
}

fn task(question: &str) -> Task<Input> {
    Task::new(Input {
        question: Some(question.to_owned()),
        depth: None,
    })
}

fn real(mut response: Response) -> Result<Response, Error> {
    response.simulated = false;
    Ok(response)
}

fn plan() -> Result<Response, Error> {
    real(model_text(
        json!({ "questions": ["How often is a restore tested?", "What is a recovery point?"] })
            .to_string(),
    ))
}

#[test]
fn a_model_plans_looks_up_more_and_answers() {
    let fake = fake();
    fake.model_answers(plan());
    fake.model_answers(real(model_calls(&[(
        "text.read",
        json!({ "id": "backups" }),
    )])));
    fake.model_answers(real(model_text("Restore them every week [backups].")));
    let report = fake.run::<Research>(task(QUESTION)).unwrap();
    let output = report.output;
    assert_eq!(
        (output.answer.as_str(), output.author),
        ("Restore them every week [backups].", Author::Model)
    );
    assert_eq!(output.sources[0].id, "backups");
    assert!(output.caveats.is_empty(), "{:?}", output.caveats);
    assert_eq!(report.quality, Some(0.9));
    assert!(
        output
            .findings
            .iter()
            .any(|finding| finding.question == "How often is a restore tested?")
    );
    let parallel = fake
        .calls_of("invoke")
        .iter()
        .filter(|call| call.function == "invoke-many")
        .count();
    assert_eq!(
        parallel, 4,
        "search, read, summarize, and the model's own calls"
    );
    let event = &fake.events()[0];
    assert_eq!(event.subject, Some(format!("notes/{}", output.notes[0])));
    assert!(
        fake.progress()
            .iter()
            .any(|(_, text)| text.contains("looking up more: text.read"))
    );
}

#[test]
fn without_a_model_it_reports_from_the_search_and_says_so() {
    let fake = fake();
    fake.model_is_down(Error::Unavailable {
        reason: "no provider answers".to_owned(),
        retry_after: Some(Duration::from_secs(5)),
    });
    let report = fake.run::<Research>(task(QUESTION)).unwrap();
    assert_eq!(report.output.author, Author::Sources);
    assert!(report.output.answer.contains("[backups]"));
    assert_eq!(report.output.caveats.len(), 2);
    assert!(
        report
            .output
            .caveats
            .iter()
            .all(|caveat| caveat.contains("no provider answers"))
    );
    assert_eq!(report.quality, Some(0.6));
    assert!(report.summary.contains("sentences of the sources"));
}

#[test]
fn the_words_of_a_simulated_model_are_not_passed_off_as_an_answer() {
    let fake = fake();
    fake.model_says_json(&json!({ "questions": ["restore"] }));
    fake.model_says("lorem ipsum");
    let output = fake.run::<Research>(task(QUESTION)).unwrap().output;
    assert_eq!(output.author, Author::Sources);
    assert!(!output.answer.contains("lorem"));
    assert!(output.caveats[0].contains("simulated"));
}

#[test]
fn a_second_research_renews_the_notes() {
    let fake = fake();
    fake.model_is_down(Error::failed("down"));
    let first = fake.run::<Research>(task(QUESTION)).unwrap().output.notes;
    let mut again = task(QUESTION);
    again.id = "task-2".to_owned();
    let second = fake.run::<Research>(again).unwrap().output.notes;
    assert!(!first.is_empty());
    assert_eq!(first, second);
    let notes = fake.records::<Note>(notes::COLLECTION);
    assert_eq!(notes.len(), first.len());
    assert!(
        notes
            .iter()
            .all(|(_, note)| note.task == "task-2" && note.topic == QUESTION)
    );
}

#[test]
fn a_note_can_be_expanded() {
    let fake = fake();
    fake.model_is_down(Error::failed("down"));
    let notes = fake.run::<Research>(task(QUESTION)).unwrap().output.notes;
    let expand = Task::new(Input {
        question: None,
        depth: Some(1),
    })
    .about(notes::COLLECTION, &notes[0]);
    let output = fake.run::<Research>(expand).unwrap().output;
    assert!(output.question.starts_with(QUESTION));
    assert_eq!(
        fake.events()[1].subject,
        Some(format!("notes/{}", notes[0]))
    );
}

#[test]
fn what_was_not_found_is_said() {
    let fake = fake();
    fake.model_is_down(Error::failed("down"));
    let report = fake.run::<Research>(task("xylophone zeppelin")).unwrap();
    assert_eq!(
        (report.quality, report.output.sources.len()),
        (Some(0.0), 0)
    );
    assert!(report.summary.starts_with("Nothing"));
    assert!(fake.records::<Note>(notes::COLLECTION).is_empty());
}

#[test]
fn settings_bound_the_sources() {
    let fake = fake();
    fake.model_is_down(Error::failed("down"));
    let one = task("incident review, patching and backups")
        .with_settings(&json!({ "max_sources": 1 }))
        .unwrap();
    assert_eq!(fake.run::<Research>(one).unwrap().output.sources.len(), 1);
}

#[test]
fn bad_tasks_are_refused_with_the_field() {
    let refused = |input: Value| fake().run_json::<Research>(&input).unwrap_err().to_string();
    assert!(refused(json!({})).contains("question"));
    assert!(refused(json!({ "question": "  " })).contains("question"));
    assert!(refused(json!({ "question": "a", "depth": 7 })).contains("depth: expected 1 to 6"));
    assert!(refused(json!({ "question": 1 })).contains("input"));
}

#[test]
fn without_the_tools_it_fails_and_without_the_other_grants_it_does_not() {
    let bare = FakeHost::denying();
    assert!(matches!(
        bare.run::<Research>(task(QUESTION)),
        Err(Error::Denied { capability, .. }) if capability == "invoke"
    ));
    let tools_only = FakeHost::for_plugin("[capabilities.invoke]\ntools = [\"text.*\"]");
    tools_only.tool_of::<Search>("text");
    tools_only.tool_of::<Read>("text");
    tools_only.tool_of::<Summarize>("text");
    let output = tools_only.run::<Research>(task(QUESTION)).unwrap().output;
    assert!(output.notes.is_empty());
    assert!(
        output
            .caveats
            .iter()
            .any(|caveat| caveat.contains("No notes were kept"))
    );
}

#[test]
fn the_schema_of_notes_is_that_of_the_type() {
    let written: Value = from_str(include_str!("../schemas/note.json")).unwrap();
    let derived = to_value(mandate_sdk::schemars::schema_for!(Note)).unwrap();
    assert_eq!(written, derived, "schemas/note.json should be {derived:#}");
}
