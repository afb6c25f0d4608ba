//! A hostile guest for each limit, through the whole host: it ends, the error says which limit,
//! its value and how to change it, and then others run as if nothing had been.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Shared;
use mandate_tests::{Client, Do, Host, Options, Plugin, agent, hostile, tool};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

static HOST: Shared = Shared::new();
/// Each wants the machine for itself: what is measured is whether the host holds out.
static TURN: Mutex<()> = Mutex::const_new(());

/// The host, an honest agent on it, and the right to be the only one.
async fn turn() -> (MutexGuard<'static, ()>, Client) {
    let turn = TURN.lock().await;
    let admin = HOST.host().admin();
    if admin.get("/api/v1/plugins/honest").await.status == 404 {
        admin.install(agent("honest").file()).await;
    }
    (turn, admin)
}

/// Others run, and nothing is left over.
async fn holds_out(client: &Client) {
    let task = client.run("honest", json!({"still": "here"})).await;
    assert_eq!(task["output"], json!({"still": "here"}), "{task}");
    client
        .until(|| async { (client.metric("mandate_tasks_running").await == 0.0).then_some(()) })
        .await;
    assert_eq!(client.get("/ready").await.status, 200);
}

fn hostile_agent(id: &str, body: &str, limits: &str) -> Plugin {
    agent(id)
        .is(hostile::agent(body))
        .manifest(&format!("[limits]\n{limits}"))
}

/// The task that this plugin fails, for a reason of this kind.
async fn fails(client: &Client, plugin: Plugin, id: &str, kind: &str) -> (Value, String) {
    client.install(plugin.file()).await;
    let task = client.run(id, json!({})).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(task["error"]["kind"], kind, "{task}");
    let message = task["error"]["message"].as_str().unwrap().to_owned();
    holds_out(client).await;
    (task, message)
}

/// The plugin hits this limit, and the error says all that an operator needs.
async fn hits(client: &Client, plugin: Plugin, id: &str, limit: &str, value: u64) -> Value {
    let (task, message) = fails(client, plugin, id, "limit").await;
    assert!(
        message.contains(&format!("`{limit}` = {value}")),
        "{message}"
    );
    let help = if limit == "stack_bytes" {
        "less recursion"
    } else {
        "[limits] in plugin.toml"
    };
    assert!(message.contains(help), "{message}");
    task
}

#[tokio::test]
async fn endless_loops_end_and_the_host_answers_meanwhile() {
    let (_turn, client) = turn().await;
    client
        .install(hostile_agent("loops", hostile::LOOP, "time_ms = 3000").file())
        .await;
    let mut loops = Vec::new();
    // More of them than there are cores.
    for _ in 0..4 {
        loops.push(client.submit(&json!({"kind": "loops"})).await["id"].clone());
    }
    for id in &loops {
        client.reaches(id.as_str().unwrap(), "running").await;
    }
    for _ in 0..20 {
        assert_eq!(client.get("/health").await.status, 200);
    }
    assert_eq!(client.run("honest", json!({})).await["status"], "succeeded");
    let last = client.task(loops[3].as_str().unwrap()).await;
    assert_eq!(
        last["status"], "running",
        "all this was answered while it looped"
    );
    for id in &loops {
        let task = client.ended(id.as_str().unwrap()).await;
        let message = task["error"]["message"].as_str().unwrap();
        assert!(message.contains("`time_ms` = 3000"), "{task}");
    }
    holds_out(&client).await;
}

#[tokio::test]
async fn a_loop_before_the_first_call_ends() {
    let (_turn, client) = turn().await;
    let plugin = hostile_agent("starts", hostile::START_LOOP, "time_ms = 300");
    hits(&client, plugin, "starts", "time_ms", 300).await;
}

#[tokio::test]
async fn endless_recursion_ends() {
    let (_turn, client) = turn().await;
    let plugin = hostile_agent("recurses", hostile::RECURSION, "");
    hits(&client, plugin, "recurses", "stack_bytes", 512 << 10).await;
}

