//! What requests bring, read strictly: a wrong part is named, with what was expected there.

mod headers;
mod params;

pub use headers::{IfNoneMatch, etag, idempotency_key, if_match, prefer_wait};
pub use params::{MOST_ITEMS, Params};

use super::Api;
use super::error::{ApiError, ApiResult};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use mandate_types::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use std::any::TypeId;
use std::fmt::Write as _;
use std::time::Duration;

/// The parts of the path that a route names.
pub struct PathOf<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(
                400,
                "bad-path",
                "The path is not valid",
                rejection.body_text(),
            )
            .into()),
        }
    }
}

/// A body of JSON.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest<Api> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let kind = content_type(request.headers());
        if let Some(kind) = kind
            && kind != "application/json"
            && !kind.ends_with("+json")
        {
            return Err(ApiError::media_type(&kind, "application/json"));
        }
        let bytes = body(
            request,
            api,
            api.settings.body_limit,
            api.settings.body_seconds,
        )
        .await?;
        parse(&bytes).map(Self).map_err(ApiError::from)
    }
}

/// A body of JSON that may be left out.
pub struct MaybeJson<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest<Api> for MaybeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let empty = axum::body::HttpBody::is_end_stream(request.body());
        if empty {
            return Ok(Self(None));
        }
        JsonBody::from_request(request, api)
            .await
            .map(|JsonBody(value)| Self(Some(value)))
    }
}

/// The media type of the body, without parameters; none if it is not said.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    (!kind.is_empty()).then_some(kind)
}

/// Reads a whole body, within `limit` bytes and `seconds`.
///
/// # Errors
/// 413 or 408, or 400 when the client broke off.
pub async fn body(request: Request, api: &Api, limit: usize, seconds: u64) -> ApiResult<Bytes> {
    let read = Bytes::from_request(request, api);
    match tokio::time::timeout(Duration::from_secs(seconds), read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == 413 => Err(ApiError::too_large(limit)),
        Ok(Err(rejection)) => Err(Problem::new(
            400,
            "bad-body",
            "The body cannot be read",
            rejection.body_text(),
        )
        .into()),
        Err(_) => Err(Problem::new(
            408,
            "timeout",
            "The request took too long",
            format!("the body did not arrive within {seconds} s"),
        )
        .into()),
    }
}

/// Reads JSON into a type.
///
/// # Errors
/// 400 with line and column when it is no JSON, 422 with the field when it is another shape.
pub fn parse<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed =
        |detail: String| Problem::new(400, "malformed-json", "The body is not JSON", detail);
    if bytes.is_empty() {
        return Err(malformed(
            "the body is empty; expected a JSON document".to_owned(),
        ));
    }
    // serde would take a list for the fields of a struct in their order, which nobody means.
    let list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if list && TypeId::of::<T>() != TypeId::of::<Value>() {
        return Err(Problem::invalid("the body: a list, expected a JSON object")
            .with_field("", "a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize(&mut reader) {
        Ok(value) => reader
            .end()
            .map(|()| value)
            .map_err(|error| malformed(error.to_string())),
        Err(error) => {
            let place = pointer(error.path());
            let error = error.into_inner();
            if error.is_data() {
                Err(shape(place, &error))
            } else {
                Err(malformed(error.to_string()))
            }
        }
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path.iter() {
        // Writing to a String does not fail.
        let _ = match segment {
            Segment::Map { key } => write!(text, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Seq { index } => write!(text, "/{index}"),
            Segment::Enum { variant } => write!(text, "/{variant}"),
            Segment::Unknown => Ok(()),
        };
    }
    text
}

/// A message of the parser without the words of the language that this is written in.
fn in_words(text: &str) -> String {
    let mut text = text
        .replace("sequence", "list")
        .replace("a map", "a JSON object");
    for number in ["u8", "u16", "u32", "u64", "usize"] {
        if let Some(start) = text.strip_suffix(&format!("expected {number}")) {
            text = format!("{start}expected a whole number, 0 or more");
        }
    }
    text
}

/// JSON of another shape than expected: the field that is meant, and what was expected there.
fn shape(mut place: String, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let text = in_words(text);
    let named = |prefix: &str| {
        text.strip_prefix(prefix)?
            .split('`')
            .next()
            .map(str::to_owned)
    };
    let (unknown, missing) = (named("unknown field `"), named("missing field `"));
    if let Some(name) = unknown.as_ref().or(missing.as_ref()) {
        let own = format!("/{name}");
        if !place.ends_with(&own) {
            place.push_str(&own);
        }
    }
    let expected = match (missing, text.split_once("expected ")) {
        (Some(_), _) => "a value: it is required".to_owned(),
        // The names of our types say nothing to a client.
        (None, Some((_, expected))) if expected.starts_with("struct ") => {
            "a JSON object".to_owned()
        }
        (None, Some((_, expected))) => expected.to_owned(),
        (None, None) => text.clone(),
    };
    let shown = if place.is_empty() {
        "the body"
    } else {
        place.as_str()
    };
    let told = text.split(", expected struct").next().unwrap_or(&text);
    let detail = if told == text {
        format!("{shown}: {text}")
    } else {
        format!("{shown}: {told}, expected {expected}")
    };
    Problem::invalid(detail).with_field(place, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::NewTask;

    #[test]
    fn broken_json_has_line_and_column() {
        let problem = parse::<NewTask>(b"{\n  \"kind\": }").unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(
            problem.detail.contains("line 2 column"),
            "{}",
            problem.detail
        );
        assert_eq!(parse::<NewTask>(b"").unwrap_err().status, 400);
        assert_eq!(
            parse::<NewTask>(b"{\"kind\":\"a\"} x").unwrap_err().status,
            400
        );
    }

    #[test]
    fn a_wrong_field_is_named() {
        let field = |text: &str| {
            let problem = parse::<NewTask>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status, 422, "{text}");
            problem.fields[0].clone()
        };
        assert_eq!(field(r#"{"kind": 5}"#).field, "/kind");
        assert_eq!(
            field(r#"{"kind": "a", "priority": "x"}"#).field,
            "/priority"
        );
        assert_eq!(field(r#"{"kind": "a", "colour": 1}"#).field, "/colour");
        assert_eq!(field("{}").field, "/kind");
        assert_eq!(field(" [\"echo\"]").expected, "a JSON object");
        assert!(parse::<Value>(b"[1]").is_ok());
        let agents = field(r#"{"kind": "a", "assigned_agents": ["Not Kebab"]}"#);
        assert_eq!(agents.field, "/assigned_agents/0");
        assert!(agents.expected.contains("kebab"), "{}", agents.expected);
        for other in ["[]", "7"] {
            let whole = field(other);
            assert_eq!(
                (whole.field.as_str(), whole.expected.as_str()),
                ("", "a JSON object")
            );
        }
    }
}
