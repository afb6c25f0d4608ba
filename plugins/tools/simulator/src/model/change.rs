//! What an action does to the environment.

use super::action::Action;
use super::environment::{Echo, Environment, MOST_ECHOES};
use super::lines;
use super::services::Service;
use super::spec::Role;
use incident_contract::{Time, micros, time};
use mandate_sdk::telemetry::{LogLine, Severity};

/// No service gets more replicas.
pub const MOST_REPLICAS: u32 = 20;
/// How long an action can be felt, in seconds.
const FELT: u64 = 8;

/// What came of an action.
#[derive(Clone, Debug)]
pub struct Done {
    /// False: it was not possible, and nothing happened.
    pub done: bool,
    /// What happened, as far as whoever acts can know. Whether it helped is for the telemetry to tell.
    pub message: String,
    /// How it is undone, if it can be.
    pub undo: Option<String>,
    /// Ids of the faults that it put right.
    pub cured: Vec<String>,
    /// What the service logs.
    pub lines: Vec<LogLine>,
}

impl Done {
    fn refused(message: String) -> Self {
        Self {
            done: false,
            message,
            undo: None,
            cured: Vec::new(),
            lines: Vec::new(),
        }
    }
}

/// Acts. `replicas` counts for scaling only.
pub fn act(
    environment: &mut Environment,
    now: Time,
    action: Action,
    service: Service,
    replicas: Option<u32>,
) -> Done {
    let name = service.name();
    let spec = service.spec();
    let changed = environment
        .faults
        .iter()
        .any(|fault| fault.service == service && Action::RollBack.cures(fault.form, service, 1.0));
    let Some(running) = environment.service_mut(service) else {
        return Done::refused(format!("there is no service {name}"));
    };
    let mut undo = None;
    let (message, said) = match action {
        Action::Restart => {
            running.restarts = running.restarts.saturating_add(1);
            let text = format!(
                "restarted, {} replicas one after the other",
                running.replicas
            );
            (format!("{name}: {text}"), text)
        }
        Action::ClearCache if spec.role == Role::Cache => {
            let text = "cache cleared; it fills again by itself".to_owned();
            (format!("{name}: {text}"), text)
        }
        Action::ClearCache => {
            return Done::refused(format!("{name} keeps no cache that could be cleared"));
        }
        Action::Scale => {
            let before = running.replicas;
            let wanted = replicas.unwrap_or(before.saturating_mul(2).min(MOST_REPLICAS));
            if !(1..=MOST_REPLICAS).contains(&wanted) {
                return Done::refused(format!(
                    "replicas: expected 1 to {MOST_REPLICAS}, not {wanted}"
                ));
            }
            running.replicas = wanted;
            running.scaled_at = (wanted != spec.replicas).then_some(now);
            undo = Some(format!("scale {name} back to {before} replicas"));
            let text = format!("scaled from {before} to {wanted} replicas");
            (format!("{name}: {text}"), text)
        }
        Action::RollBack if changed => {
            running.build = running.build.saturating_add(1);
            undo = Some(format!("deploy the version of {name} from before again"));
            let text = "rolled back to the version and configuration before the last change";
            (format!("{name}: {text}"), text.to_owned())
        }
        Action::RollBack => {
            return Done::refused(format!(
                "the last change of {name} is long ago; there is nothing to roll back"
            ));
        }
        Action::FailOver => {
            let Some(external) = spec.external else {
                return Done::refused(format!("{name} has no standby to fail over to"));
            };
            undo = Some(format!("let {name} use its first {} again", external.name));
            let text = format!("failed over to the standby of {}", external.name);
            (format!("{name}: {text}"), text)
        }
    };
    let growth = running.growth();
    let mut cured = Vec::new();
    environment.faults.retain(|fault| {
        let cures = fault.service == service && action.cures(fault.form, service, growth);
        if cures {
            cured.push(fault.id.clone());
        }
        !cures
    });
    if matches!(action, Action::Restart | Action::ClearCache) {
        environment.echoes.push(Echo {
            service,
            cold: spec.role == Role::Cache,
            until: time(micros(now) + FELT * 1_000_000),
        });
        let over = environment.echoes.len().saturating_sub(MOST_ECHOES);
        environment.echoes.drain(..over);
    }
    let mut line = lines::line(now, service, Severity::Info, said);
    line.labels.push(mandate_sdk::telemetry::Label {
        name: "action".to_owned(),
        value: action.name().to_owned(),
    });
    Done {
        done: true,
        message,
        undo,
        cured,
        lines: vec![line],
    }
}
