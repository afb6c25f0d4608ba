//! What can be said of a service that is well: how quick it is, whom it calls, what it needs.

use super::services::Service;

/// What a service does for others: how quick it is, and what can go wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// People's browsers talk to it.
    Frontend,
    /// Code of one's own.
    Api,
    /// Keeps copies in memory.
    Cache,
    /// Keeps data.
    Database,
    /// Hands messages on.
    Queue,
}

/// What a service is like when it is well. Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What it does for others.
    pub role: Role,
    /// What a caller asks it for.
    pub operation: &'static str,
    /// Median of what it works itself on a request, without those that it calls.
    pub own: f64,
    /// Deviation of the logarithm of that.
    pub spread: f64,
    /// Requests per second that one replica can do.
    pub capacity: f64,
    /// Replicas that it has.
    pub replicas: u32,
    /// Share of requests that fail for no reason worth knowing.
    pub errors: f64,
    /// Memory and processor, 0–1, when there is nothing to do.
    pub memory: f64,
    /// As above.
    pub cpu: f64,
    /// Of a cache: the share of requests that it can answer.
    pub hits: f64,
    /// What it needs that nobody here watches.
    pub external: Option<External>,
    /// Whom it calls, in this order.
    pub calls: &'static [Call],
    /// 95 % of its requests should be answered in this time. Only services with an objective have alert rules: what
    /// is wrong with the others shows at their callers.
    pub objective: Option<f64>,
}

/// A dependency that is not watched: neither in the topology nor in the telemetry.
#[derive(Clone, Copy, Debug)]
pub struct External {
    /// As log lines name it.
    pub name: &'static str,
    /// Share of requests that need it.
    pub share: f64,
    /// Median time of its answers.
    pub time: f64,
    /// How long the caller waits for it.
    pub timeout: f64,
}

/// One way in which a service calls another.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Whom.
    pub to: Service,
    /// In which share of the requests.
    pub share: f64,
    /// Only when the cache that was asked before had no answer.
    pub after_miss: bool,
    /// How long it waits, in seconds.
    pub timeout: f64,
    /// How often it tries again.
    pub retries: u32,
    /// The share of failures that it can hide from its own caller.
    pub masked: f64,
}
