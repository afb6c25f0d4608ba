//! `[[tool]]` and `[autonomy]`: what a plugin says of the effects and costs of its calls, and
//! what must hold of that.

use super::check::{KEBAB, at, check_line, is_pointer};
use super::{Manifest, ManifestProblem};
use mandate_policy::ToolCost;
use mandate_types::{Effects, MicroUsd, ids::is_kebab};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MAX_TOOLS: usize = 64;

/// `[[tool]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSection {
    /// Kebab case; called as `plugin.tool`.
    pub name: String,
    /// The gravest effects that it may have.
    pub effects: Effects,
    /// Whether calling twice with the same key has one effect.
    #[serde(default)]
    pub idempotent: bool,
    /// What a call costs, in dollars, or that the tool estimates each. Unknown if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<ToolCost>,
    /// JSON Pointer into the result: what the call cost in the end, in micro-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_cost: Option<String>,
    /// JSON Pointer into the arguments: what it is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// JSON Pointer into the arguments: the tenant for whom it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How it is undone, in a line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// `[autonomy]`: the thresholds that a plugin asks for. They tighten what the policy says of its
/// decisions, and never loosen it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutonomySection {
    /// Decisions that cost less are of level 1; dollars.
    #[serde(
        with = "mandate_types::money::dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub level1: Option<MicroUsd>,
    /// Decisions that cost less are of level 2, and from here on of level 3; dollars.
    #[serde(
        with = "mandate_types::money::dollars::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub level2: Option<MicroUsd>,
}

impl AutonomySection {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

pub(super) fn check(manifest: &Manifest, found: &mut Vec<ManifestProblem>) {
    let tools = &manifest.tools;
    if tools.len() > MAX_TOOLS {
        at![found, "tool"; "has {} tools, the most is {MAX_TOOLS}: make several plugins of it", tools.len()];
    }
    let mut seen = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        if !is_kebab(&tool.name) {
            at![found, "tool", index, "name"; "`{}` is not kebab case; expected {KEBAB}", tool.name];
        } else if !seen.insert(&tool.name) {
            at![found, "tool", index, "name"; "there are two tools called `{}`", tool.name];
        }
        check_terms(index, tool, found);
    }
    let AutonomySection { level1, level2 } = manifest.autonomy;
    if let (Some(level1), Some(level2)) = (level1, level2)
        && level1 > level2
    {
        at![found, "autonomy", "level1"; "is {level1}, above `level2` ({level2}); level 1 is the cheaper one"];
    }
}

fn check_terms(index: usize, tool: &ToolSection, found: &mut Vec<ManifestProblem>) {
    let pointers = [
        ("target", &tool.target, "/host"),
        ("tenant", &tool.tenant, "/tenant"),
        ("actual_cost", &tool.actual_cost, "/cost_micro_usd"),
    ];
    for (key, pointer, example) in pointers {
        if let Some(pointer) = pointer
            && !is_pointer(pointer)
        {
            at![found, "tool", index, key; "`{pointer}` is not a JSON Pointer; expected one such as `{example}`"];
        }
    }
    if tool.effects <= Effects::Internal {
        let external = [
            ("cost", tool.cost.is_some()),
            ("actual_cost", tool.actual_cost.is_some()),
            ("undo", tool.undo.is_some()),
        ];
        for (key, _) in external.iter().filter(|(_, there)| *there) {
            at![found, "tool", index, *key; "is for tools with `reversible` or `irreversible` effects, and this one has `{}`", tool.effects];
        }
        return;
    }
    if tool.actual_cost.is_some() && tool.cost.is_none() {
        at![found, "tool", index, "actual_cost"; "needs `cost`: what is reserved before the call, dollars or \"estimate\""];
    }
    if let Some(undo) = &tool.undo {
        if tool.effects == Effects::Irreversible {
            at![found, "tool", index, "undo"; "what can be undone is `reversible`, and this tool's effects are `irreversible`"];
        }
        check_line(
            undo,
            200,
            &["tool".into(), index.into(), "undo".into()],
            found,
        );
    }
}
