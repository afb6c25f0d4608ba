//! From an alert to a ranked cause: how long a human would have waited for it.

use crate::host::{Host, on_one_thread};
use crate::report::{Measure, Unit, median};
use anyhow::ensure;
use mandate_tests::eval::desk::{Desk, INCIDENT_PLUGINS, build_missing};
use mandate_tests::eval::scene;
use mandate_tests::{Client, Do, Text, agent, tool};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Alerts that are sent, each for a tenant of its own.
const ROUNDS: usize = 7;
const PATIENCE: Duration = Duration::from_secs(60);
/// Much shorter than what is measured.
const PAUSE: Duration = Duration::from_millis(1);

/// The time from an alert's webhook to the cause in the incident. The floor does nothing, and does it as deep: a record
/// wakes an agent, which asks an agent, which calls a tool, and writes what it heard into a record.
///
/// # Errors
/// When an alert does not lead to the true cause.
pub fn flow() -> anyhow::Result<Measure> {
    build_missing(&INCIDENT_PLUGINS)?;
    let dir = tempfile::tempdir()?;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        let url = format!("http://{}", host.address);
        let client = Client::new(&url, Some(&host.token));
        let desk = Desk::new(client.clone(), "default");
        for plugin in INCIDENT_PLUGINS {
            desk.install(plugin).await?;
        }
        for plugin in echo() {
            client.install(plugin.file()).await;
        }
        let (mut values, mut floors) = (Vec::new(), Vec::new());
        // The first round warms up, and does not count.
        for round in 0..=ROUNDS {
            let desk = desk.of(&format!("bench-{round}"));
            let floor = echoed(&desk).await?;
            scene::load(&desk).await?;
            let value = caused(&desk).await?;
            if round > 0 {
                floors.push(floor.as_secs_f64() * 1e6);
                values.push(value.as_secs_f64() * 1e6);
            }
        }
        Ok(Measure {
            unit: Unit::Microseconds,
            value: median(values)?,
            floor: Some(median(floors)?),
        })
    })
}

/// Sends an alert and waits for the cause.
async fn caused(desk: &Desk) -> anyhow::Result<Duration> {
    let began = Instant::now();
    desk.post(
        "webhooks/incidents/alertmanager",
        &scene::alertmanager("firing"),
    )
    .await?;
    let cause = appears(desk, "records/incidents", |incident| {
        incident
            .pointer("/body/cause")
            .filter(|cause| cause.is_object())
            .cloned()
    })
    .await?;
    let took = began.elapsed();
    let first = cause.pointer("/ranking/0/component");
    ensure!(
        first.and_then(Value::as_str) == Some(scene::CAUSE),
        "the cause is {}, and the agents say {cause}",
        scene::CAUSE
    );
    Ok(took)
}

/// Makes a record and waits for the one that the echo writes.
async fn echoed(desk: &Desk) -> anyhow::Result<Duration> {
    let began = Instant::now();
    desk.post("records/echo_calls", &json!({})).await?;
    appears(desk, "records/echo_answers", |record| Some(record.clone())).await?;
    Ok(began.elapsed())
}

/// What `find` finds in a record of this listing, as soon as it is there.
async fn appears(
    desk: &Desk,
    listing: &str,
    find: impl Fn(&Value) -> Option<Value>,
) -> anyhow::Result<Value> {
    let began = Instant::now();
    loop {
        let records = desk.items(listing).await?;
        if let Some(found) = records.iter().find_map(&find) {
            return Ok(found);
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{listing} has nothing after {PATIENCE:?}: {records:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Agents and a tool of the same depth as the incident's, with nothing to do.
fn echo() -> [mandate_tests::Plugin; 3] {
    let collection = |name: &str| {
        format!("[records.{name}]\nid = \"E-{{8}}\"\nschema = {{ type = \"object\" }}\n")
    };
    [
        tool("echo", "none"),
        agent("echo-helper")
            .manifest("[capabilities.invoke]\ntools = [\"echo.it\"]\n")
            .does([Do::tool("echo.it", Text::Input)]),
        agent("echo-commander")
            .manifest(
                "[capabilities.invoke]\nagents = [\"echo-helper\"]\n\
                 [capabilities.records]\nwrite = [\"echo_calls\", \"echo_answers\"]\n",
            )
            .manifest(&collection("echo_calls"))
            .manifest(&collection("echo_answers"))
            .manifest(
                "[[triggers.event]]\non = \"record_changed\"\ncollection = \"echo_calls\"\n\
                 when = { action = \"created\" }\nkind = \"echo-commander\"\ntitle = \"Echo\"\n",
            )
            .does([
                Do::agent("echo-helper", "{}"),
                Do::Create {
                    collection: "echo_answers".into(),
                    id: None,
                    body: Text::Fixed("{}".into()),
                },
            ]),
    ]
}
