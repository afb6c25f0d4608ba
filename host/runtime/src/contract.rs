//! Whether this host has what a guest imports, and imports what the host has; pure.

use mandate_types::GuestKind;
use std::fmt;

/// A version of an interface: major and minor; a patch changes no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when something existing changes.
    pub major: u64,
    /// Changes when something is added.
    pub minor: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

const V1_0: Version = Version { major: 1, minor: 0 };
const V1_1: Version = Version { major: 1, minor: 1 };
const WASI: Version = Version { major: 0, minor: 2 };

const IMPORTS: &[(&str, Version)] = &[
    ("mandate:types/types", V1_0),
    ("mandate:invoke/invoke", V1_1),
    ("mandate:llm/llm", V1_0),
    ("mandate:llm-stream/llm-stream", V1_0),
    ("mandate:records/records", V1_0),
    ("mandate:events/events", V1_0),
    ("mandate:human/human", V1_0),
    ("mandate:continuation/continuation", V1_0),
    ("mandate:telemetry/data", V1_0),
    ("mandate:telemetry/query", V1_0),
    ("mandate:telemetry/ingest", V1_0),
    ("mandate:http/http", V1_0),
    ("mandate:system/log", V1_0),
    ("mandate:system/progress", V1_0),
    ("mandate:system/clock", V1_0),
    ("mandate:system/random", V1_0),
    ("mandate:system/sleep", V1_0),
    ("wasi:cli/environment", WASI),
    ("wasi:cli/exit", WASI),
    ("wasi:cli/stdin", WASI),
    ("wasi:cli/stdout", WASI),
    ("wasi:cli/stderr", WASI),
    ("wasi:cli/terminal-input", WASI),
    ("wasi:cli/terminal-output", WASI),
    ("wasi:cli/terminal-stdin", WASI),
    ("wasi:cli/terminal-stdout", WASI),
    ("wasi:cli/terminal-stderr", WASI),
    ("wasi:clocks/wall-clock", WASI),
    ("wasi:clocks/monotonic-clock", WASI),
    ("wasi:filesystem/types", WASI),
    ("wasi:filesystem/preopens", WASI),
    ("wasi:io/error", WASI),
    ("wasi:io/poll", WASI),
    ("wasi:io/streams", WASI),
    ("wasi:random/random", WASI),
    ("wasi:random/insecure", WASI),
    ("wasi:random/insecure-seed", WASI),
];

/// The interfaces that a guest can import from this host, and their versions.
pub fn supported() -> &'static [(&'static str, Version)] {
    IMPORTS
}

/// The interface that a guest of `kind` must export, and its version.
pub fn export_of(kind: GuestKind) -> (&'static str, Version) {
    match kind {
        GuestKind::Agent => ("mandate:agent/agent", V1_0),
        GuestKind::Tool => ("mandate:tool/tool", V1_1),
    }
}

/// The interface that tools export which estimate what their calls cost, and its version.
pub const ESTIMATE: (&str, Version) = ("mandate:tool/estimate", V1_1);

/// Whether one of `exports` is [`ESTIMATE`].
pub fn estimates<'a>(exports: impl IntoIterator<Item = &'a str>) -> bool {
    exports
        .into_iter()
        .any(|export| split(export).0 == ESTIMATE.0)
}

/// Why a guest does not fit this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// The host has the interface in another version.
    #[error(
        "{verb} {found}, this host supports {interface} {supported}: build the plugin with an SDK for that version, or update the host"
    )]
    Version {
        /// `imports` or `exports`.
        verb: &'static str,
        /// As the guest names it.
        found: String,
        /// The interface without version.
        interface: String,
        /// What the host has.
        supported: Version,
    },
    /// The host does not have the interface.
    #[error("imports {found}, which this host does not offer to guests{hint}")]
    Unknown {
        /// As the guest names it.
        found: String,
        /// What to do, where it is known.
        hint: String,
    },
    /// The guest is not of the kind it should be.
    #[error(
        "does not export {interface} {supported}, which every {kind} has; it exports {}",
        if .exports.is_empty() { "nothing".to_owned() } else { .exports.join(", ") }
    )]
    Missing {
        /// What it should be.
        kind: GuestKind,
        /// What it should export.
        interface: &'static str,
        /// The version that the host calls.
        supported: Version,
        /// What it exports.
        exports: Vec<String>,
    },
}

/// Checks the imports and exports of a guest of `kind`, all written like `mandate:records/records@1.0.0`.
///
/// # Errors
/// [`ContractError`] for the first that does not fit.
pub fn check<'a>(
    kind: GuestKind,
    imports: impl IntoIterator<Item = &'a str>,
    exports: impl IntoIterator<Item = &'a str>,
) -> Result<(), ContractError> {
    for found in imports {
        let (name, version) = split(found);
        let Some((interface, supported)) = IMPORTS.iter().find(|(known, _)| *known == name) else {
            return Err(ContractError::Unknown {
                found: found.to_owned(),
                hint: hint(name),
            });
        };
        if !version.is_some_and(|version| fits(version, *supported)) {
            return Err(wrong("imports", found, interface, *supported));
        }
    }
    let (interface, supported) = export_of(kind);
    let exports: Vec<&str> = exports.into_iter().collect();
    for export in &exports {
        let (name, version) = split(export);
        if name == ESTIMATE.0 && !version.is_some_and(|version| fits(version, ESTIMATE.1)) {
            return Err(wrong("exports", export, ESTIMATE.0, ESTIMATE.1));
        }
    }
    match exports.iter().find(|export| split(export).0 == interface) {
        Some(export)
            if split(export)
                .1
                .is_some_and(|version| fits(version, supported)) =>
        {
            Ok(())
        }
        Some(export) => Err(wrong("exports", export, interface, supported)),
        None => Err(ContractError::Missing {
            kind,
            interface,
            supported,
            exports: exports.into_iter().map(str::to_owned).collect(),
        }),
    }
}