#[tokio::test]
async fn several_memories_count_together() {
    let (_turn, client) = turn().await;
    let plugin = hostile_agent("memories", hostile::MEMORIES, "memory_bytes = 8388608");
    hits(&client, plugin, "memories", "memory_bytes", 8 << 20).await;
}

#[tokio::test]
async fn tables_count_as_memory() {
    let (_turn, client) = turn().await;
    let plugin = hostile_agent("tables", hostile::TABLE, "memory_bytes = 8388608");
    hits(&client, plugin, "tables", "memory_bytes", 8 << 20).await;
}

#[tokio::test]
async fn an_argument_of_a_gibibyte_is_refused() {
    let (_turn, client) = turn().await;
    let limits = "memory_bytes = 2147483648\nargument_bytes = 1000000";
    let plugin = hostile_agent("arguments", hostile::LONG_ARGUMENT, limits);
    hits(&client, plugin, "arguments", "argument_bytes", 1_000_000).await;
}

#[tokio::test]
async fn a_million_log_lines_end_it() {
    let (_turn, client) = turn().await;
    let plugin = agent("chatters")
        .does([Do::Repeat(
            1_000_000,
            Box::new(Do::Log("so much to say".into())),
        )])
        .manifest("[limits]\nlog_bytes = 100000");
    let task = hits(&client, plugin, "chatters", "log_bytes", 100_000).await;
    let path = format!(
        "/api/v1/tasks/{}/logs?limit=1000",
        task["id"].as_str().unwrap()
    );
    let lines = client.items(&path).await;
    assert!(
        lines.len() == 1000,
        "the lines until then are kept: {}",
        lines.len()
    );
}

#[tokio::test]
async fn a_host_call_that_does_not_return_is_cut_off() {
    let (_turn, client) = turn().await;
    let plugin = agent("sleeps")
        // Who sleeps longer is parked, and then time does not count.
        .does([Do::Sleep(1_900)])
        .manifest("[limits]\ntime_ms = 400");
    let task = hits(&client, plugin, "sleeps", "time_ms", 400).await;
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    assert!(
        steps.iter().all(|step| step["function"] == "sleep"),
        "{steps:?}"
    );
}

#[tokio::test]
async fn a_result_over_its_limit_is_refused() {
    let (_turn, client) = turn().await;
    let plugin = agent("reports").answers(format!("\"{}\"", "x".repeat(1_200_000)));
    let task = hits(&client, plugin, "reports", "result_bytes", 1 << 20).await;
    assert_eq!(task["output"], Value::Null);
}

#[tokio::test]
async fn a_crash_is_told_with_where_it_was() {
    let (_turn, client) = turn().await;
    let (_, message) = fails(
        &client,
        hostile_agent("traps", hostile::TRAP, ""),
        "traps",
        "trap",
    )
    .await;
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains("divide_the_indivisible"), "{message}");
}

#[tokio::test]
async fn a_text_that_is_none_is_the_guests_fault() {
    let (_turn, client) = turn().await;
    let plugin = hostile_agent("garbles", hostile::NOT_UTF8, "");
    let (_, message) = fails(&client, plugin, "garbles", "trap").await;
    assert!(message.contains("utf-8"), "{message}");
}

#[tokio::test]
async fn an_agent_that_lies_about_its_schema_fails() {
    let (_turn, client) = turn().await;
    let schema = json!({"type": "object", "required": ["sum"]});
    let plugin = agent("lies").output(schema.clone()).answers("{\"sun\": 1}");
    let (task, message) = fails(&client, plugin, "lies", "invalid_answer").await;
    assert!(
        message.contains("its own schema") && message.contains("sum"),
        "{message}"
    );
    assert_eq!(task["output"], Value::Null);
    let plugin = agent("babbles").output(schema).answers("no JSON at all");
    let (_, message) = fails(&client, plugin, "babbles", "invalid_answer").await;
    assert!(message.contains("not JSON"), "{message}");
}

