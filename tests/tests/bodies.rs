//! Whatever is sent where decisions, questions and the policy are answered or put: it is taken or
//! refused with a reason, and never breaks the host.
//!
//! `MANDATE_SEED` repeats a run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use futures::StreamExt;
use mandate_tests::{Client, Do, Host, agent, tool};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::SystemTime;

/// So many bodies for each kind of place.
const BODIES: usize = 600;

fn runner() -> TestRunner {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let seed = match std::env::var("MANDATE_SEED") {
        Ok(text) => text.parse().expect("MANDATE_SEED is a number"),
        Err(_) => u64::try_from(now).unwrap(),
    };
    println!("MANDATE_SEED={seed}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.to_le_bytes().repeat(4));
    TestRunner::new_with_rng(Config::default(), rng)
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        select(vec![
            "",
            "\u{0}",
            "\u{202e}",
            "'; drop table decisions; --",
            "{{secret:KEY}}",
            "../../etc",
            "1e999",
            "-0",
            "9223372036854775808",
            "2026-02-30T25:61:00Z",
            "null",
            "NaN",
        ])
        .prop_map(str::to_owned),
        (0..20_000_usize).prop_map(|n| "x".repeat(n)),
    ]
}

/// JSON of any form, in which the names that count are frequent.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    let names = prop_oneof![
        4 => select(vec!["comment", "answer", "happened", "text", "cost", "reason"])
            .prop_map(str::to_owned),
        1 => texts(),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What is sent: JSON, JSON that broke, or no text at all.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => values().prop_map(|value| value.to_string().into_bytes()),
        1 => (values(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
            let mut text = value.to_string().into_bytes();
            text.truncate(at.index(text.len() + 1));
            text
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (0..2_000_usize).prop_map(|deep| "[".repeat(deep).into_bytes()),
    ]
}

/// A policy that says everything that can be said, from the guide.
fn whole_policy() -> String {
    let guide = include_str!("../../docs/policy.md");
    let (_, from) = guide.split_once("```toml\n").unwrap();
    from.split_once("\n```").unwrap().0.to_owned()
}

/// A policy that went wrong in a few places.
fn policies() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        texts(),
        select(vec![
            "-1",
            "0",
            "1e308",
            "nan",
            "inf",
            "99999999999999999999",
            "\"\"",
            "[]",
            "{}",
            "[[",
            "]]",
            "=",
            "\"\"\"",
            "'''",
            "[thresholds]",
            "[[override]]",
            "\n",
            "\r",
            "\"24:01\"",
            "\"*\"",
            "input",
            "some x in data",
            "every",
            "http.send({})",
            "[x | x := 1]",
            "import data.x",
        ])
        .prop_map(str::to_owned),
    ];
    let edit = (any::<prop::sample::Index>(), 0..40_usize, piece);
    prop::collection::vec(edit, 0..4).prop_map(|edits| {
        let mut text: Vec<char> = whole_policy().chars().collect();
        for (at, most, piece) in edits {
            let from = at.index(text.len() + 1);
            let to = (from + most).min(text.len());
            text.splice(from..to, piece.chars());
        }
        text.into_iter().collect()
    })
}

/// Sends all of `requests`, eight at a time. None is answered as the host's fault.
async fn sent(client: &Client, requests: Vec<(Method, String, Vec<u8>)>) -> Vec<u16> {
    futures::stream::iter(requests)
        .map(|(method, path, body)| async move {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let request = client
                .request(method, &path)
                .header("content-type", "application/json")
                .header("if-match", "\"0\"")
                .body(body);
            let answer = client.send(request).await;
            assert!(answer.status < 500, "{path}: {} of {shown}", answer.text);
            if answer.status >= 400 {
                let problem = answer.json();
                assert!(problem["title"].is_string(), "{path}: {problem} of {shown}");
            }
            answer.status
        })
        .buffer_unordered(8)
        .collect()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_breaks_the_host() {
    let host = Host::start();
    let admin = host.admin();
    admin.install(tool("pay", "reversible").file()).await;
    let payer = agent("payer")
        .manifest("[capabilities]\nhuman = true\n[capabilities.invoke]\ntools = [\"pay.it\"]")
        .does([Do::tool("pay.it", "{}")]);
    admin.install(payer.file()).await;
    let asker = agent("asker").manifest("[capabilities]\nhuman = true");
    admin
        .install(asker.does([Do::Ask("Which?".into())]).file())
        .await;
    admin.submit(&json!({"kind": "payer"})).await;
    admin.submit(&json!({"kind": "asker"})).await;
    let first = async |path: &'static str| {
        let all = async || admin.items(path).await.into_iter().next();
        admin.until(all).await["id"].as_str().unwrap().to_owned()
    };
    let decision = first("/api/v1/decisions?status=pending").await;
    let question = first("/api/v1/questions?status=open").await;
    let places = [
        format!("/api/v1/decisions/{decision}/approve"),
        format!("/api/v1/decisions/{decision}/deny"),
        format!("/api/v1/decisions/{decision}/ask-again"),
        format!("/api/v1/questions/{question}/answer"),
        "/api/v1/decisions/dec-nowhere/approve".to_owned(),
        "/api/v1/questions/%00/answer".to_owned(),
    ];
    let mut runner = runner();
    let (bodies, policies) = (bodies(), policies());
    let mut requests = Vec::new();
    for n in 0..BODIES {
        let body = bodies.new_tree(&mut runner).unwrap().current();
        requests.push((Method::POST, places[n % places.len()].clone(), body));
        let body = bodies.new_tree(&mut runner).unwrap().current();
        requests.push((Method::PUT, "/api/v1/policy".to_owned(), body));
        let text = policies.new_tree(&mut runner).unwrap().current();
        let body = json!({ "text": text }).to_string().into_bytes();
        requests.push((Method::PUT, "/api/v1/policy".to_owned(), body));
    }
    let ann = host.principal("ann", "admin", &[]).await;
    let statuses = sent(&ann, requests).await;
    let refused = statuses.iter().filter(|status| **status == 422).count();
    assert!(refused > BODIES / 10, "{refused} of {}", statuses.len());
    admin.get("/ready").await.expect(200);
    let panicked = |line: &String| line.contains("panicked");
    assert!(!host.log().iter().any(panicked));
    // What it kept is one that it can use.
    let host = Host::over(host.kill(), &mandate_tests::Options::default());
    host.admin().get("/ready").await.expect(200);
}
