//! Which capability an import of a component is. The import is the capability: what a component
//! imports, its manifest must ask for.

use mandate_policy::{Capabilities, TelemetryAccess};

/// What an imported interface means for the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Everybody has it, or it is inert.
    Nothing,
    /// The manifest must ask for this.
    Capability(Capability),
    /// No host of this contract gives it; the text says why.
    Refused(&'static str),
    /// Not of the contract at all.
    Unknown,
}

/// A capability as far as imports tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the variants are the keys of `[capabilities]`
pub enum Capability {
    Llm,
    Invoke,
    Records,
    Events,
    Human,
    TelemetryRead,
    TelemetryWrite,
    Http,
}

impl Capability {
    /// Whether the manifest asks for it.
    pub fn asked_for(self, capabilities: &Capabilities) -> bool {
        match self {
            Self::Llm => capabilities.llm.is_some(),
            Self::Invoke => capabilities.invoke.is_some(),
            Self::Records => capabilities.records.is_some(),
            Self::Events => capabilities.events,
            Self::Human => capabilities.human,
            Self::TelemetryRead => capabilities.telemetry.contains(&TelemetryAccess::Read),
            Self::TelemetryWrite => capabilities.telemetry.contains(&TelemetryAccess::Write),
            Self::Http => capabilities.http.is_some(),
        }
    }

    /// What to add to `plugin.toml` to ask for it.
    pub const fn lines(self) -> &'static str {
        match self {
            Self::Llm => {
                "[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 100_000  # micro-dollars"
            }
            Self::Invoke => "[capabilities.invoke]\ntools = [\"plugin.tool\"]",
            Self::Records => {
                "[capabilities.records]\nread = [\"collection\"]\nwrite = [\"collection\"]"
            }
            Self::Events => "[capabilities]\nevents = true",
            Self::Human => "[capabilities]\nhuman = true",
            Self::TelemetryRead => "[capabilities]\ntelemetry = [\"read\"]",
            Self::TelemetryWrite => "[capabilities]\ntelemetry = [\"write\"]",
            Self::Http => "[capabilities.http]\nhosts = [\"api.example.com\"]\nmethods = [\"GET\"]",
        }
    }
}

/// What importing `interface` (`namespace:package/interface`, with or without a version) needs.
pub fn need(interface: &str) -> Need {
    let name = interface
        .split_once('@')
        .map_or(interface, |(name, _)| name);
    match name {
        "mandate:llm/llm" | "mandate:llm-stream/llm-stream" => Need::Capability(Capability::Llm),
        "mandate:invoke/invoke" => Need::Capability(Capability::Invoke),
        "mandate:records/records" => Need::Capability(Capability::Records),
        "mandate:events/events" => Need::Capability(Capability::Events),
        "mandate:human/human" => Need::Capability(Capability::Human),
        "mandate:telemetry/query" => Need::Capability(Capability::TelemetryRead),
        "mandate:telemetry/ingest" => Need::Capability(Capability::TelemetryWrite),
        "mandate:http/http" => Need::Capability(Capability::Http),
        // Types only.
        "mandate:telemetry/data" | "mandate:types/types" => Need::Nothing,
        // What a task may spend counts over all of its executions.
        "mandate:continuation/continuation" => Need::Nothing,
        name if name.starts_with("mandate:system/") => Need::Nothing,
        name if name.starts_with("wasi:sockets/") => Need::Refused("plugins have no network"),
        name if name.starts_with("wasi:http/") => {
            Need::Refused("requests are sent with `mandate:http`")
        }
        name if [
            "wasi:cli/",
            "wasi:clocks/",
            "wasi:filesystem/",
            "wasi:io/",
            "wasi:random/",
        ]
        .iter()
        .any(|package| name.starts_with(package)) =>
        {
            Need::Nothing
        }
        _ => Need::Unknown,
    }
}
