//! The terms of an installation: what may be granted, set and signed, within what the manifest
//! asks for.

use crate::install::InstallError;
use crate::kernel::TrustPolicy;
use mandate_plugin::manifest::{Manifest, out_of_bounds};
use mandate_plugin::signature::Trust;
use mandate_plugin::{Package, compile_schema, validate};
use mandate_policy::{Capabilities, Grant, ToolTerms};
use mandate_types::FieldProblem;
use serde_json::Value;

/// The grant that allows all that `manifest` asks for.
pub fn asked_for(manifest: &Manifest) -> Grant {
    Grant {
        generation: 0,
        capabilities: manifest.capabilities.clone(),
        tools: manifest
            .tools
            .iter()
            .map(|tool| {
                let terms = ToolTerms {
                    effects: tool.effects,
                    idempotent: tool.idempotent,
                };
                (tool.name.clone(), terms)
            })
            .collect(),
        limits: manifest.limits.clone(),
    }
}

/// The grant that allows nothing.
pub fn nothing(manifest: &Manifest) -> Grant {
    Grant {
        generation: 0,
        capabilities: Capabilities::default(),
        tools: Default::default(),
        limits: manifest.limits.clone(),
    }
}

/// Whether the signature, or its absence, lets the file in.
///
/// # Errors
/// [`InstallError::Signature`] says why not.
pub fn check_signature(trust: &TrustPolicy, package: &Package) -> Result<(), InstallError> {
    let publisher = &package.manifest.plugin.publisher;
    let needed = trust.require_signature || trust.keys.knows(publisher);
    let wrong = match trust.keys.judge(package) {
        Trust::Trusted => return Ok(()),
        Trust::Invalid => {
            "the signature does not fit the file: it was changed after it was signed, or is damaged"
                .to_owned()
        }
        Trust::Unsigned | Trust::UnknownKey if !needed => return Ok(()),
        Trust::Unsigned => format!(
            "the plugin is not signed, and this host takes plugins of `{publisher}` only with a trusted signature: `mandate plugin sign`"
        ),
        Trust::UnknownKey => format!(
            "the plugin is signed with a key that this host does not trust for `{publisher}`; add the key under [trust.keys] in the configuration"
        ),
    };
    Err(InstallError::Signature(wrong))
}

/// Whether the grant is within what the manifest asks for, and its limits within the host's.
///
/// # Errors
/// [`InstallError`] names what is not.
pub fn check_grant(manifest: &Manifest, grant: &Grant) -> Result<(), InstallError> {
    let mut problems = grant.capabilities.beyond(&manifest.capabilities);
    for (name, terms) in &grant.tools {
        match manifest.tools.iter().find(|tool| tool.name == *name) {
            None => problems.push(format!("the plugin has no tool `{name}`")),
            Some(tool) if terms.effects < tool.effects => problems.push(format!(
                "the tool `{name}` declares effects `{}`, and cannot be accepted as `{}`",
                tool.effects, terms.effects
            )),
            Some(_) => {}
        }
    }
    if !problems.is_empty() {
        return Err(InstallError::Exceeds(problems));
    }
    let limits: Vec<_> = out_of_bounds(&grant.limits)
        .into_iter()
        .map(|(name, expected)| FieldProblem {
            field: format!("/limits/{name}"),
            expected,
        })
        .collect();
    if limits.is_empty() {
        Ok(())
    } else {
        Err(InstallError::Limits(limits))
    }
}

/// Whether the settings are what the manifest's schema wants.
///
/// # Errors
/// [`InstallError`] names the fields that are not.
pub fn check_settings(manifest: &Manifest, settings: &Value) -> Result<(), InstallError> {
    let Some(schema) = &manifest.settings else {
        let empty = settings.as_object().is_some_and(serde_json::Map::is_empty);
        if empty {
            return Ok(());
        }
        let problem = FieldProblem {
            field: String::new(),
            expected: "no settings".to_owned(),
        };
        return Err(InstallError::Settings(vec![problem]));
    };
    let validator = compile_schema(schema).map_err(|error| InstallError::Schema {
        what: "[settings]".to_owned(),
        error,
    })?;
    validate(&validator, settings).map_err(InstallError::Settings)
}

/// What of `allowed` is still asked for.
pub fn common(allowed: &Capabilities, asked: &Capabilities) -> Capabilities {
    if allowed.beyond(asked).is_empty() {
        return allowed.clone();
    }
    // What is not asked for any more is dropped whole: the operator looks at the rest again.
    let keep = |part: Capabilities| part.beyond(asked).is_empty();
    Capabilities {
        llm: allowed.llm.clone().filter(|llm| {
            keep(Capabilities {
                llm: Some(llm.clone()),
                ..Capabilities::default()
            })
        }),
        invoke: allowed.invoke.clone().filter(|invoke| {
            keep(Capabilities {
                invoke: Some(invoke.clone()),
                ..Capabilities::default()
            })
        }),
        records: allowed.records.clone().filter(|records| {
            keep(Capabilities {
                records: Some(records.clone()),
                ..Capabilities::default()
            })
        }),
        events: allowed.events && asked.events,
        telemetry: allowed
            .telemetry
            .iter()
            .copied()
            .filter(|access| asked.telemetry.contains(access))
            .collect(),
    }
}
