//! What the environment is at one moment: all that the next tick depends on, small enough for one record.

use super::faults::Form;
use super::services::Service;
use super::strain::Fault;
use incident_contract::{Time, micros};
use mandate_sdk::schemars::JsonSchema;
use mandate_sdk::serde::{Deserialize, Serialize};

/// How long a tick is, in microseconds.
pub const TICK: u64 = 5_000_000;
/// At most so many faults at once: what is injected by hand included.
pub const MOST_FAULTS: usize = 8;
/// At most so many after-effects of actions at once; older ones are forgotten first.
pub const MOST_ECHOES: usize = 16;

/// The body of `environments/main`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "mandate_sdk::schemars")]
pub struct Environment {
    /// Always true: nothing of this exists.
    pub simulated: bool,
    /// The same seed gives the same environment.
    pub seed: u32,
    /// Whether ticks make telemetry.
    pub running: bool,
    /// Whether faults come by themselves.
    pub trouble: bool,
    /// The shortest and the longest time between two faults that come by themselves, in seconds.
    pub every_seconds: (u32, u32),
    /// When it was started last.
    pub started_at: Time,
    /// When it was stopped, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// Until when there is telemetry.
    pub last_tick: Time,
    /// How many ticks there were.
    pub ticks: u64,
    /// When the next fault comes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_trouble_at: Option<Time>,
    /// How many faults came by themselves since it was started.
    #[serde(default)]
    pub troubles: u32,
    /// Orders of the last tick, whose messages are sent in the next.
    #[schemars(range(max = 10_000))]
    pub orders: u32,
    /// How the services are.
    #[schemars(length(max = 16))]
    pub services: Vec<Running>,
    /// What is wrong now.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub faults: Vec<ActiveFault>,
    /// After-effects of actions.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub echoes: Vec<Echo>,
    /// Alerts that are about to fire, fire, or ended a moment ago.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub alerts: Vec<Alert>,
    /// Why alerts cannot be delivered, since they cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_problem: Option<String>,
    /// Why telemetry cannot be written, since it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_problem: Option<String>,
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "mandate_sdk::schemars")]
pub struct Running {
    /// Which.
    pub name: Service,
    /// How many replicas it has.
    #[schemars(range(min = 1, max = 20))]
    pub replicas: u32,
    /// How often it was restarted.
    pub restarts: u32,
    /// The number of its version.
    pub build: u32,
    /// Requests per second, smoothed over the last ticks.
    pub load: f64,
    /// Of the last two ticks: requests, slow ones, failed ones.
    pub recent: [(u32, u32, u32); 2],
    /// When it was scaled, if it has not its usual number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_at: Option<Time>,
}

impl Running {
    /// The version, as deployments name it.
    pub fn version(&self) -> String {
        format!("2.{}.0", self.build)
    }

    /// How many times its usual number of replicas it has.
    pub fn growth(&self) -> f64 {
        f64::from(self.replicas) / f64::from(self.name.spec().replicas)
    }
}

/// A fault that is there now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "mandate_sdk::schemars")]
pub struct ActiveFault {
    /// Its id in `faults`.
    #[schemars(length(max = 200))]
    pub id: String,
    /// What it is.
    pub form: Form,
    /// Where.
    pub service: Service,
    /// How bad; 1 is usual.
    #[schemars(range(min = 0.5, max = 3.0))]
    pub strength: f64,
    /// Tells it from others of its form.
    pub nature: u32,
    /// Since when.
    pub since: Time,
}

impl ActiveFault {
    /// Without its history.
    pub fn fault(&self) -> Fault {
        Fault {
            form: self.form,
            service: self.service,
            strength: self.strength,
            nature: u64::from(self.nature),
        }
    }

    /// Seconds since it began.
    pub fn age(&self, now: Time) -> f64 {
        micros(now).saturating_sub(micros(self.since)) as f64 / 1e6
    }
}

/// What an action leaves for a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "mandate_sdk::schemars")]
pub struct Echo {
    /// Where.
    pub service: Service,
    /// Whether a cache lost what it kept; otherwise its replicas were exchanged.
    pub cold: bool,
    /// Until when.
    pub until: Time,
}

/// What an alert rule looks at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(crate = "mandate_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "mandate_sdk::schemars")]
pub enum Rule {
    /// Requests take longer than the objective.
    Latency,
    /// Requests fail.
    Availability,
    /// Most requests fail where people come in.
    Outage,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "mandate_sdk::schemars")]
pub struct Alert {
    /// Where.
    pub service: Service,
    /// What.
    pub rule: Rule,
    /// Since when it was seen.
    pub since: Time,
    /// The share of requests that were slow, or failed, when it was seen last.
    pub share: f64,
    /// Bad ticks without a good one between them.
    pub bad: u32,
    /// Good ticks without a bad one between them.
    pub good: u32,
    /// Whether it fires.
    pub firing: bool,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
    /// When its present state was told last; none if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Time>,
}

impl Environment {
    /// All is well, nothing has happened yet, and time begins at `now`.
    pub fn new(seed: u32, now: Time) -> Self {
        let running = |name: Service| Running {
            name,
            replicas: name.spec().replicas,
            restarts: 0,
            build: 14 + name as u32,
            load: 0.0,
            recent: [(0, 0, 0); 2],
            scaled_at: None,
        };
        Self {
            simulated: true,
            seed,
            running: true,
            trouble: false,
            every_seconds: (30, 60),
            started_at: now,
            stopped_at: None,
            last_tick: now,
            ticks: 0,
            next_trouble_at: None,
            troubles: 0,
            orders: 0,
            services: Service::ALL.into_iter().map(running).collect(),
            faults: Vec::new(),
            echoes: Vec::new(),
            alerts: Vec::new(),
            delivery_problem: None,
            telemetry_problem: None,
        }
    }

    /// How a service is.
    pub fn service(&self, service: Service) -> Option<&Running> {
        self.services.iter().find(|running| running.name == service)
    }

    /// As [`Environment::service`], to change it.
    pub fn service_mut(&mut self, service: Service) -> Option<&mut Running> {
        self.services
            .iter_mut()
            .find(|running| running.name == service)
    }

    /// Services that have a fault.
    pub fn faulty(&self) -> Vec<Service> {
        self.faults.iter().map(|fault| fault.service).collect()
    }
}
