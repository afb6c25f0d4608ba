//! What clients see of providers, and what operators forbid: on the real host, over the API and
//! the command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::binary;
use mandate_tests::upstream::{Does, READ, Upstream, WRITTEN};
use mandate_tests::{Client, Do, Host, Options, agent};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

const COST: i64 = (READ + 2 * WRITTEN) as i64;

async fn ask(client: &Client, body: &Value) -> mandate_tests::Answer {
    let request = client.request(Method::POST, "/api/v1/llm/ask").json(body);
    client.send(request).await
}

async fn test(client: &Client, id: &str) -> mandate_tests::Answer {
    let path = format!("/api/v1/llm/providers/{id}/test");
    client.send(client.request(Method::POST, &path)).await
}

fn options(config: String) -> Options {
    Options {
        config,
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_tests_and_reads_the_bill() {
    let a = Upstream::that(|n| {
        if n == 0 {
            Does::BreaksOff
        } else {
            Does::Answers
        }
    })
    .await;
    let b = Upstream::that(|n| if n == 1 { Does::IsBusy } else { Does::Answers }).await;
    let order = "[models]\norder = [\"a\", \"b\"]\n";
    let host = Host::with(&options(format!(
        "{order}{}{}",
        a.config("a"),
        b.config("b")
    )));
    let admin = host.admin();
    let asked = json!({"prompt": "hello", "max_output_tokens": 10});
    let answer = ask(&admin, &asked).await.ok();
    assert_eq!(answer["text"], "yes");
    assert_eq!(answer["provider"], "b");
    // Five bytes, what is around them, and ten tokens of output.
    let most = 5 + 2 * 16 + 2 * 10;
    assert_eq!(answer["cost_micro_usd"], most + COST, "{answer}");
    assert_eq!(answer["attempts"][0]["outcome"], "interrupted", "{answer}");
    let only = json!({"prompt": "hello", "provider": "a"});
    assert_eq!(ask(&admin, &only).await.ok()["provider"], "a");
    let unknown = json!({"prompt": "hello", "provider": "c"});
    assert_eq!(ask(&admin, &unknown).await.status, 404);
    let vectors = json!({"prompt": "hello", "class": "embed"});
    assert_eq!(ask(&admin, &vectors).await.status, 422);
    // The second request that it gets is refused, and the one after that not.
    let tested = test(&admin, "b").await.ok();
    assert_eq!(tested["attempts"][0]["outcome"], "busy", "{tested}");
    assert_eq!(test(&admin, "nobody").await.status, 404);
    let smart = admin.request(Method::POST, "/api/v1/llm/providers/b/test?class=smart");
    assert_eq!(admin.send(smart).await.status, 409);
    let viewer = host.principal("reader", "viewer", &[]).await;
    assert_eq!(ask(&viewer, &asked).await.status, 403);
    assert_eq!(test(&viewer, "a").await.status, 403);

    let entries = admin.all("/api/v1/ledger?kind=model").await;
    assert!(
        entries.iter().all(|it| it["plugin"] == Value::Null),
        "{entries:?}"
    );
    let costs: Vec<(&str, i64, bool)> = entries
        .iter()
        .rev()
        .map(|it| {
            let provider = it["provider"].as_str().unwrap();
            let uncertain = it["uncertain"].as_bool().unwrap();
            (provider, it["settled"].as_i64().unwrap(), uncertain)
        })
        .collect();
    let expected = [
        ("a", most, true),
        ("b", COST, false),
        ("a", COST, false),
        ("b", 0, false),
        ("b", COST, false),
    ];
    assert_eq!(costs, expected);
    assert_eq!(admin.all("/api/v1/ledger?kind=effect").await.len(), 0);
    assert_eq!(admin.get("/api/v1/ledger?kind=x").await.status, 422);

    let providers = admin.items("/api/v1/llm/providers").await;
    assert_eq!(providers, admin.items("/api/v1/agents/ai-providers").await);
    assert_eq!(providers[0]["cost_micro_usd"], most + COST);
    assert_eq!(providers[0]["error_rate"], 0.5);
    // What a provider said may quote another tenant.
    assert!(providers[0]["last_error"].is_string());
    let seen = viewer.items("/api/v1/llm/providers").await;
    assert_eq!(seen[0]["last_error"], Value::Null);
    let metrics = admin.get("/metrics").await.text;
    let line = "mandate_llm_attempts_total{provider=\"b\",model=\"m\",outcome=\"busy\"} 1";
    assert!(metrics.contains(line), "{metrics}");

    let bill = Command::new(binary())
        .args(["llm", "bill", "--url", &host.url, "--token", admin.token()])
        .output()
        .unwrap();
    let bill = String::from_utf8(bill.stdout).unwrap();
    let sum = "b  m: 3 attempts, $0.000046; uncertain $0.00; under way $0.00";
    assert!(bill.contains(sum), "{bill}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_spends_no_more_than_the_budget_and_nothing_while_halted() {
    let a = Upstream::that(|_| Does::Answers).await;
    let host = Host::with(&options(format!(
        "[models]\norder = [\"a\"]\n{}",
        a.config("a")
    )));
    let admin = host.admin();
    let text =
        "[[budget]]\nname = \"pot\"\nscope = \"host\"\nwindow = \"month\"\nlimit = \"0.00007\"";
    let etag = admin.get("/api/v1/policy").await.header("etag").to_owned();
    let put = admin.request(Method::PUT, "/api/v1/policy");
    let put = put.header("if-match", etag).json(&json!({"text": text}));
    admin.send(put).await.ok();
    let asked = json!({"prompt": "hello", "max_output_tokens": 10});
    assert_eq!(ask(&admin, &asked).await.ok()["cost_micro_usd"], COST);
    let refused = ask(&admin, &asked).await;
    assert_eq!(refused.status, 503);
    let told = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("budget:pot"), "{told}");
    let halt = admin.request(Method::POST, "/api/v1/halt");
    let halt = halt.json(&json!({"scope": "host", "reason": "enough"}));
    admin.send(halt).await.ok();
    let small = json!({"prompt": "h", "max_output_tokens": 1});
    assert_eq!(ask(&admin, &small).await.status, 503);
    assert_eq!(a.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_say_that_a_model_was_simulated_and_operators_forbid_it() {
    let config = "[models]\nnever_simulated_for = [\"strict\"]\n\
        [models.classes.smart]\nsimulated = false\n";
    let host = Host::with(&options(config.to_owned()));
    let admin = host.admin();
    let manifest = "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000\n";
    let asks = Do::Complete {
        prompt: "hello".into(),
        tools: vec![],
    };
    for name in ["easy", "strict"] {
        let plugin = agent(name).manifest(manifest).does([asks.clone()]);
        admin.install(plugin.file()).await;
    }
    admin.install(agent("idle").file()).await;
    for (kind, simulated) in [("easy", true), ("strict", false), ("idle", false)] {
        let task = admin.run(kind, json!({})).await;
        assert_eq!(task["simulated"], simulated, "{task}");
    }
    let strict = admin.all("/api/v1/tasks?kind=strict").await;
    let steps = admin.steps(strict[0]["id"].as_str().unwrap()).await;
    assert!(
        steps[0]["answer"]["error"]["unavailable"].is_object(),
        "{steps:?}"
    );
    let smart = json!({"prompt": "hello", "class": "smart"});
    assert_eq!(ask(&admin, &smart).await.status, 503);
}

#[test]
fn names_that_nobody_has_are_found_before_the_start() {
    for (config, told) in [
        (
            "[models]\norder = [\"nobody\"]",
            "there is no provider `nobody`",
        ),
        (
            "[models.classes.fast]\norder = [\"nobody\"]",
            "there is no provider `nobody`",
        ),
        (
            "[models.limits.nobody]\nconcurrency = 1",
            "there is no provider `nobody`",
        ),
        (
            "[models.classes.fast]\norder = [\"grok\"]",
            "`grok` takes no part",
        ),
        ("[models]\norder = [\"grok\"]", "`grok` has no key"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mandate.toml");
        std::fs::write(&file, config).unwrap();
        let output = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .arg("--data-dir")
            .arg(dir.path())
            .env_remove("XAI_API_KEY")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(told),
            "{config}: {said}"
        );
    }
}