#[tokio::test]
async fn a_tool_that_lies_about_its_schema_fails_for_client_and_agent() {
    let (_turn, client) = turn().await;
    let plugin = tool("fibs", "none")
        .output(json!({"type": "integer"}))
        .answers("\"five\"");
    client.install(plugin.file()).await;
    let problem = client
        .post("/api/v1/tools/fibs.it/call", &json!({}))
        .await
        .expect(502);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("its own schema"),
        "{problem}"
    );
    let believer = agent("believes")
        .manifest("[capabilities.invoke]\ntools = [\"fibs.it\"]")
        .does([Do::tool("fibs.it", "{}")]);
    client.install(believer.file()).await;
    let task = client.run("believes", json!({})).await;
    assert_eq!(
        task["status"], "succeeded",
        "a caller hears of it and goes on: {task}"
    );
    let step = &client.steps(task["id"].as_str().unwrap()).await[0];
    assert!(
        step["answer"]["error"]
            .to_string()
            .contains("its own schema"),
        "{step}"
    );
    holds_out(&client).await;
}

fn asks_for_agents(agents: &str) -> String {
    format!("[capabilities.invoke]\nagents = [{agents}]")
}

#[tokio::test]
async fn delegation_to_itself_is_refused() {
    let (_turn, client) = turn().await;
    let plugin = agent("narcissus")
        .manifest(&asks_for_agents("\"narcissus\""))
        .does([Do::agent("narcissus", "{}"), Do::Offers]);
    client.install(plugin.file()).await;
    let task = client.run("narcissus", json!({})).await;
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    assert_eq!(steps[0]["refused"], true, "{steps:?}");
    let answer = steps[0]["answer"].to_string();
    assert!(
        answer.contains("a circle of delegation: narcissus → narcissus"),
        "{answer}"
    );
    assert_eq!(
        steps[1]["answer"]["ok"],
        json!([]),
        "what would be refused is not offered"
    );
    holds_out(&client).await;
}

