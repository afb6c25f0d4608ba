//! What guests are built against: the contract's own WIT files, those of its previous minor
//! version, and a little of WASI.

/// The contract, each package after those that it uses.
const WIT: [(&str, &str); 13] = [
    ("types", include_str!("../../../wit/types/types.wit")),
    ("agent", include_str!("../../../wit/agent/agent.wit")),
    ("tool", include_str!("../../../wit/tool/tool.wit")),
    ("invoke", include_str!("../../../wit/invoke/invoke.wit")),
    ("llm", include_str!("../../../wit/llm/llm.wit")),
    (
        "llm-stream",
        include_str!("../../../wit/llm-stream/llm-stream.wit"),
    ),
    ("records", include_str!("../../../wit/records/records.wit")),
    ("events", include_str!("../../../wit/events/events.wit")),
    ("human", include_str!("../../../wit/human/human.wit")),
    (
        "continuation",
        include_str!("../../../wit/continuation/continuation.wit"),
    ),
    (
        "telemetry",
        include_str!("../../../wit/telemetry/telemetry.wit"),
    ),
    ("http", include_str!("../../../wit/http/http.wit")),
    ("system", include_str!("../../../wit/system/system.wit")),
];

/// What of the contract was otherwise in its previous minor version, as it was published.
const PREVIOUS: [(&str, &str); 2] = [
    ("tool", include_str!("../../contracts/1.0/tool.wit")),
    ("invoke", include_str!("../../contracts/1.0/invoke.wit")),
];

/// What of WASI 0.2 guests call here.
const WASI: [(&str, &str); 5] = [
    ("io", include_str!("../../contracts/wasi-0.2/io.wit")),
    (
        "clocks",
        include_str!("../../contracts/wasi-0.2/clocks.wit"),
    ),
    (
        "random",
        include_str!("../../contracts/wasi-0.2/random.wit"),
    ),
    (
        "filesystem",
        include_str!("../../contracts/wasi-0.2/filesystem.wit"),
    ),
    ("cli", include_str!("../../contracts/wasi-0.2/cli.wit")),
];

/// Which contract a guest is built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contract {
    /// This host's.
    #[default]
    Present,
    /// The one before, of the same major version.
    Previous,
}

impl Contract {
    pub(super) fn sources(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = WIT.into_iter().map(move |(name, source)| {
            let old = PREVIOUS.into_iter().find(|(old, _)| *old == name);
            match self {
                Self::Present => (name, source),
                Self::Previous => old.unwrap_or((name, source)),
            }
        });
        own.chain(WASI)
    }

    /// The interface with the version of its package: `mandate:invoke/invoke@1.1.0`.
    pub(super) fn versioned(self, interface: &str) -> String {
        let package = interface.split('/').next().unwrap_or_default();
        let line = format!("package {package}@");
        let version = self.sources().find_map(|(_, source)| {
            let (_, after) = source.split_once(&line)?;
            after.split(';').next()
        });
        format!("{interface}@{}", version.unwrap())
    }
}
