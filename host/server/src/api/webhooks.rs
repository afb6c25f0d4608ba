//! `/webhooks`: where others deliver. They can often send neither our content type nor a bearer token, so here the body
//! is JSON whatever its type says, and a token may come as a password or be replaced by a signature.

use super::Api;
use super::auth::{Caller, Viewer, bearer, token_key};
use super::doc::{Changes, Finds};
use super::error::{ApiError, ApiResult};
use super::input::{self, Params, PathOf};
use crate::webhook::{Delivered, Told};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mandate_kernel::Active;
use mandate_plugin::manifest::{HmacAlgorithm, HmacSection, WebhookSection};
use mandate_store::DeliveryStatus;
use mandate_types::{
    DeliveryId, Digest, PluginName, PrincipalName, Problem, Role, TenantId, Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};

/// Who deliveries are by that are signed, and for which nobody sent a token.
const SIGNED: &str = "webhook";
/// The most bytes of what tells deliveries apart.
const LONGEST_KEY: usize = 1_024;

/// What is answered when the tool is called afterwards.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Accepted {
    /// `GET /api/v1/deliveries/{id}` tells what became of it.
    pub delivery: DeliveryId,
}

/// A delivery that was accepted, or is remembered so that it is not taken twice.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The plugin.
    pub plugin: PluginName,
    /// The webhook's path.
    pub webhook: String,
    /// For whom.
    pub tenant: TenantId,
    /// Who delivered it.
    pub by: PrincipalName,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How often the tool was called.
    pub attempts: u32,
    /// What the tool answered, or the problem that it failed with.
    pub answer: Option<Value>,
    /// When it was delivered.
    pub delivered_at: Timestamp,
    /// When it was done or given up.
    pub ended_at: Option<Timestamp>,
}

