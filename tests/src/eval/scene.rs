//! A small shop that is measured every five seconds, in which one component becomes slow: enough for one incident
//! whose cause is known, without the simulated environment.

use super::desk::{self, Desk};
use mandate_types::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Who calls whom.
pub const CALLS: [(&str, &str); 6] = [
    ("web", "checkout"),
    ("web", "catalogue"),
    ("catalogue", "search"),
    ("checkout", "carts"),
    ("checkout", "payments"),
    ("payments", "ledger"),
];
/// Where the symptom is seen.
pub const ENTRY: &str = "web";
/// The true cause.
pub const CAUSE: &str = "ledger";

/// Seconds that a call takes by itself, by component.
const OWN: [(&str, f64); 7] = [
    ("web", 0.020),
    ("checkout", 0.015),
    ("catalogue", 0.012),
    ("search", 0.030),
    ("carts", 0.005),
    ("payments", 0.025),
    ("ledger", 0.010),
];
/// Seconds that the cause takes more.
const DELAY: f64 = 0.8;
/// Seconds between two measurements.
const INTERVAL: i64 = 5;
/// Seconds that are measured, and for how many of them the fault lasts.
const HISTORY: i64 = 3_600;
const FAULT: i64 = 60;

/// Seconds since 1970.
fn now() -> i64 {
    Timestamp::now().micros() / 1_000_000
}

/// Gives the host an hour of measurements that ends now, the last minute of which has the fault.
///
/// # Errors
/// When the host does not take them.
pub async fn load(desk: &Desk) -> anyhow::Result<()> {
    let edges = CALLS.map(|(caller, callee)| desk::edge(caller, callee));
    desk.ingest("topology", edges).await?;
    let now = now();
    let first = now - HISTORY;
    let times: Vec<i64> = (first..=now).step_by(INTERVAL as usize).collect();
    let lines = OWN
        .iter()
        .flat_map(|(service, _)| measured(service, &times, now - FAULT));
    desk.ingest("metrics", lines).await
}

/// What a component takes by itself and by those that it calls; one after the other.
fn total(service: &str, delay: f64) -> f64 {
    let own = OWN
        .iter()
        .find(|(name, _)| *name == service)
        .map_or(0.0, |(_, own)| *own);
    let extra = if service == CAUSE { delay } else { 0.0 };
    let below = CALLS.iter().filter(|(caller, _)| *caller == service);
    below.fold(own + extra, |sum, (_, callee)| sum + total(callee, delay))
}

/// The lines of one component.
fn measured(service: &str, times: &[i64], onset: i64) -> Vec<Value> {
    let seed = service
        .bytes()
        .fold(0, |seed, byte| seed * 31 + u64::from(byte));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Within a twentieth above or below.
    let mut noise = move || 0.95 + f64::from(random.next_u32() % 1_000) / 10_000.0;
    let statistics = [
        ("Average", 1.0),
        ("p50", 0.9),
        ("p90", 1.4),
        ("p95", 1.7),
        ("p99", 2.2),
    ];
    let mut lines = Vec::new();
    let mut line = |metric: &str, statistic: &str, value: &mut dyn FnMut(i64) -> f64| {
        let points: Vec<(f64, f64)> = times
            .iter()
            .map(|time| (*time as f64, value(*time)))
            .collect();
        lines.push(desk::series(
            metric,
            &json!({"service": service, "statistic": statistic}),
            &points,
        ));
    };
    let usual = total(service, 0.0);
    let slow = total(service, DELAY) - usual;
    for (statistic, factor) in statistics {
        line("latency", statistic, &mut |time| {
            let more = if time >= onset { slow } else { 0.0 };
            (usual * factor + more) * noise()
        });
    }
    line("requests", "Sum", &mut |_| (100.0 * noise()).round());
    line("availability", "Average", &mut |_| 100.0);
    lines
}

/// What a stock Alertmanager posts about the symptom.
pub fn alertmanager(status: &str) -> Value {
    let onset = Timestamp::from_micros((now() - FAULT / 2) * 1_000_000).to_string();
    let ends = if status == "firing" {
        "0001-01-01T00:00:00Z".to_owned()
    } else {
        Timestamp::now().to_string()
    };
    let labels = json!({
        "alertname": "HighLatency", "service": ENTRY, "severity": "high", "signal": "latency",
        "job": "shop", "instance": "10.0.0.7:9090",
    });
    let annotations = json!({"summary": "web answers slowly", "description": "p99 is 0.9 s"});
    json!({
        "receiver": "mandate",
        "status": status,
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": onset,
            "endsAt": ends,
            "generatorURL": "http://prometheus.example:9090/graph?g0.expr=latency+%3E+0.5&g0.tab=1",
            "fingerprint": "c6a2f3b1d09e4577",
        }],
        "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": "{}:{alertname=\"HighLatency\"}",
        "truncatedAlerts": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_slows_its_callers_down_and_nobody_else() {
        for (service, grows) in [
            ("web", true),
            ("payments", true),
            ("search", false),
            ("carts", false),
        ] {
            let more = total(service, DELAY) - total(service, 0.0);
            assert!(((more - DELAY).abs() < 1e-9) == grows, "{service}: {more}");
        }
        let lines = measured(CAUSE, &[0, 5, 10], 5);
        assert_eq!(lines.len(), 7);
        let points = lines[0]["points"].as_array().unwrap();
        assert!(points[0][1].as_f64().unwrap() < 0.1 && points[1][1].as_f64().unwrap() > 0.5);
    }
}
