//! A stock exporter of OpenTelemetry against a running host: the SDK for Python from PyPI, which
//! `scripts/otlp-exporter` installs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::host::Host;
use serde_json::json;
use std::path::Path;
use std::process::Command;

fn python() -> Option<std::path::PathBuf> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3 on this machine");
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/otlp-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run scripts/otlp-exporter, as make test does",
        python.display()
    );
    Some(python)
}

#[tokio::test]
async fn a_stock_exporter_sends_metrics_logs_and_traces() {
    let Some(python) = python() else { return };
    let host = Host::start();
    let client = host.principal("exporter", "client", &["acme"]).await;
    for compression in ["none", "gzip"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("otlp/send.py");
        let output = Command::new(&python)
            .arg(script)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &host.url)
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
            .env(
                "OTEL_EXPORTER_OTLP_HEADERS",
                format!("Authorization=Bearer {}", client.token()),
            )
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let trace = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let path = format!("/api/v1/telemetry/spans?trace_id={trace}");
        let spans = client.items(&path).await;
        assert_eq!(spans.len(), 2, "{spans:?}");
        let charge = spans.iter().find(|span| span["operation"] == "charge");
        let charge = charge.unwrap();
        assert_eq!(charge["service"], "payment");
        assert_eq!(charge["error"], true);
        assert_eq!(charge["labels"]["exception.message"], "card refused");
        let path = "/api/v1/telemetry/logs?service=checkout&text=card+refused&severity=error";
        let lines = client.items(path).await;
        let line = lines
            .iter()
            .find(|line| line["labels"]["trace_id"] == trace);
        assert!(line.is_some(), "{lines:?}");
    }
    let of = async |query: &str| {
        let path = format!("/api/v1/telemetry/metrics?{query}");
        client.items(&path).await
    };
    let orders = of("metric=orders&label.service=checkout&label.kind=book").await;
    assert_eq!(orders[0]["points"][0][1], 7.0);
    assert_eq!(of("metric=queue.length").await[0]["points"][0][1], 12.5);
    let count = of("metric=http.server.request.duration_count").await;
    assert_eq!(count[0]["points"][0][1], 100.0);
    let p99 = of("metric=http.server.request.duration&label.statistic=p99").await;
    let value = p99[0]["points"][0][1].as_f64().unwrap();
    assert!((0.09..=0.1).contains(&value), "{value}");
    let edges = client.items("/api/v1/telemetry/topology").await;
    assert_eq!(edges, [json!({"caller": "checkout", "callee": "payment"})]);
}
