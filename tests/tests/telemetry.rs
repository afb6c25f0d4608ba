//! Telemetry through the front doors: what goes in comes out, for clients and guests, for one's own
//! tenant only, after a crash too; and what is no telemetry does no harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::{Host, Options, Shared};
use mandate_tests::{Client, Do, agent};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

static HOST: Shared = Shared::new();

fn admin() -> Client {
    HOST.host().admin()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Sends lines.
async fn send(client: &Client, what: &str, lines: &[Value]) -> mandate_tests::Answer {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    send_body(client, what, body.into_bytes()).await
}

async fn send_body(client: &Client, what: &str, body: Vec<u8>) -> mandate_tests::Answer {
    let request = client
        .request(Method::POST, &format!("/api/v1/telemetry/{what}"))
        .header("content-type", "application/x-ndjson")
        .body(body);
    client.send(request).await
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    client.items(&format!("/api/v1/telemetry/{path}")).await
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let client = admin();
    let t = now() - 100;
    let labels = json!({"service": "shop", "statistic": "p99"});
    let lines = [
        json!({"metric": "out.latency", "labels": labels, "points": [[t, 0.2], [t + 60, 0.4], [t + 80, null]]}),
        json!({"metric": "out.latency", "labels": {"service": "db"}, "time": t, "value": 7}),
    ];
    let said = send(&client, "metrics", &lines).await.ok();
    assert_eq!(said, json!({"accepted": 3, "missing": 1}));
    // Again: the same points, not more of them.
    send(&client, "metrics", &lines).await.ok();
    let path = "metrics?metric=out.latency&label.service=shop&label.statistic=p99";
    let found = items(&client, path).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["labels"], labels);
    assert_eq!(found[0]["points"].as_array().unwrap().len(), 2);
    let query = format!("{path}&start={t}&end={}&aggregation=mean&step=1m", t + 90);
    let found = items(&client, &query).await;
    assert_eq!(found[0]["points"][0][1], 0.2);
    assert_eq!(found[0]["points"][1][1], 0.4);
    let query = format!("{path}&start={t}&end={}&aggregation=p50", t + 90);
    let value = items(&client, &query).await[0]["points"][0][1]
        .as_f64()
        .unwrap();
    assert!((value - 0.3).abs() < 1e-9, "{value}");

    let lines = [
        json!({"time": t, "service": "out-shop", "severity": "error", "message": "Connection refused", "labels": {"event": "deployment"}}),
        json!({"time": t + 1, "service": "out-shop", "message": "all well"}),
    ];
    send(&client, "logs", &lines).await.ok();
    let found = items(&client, "logs?service=out-shop").await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1]["severity"], "info");
    let found = items(
        &client,
        "logs?service=out-shop&severity=warning&text=refuse",
    )
    .await;
    assert_eq!(found[0]["labels"], json!({"event": "deployment"}));

    let lines = [
        json!({"trace_id": "out-1", "span_id": "b", "parent_id": "a", "service": "out-db", "operation": "SELECT", "start": t, "duration_us": 300, "error": true}),
        json!({"trace_id": "out-1", "span_id": "a", "service": "out-shop", "start": t, "duration_us": 1_200}),
    ];
    send(&client, "spans", &lines).await.ok();
    let found = items(&client, "spans?trace_id=out-1&errors_only=true").await;
    assert_eq!((found.len(), &found[0]["operation"]), (1, &json!("SELECT")));
    let edges = items(&client, "topology").await;
    assert!(
        edges.contains(&json!({"caller": "out-shop", "callee": "out-db"})),
        "{edges:?}"
    );
}

#[tokio::test]
async fn guests_see_it() {
    let client = admin();
    let t = now() - 50;
    let line =
        json!({"metric": "guest.cpu", "labels": {"service": "a"}, "points": [[t, 1], [t + 1, 2]]});
    send(&client, "metrics", &[line]).await.ok();
    let ask = Do::ReadMetrics {
        metric: "guest.cpu".into(),
        start: (t - 10) * 1_000_000,
        end: (t + 10) * 1_000_000,
    };
    let plugin = agent("onlooker")
        .manifest("[capabilities]\ntelemetry = [\"read\"]\n")
        .does([ask, Do::ReadTopology]);
    client.install(plugin.file()).await;
    let task = client.run("onlooker", json!({})).await;
    assert_eq!(task["status"], "succeeded", "{task}");
    let steps = client.steps(task["id"].as_str().unwrap()).await;
    let arguments = &steps[0]["arguments"];
    assert_eq!(
        arguments["aggregation"], "mean",
        "in the words of the contract: {arguments}"
    );
    let series = &steps[0]["answer"]["ok"];
    assert_eq!(series.as_array().map(Vec::len), Some(1), "{steps:?}");
    assert_eq!(series[0]["points"][0]["value"], 1.5, "{series}");
    assert!(steps[1]["answer"]["ok"].is_array(), "{steps:?}");
}

