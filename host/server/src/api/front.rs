//! What happens to every request: a number by which it is found again, a count and a duration,
//! safe headers, and a problem instead of whatever else an error would look like.

use super::Api;
use super::error::{ApiError, OwnBody, PROBLEM_JSON, adopt};
use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use futures::FutureExt as _;
use mandate_types::Problem;
use metrics::{Counter, Histogram};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Instant;
use tracing::Instrument as _;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps every request.
pub async fn front(State(api): State<Api>, request: Request, next: Next) -> Response<Body> {
    let started = Instant::now();
    let id = request_id(request.headers().get(&REQUEST_ID));
    let method = request.method().clone();
    let uri = request.uri().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::debug_span!("request", id = id.to_str().unwrap_or("?"), %method, path = uri.path());
    let answered = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span)
        .await;
    let mut response = answered.unwrap_or_else(|_| {
        // The panic hook has written where it was.
        tracing::error!(id = id.to_str().unwrap_or("?"), %method, path = uri.path(), "a request panicked");
        ApiError::from(Problem::internal("a mistake of ours; it is in the host's log")).into_response()
    });
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let kind = response.headers().get(CONTENT_TYPE);
        let own = response.extensions().get::<OwnBody>().is_some();
        if !own && kind.is_none_or(|kind| kind != PROBLEM_JSON) {
            let known = route
                .as_ref()
                .filter(|_| status == StatusCode::METHOD_NOT_ALLOWED);
            let known = known.map(|route| api.document().methods(route.as_str()));
            response = adopt(
                status,
                response.headers(),
                method.as_str(),
                uri.path(),
                &known.unwrap_or_default(),
            );
        }
        if status.is_server_error() {
            tracing::warn!(id = id.to_str().unwrap_or("?"), %method, path = uri.path(), status = status.as_u16(), "a request failed");
        }
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    api.requests.record(
        route,
        &method,
        status.as_u16(),
        started.elapsed().as_secs_f64(),
    );
    response
}

/// The client's own number if it sent a sensible one, or a new one.
fn request_id(sent: Option<&HeaderValue>) -> HeaderValue {
    static PREFIX: LazyLock<u32> = LazyLock::new(|| getrandom::u32().unwrap_or_default());
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if let Some(sent) = sent
        && sent.len() <= 128
        && sent.to_str().is_ok_and(|text| !text.is_empty())
    {
        return sent.clone();
    }
    let text = format!("{:08x}-{:x}", *PREFIX, NEXT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("?"))
}

type ByMethodAndStatus = HashMap<(Method, u16), (Counter, Histogram)>;

/// Counters and durations of requests. Their handles are kept: looking one up by its labels
/// costs more than the count itself.
#[derive(Default)]
pub struct RequestMetrics {
    handles: RwLock<HashMap<String, ByMethodAndStatus>>,
}

impl RequestMetrics {
    fn record(&self, route: &str, method: &Method, status: u16, seconds: f64) {
        // Methods that nobody knows would be labels without end.
        let method = match method.as_str() {
            "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH" => method.clone(),
            _ => Method::TRACE,
        };
        let key = (method, status);
        {
            let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((count, duration)) = handles.get(route).and_then(|known| known.get(&key)) {
                count.increment(1);
                duration.record(seconds);
                return;
            }
        }
        let labels = [
            ("route", route.to_owned()),
            ("method", key.0.to_string()),
            ("status", status.to_string()),
        ];
        let count = metrics::counter!("mandate_http_requests_total", &labels);
        let duration = metrics::histogram!("mandate_http_request_seconds", &labels);
        count.increment(1);
        duration.record(seconds);
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        handles
            .entry(route.to_owned())
            .or_default()
            .insert(key, (count, duration));
    }
}

/// A path that nobody serves.
pub async fn nothing_here(
    State(api): State<Api>,
    method: Method,
    OriginalUri(uri): OriginalUri,
) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    let near = api.document().near(&path);
    let hint = if near.is_empty() {
        "GET /openapi.json lists all".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    Problem::not_found(format!("route {method} {path}; {hint}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_its_number_or_gets_one() {
        let own = HeaderValue::from_static("abc");
        assert_eq!(request_id(Some(&own)), own);
        assert_ne!(request_id(None), request_id(None));
        let long = HeaderValue::from_str(&"x".repeat(200)).unwrap();
        assert_ne!(request_id(Some(&long)), long);
    }
}
