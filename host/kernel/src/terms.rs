//! The terms of an installation: what may be granted, set and signed, within what the manifest
//! asks for.

use crate::install::InstallError;
use crate::kernel::TrustPolicy;
use mandate_plugin::manifest::{Manifest, ToolSection, out_of_bounds};
use mandate_plugin::signature::Trust;
use mandate_plugin::{Package, compile_schema, validate};
use mandate_policy::{Capabilities, Grant, ToolCost, ToolTerms};
use mandate_types::FieldProblem;
use serde_json::Value;

/// The highest autonomy level.
const MOST_AUTONOMY: u8 = 3;

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
                    cost: tool.cost,
                };
                (tool.name.clone(), terms)
            })
            .collect(),
        limits: manifest.limits.clone(),
        autonomy: None,
        dry_run: false,
    }
}

/// The grant that allows nothing.
pub fn nothing(manifest: &Manifest) -> Grant {
    Grant {
        generation: 0,
        capabilities: Capabilities::default(),
        tools: Default::default(),
        limits: manifest.limits.clone(),
        autonomy: None,
        dry_run: false,
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
        match manifest.tool(name) {
            None => problems.push(format!("the plugin has no tool `{name}`")),
            Some(tool) => problems.extend(beyond(tool, terms)),
        }
    }
    if !problems.is_empty() {
        return Err(InstallError::Exceeds(problems));
    }
    let mut limits: Vec<_> = out_of_bounds(&grant.limits)
        .into_iter()
        .map(|(name, expected)| FieldProblem {
            field: format!("/limits/{name}"),
            expected,
        })
        .collect();
    if let Some(level) = grant.autonomy.filter(|level| *level > MOST_AUTONOMY) {
        limits.push(FieldProblem {
            field: "/autonomy".to_owned(),
            expected: format!("is {level}; expected 0–{MOST_AUTONOMY}"),
        });
    }
    if limits.is_empty() {
        Ok(())
    } else {
        Err(InstallError::Limits(limits))
    }
}

/// What is wrong with accepting `terms` for `tool`: they may be graver than declared, never less.
fn beyond(tool: &ToolSection, terms: &ToolTerms) -> Vec<String> {
    let name = &tool.name;
    let mut problems = Vec::new();
    if terms.effects < tool.effects {
        problems.push(format!(
            "the tool `{name}` declares effects `{}`, and cannot be accepted as `{}`",
            tool.effects, terms.effects
        ));
    }
    if terms.idempotent && !tool.idempotent {
        problems.push(format!(
            "the tool `{name}` does not declare that calling twice has one effect"
        ));
    }
    problems.extend(cost_beyond(tool, terms));
    problems
}

/// What is wrong with the accepted cost; that none is accepted is right, and costs a human's time.
fn cost_beyond(tool: &ToolSection, terms: &ToolTerms) -> Option<String> {
    let name = &tool.name;
    let accepted = terms.cost?;
    if !terms.is_external() {
        return Some(format!(
            "the tool `{name}` has no effects on the outside world, and so no cost"
        ));
    }
    match (tool.cost, accepted) {
        (Some(ToolCost::Fixed(declared)), ToolCost::Fixed(accepted)) if accepted < declared => {
            Some(format!(
                "the tool `{name}` declares a cost of {declared}, and cannot be accepted with {accepted}"
            ))
        }
        (None | Some(ToolCost::Fixed(_)), ToolCost::Estimate) => Some(format!(
            "the tool `{name}` does not estimate what its calls cost"
        )),
        (Some(ToolCost::Estimate), ToolCost::Fixed(_)) => Some(format!(
            "the tool `{name}` estimates what each call costs, and is accepted with `estimate`; a tariff is set in the policy"
        )),
        _ => None,
    }
}

/// Accepted terms under another version of the plugin: what that says otherwise is not accepted.
/// None when its effects have become graver.
pub fn kept(tool: &ToolSection, terms: &ToolTerms) -> Option<ToolTerms> {
    (tool.effects <= terms.effects).then(|| ToolTerms {
        effects: terms.effects,
        idempotent: terms.idempotent && tool.idempotent,
        cost: terms.cost.filter(|_| cost_beyond(tool, terms).is_none()),
    })
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
        human: allowed.human && asked.human,
        telemetry: allowed
            .telemetry
            .iter()
            .copied()
            .filter(|access| asked.telemetry.contains(access))
            .collect(),
        http: allowed.http.clone().filter(|http| {
            keep(Capabilities {
                http: Some(http.clone()),
                ..Capabilities::default()
            })
        }),
        secrets: allowed
            .secrets
            .iter()
            .filter(|name| asked.secrets.contains(name))
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{Effects, MicroUsd};

    fn section(effects: Effects, cost: Option<ToolCost>) -> ToolSection {
        ToolSection {
            name: "order".to_owned(),
            effects,
            idempotent: false,
            cost,
            actual_cost: None,
            target: None,
            tenant: None,
            undo: None,
        }
    }

    fn terms(effects: Effects, cost: Option<ToolCost>) -> ToolTerms {
        ToolTerms {
            effects,
            idempotent: false,
            cost,
        }
    }

    fn fixed(dollars: i64) -> Option<ToolCost> {
        Some(ToolCost::Fixed(MicroUsd::dollars(dollars)))
    }

    #[test]
    fn a_cost_is_accepted_as_declared_or_dearer_or_not() {
        let out = Effects::Reversible;
        let estimate = Some(ToolCost::Estimate);
        for (declared, accepted, fine) in [
            (fixed(10), fixed(10), true),
            (fixed(10), fixed(11), true),
            (fixed(10), fixed(9), false),
            (fixed(10), None, true),
            (fixed(10), estimate, false),
            (estimate, estimate, true),
            (estimate, fixed(10), false),
            (estimate, None, true),
            (None, None, true),
            (None, fixed(10), true),
            (None, estimate, false),
        ] {
            let problems = beyond(&section(out, declared), &terms(out, accepted));
            assert_eq!(
                problems.is_empty(),
                fine,
                "{declared:?} {accepted:?}: {problems:?}"
            );
        }
        let harmless = section(Effects::None, None);
        assert!(!beyond(&harmless, &terms(Effects::Internal, fixed(1))).is_empty());
        assert!(beyond(&harmless, &terms(out, fixed(1))).is_empty());
    }

    #[test]
    fn terms_are_never_better_than_declared() {
        let declared = section(Effects::Irreversible, None);
        assert_eq!(
            beyond(&declared, &terms(Effects::Reversible, None)).len(),
            1
        );
        let twice = ToolTerms {
            idempotent: true,
            ..terms(Effects::Irreversible, None)
        };
        assert_eq!(beyond(&declared, &twice).len(), 1);
    }

    #[test]
    fn another_version_keeps_what_it_still_says() {
        let accepted = ToolTerms {
            idempotent: true,
            ..terms(Effects::Reversible, fixed(10))
        };
        let same = ToolSection {
            idempotent: true,
            ..section(Effects::Reversible, fixed(10))
        };
        assert_eq!(kept(&same, &accepted), Some(accepted.clone()));
        let dearer = section(Effects::Reversible, fixed(11));
        assert_eq!(
            kept(&dearer, &accepted),
            Some(terms(Effects::Reversible, None))
        );
        let graver = section(Effects::Irreversible, fixed(10));
        assert_eq!(kept(&graver, &accepted), None);
    }
}
