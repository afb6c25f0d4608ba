//! A plugin as a file: one component with its manifest and description inside. There is one
//! reader, for build, inspect, install and run alike; reading runs nothing.

use crate::Manifest;
use crate::description::Description;
use crate::imports::{Need, need};
use crate::manifest::{CONTRACT, ContractVersion};
use crate::signature::Signature;
use mandate_policy::ToolCost;
use mandate_types::{Digest, GuestKind};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use wasmparser::{BinaryReader, Parser, Payload};

/// The name of the section that holds manifest and description.
pub const PLUGIN_SECTION: &str = "mandate:plugin";
/// The name of the section that holds the publisher's signature; always the last.
pub const SIGNATURE_SECTION: &str = "mandate:signature";
/// The most bytes of a plugin file.
pub const MAX_PACKAGE_BYTES: usize = 64 << 20;
/// The most bytes of manifest and description.
const MAX_SECTION_BYTES: usize = 4 << 20;

/// Why a file is not a plugin, or not one that may be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the variants mean
pub enum PackageError {
    #[error("the file is empty; expected a WebAssembly component")]
    Empty,
    #[error("the file is {bytes} bytes long, the most is {MAX_PACKAGE_BYTES}")]
    TooLarge { bytes: usize },
    #[error("this is not WebAssembly: the file does not begin with `\\0asm`")]
    NotWasm,
    #[error(
        "this is a core WebAssembly module, not a component; `mandate plugin build` makes a component of it"
    )]
    CoreModule,
    #[error("the file is truncated: it ends at byte {at}, inside a section")]
    Truncated { at: usize },
    #[error("the file is broken at byte {at}: {reason}")]
    Broken { at: usize, reason: String },
    #[error(
        "the component has no manifest inside (no top-level section `{PLUGIN_SECTION}`); build it with `mandate plugin build`"
    )]
    NoManifest,
    #[error(
        "the component has {count} manifests inside, it must have exactly one; build it again with `mandate plugin build`"
    )]
    SeveralManifests { count: usize },
    #[error(
        "the manifest inside the component cannot be read: {reason}; build it again with `mandate plugin build`"
    )]
    BadManifest { reason: String },
    #[error("the description inside the component does not fit: {reason}")]
    BadDescription { reason: String },
    #[error(
        "there is something after the signature (at byte {at}); a signature must be the last section: sign the file again"
    )]
    AfterSignature { at: usize },
    #[error("the signature section cannot be read: {reason}")]
    BadSignature { reason: String },
    #[error(
        "the plugin was written for contract {needed}, this host supports {CONTRACT}; use a newer host, or build the plugin with an older SDK"
    )]
    ContractNewer { needed: String },
    #[error(
        "the component imports `{interface}`, but its manifest does not ask for that; add to plugin.toml and build again:\n\n{lines}"
    )]
    NotAskedFor { interface: String, lines: String },
    #[error("the component imports `{interface}`: {reason}")]
    Refused { interface: String, reason: String },
    #[error(
        "the manifest has {section}, but the component does not export `{interface}`; it exports {exports}"
    )]
    NotExported {
        section: &'static str,
        interface: &'static str,
        exports: String,
    },
}

/// Code that no host would run is not a plugin, also for whoever only looks at it.
fn validate_code(bytes: &[u8]) -> Result<(), PackageError> {
    wasmparser::Validator::new()
        .validate_all(bytes)
        .map(drop)
        .map_err(|error| PackageError::Broken {
            at: error.offset(),
            reason: error.message().to_owned(),
        })
}

/// What the plugin section holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginSection {
    pub(crate) manifest: Manifest,
    pub(crate) description: Description,
}

