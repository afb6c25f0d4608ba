//! What is reserved for a model call and turns out not to be needed, or not to be enough.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::model::ledger;
use mandate_tests::upstream::{Does, READ, Upstream};
use mandate_tests::{Do, Host, Options, agent};
use serde_json::{Value, json};

const ASKS: &str =
    "[capabilities.llm]\nclasses = [\"fast\", \"embed\"]\nmax_cost_per_task = 1000000\n";

async fn entries(options: &Options, does: Vec<Do>) -> (Value, Vec<Value>) {
    let host = Host::with(options);
    let admin = host.admin();
    admin
        .install(agent("asks").manifest(ASKS).does(does).file())
        .await;
    let task = admin.run("asks", json!({})).await;
    let entries = ledger(&admin, task["id"].as_str().unwrap()).await;
    (task, entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_is_reserved_and_costs_nothing() {
    let a = Upstream::that(|_| Does::Answers).await;
    let options = Options {
        config: format!("[models]\norder = [\"a\"]\n{}", a.config("a")),
        ..Options::default()
    };
    let does = vec![Do::Embed("same".into()), Do::Embed("same".into())];
    let (task, entries) = entries(&options, does).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    assert_eq!(a.asked(), 1);
    let mut settled: Vec<i64> = entries
        .iter()
        .map(|entry| entry["settled"].as_i64().unwrap())
        .collect();
    settled.sort_unstable();
    assert_eq!(settled, [0, READ as i64], "{entries:?}");
    assert!(entries.iter().all(|entry| entry["uncertain"] == false));
    assert_eq!(task["cost_micro_usd"], READ, "{task}");
}

/// Placeholders may be longer than what they stand for: the call then costs more than was
/// reserved when nobody had looked.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_booked_beyond_what_was_reserved() {
    let a = Upstream::that(|_| Does::BreaksOff).await;
    let seen = a.config("a").replace("local = true", "keys = [\"A_KEY\"]");
    let options = Options {
        config: format!("[models]\norder = [\"a\"]\n{seen}"),
        environment: vec![("A_KEY".to_owned(), "sk-test".to_owned())],
        ..Options::default()
    };
    let prompt = "a@b.co ".repeat(100);
    let tools = vec![];
    let (_, entries) = entries(&options, vec![Do::Complete { prompt, tools }]).await;
    assert!(entries.iter().any(|entry| entry["uncertain"] == true));
    for entry in &entries {
        let (settled, reserved) = (&entry["settled"], &entry["reserved"]);
        assert!(settled.as_i64() <= reserved.as_i64(), "{entry}");
    }
}
