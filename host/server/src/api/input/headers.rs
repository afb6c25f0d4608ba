//! What headers say of how a request is to be answered, and under which conditions.

use crate::api::error::{ApiError, ApiResult};
use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use mandate_types::Problem;
use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

/// The longest that a request may wait for its task, in seconds.
const MOST_WAIT: u64 = 60;

/// `Prefer: wait=N`: how long the answer may take, at most 60 s. What is not understood is
/// ignored, as RFC 7240 wants it.
pub fn prefer_wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|item| item.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u64>().ok())
        .map(|seconds| Duration::from_secs(seconds.min(MOST_WAIT)))
}

/// `Idempotency-Key`, if there is one.
///
/// # Errors
/// When it is not 1–255 visible ASCII characters.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::invalid_field(
            "Idempotency-Key",
            "1–255 visible ASCII characters",
        )),
    }
}

/// `If-Match`: the version that the caller has read.
///
/// # Errors
/// 428 when it is missing, 412 when it is none of a record's.
pub fn if_match(headers: &HeaderMap) -> ApiResult<u64> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Err(Problem::new(
            428,
            "precondition-required",
            "Say which version you have read",
            "send the header `If-Match` with the record's ETag, so that no change of another is lost",
        )
        .with_field("If-Match", "the ETag of the record, such as \"3\"")
        .into());
    };
    let version = value
        .to_str()
        .ok()
        .map(|text| text.trim().trim_start_matches("W/").trim_matches('"'));
    version.and_then(|text| text.parse().ok()).ok_or_else(|| {
        ApiError::precondition(
            "`If-Match` is not an ETag of a record, such as \"3\": read it again",
        )
    })
}

/// `If-None-Match`, for whoever may have it already.
pub struct IfNoneMatch(Option<HeaderValue>);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(IF_NONE_MATCH).cloned()))
    }
}

impl IfNoneMatch {
    /// Whether the caller has what `etag` names.
    pub fn has(&self, etag: &HeaderValue) -> bool {
        let Some(Ok(list)) = self.0.as_ref().map(HeaderValue::to_str) else {
            return false;
        };
        let same =
            |item: &str| item == "*" || item.trim_start_matches("W/").as_bytes() == etag.as_bytes();
        list.split(',').any(|item| same(item.trim()))
    }
}

/// The ETag of something that counts its changes.
pub fn etag(version: impl Display) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_bounded_and_unknown_preferences_are_ignored() {
        let wait = |text: &'static str| {
            prefer_wait(&HeaderMap::from_iter([(
                "prefer".parse().unwrap(),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(wait("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("wait=9999"), Some(Duration::from_secs(60)));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("handling=strict"), None);
    }

    #[test]
    fn versions_come_as_etags() {
        let given = |text: &'static str| {
            if_match(&HeaderMap::from_iter([(
                IF_MATCH,
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(given("\"3\"").unwrap(), 3);
        assert_eq!(given("W/\"4\"").unwrap(), 4);
        assert_eq!(given("\"x\"").unwrap_err().problem.status, 412);
        assert_eq!(if_match(&HeaderMap::new()).unwrap_err().problem.status, 428);
        let has =
            |text: &'static str| IfNoneMatch(Some(HeaderValue::from_static(text))).has(&etag(5));
        assert!(has("\"5\"") && has("W/\"5\"") && has("\"1\", \"5\"") && has("*"));
        assert!(!has("\"4\"") && !IfNoneMatch(None).has(&etag(5)));
    }
}