/// A plugin file, read and found to be whole.
#[derive(Clone, Debug)]
pub struct Package {
    /// SHA-256 of the bytes before the signature section, or of all when there is none.
    pub digest: Digest,
    /// What its author says and asks for.
    pub manifest: Manifest,
    /// What its code says of itself.
    pub description: Description,
    /// The interfaces that it imports, with versions, in the order of the file.
    pub imports: Vec<String>,
    /// What it exports, with versions.
    pub exports: Vec<String>,
    /// The publisher's signature, valid or not.
    pub signature: Option<Signature>,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl Package {
    /// Reads a plugin file and checks its form, its manifest, and that the manifest asks for
    /// all that the component imports. Runs and compiles nothing.
    ///
    /// # Errors
    /// [`PackageError`] says what is wrong and what to do.
    pub fn read(bytes: Vec<u8>) -> Result<Self, PackageError> {
        let outline = outline(&bytes)?;
        let section = match outline.manifests.as_slice() {
            [] => return Err(PackageError::NoManifest),
            [one] => bytes.get(one.clone()).unwrap_or_default(),
            several => {
                return Err(PackageError::SeveralManifests {
                    count: several.len(),
                });
            }
        };
        let PluginSection {
            manifest,
            description,
        } = read_section(section)?;
        let interfaces = interfaces(&bytes)?;
        validate_code(&bytes)?;
        check_imports(&manifest, &interfaces.imports)?;
        check_exports(&manifest, &interfaces.exports)?;
        description
            .check(&manifest)
            .map_err(|error| PackageError::BadDescription {
                reason: error.to_string(),
            })?;
        let (end, signature) = match &outline.signature {
            Some(found) => (
                found.start,
                Some(bytes.get(found.content.clone()).unwrap_or_default()),
            ),
            None => (bytes.len(), None),
        };
        let digest = Digest::of(bytes.get(..end).unwrap_or_default());
        let signature = signature
            .map(|content| Signature::read(content, &digest))
            .transpose()
            .map_err(|reason| PackageError::BadSignature { reason })?;
        let Interfaces { imports, exports } = interfaces;
        Ok(Self {
            digest,
            manifest,
            description,
            imports,
            exports,
            signature,
            bytes,
        })
    }

    /// Whether it is an agent or a family of tools.
    pub fn kind(&self) -> GuestKind {
        self.manifest.kind()
    }

    /// The file without its signature section: what the digest covers.
    pub fn unsigned(&self) -> &[u8] {
        let end = match outline(&self.bytes) {
            Ok(Outline {
                signature: Some(found),
                ..
            }) => found.start,
            _ => self.bytes.len(),
        };
        self.bytes.get(..end).unwrap_or_default()
    }
}

/// A custom section at top level.
pub(crate) struct Found {
    /// Where the section begins, its id byte included.
    pub(crate) start: usize,
    /// Its content, after the name.
    pub(crate) content: Range<usize>,
}

/// Where our sections are.
pub(crate) struct Outline {
    pub(crate) manifests: Vec<Range<usize>>,
    /// The sections of our own, header included, in the order of the file.
    pub(crate) ours: Vec<Range<usize>>,
    pub(crate) signature: Option<Found>,
}

/// Walks the top-level sections. Sections of nested modules and components do not count: what
/// is nested can come from anybody.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline, PackageError> {
    check_header(bytes)?;
    let mut outline = Outline {
        manifests: Vec::new(),
        ours: Vec::new(),
        signature: None,
    };
    let mut at = 8;
    while at < bytes.len() {
        if outline.signature.is_some() {
            return Err(PackageError::AfterSignature { at });
        }
        let mut reader = BinaryReader::new(bytes.get(at..).unwrap_or_default(), at);
        let id = reader.read_u8().map_err(broken)?;
        let size = reader.read_var_u32().map_err(broken)? as usize;
        let content = reader.original_position();
        let end = content.saturating_add(size);
        if end > bytes.len() {
            return Err(PackageError::Truncated { at: bytes.len() });
        }
        if id == 0 {
            let mut reader =
                BinaryReader::new(bytes.get(content..end).unwrap_or_default(), content);
            let name = reader.read_string().map_err(broken)?;
            let inner = reader.original_position()..end;
            match name {
                PLUGIN_SECTION => {
                    outline.manifests.push(inner);
                    outline.ours.push(at..end);
                }
                SIGNATURE_SECTION => {
                    outline.ours.push(at..end);
                    outline.signature = Some(Found {
                        start: at,
                        content: inner,
                    });
                }
                _ => {}
            }
        }
        at = end;
    }
    Ok(outline)
}

