//! What a verdict costs, against the least that Rego can be asked.

use crate::report::{Measure, Unit, median};
use anyhow::{anyhow, ensure};
use mandate_policy::{Cases, Facts, Outcome, Policy};
use regorus::{Engine, Value};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 9;
const CALLS: u32 = 5_000;

/// A decision of level 2 with everything that is looked at, judged by the shipped rules; the floor
/// is an engine of Rego that says `true`.
///
/// # Errors
/// When the verdict is not what it should be.
pub fn eval() -> anyhow::Result<Measure> {
    let policy = Policy::read(
        r#"
        [[override]]
        name = "databases"
        for = { target = "db-*" }
        level1 = 500
        [[freeze]]
        name = "nights"
        zone = "Europe/Berlin"
        from = "22:00"
        until = "06:00"
        [[budget]]
        name = "tenant-month"
        scope = "tenant"
        window = "month"
        limit = 5000
        "#,
    )?;
    let facts = facts()?;
    ensure!(
        policy.judge(&facts).outcome == Outcome::Approve,
        "another verdict than was expected"
    );
    let mut bare = Engine::new();
    bare.add_policy(
        "bare.rego".to_owned(),
        "package bare\nverdict := true".to_owned(),
    )?;
    bare.eval_rule("data.bare.verdict".to_owned())?;
    let (mut values, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        values.push(each(|| {
            black_box(policy.judge(black_box(&facts)));
            Ok(())
        })?);
        floors.push(each(|| {
            let mut engine = bare.clone();
            engine.set_input(Value::new_object());
            black_box(engine.eval_rule("data.bare.verdict".to_owned())?);
            Ok(())
        })?);
    }
    Ok(Measure {
        unit: Unit::Microseconds,
        value: median(values)?,
        floor: Some(median(floors)?),
    })
}

/// Microseconds that one call takes.
fn each(call: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..CALLS {
        call()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS))
}

fn facts() -> anyhow::Result<Facts> {
    let case = r#"
        [[case]]
        name = "level 2"
        tool = "actions.scale"
        plugin = "remediation"
        target = "db-1"
        cost = 1900
        confidence = 0.9
        risk = "low"
        spent = { target = 3800 }
        arguments = { replicas = 4 }
        expect = "approve"
    "#;
    let cases = Cases::read(case).map_err(|error| anyhow!(error))?;
    let case = cases.cases.first().ok_or_else(|| anyhow!("no case"))?;
    case.facts().map_err(|error| anyhow!(error))
}
