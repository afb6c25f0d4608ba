//! What goes on record when an installation changes: what was done to the plugin, and apart from
//! it what that changed of its grant and its settings.

use mandate_store::{Installation, NewAct, Write};
use mandate_types::{Act, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The acts of a change from `before` to `after`, the first of which is `deed`; none if only
/// grant or settings were changed.
pub(super) fn changed(
    deed: Option<&'static str>,
    before: Option<&Installation>,
    after: &Installation,
) -> Vec<Write> {
    let mut acts = Vec::new();
    if let Some(deed) = deed {
        let digest = before.map(|before| &before.digest);
        let data = json!({"digest": after.digest, "before": digest});
        acts.push(act(after, deed, data));
    }
    let grants = (before.map(grant), grant(after));
    if grants.0.as_ref() != Some(&grants.1) {
        let generation = after.grant.generation;
        let data = json!({"generation": generation, "before": grants.0, "after": grants.1});
        acts.push(act(after, Act::GRANT_CHANGED, data));
    }
    let settings = differences(before.map(|before| &before.settings), &after.settings);
    if !settings.is_empty() {
        let data = json!({"changed": settings});
        acts.push(act(after, Act::SETTINGS_CHANGED, data));
    }
    acts
}

/// The act of a removal.
pub(super) fn removed(gone: &Installation) -> Write {
    let data = json!({"digest": gone.digest});
    act(gone, Act::PLUGIN_REMOVED, data)
}

fn act(of: &Installation, act: &'static str, data: Value) -> Write {
    Write::Audit(Box::new(NewAct {
        at: Timestamp::now(),
        actor: (&of.updated_by).into(),
        act,
        subject: format!("plugin/{}", of.name),
        tenant: None,
        data,
    }))
}

/// The grant as it is compared: each change has another generation.
fn grant(of: &Installation) -> Value {
    let mut grant = json!(of.grant);
    if let Some(fields) = grant.as_object_mut() {
        fields.remove("generation");
    }
    grant
}

/// The names of the settings that differ. Their values may be secrets.
fn differences(before: Option<&Value>, after: &Value) -> BTreeSet<String> {
    let names = |settings: &Value| -> Vec<String> {
        let fields = settings.as_object();
        fields.map_or_else(Vec::new, |fields| fields.keys().cloned().collect())
    };
    let of = |settings: &Value, name: &str| settings.get(name).cloned();
    let all = before.map(names).into_iter().flatten().chain(names(after));
    all.filter(|name| before.and_then(|before| of(before, name)) != of(after, name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_and_not_told() {
        let before = json!({"url": "a", "secret": "b", "gone": 1});
        let after = json!({"url": "a", "secret": "c", "new": 2});
        let changed = differences(Some(&before), &after);
        assert_eq!(
            changed.into_iter().collect::<Vec<_>>(),
            ["gone", "new", "secret"]
        );
        assert!(differences(Some(&after), &after).is_empty());
        assert_eq!(differences(None, &after).len(), 3);
    }
}