fn check_header(bytes: &[u8]) -> Result<(), PackageError> {
    if bytes.is_empty() {
        return Err(PackageError::Empty);
    }
    if bytes.len() > MAX_PACKAGE_BYTES {
        return Err(PackageError::TooLarge { bytes: bytes.len() });
    }
    let magic = b"\0asm";
    if !bytes.starts_with(magic.get(..bytes.len().min(4)).unwrap_or_default()) {
        return Err(PackageError::NotWasm);
    }
    if bytes.len() < 8 {
        return Err(PackageError::Truncated { at: bytes.len() });
    }
    if Parser::is_core_wasm(bytes) {
        return Err(PackageError::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(PackageError::Broken {
            at: 4,
            reason: "this version of WebAssembly is not known; expected a component".to_owned(),
        });
    }
    Ok(())
}

fn broken(error: wasmparser::BinaryReaderError) -> PackageError {
    if error.message().contains("unexpected end") {
        PackageError::Truncated { at: error.offset() }
    } else {
        PackageError::Broken {
            at: error.offset(),
            reason: error.message().to_owned(),
        }
    }
}

/// What a component imports and exports by name.
pub(crate) struct Interfaces {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// The names at the top level of a component.
pub(crate) fn interfaces(bytes: &[u8]) -> Result<Interfaces, PackageError> {
    let mut found = Interfaces {
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    found
                        .imports
                        .push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    found
                        .exports
                        .push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn read_section(section: &[u8]) -> Result<PluginSection, PackageError> {
    let bad = |reason: String| PackageError::BadManifest { reason };
    if section.len() > MAX_SECTION_BYTES {
        return Err(bad(format!(
            "it is {} bytes long, the most is {MAX_SECTION_BYTES}",
            section.len()
        )));
    }
    // The contract first: the manifest of a newer one may have keys that this host cannot know.
    #[derive(Deserialize)]
    struct Outer {
        manifest: Middle,
    }
    #[derive(Deserialize)]
    struct Middle {
        plugin: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        contract: String,
    }
    if let Ok(outer) = serde_json::from_slice::<Outer>(section) {
        let needed = outer.manifest.plugin.contract;
        if ContractVersion::parse(&needed).is_some_and(|version| !version.is_supported()) {
            return Err(PackageError::ContractNewer { needed });
        }
    }
    let section: PluginSection =
        serde_json::from_slice(section).map_err(|error| bad(error.to_string()))?;
    let problems = section.manifest.check();
    if problems.is_empty() {
        Ok(section)
    } else {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Err(bad(problems.join("; ")))
    }
}

/// The manifest must ask for every capability that is imported.
pub(crate) fn check_imports(manifest: &Manifest, imports: &[String]) -> Result<(), PackageError> {
    for interface in imports {
        match need(interface) {
            Need::Capability(capability) if !capability.asked_for(&manifest.capabilities) => {
                let lines: Vec<String> = capability
                    .lines()
                    .lines()
                    .map(|line| format!("    {line}"))
                    .collect();
                return Err(PackageError::NotAskedFor {
                    interface: interface.clone(),
                    lines: lines.join("\n"),
                });
            }
            Need::Refused(reason) => {
                return Err(PackageError::Refused {
                    interface: interface.clone(),
                    reason: reason.to_owned(),
                });
            }
            Need::Unknown => {
                return Err(PackageError::Refused {
                    interface: interface.clone(),
                    reason: format!("no host of contract {CONTRACT} knows that interface"),
                });
            }
            Need::Capability(_) | Need::Nothing => {}
        }
    }
    Ok(())
}

pub(crate) fn check_exports(manifest: &Manifest, exports: &[String]) -> Result<(), PackageError> {
    let guest = match manifest.kind() {
        GuestKind::Agent => ("[agent]", "mandate:agent/agent"),
        GuestKind::Tool => ("[[tool]]", "mandate:tool/tool"),
    };
    let estimates = manifest
        .tools
        .iter()
        .any(|tool| tool.cost == Some(ToolCost::Estimate));
    let estimating =
        estimates.then_some(("a tool with cost = \"estimate\"", "mandate:tool/estimate"));
    for (section, interface) in [guest].into_iter().chain(estimating) {
        let has = exports.iter().any(|export| {
            export
                .split_once('@')
                .map_or(export.as_str(), |(name, _)| name)
                == interface
        });
        if !has {
            return Err(PackageError::NotExported {
                section,
                interface,
                exports: listed(exports),
            });
        }
    }
    Ok(())
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<String> = exports.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
