//! One request, from what was asked to what came back.

use crate::connect::Connector;
use crate::exchange::exchange;
use crate::guard::Guard;
use crate::headers::head;
use crate::mask::Mask;
use crate::resolve::{Resolver, SystemResolver};
use crate::secrets::Secrets;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap};
use mandate_policy::http::{Target, is_method};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How requests are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of an answer's body; longer ones are not taken.
    pub most_bytes: u64,
    /// How long a request may take when whoever sends it does not say.
    pub timeout: Duration,
    /// How long it may take at most.
    pub most_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most_bytes: 8 << 20,
            timeout: Duration::from_secs(30),
            most_timeout: Duration::from_mins(5),
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Where to.
    pub target: Target,
    /// Name and value; values may have places for secrets.
    pub headers: Vec<(String, String)>,
    /// Sent with its length.
    pub body: Option<Vec<u8>>,
    /// For the whole of it.
    pub timeout: Option<Duration>,
    /// Sent as `Idempotency-Key` unless the headers have one.
    pub idempotency_key: Option<String>,
}

/// An answer, from which the values of secrets are taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// As it came: nothing is inflated.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent, because it must not be.
    #[error("{capability}: {reason}")]
    Denied {
        /// `http` or `secrets`.
        capability: &'static str,
        /// What was refused, and what the operator could change.
        reason: String,
    },
    /// Nothing was sent, because it is no request.
    #[error("{0}")]
    Invalid(String),
    /// Nothing was sent, because nobody answers.
    #[error("{0}")]
    Unavailable(String),
    /// The request may have arrived; the answer did not.
    #[error("{0}")]
    Interrupted(String),
    /// The request arrived; its answer is longer than what is taken, in bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// The request arrived; its answer may hold a secret, and cannot be looked through.
    #[error("the answer to a request with a secret is compressed, and cannot be looked through")]
    Opaque,
}

impl SendError {
    pub(crate) fn guard(reason: String) -> Self {
        Self::Denied {
            capability: "http",
            reason,
        }
    }

    pub(crate) fn secret(reason: String) -> Self {
        Self::Denied {
            capability: "secrets",
            reason,
        }
    }
}

/// Sends requests.
pub struct Egress {
    settings: Settings,
    secrets: Secrets,
    connector: Connector,
}

impl Egress {
    /// Sends where `guard` lets through, with the system's names.
    pub fn new(settings: Settings, guard: Guard, secrets: Secrets) -> Self {
        Self::with_resolver(settings, guard, secrets, Arc::new(SystemResolver))
    }

    /// As [`Egress::new`], with other names.
    pub fn with_resolver(
        settings: Settings,
        guard: Guard,
        secrets: Secrets,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        Self {
            settings,
            secrets,
            connector: Connector::new(guard, resolver),
        }
    }

    /// The secrets that requests may carry.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Sends a request once and waits for its whole answer. Follows nothing, repeats nothing,
    /// keeps nothing.
    ///
    /// # Errors
    /// [`SendError`]; it says whether the request may have arrived.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let settings = &self.settings;
        let most = request.timeout.unwrap_or(settings.timeout);
        let most = most.min(settings.most_timeout);
        let sent = AtomicBool::new(false);
        match tokio::time::timeout(most, self.send_untimed(request, &sent)).await {
            Ok(answer) => answer,
            Err(_) => {
                let told = format!("no whole answer in {} ms", most.as_millis());
                Err(if sent.load(Ordering::Relaxed) {
                    SendError::Interrupted(told)
                } else {
                    SendError::Unavailable(told)
                })
            }
        }
    }

    async fn send_untimed(
        &self,
        request: Request,
        sent: &AtomicBool,
    ) -> Result<Response, SendError> {
        let (head, mask) = head(&request, &self.secrets).await?;
        let message = message(&request, head)?;
        let stream = self.connector.connect(&request.target).await?;
        let answer = exchange(stream, message, self.settings.most_bytes, sent).await?;
        masked(answer, &mask)
    }
}

fn message(request: &Request, head: HeaderMap) -> Result<hyper::Request<Full<Bytes>>, SendError> {
    if !is_method(&request.method) {
        return Err(SendError::Invalid(format!(
            "method: `{}` cannot be sent; expected one in capitals, such as `GET` or `POST`",
            request.method
        )));
    }
    let body = Full::new(Bytes::from(request.body.clone().unwrap_or_default()));
    let mut message = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(request.target.path_and_query())
        .body(body)
        .map_err(|error| SendError::Invalid(error.to_string()))?;
    *message.headers_mut() = head;
    Ok(message)
}

fn masked(answer: Response, mask: &Mask) -> Result<Response, SendError> {
    if mask.is_empty() {
        return Ok(answer);
    }
    let encoded = |(name, value): &(String, String)| {
        name == header::CONTENT_ENCODING.as_str() && !value.eq_ignore_ascii_case("identity")
    };
    if answer.headers.iter().any(encoded) {
        return Err(SendError::Opaque);
    }
    let headers = answer.headers.into_iter();
    Ok(Response {
        status: answer.status,
        headers: headers
            .map(|(name, value)| (mask.text(name), mask.text(value)))
            .collect(),
        body: mask.bytes(answer.body),
    })
}

#[cfg(test)]
mod tests;
