//! What the metrics and labels are called where this plugin is installed.

use serde::Deserialize;

/// Names, as the operator filled them in.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Metrics of the time that answers take.
    pub latency: Vec<String>,
    /// Metrics of the number of requests in an interval.
    pub requests: Vec<String>,
    /// Metrics of the percentage of requests that succeed.
    pub availability: Vec<String>,
    /// Metrics of what a component uses up; more is worse.
    pub resources: Vec<String>,
    /// The label that names the component.
    pub service_label: String,
    /// The label that says which statistic a series has.
    pub statistic_label: String,
    /// The statistic of latency and availability; none when empty.
    pub average: String,
    /// The statistic of the slowest requests; none when empty.
    pub tail: String,
    /// The statistic of requests; none when empty.
    pub sum: String,
}

impl Default for Settings {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            // The second one is what OpenTelemetry calls it; the host derives statistics from its histograms.
            latency: names(&["latency", "http.server.request.duration"]),
            requests: names(&["requests"]),
            availability: names(&["availability"]),
            resources: names(&["cpu", "memory", "saturation", "restarts"]),
            service_label: "service".to_owned(),
            statistic_label: "statistic".to_owned(),
            average: "Average".to_owned(),
            tail: "p99".to_owned(),
            sum: "Sum".to_owned(),
        }
    }
}