fn wrong(verb: &'static str, found: &str, interface: &str, supported: Version) -> ContractError {
    ContractError::Version {
        verb,
        found: found.to_owned(),
        interface: interface.to_owned(),
        supported,
    }
}

/// The older minor loads, the newer does not. Below 1 every minor is another contract.
fn fits(wanted: Version, supported: Version) -> bool {
    wanted.major == supported.major
        && if supported.major == 0 {
            wanted.minor == supported.minor
        } else {
            wanted.minor <= supported.minor
        }
}

fn split(found: &str) -> (&str, Option<Version>) {
    let Some((name, version)) = found.split_once('@') else {
        return (found, None);
    };
    let mut parts = version.split('.');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
    let version = match (number(), number(), number()) {
        (Some(major), Some(minor), Some(_)) => Some(Version { major, minor }),
        _ => None,
    };
    (name, version)
}

fn hint(name: &str) -> String {
    if name.starts_with("wasi:http/") || name.starts_with("wasi:sockets/") {
        return "; guests have no network of their own (componentize-py: build with --stub-wasi; \
                componentize-js: disable the feature `http`)"
            .to_owned();
    }
    if name.starts_with("wasi:") {
        return format!("; of WASI it offers {WASI}: io, clocks, random, cli, filesystem (empty)");
    }
    let mut packages: Vec<&str> = IMPORTS
        .iter()
        .filter(|(known, _)| known.starts_with("mandate:") && !known.starts_with("mandate:types"))
        .map(|(known, _)| *known)
        .collect();
    packages.dedup();
    format!("; it offers {}", packages.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: [&str; 1] = ["mandate:agent/agent@1.0.0"];

    fn imports(found: &str) -> Result<(), ContractError> {
        check(GuestKind::Agent, [found], AGENT)
    }

    #[test]
    fn the_same_version_and_patches_of_it_load() {
        assert_eq!(imports("mandate:records/records@1.0.0"), Ok(()));
        assert_eq!(imports("mandate:records/records@1.0.7"), Ok(()));
        assert_eq!(imports("wasi:io/poll@0.2.0"), Ok(()));
        assert_eq!(imports("wasi:io/poll@0.2.6"), Ok(()));
    }

    #[test]
    fn the_previous_minor_loads_and_the_next_does_not() {
        let host = Version { major: 1, minor: 1 };
        assert!(fits(Version { major: 1, minor: 0 }, host));
        assert!(fits(Version { major: 1, minor: 1 }, host));
        assert!(!fits(Version { major: 1, minor: 2 }, host));
        assert!(!fits(Version { major: 2, minor: 0 }, host));
        assert!(!fits(
            Version { major: 0, minor: 2 },
            Version { major: 0, minor: 3 }
        ));
    }

    #[test]
    fn a_newer_contract_is_refused_and_told_what_is_supported() {
        for newer in ["9.9.9", "1.1.0", "2.0.0", "0.9.0", "1.0", "x"] {
            let found = format!("mandate:records/records@{newer}");
            let error = imports(&found).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!(
                    "imports {found}, this host supports mandate:records/records 1.0"
                )),
                "{error}"
            );
        }
        let error = check(GuestKind::Tool, [], ["mandate:tool/tool@9.9.9"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("exports mandate:tool/tool@9.9.9"),
            "{error}"
        );
        let exports = ["mandate:tool/tool@1.1.0", "mandate:tool/estimate@9.9.9"];
        let error = check(GuestKind::Tool, [], exports).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "exports mandate:tool/estimate@9.9.9, this host supports mandate:tool/estimate 1.1"
            ),
            "{error}"
        );
    }

    #[test]
    fn tools_of_the_previous_minor_fit() {
        for tool in ["mandate:tool/tool@1.0.0", "mandate:tool/tool@1.1.0"] {
            for invoke in ["mandate:invoke/invoke@1.0.0", "mandate:invoke/invoke@1.1.0"] {
                assert_eq!(check(GuestKind::Tool, [invoke], [tool]), Ok(()));
            }
        }
        let newer = check(GuestKind::Tool, ["mandate:invoke/invoke@1.2.0"], []);
        assert!(matches!(newer, Err(ContractError::Version { .. })));
        assert!(estimates(["mandate:tool/estimate@1.1.0"]));
        assert!(!estimates(["mandate:tool/tool@1.1.0"]));
    }

    #[test]
    fn unknown_imports_are_named() {
        let error = imports("acme:rockets/launch@1.0.0")
            .unwrap_err()
            .to_string();
        assert!(error.contains("acme:rockets/launch@1.0.0"), "{error}");
        assert!(error.contains("mandate:records/records"), "{error}");
        let error = imports("wasi:sockets/tcp@0.2.0").unwrap_err().to_string();
        assert!(
            error.contains("wasi:sockets/tcp") && error.contains("no network"),
            "{error}"
        );
        let error = imports("mandate:records/records").unwrap_err().to_string();
        assert!(error.contains("1.0"), "{error}");
    }

    #[test]
    fn an_agent_is_not_a_tool() {
        let error = check(GuestKind::Tool, [], AGENT).unwrap_err().to_string();
        assert!(error.contains("mandate:tool/tool 1.1"), "{error}");
        assert!(error.contains("mandate:agent/agent@1.0.0"), "{error}");
        let error = check(GuestKind::Agent, [], []).unwrap_err().to_string();
        assert!(error.contains("exports nothing"), "{error}");
    }
}
