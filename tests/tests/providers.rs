//! Providers that fail, on a host that dies: nothing is spent that was not allowed, no call is
//! lost, none that was answered is made again, and every attempt is on the bill once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use futures::future::join_all;
use mandate_tests::upstream::{Does, READ, Upstream, WRITTEN};
use mandate_tests::{Client, Do, Host, Options, Plugin, agent};
use reqwest::Method;
use serde_json::{Value, json};

const QUICK: &str = "[api]\nrequests_per_second = 100000\nrequest_burst = 100000\n";
/// What an answer costs in micro-dollars,
const COST: i64 = (READ + 2 * WRITTEN) as i64;
/// and an attempt at most: the five bytes of the prompt, what is around them, and 200 tokens of
/// output.
const WORST: i64 = 5 + 2 * 16 + 2 * 200;

/// A host that asks `a`, and then `b`.
fn options(a: &Upstream, b: &Upstream, more: &str) -> Options {
    Options {
        config: format!(
            "{QUICK}[models]\norder = [\"a\", \"b\"]\n{more}\n{}{}",
            a.config("a"),
            b.config("b")
        ),
        ..Options::default()
    }
}

/// An agent that asks a model so many times.
fn asks(times: u32) -> Plugin {
    let manifest = "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000000000\n";
    let ask = Do::Complete {
        prompt: "hello".into(),
        tools: vec![],
    };
    let ask = Do::Repeat(times, Box::new(ask));
    agent("asks").manifest(manifest).does([ask])
}

async fn submit(client: &Client, many: usize) {
    let body = json!({"kind": "asks", "input": {}});
    join_all((0..many).map(|_| client.submit(&body))).await;
}

async fn at_rest(client: &Client, many: usize) -> Vec<Value> {
    client
        .until(|| async {
            let all = client.all("/api/v1/tasks?kind=asks").await;
            let rests = |task: &Value| {
                ["succeeded", "failed", "waiting"].contains(&task["status"].as_str().unwrap())
            };
            (all.len() == many && all.iter().all(rests)).then_some(all)
        })
        .await
}

async fn asked(of: &Upstream, at_least: u64) {
    while of.asked() < at_least {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn of<'a>(entries: &'a [Value], provider: &str) -> Vec<&'a Value> {
    let with = |entry: &&Value| entry["provider"] == provider;
    entries.iter().filter(with).collect()
}

fn uncertain(entries: &[&Value]) -> usize {
    entries.iter().filter(|it| it["uncertain"] == true).count()
}

fn cost(entries: &[Value]) -> i64 {
    let cost = |entry: &Value| entry["settled"].as_i64().unwrap();
    entries.iter().map(cost).sum()
}