#[tokio::test]
async fn a_circle_through_another_is_refused() {
    let (_turn, client) = turn().await;
    for (one, other) in [("alfa", "bravo"), ("bravo", "alfa")] {
        let plugin = agent(one)
            .manifest(&asks_for_agents(&format!("\"{other}\"")))
            .does([Do::agent(other, "{}")]);
        client.install(plugin.file()).await;
    }
    let task = client.run("alfa", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let refused: Vec<_> = steps
        .iter()
        .filter(|step| step["refused"] == true)
        .collect();
    assert_eq!(refused.len(), 1, "{steps:?}");
    let answer = refused[0]["answer"].to_string();
    assert!(answer.contains("alfa → bravo → alfa"), "{answer}");
    holds_out(&client).await;
}

#[tokio::test]
async fn more_children_than_allowed_end_the_parent() {
    let (_turn, client) = turn().await;
    client.install(tool("trifle", "none").file()).await;
    let invokes = agent("invokes")
        .manifest("[capabilities.invoke]\ntools = [\"trifle.*\"]\n[limits]\nchildren = 3")
        .does([Do::Repeat(100, Box::new(Do::tool("trifle.it", "{}")))]);
    let task = hits(&client, invokes, "invokes", "children", 3).await;
    assert_eq!(
        client
            .steps(task["id"].as_str().unwrap())
            .await
            .iter()
            .filter(|s| s["state"] == "answered")
            .count(),
        3
    );
    let calls = (0..50)
        .map(|_| ("trifle.it".to_owned(), "{}".to_owned()))
        .collect();
    let at_once = agent("invokes-many")
        .manifest("[capabilities.invoke]\ntools = [\"trifle.*\"]\n[limits]\nchildren = 3")
        .does([Do::Tools(calls)]);
    hits(&client, at_once, "invokes-many", "children", 3).await;
    let submits = agent("submits")
        .manifest("[capabilities.invoke]\ntasks = [\"honest\"]\n[limits]\nchildren = 3")
        .does([Do::Repeat(100, Box::new(Do::submit("honest", "{}")))]);
    let task = hits(&client, submits, "submits", "children", 3).await;
    let path = format!("/api/v1/tasks?parent={}", task["id"].as_str().unwrap());
    assert_eq!(
        client.items(&path).await.len(),
        3,
        "what was submitted before stays submitted"
    );
}

#[tokio::test]
async fn too_deep_a_tree_ends_where_it_is_too_deep() {
    let (_turn, client) = turn().await;
    for (name, next) in [
        ("first", "second"),
        ("second", "third"),
        ("third", "honest"),
    ] {
        let plugin = agent(name)
            .manifest(&asks_for_agents(&format!("\"{next}\"")))
            .manifest("[limits]\ndepth = 2")
            .does([Do::agent(next, "{}")]);
        client.install(plugin.file()).await;
    }
    let task = client.run("first", json!({})).await;
    let path = format!("/api/v1/executions/{}", task["execution"].as_str().unwrap());
    let tree = client.get(&path).await.ok();
    let deepest = &tree["invocations"][2];
    assert_eq!(deepest["plugin"], "third", "{tree}");
    assert_eq!(deepest["error"]["kind"], "limit", "{deepest}");
    assert!(
        deepest["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`depth` = 2"),
        "{deepest}"
    );
    assert_eq!(tree["invocations"].as_array().unwrap().len(), 3);
    holds_out(&client).await;
}

#[tokio::test]
async fn a_chain_of_tasks_ends_where_it_is_too_deep() {
    let (_turn, client) = turn().await;
    let plugin = agent("breeds")
        .manifest("[capabilities.invoke]\ntasks = [\"breeds\"]\n[limits]\ndepth = 2")
        .does([Do::submit("breeds", "{}")]);
    client.install(plugin.file()).await;
    let task = client.run("breeds", json!({})).await;
    let path = format!("/api/v1/tasks?root={}", task["id"].as_str().unwrap());
    let tasks = client
        .until(|| async {
            let tasks = client.items(&path).await;
            let done = tasks.iter().all(|task| task["status"] == "succeeded");
            (tasks.len() == 3 && done).then_some(tasks)
        })
        .await;
    let deepest = tasks.iter().find(|task| task["depth"] == 2).unwrap();
    let step = &client.steps(deepest["id"].as_str().unwrap()).await[0];
    assert_eq!(step["refused"], true, "{step}");
    assert!(step["answer"].to_string().contains("`depth` = 2"), "{step}");
    holds_out(&client).await;
}

#[tokio::test]
async fn too_many_steps_end_it() {
    let (_turn, client) = turn().await;
    let plugin = agent("steps")
        .does([Do::Repeat(1_000, Box::new(Do::Sleep(0)))])
        .manifest("[limits]\nsteps = 25");
    let task = hits(&client, plugin, "steps", "steps", 25).await;
    assert_eq!(client.steps(task["id"].as_str().unwrap()).await.len(), 25);
    let plugin = agent("progresses")
        .does([Do::Repeat(
            1_000,
            Box::new(Do::Progress(0.5, "half".into())),
        )])
        .manifest("[limits]\nsteps = 25");
    hits(&client, plugin, "progresses", "steps", 25).await;
}

#[tokio::test]
async fn too_long_a_journal_ends_it() {
    let (_turn, client) = turn().await;
    let data = json!({"much": "x".repeat(5_000)}).to_string();
    let plugin = agent("writes")
        .does([Do::Repeat(1_000, Box::new(Do::publish("much", data)))])
        .manifest("[capabilities]\nevents = true\n[limits]\njournal_bytes = 50000");
    hits(&client, plugin, "writes", "journal_bytes", 50_000).await;
}

#[tokio::test]
async fn time_that_runs_out_in_the_middle_of_writing_leaves_a_whole_journal() {
    let (_turn, client) = turn().await;
    let data = json!({"some": "x".repeat(500)}).to_string();
    let plugin = agent("scribbles")
        .does([Do::Repeat(1_000_000, Box::new(Do::publish("word", data)))])
        .manifest("[capabilities]\nevents = true\n[limits]\ntime_ms = 150\nsteps = 1000000\njournal_bytes = 1000000000");
    client.install(plugin.file()).await;
    // Each is cut off while it waits for the disk, most likely.
    for _ in 0..6 {
        let task = client.run("scribbles", json!({})).await;
        let message = task["error"]["message"].as_str().unwrap();
        assert!(message.contains("`time_ms` = 150"), "{task}");
        let id = task["id"].as_str().unwrap();
        let mut steps = 0;
        for step in client.all(&format!("/api/v1/tasks/{id}/steps?")).await {
            steps += 1;
            assert_eq!(step["sequence"], steps, "{step}");
        }
        let path = format!("/api/v1/events?task={id}&kinds=scribbles.word&limit=1000");
        let mut events = client.items(&path).await;
        while events.len() % 1000 == 0 && !events.is_empty() {
            let after = &events[events.len() - 1]["seq"];
            let more = client.items(&format!("{path}&after={after}")).await;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        assert!(
            steps > 0 && events.len() == steps,
            "{} events, {steps} steps",
            events.len()
        );
    }
    holds_out(&client).await;
}

#[tokio::test]
async fn a_caller_that_is_cut_off_takes_its_children_along() {
    let (_turn, client) = turn().await;
    client
        .install(agent("dreams").does([Do::Sleep(1_900)]).file())
        .await;
    let plugin = agent("hurries")
        .does([Do::agent("dreams", "{}")])
        .manifest("[capabilities.invoke]\nagents = [\"dreams\"]\n[limits]\ntime_ms = 300");
    let task = hits(&client, plugin, "hurries", "time_ms", 300).await;
    let path = format!("/api/v1/executions/{}", task["execution"].as_str().unwrap());
    let child = client.get(&path).await.ok()["invocations"][1].clone();
    assert_eq!(child["status"], "cancelled", "{child}");
    assert_eq!(child["error"]["message"], "its caller ended");
    assert_eq!(child["steps"], 1, "{child}");
    let path = format!(
        "/api/v1/events?kinds=agent_completed&task={}",
        task["id"].as_str().unwrap()
    );
    assert_eq!(
        client.items(&path).await.len(),
        2,
        "both are told to have ended"
    );
}

#[tokio::test]
async fn no_more_of_a_plugin_run_at_once_than_it_may() {
    let (_turn, client) = turn().await;
    let plugin = agent("queues")
        .does([Do::Sleep(100)])
        .manifest("[limits]\nconcurrency = 2");
    client.install(plugin.file()).await;
    for _ in 0..8 {
        client.submit(&json!({"kind": "queues"})).await;
    }
    let mut most = 0;
    loop {
        let tasks = client.items("/api/v1/tasks?kind=queues").await;
        let count = |status: &str| tasks.iter().filter(|task| task["status"] == status).count();
        most = most.max(count("running"));
        assert!(most <= 2, "{most} run at once");
        if count("succeeded") == 8 {
            break;
        }
        assert_eq!(count("failed"), 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(most, 2, "as many as may do run");
    holds_out(&client).await;
}

#[tokio::test]
async fn a_compile_bomb_is_refused_and_the_host_answers_meanwhile() {
    let _turn = TURN.lock().await;
    let host = Host::with(&Options {
        config: "[guests]\ncompile_seconds = 2\n".into(),
        ..Options::default()
    });
    let client = host.admin();
    client.install(agent("honest").file()).await;
    let bomb = agent("bomb").is(hostile::compile_bomb(300_000)).file();
    let installing = {
        let client = client.clone();
        tokio::spawn(async move { client.upload("?accept=true", bomb).await })
    };
    let mut answered = 0;
    while !installing.is_finished() {
        assert_eq!(client.get("/health").await.status, 200);
        assert_eq!(client.run("honest", json!({})).await["status"], "succeeded");
        answered += 1;
    }
    assert!(
        answered > 3,
        "only {answered} answers while the bomb was compiled"
    );
    let problem = installing.await.unwrap().expect(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("time") && detail.contains('2'), "{detail}");
    client.get("/api/v1/plugins/bomb").await.expect(404);
    assert_eq!(client.items("/api/v1/plugins").await.len(), 1);
    let events = client.items("/api/v1/events?kinds=plugin_changed").await;
    assert_eq!(events.len(), 1, "nothing was half installed: {events:?}");
    holds_out(&client).await;
}
