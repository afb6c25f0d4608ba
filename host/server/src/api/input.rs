//! What requests bring, read strictly: a wrong part is named, with what was expected there.

use super::Api;
use super::error::{ApiError, ApiResult};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use mandate_types::{Problem, Timestamp};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::convert::Infallible;
use std::fmt::{Display, Write as _};
use std::str::FromStr;
use std::time::Duration;

/// The most items of a page.
pub const MOST_ITEMS: u32 = 1_000;
/// How many items a page has when nothing is said.
const SOME_ITEMS: u32 = 50;
/// The longest that a request may wait for its task, in seconds.
const MOST_WAIT: u64 = 60;

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

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
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

impl<T: DeserializeOwned> FromRequest<Api> for MaybeJson<T> {
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
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed =
        |detail: String| Problem::new(400, "malformed-json", "The body is not JSON", detail);
    if bytes.is_empty() {
        return Err(malformed(
            "the body is empty; expected a JSON document".to_owned(),
        ));
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

/// JSON of another shape than expected: the field that is meant, and what was expected there.
fn shape(mut place: String, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text).to_owned();
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
        (None, Some((_, "a sequence"))) => "a list".to_owned(),
        (None, Some((_, "a map"))) => "a JSON object".to_owned(),
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

/// The parameters of the query, each taken once; what nobody takes is refused.
pub struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self::new(pairs)),
            Err(rejection) => Err(Problem::new(
                400,
                "bad-query",
                "The query is not valid",
                rejection.body_text(),
            )
            .into()),
        }
    }
}

impl Params {
    /// These parameters.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self {
            pairs,
            known: Vec::new(),
        }
    }

    /// All values of `name`: repeated, or one list with commas.
    pub fn many(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let mut found = Vec::new();
        self.pairs.retain(|(key, value)| {
            if key == name {
                found.extend(value.split(',').map(|item| item.trim().to_owned()));
            }
            key != name
        });
        found.retain(|item| !item.is_empty());
        found
    }

    /// The value of `name`, if it is there.
    ///
    /// # Errors
    /// When it is there more than once.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.known.push(name);
        let mut found = Vec::new();
        self.pairs.retain_mut(|(key, value)| {
            if key == name {
                found.push(std::mem::take(value));
            }
            key != name
        });
        if found.len() > 1 {
            return Err(Problem::invalid_field(name, "one value"));
        }
        Ok(found.pop())
    }

    /// The value of `name` as a type that says itself what it expects.
    ///
    /// # Errors
    /// When it does not read.
    pub fn parsed<T>(&mut self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)?.map(|text| read(name, &text)).transpose()
    }

    /// All values of `name` as a type.
    ///
    /// # Errors
    /// When one does not read.
    pub fn many_parsed<T>(&mut self, name: &'static str) -> Result<Vec<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.many(name)
            .iter()
            .map(|text| read(name, text))
            .collect()
    }

    /// The value of `name` as a time.
    ///
    /// # Errors
    /// When it is no RFC 3339 time.
    pub fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let time = Timestamp::parse(&text);
        // A `+` in a query is a space: the offset of a time loses its sign that way.
        let time = time.or_else(|| Timestamp::parse(&text.replace(' ', "+")));
        time.map(Some).ok_or_else(|| {
            Problem::invalid_field(name, "an RFC 3339 time such as 2026-01-31T12:00:00Z")
        })
    }

    /// `limit`: 1–1000, 50 when absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn limit(&mut self) -> Result<u32, Problem> {
        let Some(text) = self.text("limit")? else {
            return Ok(SOME_ITEMS);
        };
        match text.parse() {
            Ok(limit) if (1..=MOST_ITEMS).contains(&limit) => Ok(limit),
            _ => Err(Problem::invalid_field(
                "limit",
                format!("a number from 1 to {MOST_ITEMS}"),
            )),
        }
    }

    /// What nobody took.
    pub fn rest(self) -> Vec<(String, String)> {
        self.pairs
    }

    /// Nothing else was meant to be there.
    ///
    /// # Errors
    /// When something is.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        let name: String = name.chars().take(80).collect();
        let known = self.known.join(", ");
        let expected = if known.is_empty() {
            "no parameters".to_owned()
        } else {
            format!("one of {known}")
        };
        let detail = format!("`{name}` is not a parameter of this route: expected {expected}");
        Err(Problem::invalid(detail).with_field(name, expected))
    }
}

fn read<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        Problem::invalid(format!("`{name}`: {error}")).with_field(name, error)
    })
}

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
    use crate::task::NewTask;
    use mandate_types::TaskStatus;

    fn params(text: &str) -> Params {
        let uri = format!("http://x/?{text}").parse().unwrap();
        Params::new(
            Query::<Vec<(String, String)>>::try_from_uri(&uri)
                .unwrap()
                .0,
        )
    }

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

    #[test]
    fn parameters_are_taken_once_and_leave_nothing() {
        let mut query = params("status=failed,running&status=pending&limit=7&kind=a%20b");
        assert_eq!(
            query.many_parsed::<TaskStatus>("status").unwrap(),
            [TaskStatus::Failed, TaskStatus::Running, TaskStatus::Pending]
        );
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.text("kind").unwrap().as_deref(), Some("a b"));
        query.finish().unwrap();
        let mut query = params("colour=red");
        query.limit().unwrap();
        let problem = query.finish().unwrap_err();
        assert!(problem.detail.contains("colour") && problem.detail.contains("limit"));
    }

    #[test]
    fn bad_parameters_say_what_is_expected() {
        assert!(
            params("status=done")
                .many_parsed::<TaskStatus>("status")
                .unwrap_err()
                .detail
                .contains("succeeded")
        );
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2"] {
            assert_eq!(
                params(bad).limit().unwrap_err().fields[0].field,
                "limit",
                "{bad}"
            );
        }
        assert!(params("t=yesterday").time("t").is_err());
        assert!(
            params("t=2026-01-31T12:00:00+01:00")
                .time("t")
                .unwrap()
                .is_some()
        );
    }

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
