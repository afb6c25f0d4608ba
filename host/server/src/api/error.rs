//! Refusals as clients see them: every one is an RFC 9457 problem, whoever found the fault.

use crate::task::{commit_problem, store_problem};
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use mandate_kernel::{InstallError, LoadError, RecordError};
use mandate_plugin::PackageError;
use mandate_store::{CommitError, StoreError};
use mandate_types::Problem;
use std::future::Future;
use std::time::Duration;

/// What every handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// A problem on its way to the client, with at most one header of its own.
#[derive(Debug)]
pub struct ApiError {
    /// What the client reads.
    pub problem: Box<Problem>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// The caller asks too often; `wait` is when it may ask again.
    pub fn too_many(detail: &str, wait: Duration) -> Self {
        let seconds = wait
            .as_secs()
            .saturating_add(u64::from(wait.subsec_nanos() > 0))
            .max(1);
        let detail = format!("{detail}; try again in {seconds} s");
        Self {
            problem: Box::new(Problem::new(
                429,
                "too-many-requests",
                "Too many requests",
                detail,
            )),
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
        }
    }

    /// The host has too much to do; `wait` is when to try again.
    pub fn overloaded(detail: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        Self {
            problem: Box::new(Problem::unavailable(format!(
                "{detail}; try again in {seconds} s"
            ))),
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
        }
    }

    /// The body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Problem::new(
            413,
            "too-large",
            "The body is too large",
            format!("the body is larger than the {limit} bytes that are accepted here"),
        )
        .into()
    }

    /// The body is of another type than `expected`.
    pub fn media_type(found: &str, expected: &str) -> Self {
        let found: String = found.chars().take(80).collect();
        Problem::new(
            415,
            "media-type",
            "The body has another type",
            format!("the body is said to be `{found}`; send it with the header `content-type: {expected}`"),
        )
        .into()
    }

    /// The condition of the request does not hold.
    pub fn precondition(detail: impl Into<String>) -> Self {
        Problem::new(412, "precondition-failed", "It changed meanwhile", detail).into()
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            header: None,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        store_problem(error).into()
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        commit_problem(error).into()
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        let text = error.to_string();
        match error {
            RecordError::Body(fields) => Problem {
                fields,
                ..Problem::invalid(text)
            }
            .into(),
            RecordError::Id(_) => Problem::invalid(text)
                .with_field("id", "1–128 letters, digits and `-_.:@`")
                .into(),
            RecordError::Version { .. } => Self::precondition(text),
        }
    }
}

impl From<InstallError> for ApiError {
    fn from(error: InstallError) -> Self {
        let text = error.to_string();
        match error {
            InstallError::Store(error) => error.into(),
            InstallError::NotInstalled(name) => {
                Problem::not_found(format!("plugin `{name}`; GET /api/v1/plugins lists them"))
                    .into()
            }
            InstallError::Name(_) => Problem::invalid(text)
                .with_field("name", "kebab case of at most 64 characters")
                .into(),
            InstallError::Exceeds(problems) => problems
                .into_iter()
                .fold(Problem::invalid(text), |problem, beyond| {
                    problem.with_field("", format!("a grant without {beyond}"))
                })
                .into(),
            InstallError::Settings(fields) | InstallError::Limits(fields) => Problem {
                fields,
                ..Problem::invalid(text)
            }
            .into(),
            InstallError::Taken(_) | InstallError::NoPrevious(_) | InstallError::Changed(_) => {
                Problem::conflict(text).into()
            }
            InstallError::Load(LoadError::Package(PackageError::TooLarge { .. })) => {
                Problem::new(413, "too-large", "The body is too large", text).into()
            }
            InstallError::Load(LoadError::Compile(
                mandate_runtime::CompileError::Worker(_) | mandate_runtime::CompileError::Cache(_),
            )) => {
                tracing::error!(error = %text, "a plugin could not be compiled, which is not its fault");
                Problem::internal(text).into()
            }
            InstallError::Signature(_) => Problem::forbidden(text).into(),
            InstallError::Load(_) | InstallError::Schema { .. } => Problem::new(
                422,
                "bad-plugin",
                "The file is not a plugin for this host",
                text,
            )
            .into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        let mut response = problem_response(&self.problem);
        if self.problem.status == 401 {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Marks a response whose error is told in the words of another protocol, and stays as it is.
#[derive(Clone, Copy)]
pub struct OwnBody;

/// The type that marks a body as a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Any JSON as a problem's response, for problems with members of their own.
pub fn problem_body(status: u16, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    response
}

fn problem_response(problem: &Problem) -> Response<Body> {
    problem_body(
        problem.status,
        serde_json::to_vec(problem).unwrap_or_default(),
    )
}

/// Does `work` to its end even if the client goes away meanwhile: what is on disk and what the
/// host holds in memory must not come apart between two steps.
///
/// # Errors
/// Those of the work.
pub async fn to_its_end<T, E, F>(work: F) -> ApiResult<T>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(error) => {
            tracing::error!(%error, "work for a request panicked");
            Err(Problem::internal("a mistake of ours; it is in the host's log").into())
        }
    }
}

/// Does `work` that takes the processor for long where it holds up nobody.
///
/// # Errors
/// Those of the work.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> ApiResult<T> + Send + 'static,
) -> ApiResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "work for a request panicked");
            Err(Problem::internal("a mistake of ours; it is in the host's log").into())
        }
    }
}

/// An error that no handler of ours wrote, as a problem; what the framework says in headers
/// stays. `known` are the methods of the route.
pub fn adopt(
    status: StatusCode,
    headers: &HeaderMap,
    method: &str,
    path: &str,
    known: &str,
) -> Response<Body> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let allowed = headers.get(ALLOW).and_then(|value| value.to_str().ok());
    let allowed = allowed
        .or(Some(known))
        .filter(|methods| !methods.is_empty());
    let path: String = path.chars().take(200).collect();
    let problem = match (status, allowed) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(allowed)) => Problem::new(
            405,
            "method-not-allowed",
            reason,
            format!(
                "{path} does not know {method}; it knows {}",
                allowed.replace(',', ", ")
            ),
        ),
        (StatusCode::NOT_FOUND, _) => Problem::not_found(format!("page {path}")),
        _ => {
            let slug = reason.to_ascii_lowercase().replace(' ', "-");
            Problem::new(
                status.as_u16(),
                &slug,
                reason,
                format!("{method} {path}: {reason}"),
            )
        }
    };
    let mut response = problem_response(&problem);
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        let error = ApiError::too_many("x", Duration::from_millis(1_200));
        assert!(
            error.problem.detail.ends_with("in 2 s"),
            "{}",
            error.problem.detail
        );
        assert_eq!(error.into_response().headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let mut headers = HeaderMap::new();
        headers.insert(ALLOW, HeaderValue::from_static("GET,POST"));
        let response = adopt(
            StatusCode::METHOD_NOT_ALLOWED,
            &headers,
            "DELETE",
            "/api/v1/tasks",
            "",
        );
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert_eq!(response.headers()[ALLOW], "GET,POST");
    }

    #[test]
    fn who_is_unknown_is_told_how_to_sign_in() {
        let response = ApiError::from(Problem::unauthorized("x")).into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
