//! Carries the SDK's requests over the connections that all providers share, so that it needs no
//! HTTP client of its own, and what fails is known as exactly as with the others.

use crate::exchange::{self, Deadlines, HttpClient};
use crate::fault::{Fault, Kind};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::CONTENT_TYPE;

/// What streams say.
const EVENTS: &str = "application/vnd.amazon.eventstream";
/// Longer streams are not taken, in bytes: a token is an event of some 200.
const MOST_STREAM: usize = 64 << 20;

/// Our connections, as the SDK wants them.
#[derive(Clone)]
pub struct Connector {
    client: HttpClient,
    deadlines: Deadlines,
}

impl Connector {
    /// Over the connections of `client`.
    pub fn new(client: HttpClient, deadlines: Deadlines) -> Self {
        Self { client, deadlines }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let wrong = |what: String| Fault::new(Kind::Connection, what);
        let request = request
            .try_into_http1x()
            .map_err(|error| wrong(error.to_string()))?;
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| wrong(error.to_string()))?
            .to_bytes();
        let request = hyper::Request::from_parts(head, Full::new(body));
        let answer = exchange::send(&self.client, self.deadlines, request).await?;
        let (head, body) = answer.into_parts();
        let is_stream = head.status.is_success()
            && head
                .headers
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()));
        let body = if is_stream {
            SdkBody::from_body_1_x(Limited::new(body, MOST_STREAM))
        } else {
            let whole =
                exchange::whole(body, head.status.is_success(), self.deadlines.between).await?;
            SdkBody::from(whole)
        };
        HttpResponse::try_from(hyper::Response::from_parts(head, body))
            .map_err(|error| Fault::arrived(Kind::Garbled, error.to_string()))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl SdkHttpClient for Connector {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut connector = self.clone();
        // Who asks for credentials has less patience than who asks a model.
        let deadlines = &mut connector.deadlines;
        deadlines.connect = settings.connect_timeout().unwrap_or(deadlines.connect);
        deadlines.first = settings.read_timeout().unwrap_or(deadlines.first);
        SharedHttpConnector::new(connector)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            let sent = connector.send(request).await;
            // `fault::of` takes it out again.
            sent.map_err(|fault| ConnectorError::other(Box::new(fault), None))
        })
    }
}