/// What holds of any bill: all that the providers saw is on it, nothing twice, and what nobody
/// knows is marked and booked in full.
fn check(entries: &[Value], a: &Upstream, b: &Upstream) {
    for (id, upstream) in [("a", a), ("b", b)] {
        let entries = of(entries, id);
        let seen = upstream.asked() as usize;
        assert!(seen <= entries.len(), "{id}: {seen} of {}", entries.len());
        // What was reserved when the host died may not have been sent; what was reserved for a
        // provider whose breaker opened meanwhile was not, and cost nothing.
        let lost = uncertain(&entries);
        let costs = |it: &&&Value| it["settled"] != 0;
        let unsent = entries.iter().filter(costs).count() as i64 - upstream.served() as i64;
        assert!(
            (0..=lost as i64).contains(&unsent),
            "{id}: {unsent}, {lost}"
        );
        let certain = |it: &&&Value| it["uncertain"] == false && it["settled"] != 0;
        let paid = entries.iter().filter(certain).count();
        let answered = upstream.answered() as usize;
        assert!(paid <= answered, "{id}: {paid} of {answered}");
        assert!(
            answered - paid <= lost,
            "{id}: {paid} of {answered}, and {lost}"
        );
        for entry in entries {
            let settled = entry["settled"].as_i64().expect("all have ended");
            let whole = if entry["uncertain"] == true {
                settled == WORST
            } else {
                settled == COST || settled == 0
            };
            assert!(whole, "{entry}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_never_spend_more_than_the_budget_over_fallbacks_and_a_crash() {
    const TASKS: usize = 200;
    // Enough for about a hundred: every third answer of the first breaks off, and every second is
    // refused.
    let a = Upstream::that(|n| match n % 6 {
        0 | 3 => Does::BreaksOff,
        1 | 5 => Does::IsBusy,
        _ => Does::Answers,
    })
    .await;
    let b = Upstream::that(|_| Does::Answers).await;
    let options = options(&a, &b, "[models.breaker]\nfailures = 1000000");
    let host = Host::with(&options);
    let admin = host.admin();
    let limit = 50 * WORST;
    let text = format!(
        "[[budget]]\nname = \"pot\"\nscope = \"host\"\nwindow = \"month\"\nlimit = \"{}\"",
        limit as f64 / 1e6
    );
    let etag = admin.get("/api/v1/policy").await.header("etag").to_owned();
    let put = admin.request(Method::PUT, "/api/v1/policy");
    let put = put.header("if-match", etag).json(&json!({"text": text}));
    admin.send(put).await.ok();
    admin.install(asks(1).file()).await;
    submit(&admin, TASKS).await;
    asked(&a, 20).await;
    let host = Host::over(host.kill(), &options);
    let admin = host.admin();
    let tasks = at_rest(&admin, TASKS).await;
    let entries = admin.all("/api/v1/ledger?").await;
    let spent = cost(&entries);
    assert!(spent <= limit, "{spent} of {limit}");
    // What was reserved while others were refused may have cost less.
    assert!(spent > limit / 2, "{spent} of {limit}");
    check(&entries, &a, &b);
    let waits = tasks.iter().filter(|it| it["status"] == "waiting").count();
    assert!(waits > 0 && waits < TASKS, "{waits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifted_budget_is_lifted_for_as_much_as_was_asked_for() {
    let a = Upstream::that(|_| Does::BreaksOff).await;
    let b = Upstream::that(|_| Does::Answers).await;
    let host = Host::with(&options(&a, &b, ""));
    let admin = host.admin();
    let text =
        "[[budget]]\nname = \"pot\"\nscope = \"host\"\nwindow = \"month\"\nlimit = \"0.0001\"";
    let etag = admin.get("/api/v1/policy").await.header("etag").to_owned();
    let put = admin.request(Method::PUT, "/api/v1/policy");
    let put = put.header("if-match", etag).json(&json!({"text": text}));
    admin.send(put).await.ok();
    admin.install(asks(1).file()).await;
    let task = admin.submit(&json!({"kind": "asks", "input": {}})).await;
    let id = task["id"].as_str().unwrap();
    admin.reaches(id, "waiting").await;
    let pending = admin.items("/api/v1/decisions?status=pending").await;
    assert_eq!(pending[0]["cost"], WORST, "{pending:?}");
    let ann = host.principal("ann", "approver", &[]).await;
    let path = format!(
        "/api/v1/decisions/{}/approve",
        pending[0]["id"].as_str().unwrap()
    );
    ann.send(ann.request(Method::POST, &path).json(&json!({})))
        .await
        .ok();
    admin.reaches(id, "succeeded").await;
    // What was approved went to the first, who may bill it; for the second nobody was asked.
    assert_eq!((a.asked(), b.asked()), (1, 0));
    let entries = admin.all("/api/v1/ledger?").await;
    assert_eq!((entries.len(), cost(&entries)), (1, WORST), "{entries:?}");
    let steps = admin.steps(id).await;
    let told = steps[0]["answer"]["error"]["unavailable"]["reason"].as_str();
    assert!(told.unwrap().contains("budget:pot"), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_over_two_kills_with_a_breaker_that_flaps() {
    const TASKS: usize = 100;
    const CALLS: u32 = 100;
    let flaps = |n: u64| match n % 200 {
        // So many in a row open the breaker, and the probe that follows fails, too.
        150..=157 => Does::IsBusy,
        20 => Does::BreaksOff,
        _ => Does::Answers,
    };
    let a = Upstream::that(flaps).await;
    let b = Upstream::that(|_| Does::Answers).await;
    let more = "[models.breaker]\nfailures = 3\nwindow_seconds = 5\ncool_down_seconds = 1";
    let options = options(&a, &b, more);
    let mut host = Host::with(&options);
    host.admin().install(asks(CALLS).file()).await;
    submit(&host.admin(), TASKS).await;
    for kill_at in [2_500, 6_000] {
        while a.answered() + b.answered() < kill_at {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        host = Host::over(host.kill(), &options);
    }
    let admin = host.admin();
    let tasks = at_rest(&admin, TASKS).await;
    assert!(
        tasks.iter().all(|it| it["status"] == "succeeded"),
        "{tasks:?}"
    );
    let entries = admin.all("/api/v1/ledger?").await;
    check(&entries, &a, &b);
    // Each call was answered once, as far as the journal says, and is on the bill once.
    let paid = entries
        .iter()
        .filter(|it| it["settled"] == COST && it["uncertain"] == false);
    assert_eq!(paid.count(), TASKS * CALLS as usize);
    let of_tasks: i64 = tasks
        .iter()
        .map(|it| it["cost_micro_usd"].as_i64().unwrap())
        .sum();
    assert!(of_tasks >= (TASKS * CALLS as usize) as i64 * COST);
    assert!(of_tasks <= cost(&entries), "{of_tasks}");
    assert!(b.answered() > 0, "the breaker was never open");
}
