//! From what a compiler leaves to a plugin file: a component, with manifest and description
//! inside.

use crate::Manifest;
use crate::description::Description;
use crate::package::{self, PLUGIN_SECTION, Package, PackageError, PluginSection};
use crate::signature::append_section;
use mandate_types::GuestKind;
use wit_component::ComponentEncoder;

/// Why no plugin file could be made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the variants mean
pub enum EncodeError {
    #[error(
        "the module cannot be made a component: {0}\nIt must export an agent or tools: is there a `mandate_sdk::agent!(…)` or `mandate_sdk::tools!(…)` line in src/lib.rs?"
    )]
    Component(String),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("the manifest cannot be embedded: {0}")]
    Section(#[from] serde_json::Error),
}

/// The component of `wasm`: a core module is encoded by the contract's types inside it, a
/// component stays as it is.
///
/// # Errors
/// [`EncodeError`] when it is neither, or the module has no types of the contract inside.
pub fn component(wasm: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    if !wasmparser::Parser::is_core_wasm(&wasm) {
        package::outline(&wasm)?;
        return Ok(wasm);
    }
    let failed = |error: &dyn std::fmt::Display| EncodeError::Component(format!("{error:#}"));
    ComponentEncoder::default()
        .validate(true)
        .module(&wasm)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| failed(&error))
}

/// Checks before anything runs: the manifest asks for what `component` imports, and the
/// component exports what the manifest says it is.
///
/// # Errors
/// [`PackageError`] names the interface, and the lines to add.
pub fn check(component: &[u8], manifest: &Manifest) -> Result<GuestKind, PackageError> {
    let interfaces = package::interfaces(component)?;
    package::check_imports(manifest, &interfaces.imports)?;
    package::check_exports(manifest, &interfaces.exports)?;
    Ok(manifest.kind())
}

/// Puts manifest and description into `component`, in place of those that it had. A signature
/// is dropped: it was not of these bytes.
///
/// # Errors
/// [`EncodeError`] when the result would not be a plugin that [`Package::read`] takes.
pub fn embed(
    component: &[u8],
    manifest: Manifest,
    description: Description,
) -> Result<Package, EncodeError> {
    let outline = package::outline(component)?;
    let mut bytes = Vec::with_capacity(component.len() + 4096);
    let mut from = 0;
    for old in &outline.ours {
        bytes.extend_from_slice(component.get(from..old.start).unwrap_or_default());
        from = old.end;
    }
    bytes.extend_from_slice(component.get(from..).unwrap_or_default());
    let data = serde_json::to_vec(&PluginSection {
        manifest,
        description,
    })?;
    append_section(&mut bytes, PLUGIN_SECTION, &data);
    Ok(Package::read(bytes)?)
}
