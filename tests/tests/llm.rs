//! Guests and models: what the simulated model answers is on record, labelled, and the same for
//! the same question. It knows no tool: the tools here have names that nobody has seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Do, agent};
use serde_json::{Value, json};
use std::hash::{BuildHasher, RandomState};

static HOST: Shared = Shared::new();

const ASKS: &str =
    "[capabilities.llm]\nclasses = [\"fast\", \"embed\"]\nmax_cost_per_task = 1000000\n";

fn random_name() -> String {
    let number = RandomState::new().hash_one(0_u8);
    let letters = (0..10).map(|n| char::from(b'a' + u8::try_from(number >> (5 * n) & 15).unwrap()));
    letters.collect()
}

#[tokio::test]
async fn a_tool_with_a_random_name_is_called_when_the_question_is_for_it() {
    let client = HOST.host().admin();
    let names: Vec<String> = (0..4).map(|_| random_name()).collect();
    let wanted = &names[2];
    let ask = Do::Complete {
        prompt: format!("Use {wanted} now."),
        tools: names.clone(),
    };
    let plugin = agent("asks").manifest(ASKS).does([ask.clone(), ask]);
    client.install(plugin.file()).await;
    let task = client.run("asks", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let answer = &steps[0]["answer"]["ok"];
    assert_eq!(answer["simulated"], true, "{answer}");
    assert_eq!(answer["provider"], "simulated", "{answer}");
    let calls = answer["message"]["tool_calls"]
        .as_array()
        .or(answer["message"]["tool-calls"].as_array());
    let called: Vec<&Value> = calls.unwrap().iter().map(|call| &call["name"]).collect();
    assert_eq!(called, [&json!(wanted)], "{answer}");
    assert_eq!(
        steps[0]["answer"], steps[1]["answer"],
        "the same question, the same answer"
    );
}

#[tokio::test]
async fn a_class_that_is_not_granted_is_denied() {
    let client = HOST.host().admin();
    let plugin = agent("limited")
        .manifest("[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000000\n")
        .does([
            Do::Embed("hello".into()),
            Do::Complete {
                prompt: "hello".into(),
                tools: vec![],
            },
        ]);
    client.install(plugin.file()).await;
    let task = client.run("limited", json!({})).await;
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    assert_eq!(steps[0]["refused"], true, "{}", steps[0]);
    assert!(
        steps[0]["answer"]
            .to_string()
            .contains("`embed` is not granted"),
        "{}",
        steps[0]
    );
    assert_eq!(steps[1]["refused"], false, "{}", steps[1]);
}

#[tokio::test]
async fn embeddings_of_the_same_text_are_the_same() {
    let client = HOST.host().admin();
    let plugin = agent("embeds").manifest(ASKS).does([
        Do::Embed("one".into()),
        Do::Embed("one".into()),
        Do::Embed("two".into()),
    ]);
    client.install(plugin.file()).await;
    let task = client.run("embeds", json!({})).await;
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let vector = |n: usize| steps[n]["answer"]["ok"]["vectors"].clone();
    assert!(vector(0)[0].as_array().unwrap().len() > 8, "{}", steps[0]);
    assert_eq!(vector(0), vector(1));
    assert_ne!(vector(0), vector(2));
}
