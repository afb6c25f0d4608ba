//! Money: nobody splits what needs a human, no budget is exceeded by a cent, and people hear of it
//! once, also where the host dies meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use futures::future::join_all;
use mandate_tests::guest::Act;
use mandate_tests::host::{Shared, binary};
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, tool};
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

/// Nothing of these tests is about how often one may ask.
const QUICK: &str = "[api]\nrequests_per_second = 100000\nrequest_burst = 100000\n";
/// A token of the simulated model's output costs a dollar: at most $200 for each call of a guest.
const PRICED: &str = "[models.simulated]\noutput = 1000000\n";
const DOLLAR: i64 = 1_000_000;
const WORST: i64 = 200 * DOLLAR;

fn options(point: Option<&str>) -> Options {
    Options {
        config: format!("{QUICK}{PRICED}"),
        environment: point
            .map(|point| ("MANDATE_CRASH_POINT".to_owned(), point.to_owned()))
            .into_iter()
            .collect(),
        ..Options::default()
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn put_policy(admin: &Client, text: &str) {
    let etag = admin.get("/api/v1/policy").await.header("etag").to_owned();
    let request = admin.request(Method::PUT, "/api/v1/policy");
    let request = request
        .header("if-match", etag)
        .json(&json!({"text": text}));
    admin.send(request).await.ok();
}

/// A tool each of whose calls costs $1,900.
fn pays(name: &str) -> Plugin {
    tool(name, "reversible")
        .input(json!({"type": "object"}))
        .manifest("cost = 1900\ntarget = \"/host\"")
}

/// An agent that calls it once, as sure as one must be for more than $2,000.
fn payer(name: &str, tool: &str, target: &str) -> Plugin {
    agent(name)
        .manifest(&format!("[capabilities.invoke]\ntools = [\"{tool}.it\"]"))
        .does([Do::Act(Act {
            name: format!("{tool}.it"),
            arguments: json!({ "host": target }).to_string().into(),
            why: "it is slow".to_owned(),
            confidence: Some(0.95),
            risk: Some(0),
            ..Act::default()
        })])
}

/// An agent that asks a model so many times.
fn asks(name: &str, times: u32, most: i64) -> Plugin {
    agent(name)
        .manifest(&format!(
            "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = {most}"
        ))
        .does((0..times).map(|_| Do::Complete {
            prompt: "hello".into(),
            tools: vec![],
        }))
}

async fn submit(client: &Client, kind: &str, tenant: &str) -> String {
    let body = json!({"kind": kind, "input": {}, "tenant": tenant});
    id(&client.submit(&body).await).to_owned()
}

/// All tasks of this kind, once none of them can go on by itself.
async fn settled(client: &Client, kind: &str, many: usize) -> Vec<Value> {
    client
        .until(|| async {
            let all = client.all(&format!("/api/v1/tasks?kind={kind}")).await;
            let rest = |task: &Value| task["status"] == "succeeded" || task["status"] == "waiting";
            (all.len() == many && all.iter().all(rest)).then_some(all)
        })
        .await
}

fn with_status(tasks: &[Value], status: &str) -> usize {
    tasks.iter().filter(|task| task["status"] == status).count()
}

async fn ledger(client: &Client, query: &str) -> Vec<Value> {
    client.all(&format!("/api/v1/ledger?{query}")).await
}

/// What entries cost, or may.
fn sum(entries: &[Value]) -> i64 {
    let one = |entry: &Value| {
        let cost = entry["settled"].as_i64();
        cost.unwrap_or_else(|| entry["reserved"].as_i64().unwrap())
    };
    entries.iter().map(one).sum()
}

static HOST: Shared = Shared::new();

async fn of_these_only_five_pass(client: &Client, kind: &str, tenant: &str, many: usize) {
    let tasks = settled(client, kind, many).await;
    assert_eq!(with_status(&tasks, "succeeded"), 5, "{tasks:?}");
    assert_eq!(with_status(&tasks, "waiting"), many - 5);
    let waiting = tasks.iter().find(|task| task["status"] == "waiting");
    assert_eq!(waiting.unwrap()["waiting_for"], "approval");
    let spent = ledger(client, &format!("tenant={tenant}")).await;
    assert_eq!((spent.len(), sum(&spent)), (5, 5 * 1_900 * DOLLAR));
    let path = format!("/api/v1/decisions?status=pending&tenant={tenant}&");
    let pending = client.all(&path).await;
    assert_eq!(pending.len(), many - 5);
    assert!(
        pending
            .iter()
            .all(|it| it["rule"] == "level-3" && it["level"] == 3),
        "{pending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_in_a_row_needs_a_human() {
    let admin = HOST.with(&options(None)).admin();
    admin.install(pays("pay-row").file()).await;
    admin.install(payer("row", "pay-row", "db-1").file()).await;
    for done in 0..6 {
        let task = submit(&admin, "row", "row").await;
        let status = if done < 5 { "succeeded" } else { "waiting" };
        admin.reaches(&task, status).await;
    }
    of_these_only_five_pass(&admin, "row", "row", 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thirty_at_once_five_pass() {
    let admin = HOST.with(&options(None)).admin();
    admin.install(pays("pay-crowd").file()).await;
    let plugin = payer("crowd", "pay-crowd", "db-2");
    admin.install(plugin.file()).await;
    join_all((0..30).map(|_| submit(&admin, "crowd", "crowd"))).await;
    of_these_only_five_pass(&admin, "crowd", "crowd", 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thirty_children_of_one_task_five_pass() {
    let admin = HOST.with(&options(None)).admin();
    admin.install(pays("pay-child").file()).await;
    admin
        .install(payer("child", "pay-child", "db-3").file())
        .await;
    let parent = agent("parent")
        .manifest("[capabilities.invoke]\ntasks = [\"child\"]")
        .does([Do::Repeat(30, Box::new(Do::submit("child", "{}")))]);
    admin.install(parent.file()).await;
    let task = submit(&admin, "parent", "family").await;
    admin.reaches(&task, "succeeded").await;
    of_these_only_five_pass(&admin, "child", "family", 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_one_tenant_share_what_passes() {
    let admin = HOST.with(&options(None)).admin();
    let names = ["one", "two", "three", "four", "five", "six", "seven"];
    for name in names {
        admin.install(pays(&format!("pay-{name}")).file()).await;
        let plugin = payer(name, &format!("pay-{name}"), name);
        admin.install(plugin.file()).await;
    }
    let tasks = join_all(names.map(|name| submit(&admin, name, "shared"))).await;
    let rest = async |task: &String| {
        admin
            .until(|| async {
                let task = admin.task(task).await;
                let status = task["status"].as_str().unwrap().to_owned();
                ["succeeded", "waiting"]
                    .contains(&status.as_str())
                    .then_some(status)
            })
            .await
    };
    let ends = join_all(tasks.iter().map(rest)).await;
    let passed = ends.iter().filter(|status| *status == "succeeded").count();
    assert_eq!(passed, 5, "{ends:?}");
    let spent = ledger(&admin, "tenant=shared").await;
    assert_eq!(sum(&spent), 5 * 1_900 * DOLLAR);
    // Another tenant's money is another's.
    let other = submit(&admin, "one", "elsewhere").await;
    admin.reaches(&other, "succeeded").await;
}

/// The most that `/budgets` says of a budget, and never above its limit.
async fn used(client: &Client, budget: &str) -> i64 {
    let all = client
        .items(&format!("/api/v1/budgets?budget={budget}"))
        .await;
    let of = |usage: &Value| {
        let money = |name: &str| usage[name].as_i64().unwrap();
        let used = money("spent") + money("reserved");
        assert!(used <= money("limit"), "{usage}");
        assert_eq!(money("left"), money("limit") - used, "{usage}");
        used
    };
    all.iter().map(of).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_model_calls_never_exceeds_a_budget_also_over_a_kill() {
    const TASKS: usize = 220;
    let host = Host::with(&options(None));
    let admin = host.admin();
    let limit = 2_345 * DOLLAR;
    put_policy(
        &admin,
        "[[budget]]\nname = \"pot\"\nscope = \"host\"\nwindow = \"month\"\nlimit = 2345",
    )
    .await;
    // A call costs two dollars: some have to wait, however few ask at the same time.
    admin.install(asks("asks", 8, i64::MAX).file()).await;
    join_all((0..TASKS).map(|_| submit(&admin, "asks", "default"))).await;
    let half = async |client: &Client, at_least: i64| {
        client
            .until(|| async { (used(client, "pot").await >= at_least).then_some(()) })
            .await;
    };
    half(&admin, limit / 3).await;
    let host = Host::over(host.kill(), &options(None));
    let admin = host.admin();
    let tasks = settled(&admin, "asks", TASKS).await;
    assert!(with_status(&tasks, "waiting") > 0);
    let entries = ledger(&admin, "").await;
    assert!(
        entries.iter().all(|it| it["kind"] == "model"),
        "{entries:?}"
    );
    let spent = sum(&entries);
    assert!(spent <= limit, "{spent}");
    assert_eq!(used(&admin, "pot").await, spent);
    // Each answered call has one entry that was settled for what it cost.
    let answered: i64 = tasks
        .iter()
        .map(|it| it["cost_micro_usd"].as_i64().unwrap())
        .sum();
    let certain = |it: &&Value| it["uncertain"] == false && it["ended_at"] != Value::Null;
    let settled: Vec<Value> = entries.iter().filter(certain).cloned().collect();
    assert!(sum(&settled) >= answered);
    for lost in entries.iter().filter(|it| it["uncertain"] == true) {
        assert_eq!(lost["settled"], lost["reserved"], "{lost}");
    }
}

async fn pending(client: &Client) -> Value {
    client
        .until(|| async {
            let all = client.items("/api/v1/decisions?status=pending").await;
            all.into_iter().next()
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_may_lift_a_budget_for_one_call_or_the_guest_hears_when_it_resets() {
    let host = Host::with(&options(None));
    let admin = host.admin();
    let ann = host.principal("ann", "approver", &[]).await;
    put_policy(
        &admin,
        "[[budget]]\nname = \"thinking\"\nscope = \"tenant\"\nwindow = \"day\"\nlimit = 199",
    )
    .await;
    admin.install(asks("asks", 2, i64::MAX).file()).await;
    let task = submit(&admin, "asks", "default").await;
    let waiting = admin.reaches(&task, "waiting").await;
    assert_eq!(waiting["waiting_for"], "budget", "{waiting}");
    let first = pending(&admin).await;
    assert_eq!(first["rule"], "budget:thinking", "{first}");
    assert_eq!(first["cost"], WORST, "{first}");
    assert_eq!(
        first["arguments"],
        Value::Null,
        "prompts are not in decisions"
    );
    assert!(ledger(&admin, "").await.is_empty());
    // Over a kill it is the same decision that waits.
    let host = Host::over(host.kill(), &options(None));
    let (admin, ann) = (host.admin(), Client::new(&host.url, Some(ann.token())));
    let answer = async |decision: &Value, verdict: &str| {
        let path = format!("/api/v1/decisions/{}/{verdict}", id(decision));
        ann.post(&path, &json!({})).await.ok();
    };
    answer(&first, "approve").await;
    let second = pending(&admin).await;
    assert_ne!(id(&first), id(&second));
    let path = format!("/api/v1/decisions/{}", id(&first));
    let done = admin.get(&path).await.ok();
    assert_eq!(done["status"], "done", "{done}");
    let entries = ledger(&admin, "").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["decision"], first["id"]);
    assert_eq!(entries[0]["settled"], done["actual_cost"]);
    assert!(entries[0]["settled"].as_i64().unwrap() > 0);
    answer(&second, "deny").await;
    admin.ended(&task).await;
    let steps = admin.steps(&task).await;
    assert!(steps[0]["answer"]["ok"]["simulated"].as_bool().unwrap());
    let told = &steps[1]["answer"]["error"]["budget-exhausted"];
    let resets = told.as_i64().unwrap_or_else(|| panic!("{}", steps[1]));
    let day = 24 * 3_600 * DOLLAR;
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_micros(),
    )
    .unwrap();
    assert_eq!(resets % day, 0);
    assert!(resets > now && resets <= now + day, "{resets}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_budgets_without_room_are_asked_for_once_each() {
    let host = Host::with(&options(None));
    let admin = host.admin();
    let ann = host.principal("ann", "approver", &[]).await;
    put_policy(
        &admin,
        "[[budget]]\nname = \"a\"\nscope = \"tenant\"\nwindow = \"day\"\nlimit = 1\n\
         [[budget]]\nname = \"b\"\nscope = \"host\"\nwindow = \"24h\"\nlimit = 1\n",
    )
    .await;
    admin.install(pays("pay").file()).await;
    admin.install(payer("payer", "pay", "db-1").file()).await;
    admin.install(asks("asks", 1, i64::MAX).file()).await;
    for kind in ["asks", "payer"] {
        let task = submit(&admin, kind, "default").await;
        let mut rules = Vec::new();
        for _ in 0..2 {
            let asked = pending(&admin).await;
            rules.push(asked["rule"].as_str().unwrap().to_owned());
            let path = format!("/api/v1/decisions/{}/approve", id(&asked));
            ann.post(&path, &json!({})).await.ok();
            admin
                .until(|| async {
                    let now = admin
                        .get(&format!("/api/v1/decisions/{}", id(&asked)))
                        .await
                        .ok();
                    (now["status"] != "approved").then_some(())
                })
                .await;
        }
        assert_eq!(rules, ["budget:a", "budget:b"], "{kind}");
        admin.reaches(&task, "succeeded").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_at_a_crash_is_booked_in_full_and_counts_for_the_grant() {
    let host = Host::with(&options(None));
    let admin = host.admin();
    // Room for two in full, not for what is lost and two.
    admin.install(asks("asks", 3, 2 * WORST).file()).await;
    let host = Host::over(host.stop(), &options(Some("intent.after_commit:1")));
    let task = submit(&host.admin(), "asks", "default").await;
    let (_, data) = host.exited();
    let host = Host::over(data, &options(None));
    let admin = host.admin();
    admin.ended(&task).await;
    let entries = ledger(&admin, &format!("task={task}")).await;
    let lost: Vec<_> = entries
        .iter()
        .filter(|it| it["uncertain"] == true)
        .collect();
    assert_eq!(lost.len(), 1, "{entries:?}");
    assert_eq!(lost[0]["settled"], WORST);
    let steps = admin.steps(&task).await;
    assert_eq!(steps.len(), 3, "{steps:?}");
    // The first is made again, and has no room for the second with what was lost and answered.
    assert_eq!(steps[0]["answer"]["ok"]["simulated"], true, "{}", steps[0]);
    for step in &steps[1..] {
        let error = &step["answer"]["error"];
        assert_eq!(error, &json!({"budget-exhausted": null}), "{step}");
    }
    assert_eq!(entries.len(), 2, "{entries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_reserves_nothing() {
    let host = Host::start();
    let admin = host.admin();
    put_policy(
        &admin,
        "[[budget]]\nname = \"none\"\nscope = \"host\"\nwindow = \"ever\"\nlimit = 0",
    )
    .await;
    admin.install(asks("asks", 3, 0).file()).await;
    let task = submit(&admin, "asks", "default").await;
    admin.reaches(&task, "succeeded").await;
    assert!(ledger(&admin, "").await.is_empty());
    assert!(admin.items("/api/v1/budgets").await.is_empty());
}

async fn warnings(client: &Client) -> Vec<Value> {
    client.all("/api/v1/events?kinds=budget_warning").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_threshold_is_told_once() {
    let host = Host::with(&options(None));
    let admin = host.admin();
    put_policy(
        &admin,
        "[[budget]]\nname = \"quarter\"\nscope = \"tenant\"\nwindow = \"month\"\nlimit = 7600",
    )
    .await;
    admin.install(pays("pay").file()).await;
    admin.install(payer("payer", "pay", "db-1").file()).await;
    let percents = async |client: &Client| -> Vec<i64> {
        let all = client.items("/api/v1/events?kinds=budget_warning").await;
        all.iter()
            .map(|it| it["data"]["percent"].as_i64().unwrap())
            .collect()
    };
    let mut host = host;
    for (calls, told) in [(1, &[][..]), (2, &[50]), (3, &[50]), (4, &[50, 80, 100])] {
        let admin = host.admin();
        let task = submit(&admin, "payer", "acme").await;
        admin.reaches(&task, "succeeded").await;
        assert_eq!(percents(&admin).await, told, "{calls}");
        host = Host::over(host.kill(), &options(None));
    }
    let admin = host.admin();
    // What has no room asks, and is not told again.
    let over = submit(&admin, "payer", "acme").await;
    admin.reaches(&over, "waiting").await;
    // Another tenant has its own. By another plugin, whose last 24 hours are its own.
    admin.install(payer("other", "pay", "db-2").file()).await;
    for _ in 0..2 {
        let other = submit(&admin, "other", "umbrella").await;
        admin.reaches(&other, "succeeded").await;
    }
    assert_eq!(percents(&admin).await, [50, 80, 100, 50]);
    let all = warnings(&admin).await;
    let last = &all[2];
    assert_eq!(last["tenant"], "acme", "{last}");
    assert_eq!(last["data"]["budget"], "quarter", "{last}");
    assert_eq!(last["data"]["scope"], "tenant/acme", "{last}");
    assert_eq!(last["data"]["spent"], 7_600 * DOLLAR, "{last}");
    assert_eq!(last["data"]["limit"], 7_600 * DOLLAR, "{last}");
    assert!(last["data"]["resets_at"].is_string(), "{last}");
    let acts = admin.items("/api/v1/audit?act=budget_warning").await;
    assert_eq!(acts.len(), 4, "{acts:?}");
    assert_eq!(acts[0]["subject"], "budget/quarter", "{acts:?}");

    // The same sums are in the listing, for whom they are.
    let shown = admin.items("/api/v1/budgets").await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0]["scope"], "tenant/acme");
    assert_eq!(
        (
            &shown[0]["percent"],
            &shown[0]["left"],
            &shown[0]["reserved"]
        ),
        (&json!(100), &json!(0), &json!(0))
    );
    assert_eq!(shown[1]["percent"], 50);
    let bound = host.principal("bound", "viewer", &["umbrella"]).await;
    let theirs = bound.items("/api/v1/budgets").await;
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert_eq!(theirs[0]["scope"], "tenant/umbrella");
    bound.get("/api/v1/budgets?tenant=acme").await.expect(404);
    let listed = Command::new(binary())
        .args(["budget", "list", "--tenant", "acme", "--url", &host.url])
        .args(["--token", host.admin().token()])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("100 %  quarter over tenant/acme: $7,600.00 spent"),
        "{listed}"
    );
    assert!(!listed.contains("umbrella"), "{listed}");
}

/// A tool that says that it costs $5, and then that it cost $9.
fn liar() -> Plugin {
    tool("liar", "reversible")
        .manifest("cost = 5\nidempotent = true\nactual_cost = \"/cost_micro_usd\"")
        .answers(json!({"cost_micro_usd": 9 * DOLLAR}).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_costs_more_than_it_says_is_suspended_also_by_a_host_that_dies() {
    let points = [
        None,
        Some("answer.before_commit:1"),
        Some("answer.after_commit:1"),
    ];
    join_all(points.map(|point| async move {
        let host = Host::with(&options(None));
        let admin = host.admin();
        put_policy(
            &admin,
            "[[budget]]\nname = \"small\"\nscope = \"tenant\"\nwindow = \"ever\"\nlimit = 11",
        )
        .await;
        admin.install(liar().file()).await;
        let calls = agent("calls")
            .manifest("[capabilities.invoke]\ntools = [\"liar.it\"]")
            .does([Do::tool("liar.it", "{}"), Do::tool("liar.it", "{}")]);
        admin.install(calls.file()).await;
        let mut host = Host::over(host.stop(), &options(point));
        let task = submit(&host.admin(), "calls", "default").await;
        if point.is_some() {
            let (_, data) = host.exited();
            host = Host::over(data, &options(None));
        }
        let admin = host.admin();
        admin.ended(&task).await;
        let entries = ledger(&admin, "").await;
        assert_eq!((entries.len(), sum(&entries)), (1, 9 * DOLLAR), "{point:?}");
        let steps = admin.steps(&task).await;
        let second = steps.iter().rfind(|it| it["function"] == "invoke").unwrap();
        assert_eq!(second["refused"], true, "{point:?}: {second}");
        let plugin = admin.get("/api/v1/plugins/liar").await.ok();
        assert_eq!(plugin["grant"]["tools"], json!({}), "{point:?}: {plugin}");
        for act in ["cost_exceeded", "tool_suspended"] {
            let acts = admin.items(&format!("/api/v1/audit?act={act}")).await;
            assert_eq!(acts.len(), 1, "{point:?}: {act}");
        }
        // Its reserve was below half of the budget, and what it cost is above 80 %.
        let told = warnings(&admin).await;
        assert_eq!(told.len(), 2, "{point:?}: {told:?}");
    }))
    .await;
}
