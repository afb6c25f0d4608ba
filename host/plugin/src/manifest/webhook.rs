//! `[[webhook]]`: an address at which others deliver, and what must hold for it.

use super::Manifest;
use super::check::{ManifestProblem, at, is_pointer};
use mandate_types::ids::is_kebab;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

const MAX_WEBHOOKS: usize = 16;

/// `[[webhook]]`: `POST /api/v1/webhooks/{plugin}/{path}` calls a tool of this plugin with the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// Kebab case; the last part of its address.
    pub path: String,
    /// The tool that takes what is delivered, by its short name.
    pub tool: String,
    /// What whoever delivers waits for.
    #[serde(default)]
    pub reply: Reply,
    /// What is delivered twice is taken once: the name of a header, or a JSON Pointer into the body, that says what
    /// a delivery is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<String>,
    /// How deliveries are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacSection>,
}

/// What whoever delivers waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The tool's result.
    #[default]
    Result,
    /// That it is kept; the tool is called afterwards, and again after a crash.
    Accepted,
}

/// `hmac`: a header holds a message authentication code of the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacSection {
    /// The header.
    pub header: String,
    /// How it is computed.
    pub algorithm: HmacAlgorithm,
    /// What stands before the code, such as `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The key of `[settings]` that holds the secret. Until the operator fills it in, tokens are asked for.
    pub secret: String,
}

/// How a code is computed. It is written in hexadecimal or Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// HMAC-SHA256 (RFC 2104).
    Sha256,
}

pub(super) fn check(manifest: &Manifest, found: &mut Vec<ManifestProblem>) {
    if manifest.webhooks.len() > MAX_WEBHOOKS {
        at![found, "webhook"; "has {} webhooks, the most is {MAX_WEBHOOKS}", manifest.webhooks.len()];
    }
    let mut seen = BTreeSet::new();
    for (index, webhook) in manifest.webhooks.iter().enumerate() {
        let path = &webhook.path;
        if !is_kebab(path) {
            at![found, "webhook", index, "path"; "`{path}` is not kebab case; expected one part of a path, such as `alertmanager`"];
        } else if !seen.insert(path) {
            at![found, "webhook", index, "path"; "there are two webhooks at `{path}`"];
        }
        match manifest.tool(&webhook.tool) {
            None => {
                at![found, "webhook", index, "tool"; "there is no [[tool]] called `{}` here; a webhook is taken by a tool of the same plugin", webhook.tool];
            }
            Some(tool) if webhook.reply == Reply::Accepted && !tool.idempotent => {
                at![found, "webhook", index, "reply"; "`accepted` means that the tool is called again after a crash, and `{}` is not `idempotent`; expected \"result\"", webhook.tool];
            }
            Some(_) => {}
        }
        if let Some(dedupe) = &webhook.dedupe
            && !(is_pointer(dedupe) || is_header(dedupe))
        {
            at![found, "webhook", index, "dedupe"; "`{dedupe}` is neither a header nor a JSON Pointer; expected one such as `x-delivery-id` or `/id`"];
        }
        if let Some(hmac) = &webhook.hmac {
            check_hmac(manifest, index, hmac, found);
        }
    }
}

fn check_hmac(
    manifest: &Manifest,
    index: usize,
    hmac: &HmacSection,
    found: &mut Vec<ManifestProblem>,
) {
    if !is_header(&hmac.header) {
        at![found, "webhook", index, "hmac", "header"; "`{}` is not a header; expected one such as `x-signature`", hmac.header];
    }
    if hmac.prefix.as_ref().is_some_and(|prefix| prefix.len() > 64) {
        at![found, "webhook", index, "hmac", "prefix"; "is longer than 64 bytes"];
    }
    let properties = manifest
        .settings
        .as_ref()
        .and_then(|settings| settings.get("properties"));
    let setting = properties.and_then(|properties| properties.get(&hmac.secret));
    let is_text = setting
        .and_then(|setting| setting.get("type"))
        .and_then(Value::as_str)
        == Some("string");
    if !is_text {
        at![found, "webhook", index, "hmac", "secret"; "[settings] has no text `{}`; expected the key that holds the secret, with `type = \"string\"`", hmac.secret];
    }
}

/// Whether `text` can be the name of a header.
fn is_header(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
