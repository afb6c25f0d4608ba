//! What this crate puts on record: tokens, sign-ins and the configuration, as acts of the audit.

use crate::config::Config;
use anyhow::Context as _;
use mandate_store::{ActQuery, CommitError, NewAct, Principal, SharedStore, StoreError, Write};
use mandate_types::{Act, Actor, Timestamp, json::digest};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

fn act(actor: &Actor, act: &'static str, subject: &str, data: Value) -> NewAct {
    NewAct {
        at: Timestamp::now(),
        actor: actor.clone(),
        act,
        subject: subject.to_owned(),
        tenant: None,
        data,
    }
}

/// An act about a principal; for its tenant, if it has only one.
fn about(actor: &Actor, act_name: &'static str, principal: &Principal, data: Value) -> Write {
    let subject = format!("principal/{}", principal.name);
    Write::Audit(Box::new(NewAct {
        tenant: match principal.tenants.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        },
        ..act(actor, act_name, &subject, data)
    }))
}

/// Somebody came in, from an address if that is known.
pub fn signed_in(principal: &Principal, address: Option<IpAddr>) -> Write {
    let data = json!({"role": principal.role, "address": address});
    about(
        &Actor::from(&principal.name),
        Act::SIGNED_IN,
        principal,
        data,
    )
}

/// Tokens that are none were sent.
pub fn sign_in_refused(data: Value) -> Write {
    let refused = act(&Actor::host(), Act::SIGN_IN_REFUSED, "host", data);
    Write::Audit(Box::new(refused))
}

/// Somebody got a token.
pub fn token_created(actor: &Actor, principal: &Principal) -> Write {
    let data = json!({
        "role": principal.role, "tenants": principal.tenants, "expires_at": principal.expires_at,
    });
    about(actor, Act::TOKEN_CREATED, principal, data)
}

/// Somebody's token counts no more.
pub fn token_removed(actor: &Actor, principal: &Principal) -> Write {
    let data = json!({"role": principal.role, "tenants": principal.tenants});
    about(actor, Act::TOKEN_REMOVED, principal, data)
}

/// Puts the configuration on record when it is not the one that was there last: the digest of
/// each section, because sections may hold secrets, and which of them differ.
///
/// # Errors
/// When the database does not answer.
pub async fn configuration(store: &SharedStore, config: &Config) -> anyhow::Result<()> {
    let whole = serde_json::to_value(config).context("the configuration cannot be read back")?;
    let sections: Map<String, Value> = whole
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, section)| (name.clone(), json!(digest(section))))
        .collect();
    let query = ActQuery {
        acts: vec![Act::CONFIGURATION_CHANGED.to_owned()],
        limit: 1,
        ..ActQuery::default()
    };
    let last = store.acts(&query).await?.items.into_iter().next();
    let last: Option<Value> = last.and_then(|act| serde_json::from_str(&act.data).ok());
    let before = last.as_ref().and_then(|data| data.get("sections"));
    let differ = |name: &&String| before.and_then(|b| b.get(name.as_str())) != sections.get(*name);
    let changed: Vec<&String> = sections.keys().filter(differ).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let data = json!({"sections": sections, "changed": changed});
    let act = act(
        &Actor::host(),
        Act::CONFIGURATION_CHANGED,
        "configuration",
        data,
    );
    match store.commit(None, vec![Write::Audit(Box::new(act))]).await {
        // A host must start on a full disk, so that somebody can make room: it differs then, too.
        Err(CommitError::Store(StoreError::Full(why))) => {
            tracing::warn!(%why, "the configuration is put on record at the next start");
            Ok(())
        }
        other => Ok(other.map(drop)?),
    }
}