/// Delivers to a webhook of a plugin.
///
/// The body is JSON, whatever its content type says. Who may deliver: who has a token of the role client, as
/// `Authorization: Bearer TOKEN` or as the password of HTTP Basic; and once the operator filled in the webhook's secret,
/// who signs with it, and nobody else. A delivery that comes again within a day, as the webhook tells them apart, is
/// answered as the first one was, with `Idempotency-Replayed: true`.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{plugin}/{path}", tag = "webhooks",
    params(
        ("plugin" = String, Path, description = "The installed name"),
        ("path" = String, Path, description = "As the plugin declares it"),
        ("tenant" = Option<String>, Query),
    ),
    security(("token" = []), ("password" = [])),
    request_body(content = Object, description = "What the webhook's tool takes"),
    responses(
        (status = 200, description = "The tool took it", body = crate::task::tool::ToolAnswer),
        (status = 202, description = "It is kept, and done afterwards", body = Accepted),
        (status = 502, description = "The tool failed", body = Problem, content_type = "application/problem+json"),
        Changes,
    ),
)]
pub async fn take(
    State(api): State<Api>,
    PathOf((plugin, path)): PathOf<(String, String)>,
    params: Params,
    request: Request,
) -> Response {
    match taken(&api, &plugin, &path, params, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = error.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                // SNS sends its password only when it is asked for it so.
                let basic = HeaderValue::from_static("Basic realm=\"mandate\"");
                let headers = response.headers_mut();
                headers.insert(WWW_AUTHENTICATE, basic);
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

async fn taken(
    api: &Api,
    plugin: &str,
    path: &str,
    mut params: Params,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    let found = find(api, plugin, path);
    let caller = caller(api, &headers, peer).await?;
    let signature = found
        .as_ref()
        .and_then(|(_, _, signature)| signature.clone());
    if caller.is_none() && signature.is_none() {
        // The same for what is there and what is not: strangers learn nothing.
        return Err(Problem::unauthorized(
            "send a token, as `Authorization: Bearer TOKEN` or as the password of HTTP Basic; a webhook whose secret the operator filled in takes its signature instead",
        )
        .into());
    }
    if let Some(caller) = &caller {
        caller.require(Role::Client)?;
    }
    let Some((name, webhook, _)) = found else {
        let (plugin, path): (String, String) = (
            plugin.chars().take(80).collect(),
            path.chars().take(80).collect(),
        );
        return Err(Problem::not_found(format!(
            "webhook `{path}` of a plugin `{plugin}`; GET /api/v1/plugins/{{name}} lists those of a plugin"
        ))
        .into());
    };
    let settings = &api.settings;
    let body = input::body(request, api, settings.body_limit, settings.body_seconds).await?;
    if let Some((hmac, secret)) = signature
        && let Err(problem) = verify(&hmac, &secret, &headers, &body)
    {
        if let Some(peer) = peer {
            api.door.rates().stranger(peer)?;
        }
        return Err(problem.into());
    }
    let named = params.parsed("tenant")?;
    params.finish()?;
    let (tenant, by) = match &caller {
        Some(caller) => (caller.tenant(named)?, caller.name.clone()),
        None => (
            named.unwrap_or_else(TenantId::default_tenant),
            PrincipalName::parse(SIGNED).map_err(|error| Problem::internal(error.to_string()))?,
        ),
    };
    let body: Value = input::parse(&body)?;
    let key = key(&webhook, &headers, &body)?;
    let taken = api
        .webhooks
        .take(Delivered {
            plugin: name,
            webhook,
            tenant,
            by,
            key,
            body,
        })
        .await?;
    let mut response = match taken.reply {
        Told::Answer(answer) => Json(answer).into_response(),
        Told::Accepted(delivery) => {
            let location = format!("/api/v1/deliveries/{delivery}");
            let mut response = (StatusCode::ACCEPTED, Json(Accepted { delivery })).into_response();
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
    };
    if taken.again {
        response.headers_mut().insert(
            HeaderName::from_static("idempotency-replayed"),
            HeaderValue::from_static("true"),
        );
    }
    Ok(response)
}

/// A webhook, and the signature that it wants: none until the operator filled in the secret.
type Found = (PluginName, WebhookSection, Option<(HmacSection, String)>);

fn find(api: &Api, plugin: &str, path: &str) -> Option<Found> {
    let catalogue = api.kernel.catalogue();
    let active: &Active = catalogue.plugin(plugin)?;
    let webhook = active.loaded.manifest.webhook(path)?.clone();
    let settings = &active.installation.settings;
    let signature = webhook.hmac.as_ref().and_then(|hmac| {
        let secret = settings.get(&hmac.secret).and_then(Value::as_str)?;
        (!secret.is_empty()).then(|| (hmac.clone(), secret.to_owned()))
    });
    Some((active.name().clone(), webhook, signature))
}

/// Who calls, by the token that was sent; none if none was.
async fn caller(api: &Api, headers: &HeaderMap, peer: Option<IpAddr>) -> ApiResult<Option<Caller>> {
    let Some(sent) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let key = match password(sent) {
        Some(password) => token_key(&password?),
        None => token_key(bearer(headers)?),
    };
    api.door.enter(&key, peer).await.map(Some)
}

/// The password, if it is HTTP Basic.
fn password(sent: &HeaderValue) -> Option<Result<String, ApiError>> {
    let (scheme, code) = sent.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD
        .decode(code.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let password = decoded
        .as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map(|(_, password)| password.to_owned())
        .filter(|password| !password.is_empty());
    Some(password.ok_or_else(|| {
        Problem::unauthorized("expected HTTP Basic with any user and a token as the password")
            .into()
    }))
}

/// Checks the signature, in constant time.
fn verify(
    hmac: &HmacSection,
    secret: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(), Problem> {
    let wrong = |what: &str| Problem::unauthorized(format!("the header `{}` {what}", hmac.header));
    let sent = headers
        .get(&hmac.header)
        .ok_or_else(|| wrong("is missing: this webhook takes signed deliveries only"))?
        .to_str()
        .map_err(|_| wrong("is no text"))?
        .trim();
    let prefix = hmac.prefix.as_deref().unwrap_or_default();
    let code = sent
        .strip_prefix(prefix)
        .ok_or_else(|| wrong(&format!("does not begin with `{prefix}`")))?;
    let HmacAlgorithm::Sha256 = hmac.algorithm;
    // 64 hexadecimal digits are no Base64 of 32 bytes, and the other way round.
    let code = hex::decode(code)
        .or_else(|_| STANDARD.decode(code))
        .map_err(|_| wrong("holds neither hexadecimal digits nor Base64"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|error| Problem::internal(error.to_string()))?;
    mac.update(body);
    mac.verify_slice(&code)
        .map_err(|_| wrong("does not fit the body and the secret"))
}

/// What tells this delivery from others; none if it does not say it.
fn key(
    webhook: &WebhookSection,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Option<Digest>, Problem> {
    let Some(dedupe) = &webhook.dedupe else {
        return Ok(None);
    };
    let text = if dedupe.starts_with('/') {
        match body.pointer(dedupe) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(Problem::invalid(format!(
                    "`{dedupe}` of the body tells deliveries apart; expected a text or a number there"
                ))
                .with_field(dedupe.clone(), "a text or a number"));
            }
            Some(other) => other.to_string(),
        }
    } else {
        match headers.get(dedupe) {
            None => return Ok(None),
            Some(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        }
    };
    if text.len() > LONGEST_KEY {
        let expected = format!("at most {LONGEST_KEY} bytes");
        return Err(Problem::invalid_field(dedupe, expected));
    }
    Ok((!text.is_empty()).then(|| Digest::of(text.as_bytes())))
}

/// What became of a delivery; for a day after it ended.
#[utoipa::path(
    get, path = "/api/v1/deliveries/{id}", tag = "webhooks",
    params(("id" = String, Path)),
    responses((status = 200, body = DeliveryView), Finds),
)]
pub async fn get(
    viewer: Viewer,
    State(api): State<Api>,
    PathOf(id): PathOf<String>,
) -> ApiResult<Json<DeliveryView>> {
    let missing = || {
        Problem::not_found(format!(
            "delivery {}",
            id.chars().take(80).collect::<String>()
        ))
    };
    let known = DeliveryId::parse(&id).map_err(|_| missing())?;
    let found = api.store().delivery(&known).await?;
    let delivery = found
        .filter(|delivery| viewer.sees(&delivery.tenant))
        .ok_or_else(missing)?;
    Ok(Json(DeliveryView {
        id: delivery.id,
        plugin: delivery.plugin,
        webhook: delivery.webhook,
        tenant: delivery.tenant,
        by: delivery.principal,
        status: delivery.status,
        attempts: delivery.attempts,
        answer: delivery.answer,
        delivered_at: delivery.at,
        ended_at: delivery.ended_at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_plugin::manifest::Reply;
    use serde_json::json;

    fn webhook(dedupe: &str) -> WebhookSection {
        WebhookSection {
            path: "in".to_owned(),
            tool: "it".to_owned(),
            reply: Reply::Result,
            dedupe: Some(dedupe.to_owned()),
            hmac: None,
        }
    }

    #[test]
    fn a_password_may_be_a_token() {
        let of = |text: &str| password(&HeaderValue::from_str(text).unwrap());
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(of(&basic("sns:abc:d")).unwrap().unwrap(), "abc:d");
        assert!(of("Bearer abc").is_none() && of("abc").is_none());
        for wrong in [basic("sns:"), basic("sns"), "basic %%%".to_owned()] {
            assert!(of(&wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signature_holds_for_this_body_and_this_secret() {
        let hmac = HmacSection {
            header: "x-signature".to_owned(),
            algorithm: HmacAlgorithm::Sha256,
            prefix: Some("sha256=".to_owned()),
            secret: "secret".to_owned(),
        };
        let code = |secret: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(b"{}");
            mac.finalize().into_bytes()
        };
        let check = |sent: &str, body: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-signature", HeaderValue::from_str(sent).unwrap());
            verify(&hmac, "key", &headers, &Bytes::from_static(body))
        };
        let right = format!("sha256={}", hex::encode(code("key")));
        assert!(check(&right, b"{}").is_ok());
        assert!(check(&format!("sha256={}", STANDARD.encode(code("key"))), b"{}").is_ok());
        assert!(check(&right, b"{ }").is_err());
        for wrong in [
            format!("sha256={}", hex::encode(code("other"))),
            right.replace("sha256=", ""),
            right[..40].to_owned(),
            "sha256=".to_owned(),
        ] {
            assert_eq!(check(&wrong, b"{}").unwrap_err().status, 401, "{wrong}");
        }
        let none = verify(&hmac, "key", &HeaderMap::new(), &Bytes::new()).unwrap_err();
        assert!(none.detail.contains("is missing"), "{}", none.detail);
    }

    #[test]
    fn deliveries_are_told_apart_by_a_header_or_a_member() {
        let mut headers = HeaderMap::new();
        headers.insert("x-id", HeaderValue::from_static("7"));
        let body = json!({"a": {"id": 7}, "none": null, "many": [1]});
        let by_header = key(&webhook("X-Id"), &headers, &body).unwrap();
        let by_member = key(&webhook("/a/id"), &headers, &body).unwrap();
        assert!(by_header.is_some() && by_header == by_member);
        for absent in ["x-other", "/b", "/none"] {
            assert_eq!(key(&webhook(absent), &headers, &body).unwrap(), None);
        }
        assert_eq!(
            key(&webhook("/many"), &headers, &body).unwrap_err().status,
            422
        );
        let long = json!({"id": "x".repeat(2_000)});
        assert_eq!(
            key(&webhook("/id"), &headers, &long).unwrap_err().status,
            422
        );
    }
}