#[tokio::test]
async fn tenants_and_roles_are_kept_apart() {
    let host = HOST.host();
    let acme = host.principal("tele-acme", "client", &["tele-acme"]).await;
    let other = host
        .principal("tele-other", "viewer", &["tele-other"])
        .await;
    let t = now() - 10;
    let line = json!({"metric": "secret", "time": t, "value": 1});
    send(&acme, "metrics", std::slice::from_ref(&line))
        .await
        .ok();
    let log = json!({"time": t, "service": "secret", "message": "m"});
    send(&acme, "logs", &[log]).await.ok();
    let span =
        json!({"trace_id": "secret", "span_id": "1", "service": "s", "start": t, "duration_us": 1});
    send(&acme, "spans", &[span]).await.ok();
    let edge = json!({"caller": "x", "callee": "y"});
    send(&acme, "topology", &[edge]).await.ok();
    for path in ["metrics?metric=secret", "logs", "spans", "topology"] {
        assert_eq!(items(&acme, path).await.len(), 1, "{path}");
        assert!(items(&other, path).await.is_empty(), "{path}");
    }
    let named = "/api/v1/telemetry/metrics?metric=secret&tenant=tele-acme";
    other.get(named).await.expect(404);
    assert!(
        admin().items(named).await.len() == 1,
        "who sees all names the tenant"
    );
    send(&other, "metrics", &[line]).await.expect(403);
    assert_eq!(send(&host.nobody(), "metrics", &[]).await.status, 401);
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_crash() {
    let host = Host::start();
    let client = host.admin();
    let t = now() - 1_000;
    for part in 0..20 {
        let points: Vec<Value> = (0..300).map(|n| json!([t + n, part])).collect();
        let line =
            json!({"metric": "crash", "labels": {"part": part.to_string()}, "points": points});
        send(&client, "metrics", &[line]).await.ok();
    }
    let line = json!({"time": t, "service": "a", "message": "m"});
    send(&client, "logs", &[line]).await.ok();
    let data = host.kill();
    let host = Host::over(data, &Options::default());
    let client = host.admin();
    let sums = format!("metrics?metric=crash&aggregation=sum&start={t}");
    let found = items(&client, &sums).await;
    assert_eq!(found.len(), 20);
    for series in &found {
        let part: f64 = series["labels"]["part"].as_str().unwrap().parse().unwrap();
        assert_eq!(series["points"][0][1], part * 300.0);
    }
    assert_eq!(items(&client, "logs").await.len(), 1);
    // And after an orderly end, which puts everything in its place.
    let host = Host::over(host.stop(), &Options::default());
    assert_eq!(items(&host.admin(), &sums).await, found);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_that_are_hostile_are_refused_and_do_no_harm() {
    let options = Options {
        config: "[telemetry]\nmax_series = 50\nbody_limit = 65536\ninflated_limit = 1000000\n"
            .to_owned(),
        ..Options::default()
    };
    let host = Host::with(&options);
    let client = host.admin().unpooled();
    let t = now();
    let good = json!({"metric": "m", "time": t, "value": 1}).to_string();

    // One bad line refuses them all, and is named.
    let body = format!("{good}\n{{\"metric\": 5}}\n{good}\n");
    let problem = send_body(&client, "metrics", body.into_bytes())
        .await
        .expect(422);
    assert_eq!(problem["fields"][0]["field"], "line 2", "{problem}");
    assert!(items(&client, "metrics?metric=m").await.is_empty());

    let deep = format!("{{\"metric\":{}", "[".repeat(60_000));
    send_body(&client, "metrics", deep.into_bytes())
        .await
        .expect(422);
    send_body(&client, "metrics", vec![b'x'; 65_537])
        .await
        .expect(413);
    send_body(&client, "metrics", vec![0xff; 1_000])
        .await
        .expect(422);

    // A bomb: some kilobytes that inflate to more than is allowed.
    let encoded = |path: &str, kind: &str, encoding: &str, body: Vec<u8>| {
        client
            .request(Method::POST, path)
            .header("content-type", kind)
            .header("content-encoding", encoding)
            .body(body)
    };
    let bomb = gzip(&vec![b'\n'; 50 << 20]);
    assert!(bomb.len() < 1 << 18);
    let small = gzip(&vec![b'\n'; 5 << 20]);
    let metrics = "/api/v1/telemetry/metrics";
    let lines = "application/x-ndjson";
    for body in [bomb, small] {
        client
            .send(encoded(metrics, lines, "gzip", body))
            .await
            .expect(413);
    }
    client
        .send(encoded(metrics, lines, "gzip", b"no gzip".to_vec()))
        .await
        .expect(400);
    client
        .send(encoded(metrics, lines, "br", vec![1]))
        .await
        .expect(415);
    client
        .send(encoded(metrics, "text/html", "identity", vec![1]))
        .await
        .expect(415);

    // More series than a tenant may have: none of them.
    let many: Vec<Value> = (0..51)
        .map(|n| json!({"metric": "m", "labels": {"user": n.to_string()}, "time": t, "value": 1}))
        .collect();
    let problem = send(&client, "metrics", &many).await.expect(422);
    assert!(
        problem["detail"].as_str().unwrap().contains("max_series"),
        "{problem}"
    );
    assert!(items(&client, "metrics?metric=m").await.is_empty());

    // What is gzip in earnest is taken.
    let answer = client
        .send(encoded(metrics, lines, "gzip", gzip(good.as_bytes())))
        .await;
    assert_eq!(answer.ok()["accepted"], 1);

    // OTLP: refused in the words of its protocol.
    for (path, body) in [
        ("/v1/metrics", vec![0xff; 100]),
        ("/v1/logs", vec![0x0a, 0x05, 1]),
        ("/v1/traces", [0x0a, 0x00].repeat(30_000)),
    ] {
        let answer = client
            .send(encoded(path, "application/x-protobuf", "identity", body))
            .await;
        let refused = path != "/v1/traces";
        assert_eq!(answer.status, if refused { 400 } else { 200 }, "{path}");
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
    }
    let deep = format!("{{\"resourceLogs\":{}", "[".repeat(60_000));
    let answer = client
        .send(encoded(
            "/v1/logs",
            "application/json",
            "identity",
            deep.into(),
        ))
        .await;
    assert_eq!(answer.expect(400)["code"], 3);
    let nobody = host.nobody();
    let request = nobody
        .request(Method::POST, "/v1/logs")
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(nobody.send(request).await.expect(401)["code"], 16);
    client.get("/ready").await.ok();
}

#[tokio::test]
async fn retention_is_by_the_time_of_the_data() {
    let old = json!({"metric": "old", "time": now() - 8 * 86_400, "value": 1});
    let problem = send(&admin(), "metrics", std::slice::from_ref(&old))
        .await
        .expect(422);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("retention_days"),
        "{problem}"
    );
    let host = Host::with(&Options {
        config: "[telemetry]\nretention_days = 0\n".to_owned(),
        ..Options::default()
    });
    let client = host.admin();
    send(&client, "metrics", &[old]).await.ok();
    let found = items(&client, "metrics?metric=old&start=0&aggregation=count").await;
    assert_eq!(found[0]["points"][0][1], 1.0);
}

#[tokio::test]
async fn otlp_in_json_is_taken_and_what_is_not_kept_is_told() {
    let host = HOST.host();
    let client = host.principal("tele-otlp", "client", &["tele-otlp"]).await;
    let nanos = |seconds: u64| (seconds * 1_000_000_000).to_string();
    let t = now() - 20;
    let service =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let point = |time: u64, value: f64| json!({"timeUnixNano": nanos(time), "asDouble": value, "attributes": [{"key": "zone", "value": {"intValue": "3"}}]});
    let body = json!({"resourceMetrics": [{"resource": service, "scopeMetrics": [{"metrics": [
        {"name": "load", "gauge": {"dataPoints": [point(t, 0.5), point(1_000, 9.0)]}},
        {"name": "orders", "sum": {"isMonotonic": true, "aggregationTemporality": 2,
            "dataPoints": [{"timeUnixNano": nanos(t), "asInt": "41"}]}}]}]}]});
    let said = client.post("/v1/metrics", &body).await.ok();
    let partial = &said["partialSuccess"];
    assert!(
        partial["rejectedDataPoints"] == "1" || partial["rejectedDataPoints"] == 1,
        "{said}"
    );
    assert!(
        partial["errorMessage"]
            .as_str()
            .unwrap()
            .contains("retention_days"),
        "{said}"
    );
    let found = items(&client, "metrics?metric=load").await;
    assert_eq!(found[0]["labels"], json!({"service": "shop", "zone": "3"}));
    assert_eq!(
        items(&client, "metrics?metric=orders").await[0]["points"][0][1],
        41.0
    );

    let body = json!({"resourceLogs": [{"resource": service, "scopeLogs": [{"logRecords": [
        {"timeUnixNano": nanos(t), "severityNumber": 13, "body": {"stringValue": "slow"},
         "traceId": "5b8efff798038103d269b633813fc60c"}]}]}]});
    let said = client.post("/v1/logs", &body).await.ok();
    assert!(said["partialSuccess"].is_null(), "{said}");
    let found = items(&client, "logs?service=shop").await;
    assert_eq!(
        (&found[0]["severity"], &found[0]["message"]),
        (&json!("warning"), &json!("slow"))
    );
    assert_eq!(
        found[0]["labels"]["trace_id"],
        "5b8efff798038103d269b633813fc60c"
    );

    let body = json!({"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": [
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "GET /",
         "kind": 2, "startTimeUnixNano": nanos(t), "endTimeUnixNano": nanos(t + 1), "status": {"code": 2}}]}]}]});
    client.post("/v1/traces", &body).await.ok();
    let found = items(&client, "spans").await;
    assert_eq!(
        (&found[0]["duration_us"], &found[0]["error"]),
        (&json!(1_000_000), &json!(true))
    );
    assert_eq!(found[0]["labels"]["kind"], "server");
    let viewer = host
        .principal("tele-otlp-viewer", "viewer", &["tele-otlp"])
        .await;
    assert_eq!(
        viewer.post("/v1/traces", &body).await.expect(403)["code"],
        7
    );
}
