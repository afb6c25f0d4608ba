//! Rego: the rules of a policy, kept from reaching outside, from running on, and from growing.

mod bounded;
mod shape;

use crate::document::PolicyError;
use crate::verdict::Outcome;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::sync::mpsc;
use std::time::Duration;

/// The rules that the host ships; the only copy.
pub const SHIPPED: &str = include_str!("default.rego");

const SHIPPED_VERDICT: &str = "data.mandate.shipped.verdict";
const NO_VERDICT: &str = "the rules give no `verdict`";
const OWN_VERDICT: &str = "data.mandate.verdict";

/// The most bytes of an operator's rules.
const MAX_BYTES: usize = 64 * 1024;
/// The most rules in them: so deep may one rule lean on another.
const MAX_RULES: usize = 512;
/// For so long may they think.
const LIMIT: Duration = Duration::from_millis(100);
/// After so long nobody waits for them any more: one built-in function can take longer than the
/// limit, which is looked at between two.
const PATIENCE: Duration = Duration::from_secs(1);
/// They run on a stack of their own. It is only as large in memory as it is used, and so deep that
/// the limit of time comes before its end.
const STACK: usize = 256 << 20;

/// What rules say of a decision.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What happens.
    pub outcome: Outcome,
    /// The rule that gave it.
    pub rule: String,
    /// Why.
    pub reason: String,
}

/// Rules that are ready to be asked.
#[derive(Debug)]
pub struct Rules {
    engine: Engine,
    /// Whether they are the operator's.
    own: bool,
}

impl Rules {
    /// The shipped rules, or `own` on top of them.
    ///
    /// # Errors
    /// [`PolicyError::Rules`] when they do not compile.
    pub fn compile(own: Option<&str>) -> Result<Self, PolicyError> {
        let engine = match own {
            None => shipped().map_err(|error| one_line(&error.to_string())),
            Some(text) => with(text),
        };
        Ok(Self {
            engine: engine.map_err(PolicyError::Rules)?,
            own: own.is_some(),
        })
    }

    /// Whether they are the operator's, which may look at everything.
    pub fn are_own(&self) -> bool {
        self.own
    }

    /// What they say of a decision.
    ///
    /// # Errors
    /// For people: why they say nothing that can be taken.
    pub fn ask(&self, input: serde_json::Value) -> Result<Answer, String> {
        let mut engine = self.engine.clone();
        if self.own {
            apart(move || answer(&mut engine, OWN_VERDICT, input))
        } else {
            answer(&mut engine, SHIPPED_VERDICT, input)
        }
    }
}

/// An engine with the shipped rules.
fn shipped() -> anyhow::Result<Engine> {
    let mut engine = Engine::new();
    bounded::register(&mut engine)?;
    engine.set_gather_prints(true);
    engine.add_policy("default.rego".to_owned(), SHIPPED.to_owned())?;
    // They always end: what they take need not be looked at often.
    engine.set_execution_timer_config(limit(256));
    Ok(engine)
}

/// An engine with an operator's rules on top of the shipped ones.
fn with(text: &str) -> Result<Engine, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("has {} bytes; the most is {MAX_BYTES}", text.len()));
    }
    shape::check(text)?;
    let text = text.to_owned();
    apart(move || {
        let mut engine = shipped().map_err(|error| error.to_string())?;
        let package = engine
            .add_policy("rules.rego".to_owned(), text)
            .map_err(|error| error.to_string())?;
        if package != "data.mandate" {
            let package = package.trim_start_matches("data.");
            return Err(format!(
                "is of the package `{package}`; expected `package mandate`"
            ));
        }
        let rules: usize = engine.get_modules().iter().map(|m| m.policy.len()).sum();
        if rules > MAX_RULES {
            return Err(format!("has {rules} rules; the most is {MAX_RULES}"));
        }
        engine.set_execution_timer_config(limit(1));
        Ok(engine)
    })
}

fn limit(interval: u32) -> ExecutionTimerConfig {
    ExecutionTimerConfig {
        limit: LIMIT,
        check_interval: NonZeroU32::new(interval).unwrap_or(NonZeroU32::MIN),
    }
}

/// Does something with an operator's rules on a thread of its own.
fn apart<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("policy".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = tell.send(task());
        })
        .map_err(|error| format!("the rules could not be asked: {error}"))?;
    told.recv_timeout(PATIENCE).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => "the rules did not end".to_owned(),
        mpsc::RecvTimeoutError::Disconnected => "the rules broke down".to_owned(),
    })?
}

fn answer(engine: &mut Engine, path: &str, input: serde_json::Value) -> Result<Answer, String> {
    engine.set_input(Value::from(input));
    let value = engine
        .eval_rule(path.to_owned())
        .map_err(|error| match error.to_string() {
            none if none.contains("not a valid rule path") => NO_VERDICT.to_owned(),
            other => one_line(&other),
        })?;
    if value == Value::Undefined {
        return Err(NO_VERDICT.to_owned());
    }
    let form =
        "expected {\"outcome\": \"approve\" | \"escalate\" | \"deny\", \"rule\": …, \"reason\": …}";
    let value = serde_json::to_value(&value).map_err(|error| error.to_string())?;
    let answer = Answer::deserialize(value)
        .map_err(|error| format!("`verdict` has not the form that counts: {error}; {form}"))?;
    if answer.rule.is_empty() || answer.rule.len() > 128 || answer.reason.len() > 2_000 {
        return Err("`rule` must have 1–128 bytes and `reason` at most 2000".to_owned());
    }
    Ok(answer)
}

/// An error of Rego without its drawing of the place.
fn one_line(error: &str) -> String {
    let told: Vec<&str> = error
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "|")
        .collect();
    let mut line = told.join(" ");
    if let Some((at, _)) = line.char_indices().nth(400) {
        line.truncate(at);
    }
    line
}

#[cfg(test)]
mod tests;
