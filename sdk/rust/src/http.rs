//! Requests to other hosts.

use crate::error::Error;
use crate::port::Port;
use crate::{from_json, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

pub use crate::bindings::imports::mandate::http::http::{Header, Request, Response};

/// Sends requests; from [`Host::http`](crate::Host::http). Needs the capability `http`, and for each secret in a
/// header the capability `secrets`; without them the answer is [`Error::Denied`].
///
/// `GET` and `HEAD` without body and secret read. Everything else is an external effect, which a tool may have under
/// an approved decision; [`Error::Interrupted`] then says that it may have been had, and that nobody knows.
#[derive(Clone, Copy)]
pub struct Http<'h> {
    pub(crate) port: &'h Port,
}

impl Http<'_> {
    /// Sends a request and waits for its whole answer, whatever its status; see
    /// [`Response::successful`]. Redirects are not followed.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Invalid`]; [`Error::Unavailable`] when nobody answers,
    /// [`Error::Interrupted`] when the request may have arrived, [`Error::Failed`] for an answer that is too long.
    pub fn send(&self, request: &Request) -> Result<Response, Error> {
        self.port.send(request)
    }

    /// Sends a `GET`.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub fn get(&self, url: &str) -> Result<Response, Error> {
        self.send(&Request::get(url))
    }
}

impl Request {
    /// A request with nothing but a method, in capitals, and a URL.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        }
    }

    /// A `GET`.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// With another header. `{{secret:NAME}}` in the value is replaced by the operator's secret when the request
    /// leaves the host, and `{{hmac-sha256:NAME}}` by the signature of the body under it, in hexadecimal; the plugin
    /// never sees either.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With a value as its body, in JSON, and the header that says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that has no JSON form.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let text = to_json("body", value)?;
        Ok(self.header("content-type", "application/json").body(text))
    }

    /// With a bound on the whole of it; otherwise the host has one.
    pub fn timeout(mut self, most: Duration) -> Self {
        self.timeout_ms = Some(u64::try_from(most.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

impl Response {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.as_str())
    }

    /// Itself, when its status is one of success.
    ///
    /// # Errors
    /// [`Error::Failed`] with status and the beginning of the body; retryable for 408, 429 and from 500 on.
    pub fn successful(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let said: String = self.text().chars().take(200).collect();
        Err(Error::Failed {
            message: format!("the other host answered {}: {said}", self.status),
            retryable: self.status >= 500 || matches!(self.status, 408 | 429),
        })
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value in JSON.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none, or another.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json("body of the answer", &self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: vec![Header {
                name: "retry-after".to_owned(),
                value: "7".to_owned(),
            }],
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_request_says_what_it_is_told() {
        let request = Request::post("https://example.com")
            .header("authorization", "Bearer {{secret:KEY}}")
            .json(&[1, 2])
            .unwrap()
            .timeout(Duration::from_secs(2));
        assert_eq!(request.body.as_deref(), Some(&b"[1,2]"[..]));
        assert_eq!(
            (request.headers.len(), request.timeout_ms),
            (2, Some(2_000))
        );
    }

    #[test]
    fn an_answer_is_successful_or_says_why_not() {
        let fine = answer(204, "[3]").successful().unwrap();
        assert_eq!(fine.json::<Vec<u32>>().unwrap(), [3]);
        assert_eq!(fine.header("Retry-After"), Some("7"));
        for (status, retryable) in [(302, false), (404, false), (429, true), (503, true)] {
            let error = answer(status, "no").successful().unwrap_err();
            assert_eq!(error.is_retryable(), retryable, "{error}");
        }
        assert!(matches!(fine.json::<String>(), Err(Error::Invalid(_))));
    }
}
