//! One exchange over HTTP: the connections that all providers share, how long each part of it may
//! take and how much it may bring, and what failed told apart.

use crate::fault::{Fault, Kind};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use serde_json::Value;
use std::time::Duration;

/// Longer answers are not taken, in bytes.
pub(crate) const MOST_BYTES: usize = 8 << 20;
/// Of a refusal no more than this is read, in bytes.
const MOST_REFUSAL: usize = 64 << 10;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// From the request to the head of its answer, which for one that comes as a whole is the time
    /// that the model needs for all of it; of a stream, to the first piece of the answer.
    pub first: Duration,
    /// Between two pieces of an answer.
    pub between: Duration,
    /// For the whole of it.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first: Duration::from_secs(120),
            between: Duration::from_secs(30),
            total: Duration::from_secs(180),
        }
    }
}

/// Connections to providers, shared by all of them.
pub type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections that trust `roots`; a connection takes at most `connect`.
pub fn client(tls: rustls::ClientConfig, connect: Duration) -> HttpClient {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(connect));
    http.set_nodelay(true);
    http.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(hyper_util::rt::TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector)
}

/// Sends `message`, and waits for the head of its answer. As long as there is no connection,
/// TLS included, nothing was sent.
///
/// # Errors
/// [`Kind::Connection`], [`Kind::Interrupted`]
pub(crate) async fn send(
    client: &HttpClient,
    deadlines: Deadlines,
    mut message: hyper::Request<Full<Bytes>>,
) -> Result<hyper::Response<Incoming>, Fault> {
    let Deadlines { connect, first, .. } = deadlines;
    let mut connection = capture_connection(&mut message);
    let sent = client.request(message);
    tokio::pin!(sent);
    let early = tokio::select! {
        biased;
        answer = &mut sent => Some(answer),
        _ = connection.wait_for_connection_metadata() => None,
        () = tokio::time::sleep(connect) => {
            let told = format!("no connection in {} s", connect.as_secs_f32());
            return Err(Fault::new(Kind::Connection, told));
        }
    };
    let answer = match early {
        Some(answer) => answer,
        None => tokio::time::timeout(first, sent)
            .await
            .map_err(|_| late("no answer", first))?,
    };
    answer.map_err(|error| {
        let told = chain_of(&error);
        if error.is_connect() {
            Fault::new(Kind::Connection, told)
        } else {
            Fault::arrived(Kind::Interrupted, told)
        }
    })
}

/// The whole body of an answer, or enough of a refusal. Between two pieces of it may be so much
/// time as `between`.
///
/// # Errors
/// [`Kind::Interrupted`], [`Kind::Garbled`]
pub(crate) async fn whole(
    mut body: Incoming,
    is_answer: bool,
    between: Duration,
) -> Result<Vec<u8>, Fault> {
    let most = if is_answer { MOST_BYTES } else { MOST_REFUSAL };
    let mut bytes = Vec::new();
    while let Some(frame) = tokio::time::timeout(between, body.frame())
        .await
        .map_err(|_| late("the answer stopped", between))?
    {
        let frame = frame.map_err(|e| Fault::arrived(Kind::Interrupted, chain_of(&e)))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > most {
            if !is_answer {
                break;
            }
            return Err(too_long());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// The body as JSON, if it says that it is.
pub(crate) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Fault> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if !kind.contains("json") {
        let told = format!("the answer is `{kind}` and not JSON");
        return Err(Fault::arrived(Kind::Garbled, told));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::arrived(Kind::Garbled, format!("the answer is no JSON: {error}")))
}

pub(crate) fn too_long() -> Fault {
    let told = format!("the answer has more than {MOST_BYTES} bytes");
    Fault::arrived(Kind::Garbled, told)
}

/// The fault of what did not come in time.
pub(crate) fn late(what: &str, after: Duration) -> Fault {
    let told = format!("{what} in {} s", after.as_secs_f32());
    Fault::arrived(Kind::Interrupted, told)
}

/// An error with all its causes: the outermost says least.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !told.contains(&said) {
            told.push_str(": ");
            told.push_str(&said);
        }
        cause = inner.source();
    }
    told
}
