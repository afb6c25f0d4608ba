//! Capability `http`: requests to other hosts, through the host's guarded way out.

use super::{At, Capability, Fail, Intent, Performed, Scope, failed, unavailable};
use crate::guest::{Guest, Told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mandate_egress as egress;
use mandate_egress::{SendError, secret_names};
use mandate_policy::Refusal;
use mandate_policy::http::{Target, is_method, is_read};
use mandate_runtime::bindings::http::http as wit;
use mandate_runtime::bindings::types::types::{Denial, Error};
use mandate_store::crash;
use mandate_types::Effects;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A body as the journal holds it: readable where it is text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    Base64(String),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(binary) => Self::Base64(STANDARD.encode(binary.as_bytes())),
        }
    }
}

impl Body {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            // What is journalled was encoded here.
            Self::Base64(text) => STANDARD.decode(text).unwrap_or_default(),
        }
    }
}

/// A request as the journal shows it: with places where secrets will be, never with secrets.
#[derive(Serialize)]
struct Send {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip)]
    read: Result<Read, String>,
}

/// What has to be known of a request before it is let through.
struct Read {
    target: Target,
    secrets: Vec<String>,
}

/// An answer as the journal holds it.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Send {
    fn new(request: wit::Request) -> Self {
        let headers = request.headers.into_iter();
        let mut send = Self {
            method: request.method,
            url: request.url,
            headers: headers.map(|header| (header.name, header.value)).collect(),
            body: request.body.map(Body::from),
            timeout_ms: request.timeout_ms,
            read: Err(String::new()),
        };
        send.read = send.read();
        send
    }

    fn read(&self) -> Result<Read, String> {
        if !is_method(&self.method) {
            return Err(format!(
                "method: `{}` cannot be sent; expected one in capitals, such as `GET` or `POST`",
                self.method.escape_default()
            ));
        }
        let target = Target::parse(&self.url).map_err(|error| error.to_string())?;
        let mut secrets = Vec::new();
        for (_, value) in &self.headers {
            secrets.extend(secret_names(value)?.into_iter().map(str::to_owned));
        }
        Ok(Read { target, secrets })
    }
}

impl Capability for Send {
    const INTERFACE: &'static str = "mandate:http/http";
    const FUNCTION: &'static str = "send";
    type Answer = Answer;

    /// An external effect is at least `reversible`: how grave it is, the tool's terms say, not a
    /// method.
    fn effects(&self) -> Effects {
        let secret = self
            .read
            .as_ref()
            .is_ok_and(|read| !read.secrets.is_empty());
        if is_read(&self.method) && self.body.is_none() && !secret {
            Effects::None
        } else {
            Effects::Reversible
        }
    }

    fn intent(&self) -> Intent {
        match self.effects() {
            Effects::None => Intent::None,
            _ => Intent::Committed,
        }
    }

    fn granted(&self, scope: &Scope) -> Result<(), Refusal> {
        let capabilities = &scope.plugin.grant().capabilities;
        capabilities.http()?;
        // What is no request is told as that, to whoever may send any.
        let Ok(read) = &self.read else {
            return Ok(());
        };
        capabilities.send(&self.method, &read.target)?;
        let configured = scope.kernel.egress().secrets();
        for name in &read.secrets {
            capabilities.secret(name)?;
            configured
                .admit(name, &read.target)
                .map_err(|reason| Refusal {
                    capability: "secrets".to_owned(),
                    reason,
                })?;
        }
        Ok(())
    }

    async fn perform(self, at: At) -> Result<Performed<Answer>, Fail> {
        let reads = self.effects() == Effects::None;
        let read = self.read.map_err(Error::Invalid)?;
        let kernel = &at.scope.kernel;
        let request = egress::Request {
            idempotency_key: (!reads)
                .then(|| kernel.effect_keys().of(&at.scope.id, at.sequence, at.index)),
            method: self.method,
            target: read.target,
            headers: self.headers,
            body: self.body.map(Body::bytes),
            timeout: self.timeout_ms.map(Duration::from_millis),
        };
        crash::point("http.before_send");
        let answer = kernel.egress().send(request).await;
        crash::point("http.after_answer");
        let answer = answer.map_err(|error| told(error, reads))?;
        Ok(Performed::read(Answer {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.into(),
        }))
    }
}

/// What the guest hears: `interrupted` where a request that is no read may have arrived.
fn told(error: SendError, reads: bool) -> Error {
    match error {
        SendError::Denied { capability, reason } => Error::Denied(Denial {
            capability: capability.to_owned(),
            reason,
        }),
        SendError::Invalid(reason) => Error::Invalid(reason),
        SendError::Unavailable(reason) => unavailable(reason),
        SendError::Interrupted(reason) if reads => unavailable(reason),
        SendError::Interrupted(reason) => Error::Interrupted(reason),
        error @ (SendError::TooLarge(_) | SendError::Opaque) => failed(error.to_string(), false),
    }
}

impl wit::Host for Guest {
    async fn send(&mut self, request: wit::Request) -> Told<Result<wit::Response, Error>> {
        let answer = self.step(Send::new(request)).await?;
        Ok(answer.map(|answer| {
            let headers = answer.headers.into_iter();
            wit::Response {
                status: answer.status,
                headers: headers
                    .map(|(name, value)| wit::Header { name, value })
                    .collect(),
                body: answer.body.bytes(),
            }
        }))
    }
}
